"""ONNX's own test cases, as the installed ``onnx`` ships them: models, inputs, expected outputs.

Cases of single operators are built in memory and have their own names; those of the other suites stand behind the
suite's name (``simple/test_shrink``). Models of ``light`` are whole networks whose weights are one number each.
"""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

#: Suites with data in files.
FILES = ("pytorch-converted", "pytorch-operator", "simple")

#: The suite of single operators, and that of whole networks.
NODE, LIGHT = "node", "light"

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A model in bytes, the sets of inputs and outputs by name, and the tolerances. Element i of a list ``x`` is
    ``x.i``; what an empty optional leaves out has no entry."""

    name: str
    suite: str
    model: bytes
    sets: tuple[tuple[Arrays, Arrays], ...]
    rtol: float
    atol: float


@cache
def cases() -> dict[str, Case]:
    """All cases but the whole networks, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_model_tests

        found = [_node_case(case) for case in load_model_tests(kind=NODE)]
        for suite in FILES:
            found += [_file_case(case, suite) for case in load_model_tests(kind=suite)]
    return {case.name: case for case in found}


@cache
def networks() -> dict[str, Case]:
    """The whole networks by name; what is fed to them is counted up from 0 towards 1, as ``onnx`` does it."""
    import onnx
    from onnx.backend.test.loader import DATA_DIR, load_model_tests

    found = {}
    for case in sorted(load_model_tests(kind="real"), key=lambda case: case.name):
        path = Path(DATA_DIR, LIGHT, os.path.basename(case.url))
        model = onnx.load(path)
        initial = {tensor.name for tensor in model.graph.initializer}
        inputs = {}
        for info in model.graph.input:
            if info.name not in initial:
                shape = [dim.dim_value or 1 for dim in info.type.tensor_type.shape.dim]
                size = np.prod(shape)
                inputs[info.name] = (np.arange(size).reshape(shape) / size).astype(np.float32)
        outputs = {info.name: loaded(path.with_name(f"{path.stem}_output_{i}.pb"), info.type)
                   for i, info in enumerate(model.graph.output)}
        name = f"{LIGHT}/{case.name}"
        found[name] = Case(name, LIGHT, path.read_bytes(), ((inputs, outputs),), case.rtol, case.atol)
    return found


def _node_case(case) -> Case:
    sets = tuple((_arrays(case.model.graph.input, given), _arrays(case.model.graph.output, wanted))
                 for given, wanted in case.data_sets)
    return Case(case.name, NODE, case.model.SerializeToString(), sets, case.rtol, case.atol)


def _file_case(case, suite: str) -> Case:
    import onnx

    folder = Path(case.model_dir)
    model = onnx.load(folder / "model.onnx")
    sets = []
    for data in sorted(folder.glob("test_data_set_*")):
        sets.append(tuple(_arrays(infos, [loaded(data / f"{kind}_{i}.pb", info.type) for i, info in enumerate(infos)
                                          if (data / f"{kind}_{i}.pb").exists()])
                          for kind, infos in (("input", model.graph.input), ("output", model.graph.output))))
    return Case(f"{suite}/{case.name}", suite, (folder / "model.onnx").read_bytes(), tuple(sets), case.rtol, case.atol)


def loaded(path: Path, type):
    """What a file holds of a value of a type."""
    import onnx

    kinds = {"sequence_type": (onnx.SequenceProto, onnx.numpy_helper.to_list),
             "optional_type": (onnx.OptionalProto, onnx.numpy_helper.to_optional)}
    message, read = kinds.get(type.WhichOneof("value"), (onnx.TensorProto, onnx.numpy_helper.to_array))
    return read(message.FromString(path.read_bytes()))


def _arrays(infos, values) -> Arrays:
    return {name: array for info, value in zip(infos, values, strict=False) for name, array in _named(info.name, value)}


def _named(name: str, value) -> Iterator[tuple[str, np.ndarray]]:
    import onnx

    if isinstance(value, onnx.TensorProto):
        value = onnx.numpy_helper.to_array(value)
    if isinstance(value, list | tuple):
        for i, element in enumerate(value):
            yield from _named(f"{name}.{i}", element)
    elif value is not None:
        yield name, np.asarray(value)
