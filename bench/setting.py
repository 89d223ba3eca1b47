"""What every part of a run shares: a folder, the models in it, and the binaries made from them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench import models
from bench.models import Model


@dataclass
class Setting:
    """``core`` is the one that everything is pinned to but builds, which may use all ``cores``."""

    work: Path
    core: int
    cores: list[int]
    _models: dict[str, Model] = field(default_factory=dict)

    def models(self, *names: str) -> dict[str, Model]:
        """Models by name, made when they are first asked for."""
        if new := [name for name in names if name not in self._models]:
            print(f"making {', '.join(new)}", file=sys.stderr)
            self._models |= models.make(new, self.work)
        return {name: self._models[name] for name in names}

    def binary(self, name: str) -> Path:
        """The executable of a model, built once."""
        path = self.work / f"{name}.predictor"
        if not path.exists():
            build(self.models(name)[name], path, "--verify", "interpreter")
        return path


def build(model: Model, out: Path, *options: str, cache: Path | None = None) -> None:
    """Run ``castiron build``, with a folder for its cache if one is given."""
    environment = os.environ | ({"XDG_CACHE_HOME": str(cache)} if cache else {})
    command = (sys.executable, "-m", "castiron", "build", model.keras, "-o", out, *options)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"castiron can't build {model.name}:\n{done.stderr}")
