"""TensorFlow's SavedModel: a directory with graphs, signatures and a checkpoint of the variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from google.protobuf.message import DecodeError

from castiron.errors import ModelError
from castiron.frontends.feeds import Feed, Feeds, Sizes, feeds_of, label_of, split
from castiron.frontends.results import Result, pick
from castiron.frontends.signatures import Signature
from castiron.frontends.tensorflow import tensors
from castiron.frontends.tensorflow.assembly import assemble, check_asked, output_of, settled
from castiron.frontends.tensorflow.checkpoint.bundle import Checkpoint
from castiron.frontends.tensorflow.importer import Importer, result_lists
from castiron.frontends.tensorflow.nodes import SourceNode, ancestors, in_order, resolve
from castiron.frontends.tensorflow.proto import graph_pb2
from castiron.frontends.tensorflow.proto import saved_model_pb2 as pb
from castiron.frontends.tensorflow.restore import captured_keys, restored_keys
from castiron.frontends.tensorflow.tables import FILLS
from castiron.frontends.tensorflow.tensors import type_text
from castiron.frontends.text import Vocabulary
from castiron.ir import Dim, DType, Graph, TensorType

FORMAT = "savedmodel"
DESCRIPTION = "a TensorFlow SavedModel (a directory with saved_model.pb)"

#: Names and tag that TensorFlow gives by default.
SERVING, TAG = "serving_default", "serve"

#: The signature of what is to be done before the model is used.
INITIALISER = "__saved_model_init_op"

_BINARY, _TEXT = "saved_model.pb", "saved_model.pbtxt"


def matches(path: Path) -> bool:
    """Whether the directory holds a SavedModel's graphs; that file itself stands for it."""
    directory = _directory(path)
    return (directory / _BINARY).is_file() or (directory / _TEXT).is_file()


def files(path: Path) -> list[Path]:
    """All files in the directory."""
    return sorted(file for file in _directory(path).rglob("*") if file.is_file())


def load(path: Path, *, signature: str | None = None, inputs: Mapping[str, TensorType | None] | None = None,
         outputs: Sequence[str] | None = None, fixed: Mapping[str, np.ndarray] | None = None,
         dims: Mapping[str, Dim] | None = None) -> Graph:
    """One signature of a model: ``serving_default`` or the only one, unless another is named.

    Inputs and outputs have the signature's names. ``inputs`` gives types that the model doesn't say, by the
    inputs' names, and cuts the graph at other labels; what the outputs still need of the signature's inputs
    stays. ``outputs`` are labels or names of outputs, instead of the signature's. ``fixed`` are values that
    stand in place of inputs. ``dims`` are sizes of free dimensions by name. Raises ModelError, and UnsupportedOp
    with all unsupported operators that the outputs need.
    """
    path = _directory(path)
    try:
        return _convert(path, signature, inputs or {}, outputs, fixed or {}, Sizes(dims))
    except ModelError as error:
        raise error.at(path) from None


def signatures(path: Path) -> dict[str, Signature]:
    """All signatures by name; ModelError if the file is damaged."""
    meta = _meta_graph(_directory(path))
    return {name: Signature(*({key: type_text(infos[key].dtype, infos[key].tensor_shape, key) for key in sorted(infos)}
                              for infos in (meta.signature_def[name].inputs, meta.signature_def[name].outputs)))
            for name in _names(meta)}


def _convert(path: Path, wanted: str | None, inputs: Mapping[str, TensorType | None], outputs: Sequence[str] | None,
             fixed: Mapping[str, np.ndarray], sizes: Sizes) -> Graph:
    meta = _meta_graph(path)
    functions = {function.signature.name: function for function in meta.graph_def.library.function}
    signature = _signature(meta, wanted)
    ends = _places(signature.outputs)
    if not ends:
        raise ModelError("the signature has no outputs")
    starts = _places(signature.inputs)
    nodes = in_order(meta.graph_def.node, lists=result_lists(functions))
    order = {node.name: i for i, node in enumerate(nodes)}
    for key, (producer, _) in ends.items():
        if producer not in order:
            raise ModelError(f"output {key!r} is node {producer!r}, which does not exist")
    given = {starts.get(label) or split(label): type for label, type in inputs.items()}
    constants = {starts.get(label) or split(label): array for label, array in fixed.items()}
    declared = {place: Feed(key, _type_of(signature.inputs[key], key)) for key, place in starts.items()}
    roots = [producer for producer, _ in ends.values()]
    roots += [name for name, _ in map(split, outputs or ()) if name in order]
    roots += [name for name, _ in given if name in order]
    needed = ancestors(nodes, roots)
    feeds = feeds_of(declared, given, constants)
    feeds = {name: feed for name, feed in feeds.items() if name in needed or name not in order}
    table_contents = _filled_tables(meta, nodes, functions)
    variables = _Variables(path, meta, nodes, functions)

    def make(feeds: Feeds, stateful: frozenset[str],
             words: Callable[[], Vocabulary]) -> tuple[Importer, dict[str, Result]]:
        importer = Importer(functions, feeds, variables.value, sizes, table_contents, stateful, words=words)
        results = importer.graph([node for node in nodes if node.name in needed])
        if outputs is not None:
            return importer, {label: pick(results[ends[label][0]], ends[label][1], label) if label in ends
                              else output_of(importer, label) for label in outputs}
        # Their order in the signature is not kept in the file; that of the graph is.
        places = sorted(ends.items(), key=lambda item: (order[item[1][0]], item[1][1], item[0]))
        return importer, {key: pick(results[name], i, key) for key, (name, i) in places}

    importer, found = settled(make, feeds)
    sizes.check()
    check_asked(importer, (label_of(*split(label)) for label in inputs if label not in starts))
    return assemble(path.name, importer, found)


def _filled_tables(meta: pb.MetaGraphDef, nodes: list[SourceNode],
                   functions: Mapping[str, graph_pb2.FunctionDef]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What the model's initialisation puts into tables."""
    roots = [node.name for node in nodes if node.op in FILLS]
    if INITIALISER in meta.signature_def:
        roots += [place[0] for place in _places(meta.signature_def[INITIALISER].outputs).values()]
    if not roots:
        return {}
    needed = ancestors(nodes, roots)
    importer = Importer(functions, {}, lambda name: np.zeros(()))
    importer.graph([node for node in nodes if node.name in needed])
    return importer.tables


class _Variables:
    """The variables' values, read from the checkpoint when they are asked for."""

    def __init__(self, path: Path, meta: pb.MetaGraphDef, nodes: list[SourceNode],
                 functions: Mapping[str, graph_pb2.FunctionDef]):
        self._path, self._meta, self._nodes, self._functions = path, meta, nodes, functions
        self._values: dict[str, np.ndarray] = {}

    def value(self, variable: str) -> np.ndarray:
        if variable not in self._values:
            key = self._restored.get(variable) or self._captured.get(variable)
            if key is None:
                raise ModelError(f"the variable {variable!r} is not among those that the model restores")
            self._values[variable] = self._checkpoint.tensor(key)
        return self._values[variable]

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(self._path / "variables" / "variables")

    @cached_property
    def _restored(self) -> dict[str, str]:
        return restored_keys(self._nodes, resolve(self._meta.saver_def.restore_op_name, {})[0], self._functions)

    @cached_property
    def _captured(self) -> dict[str, str]:
        return captured_keys(self._nodes, self._meta.object_graph_def, self._checkpoint)


def _directory(path: Path) -> Path:
    return path.parent if path.name in (_BINARY, _TEXT) else path


def _meta_graph(path: Path) -> pb.MetaGraphDef:
    """The graph for serving."""
    file = path / (_BINARY if (path / _BINARY).is_file() else _TEXT)
    model, data = pb.SavedModel(), file.read_bytes()
    try:
        if file.name == _TEXT:
            text_format.Parse(data.decode("utf-8"), model, allow_unknown_field=True)
        else:
            model.ParseFromString(data)
    except (DecodeError, text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{file.name} is damaged or cut off: not a whole SavedModel ({error})") from None
    graphs = [g for g in model.meta_graphs if list(g.meta_info_def.tags) == [TAG]] or list(model.meta_graphs)
    if len(graphs) != 1:
        tags = ", ".join(repr(list(g.meta_info_def.tags)) for g in graphs) or "none"
        raise ModelError(f"{file.name}: expects one graph with the tag {TAG!r}; there are {tags}")
    return graphs[0]


def _names(meta: pb.MetaGraphDef) -> list[str]:
    """The signatures' names, but for those that belong to TensorFlow."""
    return sorted(name for name in meta.signature_def if not name.startswith("__saved_model"))


def _signature(meta: pb.MetaGraphDef, wanted: str | None) -> pb.SignatureDef:
    """The signature that is wanted, the default one, or the only one."""
    names = _names(meta)
    listed = ", ".join(map(repr, names)) or "none"
    if wanted is None:
        wanted = SERVING if SERVING in names else names[0] if len(names) == 1 else None
        if wanted is None:
            raise ModelError(f"which signature? There are {listed}")
    elif wanted not in names:
        raise ModelError(f"no signature is called {wanted!r}; there are {listed}")
    return meta.signature_def[wanted]


def _places(infos: Mapping[str, pb.TensorInfo]) -> dict[str, tuple[str, int]]:
    """Where in the main graph each tensor of a signature is: node and index."""
    for key in infos:
        if not infos[key].name:
            raise ModelError(f"the signature's {key!r} is not a dense tensor")
    return {key: resolve(infos[key].name, {}) for key in sorted(infos)}


def _type_of(info: pb.TensorInfo, key: str) -> TensorType | None:
    """The type of an input; None if the signature doesn't say its rank or castiron doesn't have such elements."""
    try:
        dtype = DType.I64 if tensors.is_text(info.dtype) else tensors.dtype_of(info.dtype)
    except ModelError:
        return None
    sizes = tensors.sizes_of(info.tensor_shape)
    return None if sizes is None else TensorType(dtype, tensors.name_dims(sizes, key))
