"""The process of an engine that is a Python library: ``python -m bench.engines.worker NAME FOLDER BATCH THREADS``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from bench.engines import ENGINES
from bench.models import Model


def main() -> None:
    name, folder, batch, threads = sys.argv[1:]
    model = Model.load(Path(folder))
    rows = model.rows(int(batch))
    predict = ENGINES[name].prepare(model, int(batch), int(threads))
    predict(rows)
    print("ready", flush=True)
    for line in sys.stdin:
        if line.startswith("predict"):
            result = predict(rows)
            print(*np.ravel(result() if callable(result) else result).tolist(), flush=True)
            continue
        calls = range(int(line.split()[1]))
        begin = time.perf_counter_ns()
        for _ in calls:
            predict(rows)
        print(time.perf_counter_ns() - begin, flush=True)


if __name__ == "__main__":
    main()
