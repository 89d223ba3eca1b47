"""What every packager is given."""

from typing import Protocol

from castiron.toolchain.zig import Weights

__all__ = ["Artifact", "Weights"]


class Artifact(Protocol):
    """A compiled model.

    `source` is one C unit, whose external functions `entries` are the steps, in the order of Step.Entry.
    `weights` is laid at a multiple of 64 bytes. `model_go` is the Go source of package internal/data.
    """

    name: str
    source: str
    entries: tuple[str, ...]
    weights: Weights
    model_go: str
