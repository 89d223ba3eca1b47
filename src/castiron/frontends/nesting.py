"""How deep bodies are converted, and how much of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from castiron.errors import ModelError

#: Functions may call one another this deep, and loops and branches be nested so deep.
DEPTH_LIMIT, NESTING_LIMIT = 64, 6

#: The bodies of functions, loops and branches have so many nodes at most, each counted as often as it is converted.
NODE_LIMIT = 100_000


class Nesting:
    """An importer's place within loops and branches. ``nesting`` counts those around, ``trials`` how many of them are
    being tried."""

    nesting = 0
    trials = 0
    _spent = 0

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """While the body of a loop or branch is converted; ModelError if too many are around."""
        if self.nesting == NESTING_LIMIT:
            raise ModelError(f"loops and branches are more than {NESTING_LIMIT} deep")
        self.nesting += 1
        try:
            yield
        finally:
            self.nesting -= 1

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """While a body is converted to see what becomes of its arguments."""
        self.trials += 1
        try:
            with self.inside():
                yield
        finally:
            self.trials -= 1

    def spend(self, nodes: int) -> None:
        """Count converted nodes; ModelError if they are too many."""
        self._spent += nodes
        if self._spent > NODE_LIMIT:
            raise ModelError(f"functions and bodies have more than {NODE_LIMIT} nodes in all")
