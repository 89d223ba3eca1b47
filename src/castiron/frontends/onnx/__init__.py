"""ONNX models.

A label is the name of a value, as every other tool calls it: of a graph's input or of what a node gives, in the
file's order. Values within a function's body are behind the name of the call's first result (``y/sum``). Messages
name nodes by their own names, or by their first results where they have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError, Message

from castiron.errors import ModelError
from castiron.frontends.feeds import Feed, Sizes, unknown_label
from castiron.frontends.onnx import control  # noqa: F401  (registers its operators)
from castiron.frontends.onnx.importer import OPSETS, Importer, Scope, versions_of
from castiron.frontends.onnx.nodes import qualified
from castiron.frontends.onnx.operators.sequence import TensorList
from castiron.frontends.onnx.proto import onnx_pb2 as pb
from castiron.frontends.onnx.tensors import data_file
from castiron.frontends.results import Result, values
from castiron.frontends.signatures import Signature
from castiron.frontends.text import Vocabulary, apart, as_numbers, named_words
from castiron.ir import Dim, Expr, Graph, Node, TensorType, ancestors, sources, with_measured

FORMAT = "onnx"
DESCRIPTION = "an ONNX model (.onnx)"


def matches(path: Path) -> bool:
    """Whether the file begins as a ModelProto does: with the version of its format."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(3)
    if head[:1] == b"\x08" and len(head) > 2 and 0 < head[1] < 128:
        return head[2] in b"\x12\x1a\x22\x28\x32\x3a\x42"
    return path.suffix == ".onnx"


def files(path: Path) -> list[Path]:
    """The file itself, and those that hold data of its constants."""
    model = read(path.read_bytes())
    found = {data_file(tensor, path.parent).relative_to(path.parent.resolve()) for tensor in _tensors(model)
             if tensor.data_location == pb.TensorProto.EXTERNAL}
    return [path, *(path.parent / file for file in sorted(found))]


def _tensors(message: Message) -> Iterator[pb.TensorProto]:
    """All constants in a message."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for part in [value] if isinstance(value, Message) else value:
                if isinstance(part, pb.TensorProto):
                    yield part
                else:
                    yield from _tensors(part)


def load(path: Path, *, signature: str | None = None, inputs: Mapping[str, TensorType | None] | None = None,
         outputs: Sequence[str] | None = None, fixed: Mapping[str, np.ndarray] | None = None,
         dims: Mapping[str, Dim] | None = None) -> Graph:
    """The model in a file.

    ``inputs`` are values at which the graph is cut, with types where the file doesn't say them; ``outputs`` are
    values. ``fixed`` stand in place of inputs. ``dims`` are sizes of free dimensions by name. Raises ModelError, and
    UnsupportedOp with all unsupported operators that the outputs need.
    """
    try:
        if signature is not None:
            raise ModelError("an ONNX model has no signatures")
        return convert(path.stem, read(path.read_bytes()), path.parent, inputs or {}, outputs, fixed or {}, Sizes(dims))
    except ModelError as error:
        raise error.at(path) from None


def signatures(path: Path) -> dict[str, Signature]:
    """None: an ONNX model has no signatures."""
    return {}


def read(data: bytes) -> pb.ModelProto:
    """The message in a file's bytes."""
    model = pb.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise ModelError(f"the file is damaged or cut off: not a whole ONNX model ({error})") from None
    if not model.HasField("graph"):
        raise ModelError("the file is damaged or no ONNX model: it has no graph")
    return model


def convert(title: str, model: pb.ModelProto, folder: Path | None = None,
            inputs: Mapping[str, TensorType | None] | None = None, outputs: Sequence[str] | None = None,
            fixed: Mapping[str, np.ndarray] | None = None, sizes: Sizes | None = None) -> Graph:
    """The graph of a message; data in files of their own are in ``folder``."""
    inputs, fixed, sizes = inputs or {}, fixed or {}, sizes or Sizes(None)
    versions = versions_of(model.opset_import)
    if (version := versions.get("")) is not None and version not in OPSETS:
        raise ModelError(f"the model is of version {version} of ONNX's operators; castiron reads {OPSETS[0]} to "
                         f"{OPSETS[-1]}: convert it to one of these")
    functions = {(qualified(f.domain, f.name), f.overload): f for f in model.functions}
    feeds = {name: Feed(name, type) for name, type in inputs.items()}
    feeds |= {name: replace(feeds.get(name, Feed(name)), fixed=array) for name, array in fixed.items()}

    def imported(words: Callable[[], Vocabulary]) -> tuple[Importer, Scope]:
        importer = Importer(functions, feeds, sizes, folder, words=words)
        return importer, importer.graph(model.graph, versions)

    importer, scope = apart(imported)
    sizes.check()
    for name in feeds:
        if name not in importer.labels:
            raise ModelError(unknown_label(name, importer.labels))
        if name in inputs and name not in fixed and name not in importer.fed:
            raise ModelError(f"nothing says the type of {name!r}: give it, such as --input {name}=f32[1,49,10]")
    wanted = outputs if outputs is not None else [info.name for info in model.graph.output]
    if not wanted:
        raise ModelError("the model has no outputs")
    if len(set(wanted)) < len(wanted):
        raise ModelError("two outputs have the same name")
    results = {name: _result(name, importer, scope.results) for name in wanted}
    return _graph(title, importer, dict(_with_elements(results)))


def _with_elements(results: Mapping[str, Result]) -> Iterator[tuple[str, Result]]:
    """The results by name, in place of each list ``y`` its elements ``y.0``, ``y.1`` …"""
    for name, result in results.items():
        if not isinstance(result, TensorList):
            yield name, result
        elif not result.elements:
            raise ModelError(f"the output {name!r} is an empty list")
        for i, element in enumerate(result.elements if isinstance(result, TensorList) else ()):
            yield f"{name}.{i}", element


def _result(name: str, importer: Importer, results: Mapping[str, Result]) -> Result:
    if name in importer.found:
        return importer.found[name]
    if name in results:
        return results[name]
    raise ModelError(unknown_label(name, importer.labels))


def _graph(title: str, importer: Importer, results: Mapping[str, Result]) -> Graph:
    """The graph of what was imported. An input that no output needs is left out, and with it the values of the
    labels that depend on it."""
    results, vocabularies, columns = as_numbers(results)
    outputs = values(results)
    needed = set(ancestors(value.node for value in outputs.values()))
    free = {symbol for node in needed for symbol in _symbols(node)}
    inputs = {}
    # What the outputs need first: others stay only for the dimensions that none of those gives.
    for name, value in sorted(importer.fed.items(), key=lambda item: item[1].node not in needed):
        if value.node in needed or value.type.symbols & free:
            inputs[name] = value
            free -= value.type.symbols
    known = {value.node for value in inputs.values()}
    dropped: set[Node] = set()
    for node in ancestors(label.value.node for label in importer.labels.values() if label.value):
        if (node.op == "input" and node not in known) or any(source in dropped for source in sources(node)):
            dropped.add(node)
    labels = {name: replace(label, value=None, why="needs an input that no output needs")
              if label.value and label.value.node in dropped else label for name, label in importer.labels.items()}
    listed = {name: value for name, value in importer.fed.items() if name in inputs}
    vocabularies = named_words(importer.found, listed, outputs) | vocabularies
    return with_measured(Graph(title, listed, outputs, labels, vocabularies=vocabularies, columns=columns))


def _symbols(node: Node) -> Iterable[str]:
    """The free dimensions in a node's types and attributes."""
    for type in node.types:
        yield from type.symbols
    stack = list(node.attrs.values())
    while stack:
        item = stack.pop()
        if isinstance(item, Expr):
            yield from item.symbols
        elif isinstance(item, tuple):
            stack += item
