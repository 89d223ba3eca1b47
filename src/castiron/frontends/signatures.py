"""What a model declares of its inputs and outputs, as text: not all of it can be compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    """The types of inputs and outputs by name, such as ``f32[batch,10]``, ``string[batch]`` or
    ``f32 of any rank``."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
