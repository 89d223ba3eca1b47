"""Other engines on the same cases: ``PYTHONPATH=src:tests python tests/conformance/compare.py ENGINE`` writes the list
of those that an engine doesn't pass, with its version and its reasons, to the folder ``others``.

Results are compared by ONNX's own test runner. Each engine works in a process of its own, which begins anew behind a
case that ends it or takes longer than a minute.
"""

import ctypes
import os
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent / "others"

#: A case may take so many seconds.
SECONDS = 60

#: A reason has so many characters at most.
LENGTH = 160


def _onnxruntime(model, inputs: Sequence) -> Sequence:
    """Models of a later format than it reads are given to it as ones of the last that it does; only their operators
    decide."""
    import numpy as np
    import onnxruntime
    from onnx import helper

    def value(array):
        if array is None or isinstance(array, list):
            return array
        array = np.asarray(array)
        if array.dtype.isbuiltin == 1:
            return onnxruntime.OrtValue.ortvalue_from_numpy(array) if array.dtype != object else array
        number = helper.np_dtype_to_tensor_dtype(array.dtype)
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, number)

    def plain(value):
        dtype = helper.tensor_dtype_to_np_dtype(value.element_type()) if value.is_tensor() else np.dtype(object)
        if dtype.isbuiltin == 1 or "int" in dtype.name:
            return value.numpy() if value.is_tensor() else value
        count = int(np.prod(value.shape())) * dtype.itemsize
        return np.frombuffer(ctypes.string_at(value.data_ptr(), count), dtype).reshape(value.shape())

    os.environ["ALLOW_RELEASED_ONNX_OPSET_ONLY"] = "0"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    model.ir_version = min(model.ir_version, 11)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    feeds = {port.name: value(array) for port, array in zip(session.get_inputs(), inputs, strict=False)}
    if all(isinstance(v, onnxruntime.OrtValue) for v in feeds.values()):
        return [plain(v) for v in session.run_with_ort_values(None, feeds)]
    return session.run(None, {name: v.numpy() if isinstance(v, onnxruntime.OrtValue) else v
                              for name, v in feeds.items()})


def _emx_onnx_cgen(model, inputs: Sequence) -> Sequence:
    """Its templates are compiled once for all models, which changes nothing but takes less time."""
    import jinja2
    from emx_onnx_cgen.onnx_backend import prepare

    if jinja2.Environment.compile.__name__ != "compiled_once":
        compile, known = jinja2.Environment.compile, {}

        def compiled_once(environment, source, name=None, filename=None, **more):
            key = (name, str(source))
            if key not in known:
                known[key] = compile(environment, source, name, filename, **more)
            return known[key]

        jinja2.Environment.compile = compiled_once
    try:
        return prepare(model).run(list(inputs))
    except RuntimeError as error:  # types that the system's compiler doesn't know
        if "C compilation failed" not in str(error) or "CC" in os.environ:
            raise
    os.environ["CC"] = f"{sys.executable} -m ziglang cc -fno-sanitize=all"
    try:
        return prepare(model).run(list(inputs))
    finally:
        del os.environ["CC"]


#: By the name of its package, how an engine computes the outputs of a model.
ENGINES: dict[str, Callable] = {"onnxruntime": _onnxruntime, "emx-onnx-cgen": _emx_onnx_cgen}


def missed(engine: str) -> tuple[str, dict[str, str]]:
    """An engine's version, and why it doesn't pass the cases that it doesn't."""
    lines = (FOLDER / f"{engine}.txt").read_text(encoding="utf-8").splitlines()
    return lines[0], dict(line.split(": ", 1) for line in lines[1:])


@cache
def _cases() -> dict[str, object]:
    """ONNX's cases by the names that ``corpus`` gives them."""
    from conformance.corpus import FILES, LIGHT, NODE

    warnings.simplefilter("ignore")
    from onnx.backend.test.loader import load_model_tests

    found = {case.name: case for case in load_model_tests(kind=NODE)}
    for suite in FILES:
        found |= {f"{suite}/{case.name}": case for case in load_model_tests(kind=suite)}
    return found | {f"{LIGHT}/{case.name}": case for case in load_model_tests(kind="real")}


def _sets(case) -> tuple[object, list[tuple[list, list]]]:
    """A case's model, and its sets of inputs and outputs."""
    import onnx
    from onnx.backend.test.loader import DATA_DIR

    from conformance.corpus import LIGHT, loaded, networks

    def plain(value):
        return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value

    if case.model is not None:
        return case.model, [([plain(v) for v in given], [plain(v) for v in wanted]) for given, wanted in case.data_sets]
    if case.model_dir is None:
        inputs, outputs = networks()[f"{LIGHT}/{case.name}"].sets[0]
        return (onnx.load(Path(DATA_DIR, LIGHT, Path(case.url).name)),
                [(list(inputs.values()), list(outputs.values()))])
    model, sets = onnx.load(Path(case.model_dir, "model.onnx")), []
    for data in sorted(Path(case.model_dir).glob("test_data_set_*")):
        sets.append(tuple([loaded(data / f"{kind}_{i}.pb", info.type) for i, info in enumerate(infos)
                           if (data / f"{kind}_{i}.pb").exists()]
                          for kind, infos in (("input", model.graph.input), ("output", model.graph.output))))
    return model, sets


def _why(engine: str, name: str) -> str:
    """Why an engine doesn't pass a case; empty if it does."""
    from onnx.backend.test.runner import Runner

    case = _cases()[name]
    try:
        model, sets = _sets(case)
        for inputs, wanted in sets:
            got = ENGINES[engine](model, inputs)
            Runner.assert_similar_outputs(wanted, list(got), case.rtol, case.atol)
    except Exception as error:
        return _short(f"{type(error).__name__}: {error}")
    return ""


def _short(why: str) -> str:
    """A reason in one line, without paths and places in source code."""
    why = re.sub(r"(?<![\w.])/[\w./-]+(:\d+ .*\))?", "…", re.sub(r"\s+", " ", why))
    return re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", why).strip()[:LENGTH]


def _work(engine: str) -> None:
    """Examine the cases named on the standard input, a line each."""
    for line in sys.stdin:
        print(f"{line.strip()}: {_why(engine, line.strip())}", flush=True)


def _examined(engine: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each case and why the engine doesn't pass it."""
    left = list(names)
    while left:
        worker = subprocess.Popen([sys.executable, __file__, engine, "--work"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        while left:
            try:
                worker.stdin.write(f"{left[0]}\n")
                worker.stdin.flush()
            except BrokenPipeError:
                pass
            late = threading.Timer(SECONDS, worker.kill)
            late.start()
            answer = next((line for line in worker.stdout if line.startswith(f"{left[0]}: ")), None)
            late.cancel()
            if answer is None:
                ended = worker.wait()
                yield left.pop(0), f"takes more than {SECONDS} s" if ended == -9 else f"ends the process ({ended})"
                break
            yield left.pop(0), answer.split(": ", 1)[1].strip()
        worker.kill()
        worker.wait()


def main(engine: str) -> None:
    """Write an engine's list."""
    reasons = {}
    for i, (name, why) in enumerate(_examined(engine, sorted(_cases(), key=lambda name: ("/" in name, name)))):
        print(i, name, why or "passes", flush=True)
        if why:
            reasons[name] = why
    FOLDER.mkdir(exist_ok=True)
    lines = [version(engine), *(f"{name}: {why}" for name, why in sorted(reasons.items()))]
    (FOLDER / f"{engine}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[2:] == ["--work"]:
        _work(sys.argv[1])
    else:
        main(sys.argv[1])
