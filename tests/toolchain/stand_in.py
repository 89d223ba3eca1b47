"""A stand-in model, made of the steps in steps.c."""

import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Weights:
    values: np.ndarray

    @property
    def nbytes(self) -> int:
        return self.values.nbytes

    def write_to(self, file) -> None:
        file.write(self.values.tobytes())


def make_artifact(weights: np.ndarray, name: str = "stand-in") -> types.SimpleNamespace:
    return types.SimpleNamespace(
        name=name,
        source=(HERE / "steps.c").read_text(),
        entries=("affine", "deep", "denormal", "stack_offset", "table", "spin"),
        weights=Weights(weights),
        model_go=f'package data\n\nconst Name = "{name}"\n',
    )
