"""TensorFlow's frozen graphs: GraphDef, binary or as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from google.protobuf.message import DecodeError

from castiron.errors import ModelError
from castiron.frontends.feeds import Feed, Feeds, Sizes, feeds_of, label_of, split
from castiron.frontends.results import Result, pick
from castiron.frontends.signatures import Signature
from castiron.frontends.tensorflow import tensors
from castiron.frontends.tensorflow.assembly import assemble, check_asked, computed, output_of, settled
from castiron.frontends.tensorflow.importer import PLACEHOLDERS, SILENT, Importer, result_lists
from castiron.frontends.tensorflow.nodes import SourceNode, in_order
from castiron.frontends.tensorflow.proto import graph_pb2 as pb
from castiron.frontends.tensorflow.variables import WRITES
from castiron.frontends.text import Vocabulary
from castiron.ir import Dim, Graph, TensorType

FORMAT = "graphdef"
DESCRIPTION = "a frozen TensorFlow graph (GraphDef, .pb or .pbtxt)"

_TEXT = re.compile(rb"(\s|#[^\n]*\n)*(node|versions|library)\s*:?\s*\{")

#: What these operators read may still be an output.
_OBSERVERS = SILENT | WRITES | {"SaveV2", "MergeV2Checkpoints", "ScalarSummary", "HistogramSummary", "ImageSummary",
                                "MergeSummary", "Print"}

#: Nodes of these operators are no outputs, though nothing reads them.
_NO_OUTPUTS = _OBSERVERS | PLACEHOLDERS | {"Const", "PlaceholderWithDefault", "RestoreV2", "VarHandleOp", "VariableV2",
                                           "Variable"}

#: Graphs of older producers write an unknown shape as that of a scalar.
UNKNOWN_SCALARS_BEFORE = 24


def matches(path: Path) -> bool:
    """Whether the file begins as a GraphDef does: with a node that has a name and an operator."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(4096)
    return bool(_TEXT.match(head)) or _begins_with_node(head)


def files(path: Path) -> list[Path]:
    """The file itself."""
    return [path]


def load(path: Path, *, signature: str | None = None, inputs: Mapping[str, TensorType | None] | None = None,
         outputs: Sequence[str] | None = None, fixed: Mapping[str, np.ndarray] | None = None,
         dims: Mapping[str, Dim] | None = None) -> Graph:
    """The graph in a file.

    By default the inputs are its placeholders and the outputs what no node reads. ``inputs`` are labels at
    which the graph is cut, with types where the graph doesn't say them; placeholders that are needed still
    are inputs too. ``outputs`` are labels. ``fixed`` are values that stand in place of placeholders.
    ``dims`` are sizes of free dimensions by name. Raises ModelError, and UnsupportedOp with all unsupported
    operators that the outputs need.
    """
    definition = read(path)
    try:
        if signature is not None:
            raise ModelError("a GraphDef has no signatures")
        return _convert(path.stem, definition, inputs or {}, outputs, fixed or {}, Sizes(dims))
    except ModelError as error:
        raise error.at(path) from None


def signatures(path: Path) -> dict[str, Signature]:
    """None: a GraphDef has no signatures."""
    return {}


def _convert(title: str, definition: pb.GraphDef, inputs: Mapping[str, TensorType | None],
             outputs: Sequence[str] | None, fixed: Mapping[str, np.ndarray], sizes: Sizes) -> Graph:
    functions = {f.signature.name: f for f in definition.library.function}
    nodes = in_order(definition.node, lists=result_lists(functions))
    given = {split(label): type for label, type in inputs.items()}
    constants = {split(label): array for label, array in fixed.items()}
    found = [n.name for n in nodes if n.op in PLACEHOLDERS]
    if not found and not given:
        found = [n.name for n in nodes if n.op == "PlaceholderWithDefault"]
    by_name = {node.name: node for node in nodes}
    declared = {(name, 0): Feed(name, _default_type(by_name[name])) for name in found}
    feeds = feeds_of(declared, given, constants)

    def make(feeds: Feeds, stateful: frozenset[str],
             words: Callable[[], Vocabulary]) -> tuple[Importer, dict[str, Result]]:
        importer = Importer(functions, feeds, _no_variable, sizes, stateful=stateful, words=words)
        results = importer.graph(nodes)
        if outputs is not None:
            return importer, {label_of(*split(label)): output_of(importer, label) for label in outputs}
        places = [(node.name, i) for node in _ends(nodes, {name for name, _ in given or declared})
                  if node.name in results for i in computed(results[node.name])]  # else it is inside a loop
        return importer, {label_of(name, i): pick(results[name], i, name) for name, i in places}

    importer, ends = settled(make, feeds)
    sizes.check()
    check_asked(importer, (label_of(*place) for place in given))
    if not ends:
        raise ModelError("the graph computes nothing from its inputs")
    return assemble(title, importer, ends)


def read(path: Path) -> pb.GraphDef:
    """The message in a file."""
    data = path.read_bytes()
    graph = pb.GraphDef()
    try:
        if _TEXT.match(data[:4096]):
            text_format.Parse(data.decode("utf-8"), graph, allow_unknown_field=True)
        else:
            graph.ParseFromString(data)
    except (DecodeError, text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{path}: the file is damaged or cut off: not a whole GraphDef ({error})") from None
    if graph.versions.producer < UNKNOWN_SCALARS_BEFORE:
        for node in graph.node:
            if node.op == "Placeholder" and not node.attr["shape"].shape.dim:
                node.attr["shape"].shape.unknown_rank = True
    return graph


def _no_variable(name: str) -> np.ndarray:
    raise ModelError(f"the variable {name!r} has no value in this file: freeze the graph, or build from a SavedModel")


def _ends(nodes: list[SourceNode], fed: Iterable[str]) -> list[SourceNode]:
    """The nodes that no other reads, of those that depend on inputs if there are any; what loops leave behind, such
    as their counters, only if there is nothing else."""
    read = {name for node in nodes if node.op not in _OBSERVERS for name, _ in node.reads}
    alive, before = set(fed), -1
    while len(alive) > before:  # once more for each loop in a loop: what goes round comes back to an earlier node
        before = len(alive)
        alive.update(node.name for node in nodes if any(name in alive for name, _ in node.reads))
    ends = [node for node in nodes if node.name not in read and node.op not in _NO_OUTPUTS]
    ends = [node for node in ends if node.name in alive] or ends
    return [node for node in ends if node.op not in ("Exit", "RefExit")] or ends


def _default_type(node: SourceNode) -> TensorType | None:
    """What a placeholder with a default declares; None for others, which have their type when they are
    converted."""
    shape = node.attr("shape")
    if node.op != "PlaceholderWithDefault" or shape is None or shape.shape.unknown_rank:
        return None
    return TensorType(node.dtype("dtype"), tensors.name_dims(tensors.sizes_of(shape.shape), node.name))


def _begins_with_node(head: bytes) -> bool:
    """Whether bytes begin with field 1, a message that begins with field 1, text, and field 2, text."""
    if head[:1] != b"\n":
        return False
    size, at = _varint(head, 1)
    if head[at:at + 1] != b"\n" or size < 4:
        return False
    name, at = _varint(head, at + 1)
    op_at = at + name
    if not 0 < name < size or head[op_at:op_at + 1] != b"\x12":
        return len(head) <= op_at and _is_name(head[at:])
    op, end = _varint(head, op_at + 1)
    return _is_name(head[at:op_at]) and _is_name(head[end:end + op])


def _is_name(text: bytes) -> bool:
    return bool(re.fullmatch(rb"[A-Za-z0-9_.\-/>\\^]+", text))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place and the place after it; 0 if it isn't whole."""
    number = 0
    for i, byte in enumerate(data[at:at + 5]):
        number |= (byte & 127) << 7 * i
        if byte < 128:
            return number, at + i + 1
    return 0, at
