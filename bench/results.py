"""What was measured, as a file of rows. All that it holds was measured under the same conditions, and the cells of
one case, which ratios are made of, in the same run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """What engines are compared on."""

    model: str
    batch: int
    threads: int

    def __str__(self) -> str:
        return f"{self.model}, batch {self.batch}, {self.threads} thread{'s' if self.threads > 1 else ''}"


@dataclass(frozen=True)
class Cell:
    """One engine on one case. ``cold_us`` is the median of calls that find nothing in the caches; ``max_error`` is
    relative to the largest expected value; ``peak_rss_mb`` is of the engine's process, Python included where that is
    its host; ``load`` tells how many processes wanted to run when the case began."""

    model: str
    engine: str
    batch: int
    threads: int
    median_us: float
    best_us: float
    cold_us: float
    max_error: float
    peak_rss_mb: float
    turns: int
    load: float

    @property
    def case(self) -> Case:
        return Case(self.model, self.batch, self.threads)


@dataclass
class Results:
    """``rows`` are the cells; ``missing`` says by case and engine why there is none; ``parts`` have what other parts
    of a run measured, by their names."""

    conditions: Mapping[str, Any]
    rows: list[Cell] = field(default_factory=list)
    missing: dict[Case, dict[str, str]] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)

    def cells(self, model: str, batch: int, threads: int) -> dict[str, Cell]:
        """The cells of a case, by engine; none if it was not measured."""
        case = Case(model, batch, threads)
        return {cell.engine: cell for cell in self.rows if cell.case == case}

    def has(self, case: Case) -> bool:
        return case in self.missing

    def put(self, case: Case, cells: Iterable[Cell], missing: Mapping[str, str]) -> None:
        """A case anew, as a whole."""
        self.rows = [cell for cell in self.rows if cell.case != case] + list(cells)
        self.missing[case] = dict(missing)

    def save(self, path: Path) -> None:
        """Complete or not at all."""
        missing = [asdict(case) | {"engines": why} for case, why in self.missing.items()]
        text = json.dumps({"conditions": self.conditions, "rows": [asdict(cell) for cell in self.rows],
                           "missing": missing, "parts": self.parts}, indent=1)
        aside = path.with_suffix(".new")
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text + "\n")
        aside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Results | None:
        """What a file holds; None if there is none."""
        if not path.exists():
            return None
        data = json.loads(path.read_text())
        missing = {Case(m["model"], m["batch"], m["threads"]): m["engines"] for m in data["missing"]}
        return cls(data["conditions"], [Cell(**row) for row in data["rows"]], missing, data["parts"])
