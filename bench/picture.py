"""The ratios to the best peer as a picture."""

from __future__ import annotations

from pathlib import Path

from bench.figures import ratio
from bench.models import MEASURED, RECIPES
from bench.results import Results

BATCHES = (1, 32)
_COLOURS = ("#2f6f9f", "#9fc5e0")


def draw(results: Results, path: Path) -> None:
    """Bars, a pair for each model: batch 1 and 32, on one thread. Nothing is drawn if nothing was measured."""
    bars = [(RECIPES[name].title, [ratio(results, name, batch) for batch in BATCHES]) for name in MEASURED]
    bars = [(title, values) for title, values in bars if any(values)]
    if not bars:
        return
    import matplotlib

    matplotlib.use("svg")
    # The same picture from the same results.
    matplotlib.rcParams |= {"svg.hashsalt": "castiron", "svg.fonttype": "none", "font.family": "sans-serif"}
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 0.5 + 0.42 * len(bars)), layout="constrained")
    height = 0.38
    for i, (_, values) in enumerate(bars):
        for j, (value, colour) in enumerate(zip(values, _COLOURS, strict=True)):
            if value:
                place = i + (j - 0.5) * height
                axes.barh(place, value, height, color=colour, label=f"batch {BATCHES[j]}" if i == 0 else None)
                axes.annotate(f"{value:.2f}×", (value, place), (3, 0), textcoords="offset points", va="center",
                              fontsize=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(bars)), [title for title, _ in bars], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(value for _, values in bars for value in values if value))
    axes.set_xlabel("times faster than the best peer, one thread", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
