"""Scatter plots of expected against computed values: as an image and in the terminal."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import plotext

matplotlib.use("Agg")

from matplotlib import pyplot

_INK, _DOTS, _LINE = "#22303c", "#1f77b4", "#d95f02"


def image(path: Path, expected: np.ndarray, computed: np.ndarray, title: str) -> None:
    """Write a PNG of the points f64[n], f64[n] and the line where both are equal."""
    figure, axes = pyplot.subplots(figsize=(5.2, 5.0), dpi=110, layout="constrained")
    low, high = _range(expected, computed)
    axes.plot([low, high], [low, high], color=_LINE, linewidth=1.2, zorder=1, label="computed = expected")
    axes.scatter(expected, computed, s=11, color=_DOTS, alpha=0.55, linewidths=0, zorder=2, label="fresh rows")
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel="expected", ylabel="computed by the binary")
    axes.set_title(title, fontsize=11, color=_INK)
    axes.grid(color="#e3e7ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(path)
    pyplot.close(figure)


def text(expected: np.ndarray, computed: np.ndarray, width: int = 72, height: int = 22) -> str:
    """The points as lines of characters."""
    low, high = _range(expected, computed)
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, height)
    plotext.scatter(expected.tolist(), computed.tolist(), marker="braille")
    plotext.xlim(low, high)
    plotext.ylim(low, high)
    plotext.xlabel("expected")
    plotext.ylabel("computed")
    return plotext.uncolorize(plotext.build())


def _range(*values: np.ndarray) -> tuple[float, float]:
    low, high = min(v.min() for v in values), max(v.max() for v in values)
    margin = 0.05 * (high - low)
    return low - margin, high + margin
