"""The eight steps."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from castiron.demo import commands, data, plot
from castiron.errors import VerifyError

#: What the training leaves, and the executable that is built from it.
MODELS = {
    "model.pb": "predictor",
    "model.keras": "predictor-keras",
    "model.h5": "predictor-h5",
    "saved_model": "predictor-savedmodel",
}

#: Largest |executable - Keras| / largest |Keras| that is called agreement.
AGREEMENT = 1e-5

#: A label inside the graph: the product of the last layer, before its bias.
INNER = "sequential/out/MatMul"

_STEPS = 8


class Story:
    """The walkthrough in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.console = Console(highlight=False, soft_wrap=True)
        self.step = 0

    def tell(self) -> None:
        """All steps in order. A CastironError if one of them fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.say(f"Working in {self.folder}/, where the commands below can be repeated.")
        fresh, expected = self.make_data()
        self.train()
        self.build()
        output = self.inspect()
        computed = self.predict(output)
        self.compare(expected, computed)
        self.serve(fresh, computed)
        self.measure(output)

    def make_data(self) -> tuple[np.ndarray, np.ndarray]:
        """1. Returns fresh rows f64[1024, 10], which the model is not trained on, and their true y f64[1024]."""
        self.title("Make data: ten random int8 coefficients c, standard normal X, y = X·c")
        rng = np.random.default_rng(1)
        c, x, fresh = data.coefficients(rng), data.rows(rng), data.rows(rng)
        data.write_csv(self.folder / "training_data.csv", data.COLUMNS, np.column_stack([x, x @ c]))
        data.write_csv(self.folder / "fresh.csv", data.COLUMNS[:-1], fresh)
        self.say(f"c = {', '.join(map(str, c))}")
        self.say(f"training_data.csv: {len(x)} rows of {', '.join(data.COLUMNS[:2])}, … {data.COLUMNS[-1]}, "
                 f"where {data.COLUMNS[-1]} is y; fresh.csv: as many other rows, without y")
        return fresh, fresh @ c

    def train(self) -> None:
        """2."""
        self.title("Train a Keras model on training_data.csv and save it in four formats")
        with self.busy("training"):
            commands.run(self.folder, "train.py")
        self.say("Sequential: Dense(64, relu), Dense(64, relu), Dense(1, name='out')")
        self.say("saved as model.keras, model.h5, saved_model/ (a SavedModel) and model.pb (a frozen GraphDef)")

    def build(self) -> None:
        """3."""
        self.title("Build an executable from each of the four, and compare them with Keras")
        keras = np.load(self.folder / "keras_out.npy").astype(np.float64)
        for model, executable in MODELS.items():
            self.say(self.run("castiron", "build", model, "-o", executable).rstrip())
            self.run(f"./{executable}", "predict", "fresh.csv", "-o", "out.npy", shown=False)
            error = float(np.abs(np.load(self.folder / "out.npy") - keras).max() / np.abs(keras).max())
            if not error <= AGREEMENT:
                raise VerifyError(f"{executable} differs from Keras on fresh.csv by {error:.2g} relative, "
                                  f"more than {AGREEMENT:g}")
            self.say(f"on {len(keras)} fresh rows it agrees with Keras to {error:.1g} relative")
        (self.folder / "out.npy").unlink()

    def inspect(self) -> str:
        """4. Returns the output's name."""
        self.title("List the nodes of the graph")
        self.say(self.run("./predictor", "inspect").rstrip())
        graph = json.loads(self.run("./predictor", "inspect", "--json", shown=False))
        labels = [node["label"] for node in graph["labels"]]
        with self.busy("asking TensorFlow"):
            theirs = commands.run(self.folder, "peer.py", "labels", "model.pb").splitlines()
        if labels != theirs:
            raise VerifyError(f"the labels are not those that TensorFlow lists: {theirs}")
        self.say(f"TensorFlow lists the same {len(labels)} labels in the same order.")
        return graph["outputs"][0]["name"]

    def predict(self, output: str) -> np.ndarray:
        """5. Returns the predictions for fresh.csv, f32[1024]."""
        self.title("Predict: feed fresh rows at x, fetch the output and a label inside the graph")
        self.run("./predictor", "predict", "--feed", "x=fresh.csv", "--fetch", output, "--fetch", INNER,
                 "-o", "predicted.csv")
        self.say("\n".join((self.folder / "predicted.csv").read_text().splitlines()[:4]) + "\n…")
        computed, product = data.read_csv(self.folder / "predicted.csv").astype(np.float32).T
        bias = computed - product
        if np.ptp(bias) > 1e-6 * np.abs(computed).max():
            raise VerifyError(f"{output} and {INNER} do not differ by the layer's bias alone")
        self.say(f"The two differ by the bias of the layer 'out', {np.median(bias):.5f}.")
        return computed

    def compare(self, expected: np.ndarray, computed: np.ndarray) -> None:
        """6."""
        self.title("Compare with the truth")
        data.write_csv(self.folder / "rand_out.csv", ("expected", "out"), np.column_stack([expected, computed]))
        errors = expected - computed
        r2 = 1 - np.sum(errors**2) / np.sum((expected - expected.mean()) ** 2)
        title = f"y = X·c on {len(expected)} fresh rows: R² = {r2:.5f}"
        plot.image(self.folder / "scatter.png", expected, computed, title)
        self.say(plot.text(expected, computed).rstrip())
        self.say(f"R² = {r2:.5f}, largest error {np.abs(errors).max():.3g} where y reaches "
                 f"{np.abs(expected).max():.0f} (the model's own: it was trained for seconds)")
        self.say("rand_out.csv: expected and out of every row; scatter.png: the plot")

    def serve(self, fresh: np.ndarray, computed: np.ndarray) -> None:
        """7."""
        self.title("Serve over HTTP")
        command = ("./predictor", "serve", "--port", "0")
        self.echo(*command)
        with commands.server(self.folder, *command) as address:
            url = f"{address}/v1/models/model:predict"
            answer = commands.post(url, {"instances": fresh.tolist()})
            self.say(f'POST {url} {{"instances": [[{fresh[0, 0]:.5f}, …], …]}}')
        served = np.array(answer["predictions"], np.float32)[:, 0]
        self.say(f'{{"predictions": [[{served[0]}], [{served[1]}], …]}}')
        if not np.array_equal(served, computed):
            raise VerifyError("the server's predictions are not those of `./predictor predict`")
        self.say(f"The same {len(served)} numbers, bit for bit; on SIGTERM the server stopped with exit code 0.")

    def measure(self, output: str) -> None:
        """8."""
        self.title("What was won, measured here and now")
        (self.folder / "row.csv").write_text("".join((self.folder / "fresh.csv").read_text().splitlines(True)[:2]))
        with self.busy("starting both"):
            start = [self.cold_start("./predictor", "predict", "row.csv", times=15),
                     self.cold_start("peer.py", "predict", "model.pb", output, "row.csv", times=3)]
        sizes = (1, data.ROWS)
        with self.busy("timing both"):
            ours = self.bench(sizes)
            theirs = json.loads(commands.run(self.folder, "peer.py", "bench", "model.pb", output, *map(str, sizes)))
        table = Table(box=None, pad_edge=False)
        for heading in ("", "predictor", "TensorFlow", "ratio"):
            table.add_column(heading, justify="left" if not heading else "right")
        binary, libraries = (self.folder / "predictor").stat().st_size, _tensorflow_bytes()
        table.add_row("on disk: the binary / TensorFlow's libraries", _megabytes(binary), _megabytes(libraries),
                      _ratio(libraries / binary))
        table.add_row("cold start: process to first prediction", *map(_duration, start), _ratio(start[1] / start[0]))
        for size in sizes:
            rows = "1 row" if size == 1 else f"{size} rows"
            mine, other = ours[size], theirs[str(size)]
            table.add_row(f"one prediction of {rows}", _duration(mine), _duration(other), _ratio(other / mine))
        self.console.print(table)
        self.say("Medians. TensorFlow: Python, the frozen graph, a session's callable called in the process.")

    def cold_start(self, *command: str, times: int) -> float:
        """Median seconds from the start of a process to its first prediction."""
        return statistics.median(commands.first_line_seconds(self.folder, *command) for _ in range(times))

    def bench(self, sizes: tuple[int, ...]) -> dict[int, float]:
        """Median seconds of a prediction by the number of rows, as the binary itself measures it."""
        lines = self.run("./predictor", "bench", "--batch", ",".join(map(str, sizes)), shown=False).splitlines()[1:]
        return {int(size): int(size) / float(rate) for size, *_, rate in map(str.split, lines)}

    def title(self, text: str) -> None:
        """Begin a step."""
        self.step += 1
        self.console.print(f"\n[bold cyan]{self.step}/{_STEPS}[/] [bold]{text}[/]")

    def say(self, text: str) -> None:
        """Print text as it is."""
        self.console.print(text, markup=False)

    def echo(self, *command: str) -> None:
        """Print a command."""
        self.console.print(f"$ {' '.join(command)}", markup=False, style="green")

    def run(self, *command: str, shown: bool = True) -> str:
        """Run a command, printed if ``shown``, and return its output."""
        if shown:
            self.echo(*command)
        with self.busy(command[0]):
            return commands.run(self.folder, *command)

    @contextmanager
    def busy(self, doing: str) -> Iterator[None]:
        """A sign of life on a terminal; nothing elsewhere."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(doing):
            yield


def _tensorflow_bytes() -> int:
    """Size of the shared libraries of TensorFlow's C API in the installed package."""
    folder = Path(find_spec("tensorflow").submodule_search_locations[0])
    return sum(f.stat().st_size for f in folder.glob("libtensorflow_*") if not f.is_symlink())


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _ratio(value: float) -> str:
    return f"{value:,.0f}×" if value >= 10 else f"{value:.1f}×"
