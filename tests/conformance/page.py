"""The page docs/CONFORMANCE.md: ``PYTHONPATH=src:tests python tests/conformance/page.py`` writes it anew."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from castiron.frontends.onnx.proto import onnx_pb2 as pb
from conformance import nodes
from conformance.compare import ENGINES, missed
from conformance.corpus import FILES, LIGHT, NODE, Case, cases, networks

PAGE = Path(__file__).parents[2] / "docs" / "CONFORMANCE.md"

#: The last version of ONNX's operators that the compared onnxruntime knows.
KNOWN = 26

_SUITES = {LIGHT: "whole networks (`light`)", **{suite: f"`{suite}`" for suite in FILES}}

#: Classes of the cases of single operators, in the order of the table: the element types or kinds of value of which
#: one among inputs and outputs puts a case there, unless it belongs above.
_CLASSES = {
    "training": (),
    "64-bit floats": ("DOUBLE",), "strings": ("STRING",), "float16": ("FLOAT16",), "bfloat16": ("BFLOAT16",),
    "8-bit and 4-bit floats, 4-bit and 2-bit integers": ("FLOAT8", "FLOAT4", "INT4", "UINT4", "INT2", "UINT2"),
    "lists and optional values": ("sequence_type", "optional_type"),
    "float32": ("FLOAT",), "integers and bool": ("",),
}

_ORDER = ("float32", "integers and bool", "64-bit floats", "float16", "bfloat16", *list(_CLASSES)[5:7], "strings",
          "training")


def kind(case: Case) -> str:
    """The class of a case: of single operators what its inputs and outputs are, of others the suite."""
    if case.suite != NODE:
        return _SUITES[case.suite]
    model = pb.ModelProto.FromString(case.model)
    stack, types = [port.type for port in (*model.graph.input, *model.graph.output)], set()
    while stack:
        type = stack.pop()
        which = type.WhichOneof("value")
        types.add(which)
        if which in ("sequence_type", "optional_type"):
            stack.append(getattr(type, which).elem_type)
        elif which:
            types.add(pb.TensorProto.DataType.Name(type.tensor_type.elem_type))
    training = "training" in case.name or any("training" in node.domain for node in model.graph.node)
    found = "training" if training else next(name for name, kinds in _CLASSES.items()
                                             if any(t == k or (k in ("FLOAT8", "FLOAT4", "") and t.startswith(k))
                                                    for t in types for k in kinds))
    return f"{found}, expanded into other operators" if "_expanded" in case.name else found


def version(case: Case) -> int:
    """The version of ONNX's own operators that a case needs."""
    imports = pb.ModelProto.FromString(case.model).opset_import
    return max((entry.version for entry in imports if entry.domain in ("", "ai.onnx")), default=1)


def page(converted: Mapping[str, nodes.Converted]) -> str:
    """The text of the page for the graphs of the cases."""
    import onnx

    everything = cases() | networks()
    passing, refused = nodes.listed()
    engines = {engine: missed(engine) for engine in ENGINES}
    kinds = {name: kind(case) for name, case in everything.items()}
    totals = Counter(kinds.values())
    columns = [Counter(kinds[name] for name in passing),
               *(totals - Counter(kinds[name] for name in reasons) for _, reasons in engines.values())]
    order = [f"{name}{more}" for more in ("", ", expanded into other operators") for name in _ORDER]
    order = [name for name in (*order, *_SUITES.values()) if totals[name]]
    pinned = sum(bool(converted[name].pinned) for name in passing & converted.keys())
    newest = max(version(case) for case in everything.values())
    late = {name for name, case in everything.items() if version(case) > KNOWN}
    return "\n".join([
        "# ONNX's own tests",
        "",
        "Made by `PYTHONPATH=src:tests python tests/conformance/page.py`; a test keeps it true.",
        "",
        f"onnx {onnx.__version__} ships {len(everything)} test cases: models of single operators, the same expanded "
        "into other operators,",
        "models that PyTorch exported, and whole networks whose weights are one number each. Inputs, expected outputs",
        "and tolerances are ONNX's. castiron runs them through the machine code that goes into binaries",
        "(`tests/conformance`, in every run of the tests); a case that has passed once has to pass for ever.",
        "",
        "| cases of | there are | castiron | " + " | ".join(f"{e} {v}" for e, (v, _) in engines.items()) + " |",
        "|---|---:|---:|" + "---:|" * len(engines),
        *(f"| {name} | {totals[name]} | " + " | ".join(str(column[name]) for column in columns) + " |"
          for name in order),
        f"| **all** | **{totals.total()}** | " + " | ".join(f"**{column.total()}**" for column in columns) + " |",
        "",
        "What the figures don't say:",
        "",
        f"- castiron: {pinned} of the passing cases feed shapes, axes or the like that it must know when it compiles;",
        "  they are given then (`--set`, `--input`), as a user does it. Elements of lists are inputs of their own.",
        "  Narrow floats and integers are fed and compared in the next type that numpy has.",
        "- onnxruntime: models of a format that it doesn't know yet are given to it as older ones. Of the operators'",
        f"  versions {KNOWN + 1} to {newest}, which it says that it doesn't know, {len(late)} cases are; it passes "
        f"{len(late - engines['onnxruntime'][1].keys())} of these. It runs",
        "  few operators of versions before 7. Its StringNormalizer needs a locale that wasn't there.",
        "- emx-onnx-cgen: through its own ONNX backend, which knows the inputs when it compiles; its C through gcc 12,",
        "  and through clang where gcc doesn't know a type. The libraries that its ImageDecoder calls weren't there.",
        "- The lists with each case's reason are `tests/conformance/refused.txt` and `tests/conformance/others/`;",
        "  `tests/conformance/compare.py` makes the latter anew.",
        "",
        f"## The {len(refused)} that castiron doesn't pass",
        "",
        "| why | cases |",
        "|---|---|",
        *_reasons(refused),
        "",
    ])


def _reasons(refused: Mapping[str, str]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for name, why in refused.items():
        by_reason.setdefault(why, []).append(name)
    return [f"| {why.replace('|', chr(92) + '|')} | {', '.join(f'`{name}`' for name in names)} |"
            for why, names in sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))]


if __name__ == "__main__":
    PAGE.write_text(page({name: nodes.converted(case) for name, case in cases().items()}), encoding="utf-8")
