"""Models that PyTorch's exporters wrote, with free dimensions, against what PyTorch computed."""

import importlib.util
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest

from castiron import Selection, cli, frontends, passes
from castiron.ir import symbol
from compiled import NATIVE, Compiled

FOLDER = Path(__file__).parent / "written_by_torch"
FILES = {path.name.removesuffix(".onnx").replace(".", "_"): path for path in sorted(FOLDER.glob("*.onnx"))}

#: Free dimensions that can't be any number: an image that is halved and doubled again.
SIZES = {"unet": {"height": 2 * symbol("h"), "width": 2 * symbol("w")}}

#: Largest difference relative to the largest result.
TOLERANCE = 1e-5


def selection(path: Path, **dims) -> Selection:
    return Selection(dims={**SIZES.get(path.name.split(".")[0], {}), **dims})


@pytest.fixture(scope="module")
def compiled():
    return Compiled({name: frontends.load(path, selection(path)) for name, path in FILES.items()}, units=2,
                    levels=(NATIVE[-1],))


def arrays(name: str) -> tuple[list[dict], list[list]]:
    """Two sets of inputs by name, and the results in order."""
    with np.load(FOLDER / f"{name}.npz") as held:
        feeds = [{key.split("/")[2]: held[key] for key in held.files if key.startswith(f"{k}/in/")} for k in (0, 1)]
        wanted = [[held[f"{k}/out/{i}"] for i in range(len(held.files)) if f"{k}/out/{i}" in held.files]
                  for k in (0, 1)]
    return feeds, wanted


def close(computed, wanted) -> None:
    assert len(computed) == len(wanted)
    for own, theirs in zip(computed, wanted, strict=True):
        assert own.shape == theirs.shape and own.dtype == theirs.dtype
        assert float(np.abs(own - theirs).max()) <= TOLERANCE * max(1e-6, float(np.abs(theirs).max()))


def test_the_files_are_there():
    assert len(FILES) >= 24


@pytest.mark.parametrize("name", FILES)
def test_agrees_with_torch(name, compiled):
    feeds, wanted = arrays(FILES[name].name.split(".")[0])
    run = compiled.runner(name, NATIVE[-1])
    for given, results in zip(feeds, wanted, strict=True):
        close(list(run(given).values()), results)


#: What computes shapes.
OF_SHAPES = {"shape", "dims"}


@pytest.mark.parametrize("name", ["bert_dynamo", "bert_torchscript", "gpt_dynamo", "gpt_torchscript", "llama_dynamo"])
def test_shape_arithmetic_folds_where_sizes_are_given(name):
    path = FILES[name]
    free = frontends.load(path)
    assert free.symbols
    fixed = frontends.load(path, selection(path, **{name: 3 + i for i, name in enumerate(free.symbols)}))
    folded = passes.run(fixed)
    assert not folded.symbols
    assert not OF_SHAPES & {node.op for node in folded.nodes}
    assert len(folded.nodes) <= len(passes.run(free).nodes)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed: pip install "
                    "'castiron[torch]'; what it wrote once is read all the same")
def test_files_are_what_torch_writes_today(tmp_path):
    import write_torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, model in write_torch.MODELS.items():
            for exporter in model.exporters:
                write_torch.export(name, model, exporter, tmp_path / f"{name}.{exporter}.onnx")
    paths = {path.name.removesuffix(".onnx").replace(".", "_"): path for path in tmp_path.glob("*.onnx")}
    assert set(paths) == set(FILES)
    fresh = Compiled({name: frontends.load(path, selection(path)) for name, path in paths.items()}, units=2,
                     levels=(NATIVE[-1],))
    for name, path in paths.items():
        feeds, wanted = arrays(path.name.split(".")[0])
        for given, results in zip(feeds, wanted, strict=True):
            close(list(fresh.runner(name, NATIVE[-1])(given).values()), results)


def test_one_executable_for_all_sizes(tmp_path, capsys):
    executable, (feeds, wanted) = tmp_path / "llama", arrays("llama")
    cli.main(["build", str(FILES["llama_dynamo"]), "-o", str(executable), "--no-trace"])
    assert "agrees with onnxruntime" in capsys.readouterr().out
    for k, (given, (expected,)) in enumerate(zip(feeds, wanted, strict=True)):
        np.save(tmp_path / f"x{k}.npy", given["words"])
        subprocess.run([executable, "predict", tmp_path / f"x{k}.npy", "-o", tmp_path / f"y{k}.npy"], check=True)
        close([np.load(tmp_path / f"y{k}.npy")], [expected])
    np.save(tmp_path / "wide.npy", np.zeros((1, 40), np.int64))
    subprocess.run([executable, "predict", tmp_path / "wide.npy", "-o", tmp_path / "wide.npy"], check=True)
    assert np.load(tmp_path / "wide.npy").shape == (1, 40, 16)
