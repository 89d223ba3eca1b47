"""Real models, as their makers published them, against what their frameworks computed."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import castiron
from castiron import frontends, passes
from castiron.errors import ModelError
from castiron.frontends import WHOLE, Selection
from castiron.ir import DType, TensorType, symbol

MODELS = Path(__file__).parents[3] / "shared" / "models"
INDEX = json.loads((MODELS / "index.json").read_text()) if MODELS.is_dir() else []

#: What is compared where nothing else is said: the largest difference relative to the largest output.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Case:
    """How a model is loaded, how far its results may be off, and whether they are compared before their softmax,
    where that leaves nothing but zeros and a one."""

    selection: Selection = WHOLE
    tolerance: float = TOLERANCE
    saturated: bool = False


def behind_the_decoder(*shape: int) -> Case:
    return Case(Selection(inputs={"Mfcc": TensorType(DType.F32, shape)}))


KEEPING_ALL = Case(Selection(fixed={"keep_prob": np.float32(1)}))

CASES = {
    "g_kws_dnn": Case(Selection(inputs={"Mfcc": TensorType(DType.F32, (symbol("batch"), 25, 10))})),
    "g_kws_cnn": behind_the_decoder(1, 49, 10),
    "g_kws_ds_cnn": behind_the_decoder(1, 49, 10),
    "g_kws_basic_lstm": behind_the_decoder(1, 49, 10),
    "g_lstm_unrolled": KEEPING_ALL,
    "g_gru_unrolled": KEEPING_ALL,
    "s_tf1_regression": Case(Selection(inputs={"X": TensorType(DType.F32, ())})),
    # Squeezes all dimensions that are 1.
    "o_aecmos": Case(Selection(dims={"batch_size": 1})),
    # Halves five times and doubles again. Outputs near 0, behind a sigmoid.
    "o_ocr_det": Case(Selection(dims={f"p2o_DynamicDimension_{axis}": 32 * symbol(f"d{axis}") for axis in (1, 2)}),
                      tolerance=1e-4),
    "o_silero_static": Case(tolerance=1e-4),
    "h_magika_v1": Case(saturated=True),
    # 44 thousand samples go through sums of 512 products each, many times over.
    "s_basic_pitch": Case(tolerance=5e-5),
    "o_basic_pitch": Case(tolerance=5e-5),
}


def readable(entry: dict) -> bool:
    """Whether castiron has a frontend for the format."""
    try:
        return bool(frontends.detect(MODELS / entry["file"]))
    except ModelError:
        return False


def test_the_folder_is_there():
    if not INDEX:
        pytest.skip(f"no folder {MODELS}")
    assert set(CASES) <= {entry["id"] for entry in INDEX}


@pytest.mark.parametrize("entry", INDEX, ids=[entry["id"] for entry in INDEX])
def test_model(entry):
    if not readable(entry):
        pytest.skip(f"castiron doesn't read {entry['format']} files")
    case = CASES.get(entry["id"], Case())
    graph = frontends.load(MODELS / entry["file"], case.selection)
    reference = np.load(MODELS / entry["reference"])
    feeds = {state.input: state.initial for state in graph.states}
    for name in entry["inputs"]:
        if (own := input_named(graph, name)) is not None:
            feeds[own] = reference[f"in:{name}"]
    results = castiron.compile(graph)(**feeds)
    for position, name in enumerate(entry["outputs"]):
        expected = reference[f"out:{name}"]
        own = next((own for own in (name, name.removesuffix(":0")) if own in results), list(results)[position])
        actual = results[own]
        if own in graph.columns:  # the framework gives Python's numbers under names
            expected = expected.astype(actual.dtype)
        assert actual.shape == expected.shape and actual.dtype == expected.dtype
        if actual.dtype.kind == "U":
            assert actual.tolist() == expected.tolist()
            continue
        if case.saturated:
            actual, expected = before_softmax(actual), before_softmax(expected)
        scale = max(1e-6, float(np.abs(expected).max(initial=0)))
        assert float(np.abs(actual - expected).max(initial=0)) <= case.tolerance * scale


#: How many transposes are left of ONNX models with convolutions: of an image whose channels come first.
TRANSPOSES = {"o_basic_pitch": 0, "o_dnsmos": 0, "o_mnist_cntk": 0, "o_microkws_fp32": 0, "o_silero_ifless": 0,
              "o_silero_static": 0, "o_aecmos": 1, "o_ocr_cls": 1, "o_ocr_det": 1}


@pytest.mark.parametrize("entry", [e for e in INDEX if e["id"] in TRANSPOSES], ids=lambda entry: entry["id"])
def test_transposes_are_left_at_the_ends_only(entry):
    graph = passes.run(frontends.load(MODELS / entry["file"], CASES.get(entry["id"], Case()).selection))
    left = [node for whole in (graph, *bodies(graph)) for node in whole.nodes if node.op == "transpose"]
    assert len(left) == TRANSPOSES[entry["id"]]
    assert all(node.inputs[0].node.op == "input" for node in left)


def bodies(graph):
    """The bodies of a graph's nodes, and theirs."""
    for node in graph.nodes:
        for body in node.bodies.values():
            yield body
            yield from bodies(body)


def input_named(graph, name: str) -> str | None:
    """The graph's name of an input; None if it was given a fixed value. Keras files may call their only input
    otherwise than the framework does."""
    for own in (name, name.removesuffix(":0")):
        if own in graph.inputs:
            return own
    return next(iter(graph.inputs)) if len(graph.inputs) == 1 and not name.endswith(":0") else None


def before_softmax(x: np.ndarray) -> np.ndarray:
    """What goes into a softmax, but for a constant."""
    return np.log(np.maximum(x, np.finfo(np.float32).tiny))
