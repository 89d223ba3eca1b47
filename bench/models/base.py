"""What a model is: on disk in several formats, with inputs and what is expected of them; and how one is made."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

SEED = 7


@dataclass(frozen=True)
class Model:
    """A model on disk, with one input and one output. ``row`` is the shape of one row of the input, ``dtype`` the
    type of its elements; ``input`` and ``output`` are the operations of the frozen GraphDef, if there is one.

    An engine finds its format by the file's name; what is not there, a model doesn't have.
    """

    name: str
    folder: Path
    row: tuple[int, ...]
    dtype: str = "float32"
    input: str = ""
    output: str = ""

    @property
    def source(self) -> Path:
        """What castiron compiles."""
        return next(path for path in (self.keras, self.onnx) if path.exists())

    @property
    def keras(self) -> Path:
        return self.folder / "model.keras"

    @property
    def saved_model(self) -> Path:
        return self.folder / "saved_model"

    @property
    def graphdef(self) -> Path:
        return self.folder / "model.pb"

    @property
    def onnx(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def lightgbm(self) -> Path:
        return self.folder / "model.txt"

    def tflite(self, batch: int) -> Path:
        """The file for a batch, where there can't be one for all."""
        fixed = self.folder / f"model-{batch}.tflite"
        return fixed if fixed.exists() else self.folder / "model.tflite"

    @cached_property
    def _rows(self) -> np.ndarray:
        return np.load(self.folder / "rows.npy", mmap_mode="r")

    def rows(self, batch: int) -> np.ndarray:
        """``dtype``[batch, *row], the same in every run."""
        return np.array(self._rows[:batch])

    def expected(self, batch: int) -> np.ndarray:
        """What the source's framework computes from ``rows(batch)``."""
        return np.load(self.folder / "expected.npy")[:batch]

    def rows_file(self, batch: int) -> Path:
        """The values of ``rows(batch)`` alone."""
        path = self.folder / f"rows-{batch}.raw"
        if not path.exists():
            self.rows(batch).tofile(path)
        return path

    def save(self) -> None:
        described = asdict(self) | {"folder": None}
        (self.folder / "model.json").write_text(json.dumps(described))

    @classmethod
    def load(cls, folder: Path) -> Model:
        described = json.loads((folder / "model.json").read_text())
        return cls(**described | {"folder": folder, "row": tuple(described["row"])})


class Recipe:
    """How a model is made, always the same. ``title`` is what the page calls it.

    ``make`` leaves in a new folder the formats that there are, ``rows.npy``, ``expected.npy`` with what the
    source's own framework computes from them, and at last the ``Model``'s own description.
    """

    name: str
    title: str
    #: Batch sizes whose calls are timed; none for a model that is only built.
    batches: tuple[int, ...] = (1, 32)
    #: Numbers of threads that calls of the first batch size are timed with; others have one thread.
    threads: tuple[int, ...] = (1, 2)
    #: So many rows have an expected result: no batch is larger.
    count = 32

    def make(self, folder: Path) -> None:
        raise NotImplementedError
