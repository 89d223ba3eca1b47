"""The page docs/SUPPORT.md, made from the compiler's tables: ``python tests/support.py`` writes it anew."""

import inspect
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from castiron.errors import ModelError
from castiron.frontends.keras.builder import FOREIGN
from castiron.frontends.keras.fields import Fields
from castiron.frontends.keras.layers import LAYERS, OPERATIONS
from castiron.frontends.keras.layers.operations.refused import REFUSED
from castiron.frontends.keras.model import Layer
from castiron.frontends.onnx.importer import OPSETS
from castiron.frontends.tensorflow.handlers import HANDLERS
from castiron.frontends.tensorflow.operators import REASONS, TABLE

PAGE = Path(__file__).parents[1] / "docs" / "SUPPORT.md"

#: Classes that no model file names.
ABSTRACT = ("InputSpec", "Layer", "Wrapper")

#: Operators that the TensorFlow importer knows without a row in a table.
STRUCTURAL = ("Const", "Placeholder", "PlaceholderV2")


def page() -> str:
    """The text of the page."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    from keras.src.ops.operation import Operation

    classes = {name for name, kind in vars(keras.layers).items() if inspect.isclass(kind)}
    functions = {kind.__name__ for kind in _subclasses(Operation) if not kind.__subclasses__()
                 and kind.__module__.startswith("keras.src.ops.") and not kind.__name__.startswith("_")}
    layers = _layer_rows(keras, classes)
    return "\n".join([
        "# What castiron compiles",
        "",
        "Made by `python tests/support.py` from the compiler's own tables; a test keeps it true. `castiron check FILE`",
        "says of a model file all that stands in its way.",
        "",
        f"## Keras layers ({_count(layers.values())} of {len(layers)})",
        "",
        f"Every class of `keras.layers` {keras.__version__}. Files of Keras 1 and 2 name some otherwise, which is read",
        "too.",
        "",
        *_table("class", layers),
        "",
        f"## Functions of keras.ops ({len(functions & set(OPERATIONS))} of {len(functions)})",
        "",
        "As a Functional model records them, by the name of their class.",
        "",
        *_table("function", {name: "" if name in OPERATIONS else REFUSED.get(name, "not yet")
                             for name in functions}),
        "",
        f"## TensorFlow operators ({len(_operators())})",
        "",
        "Supported, each compared with TensorFlow in the tests:",
        "",
        ", ".join(f"`{name}`" for name in sorted(_operators(), key=str.lower)) + ".",
        "",
        "Not supported, and why (a name that ends in * stands for all that begin so); any other is reported by name:",
        "",
        *_reasons(REASONS),
        "",
        *_onnx(),
    ])


def _onnx() -> list[str]:
    import onnx

    from conformance.operators import READ, rows, table

    known = rows()
    others = READ - {row.name for row in known}
    return [
        f"## ONNX operators ({sum(not row.why for row in known)} of {len(known)})",
        "",
        f"Every operator of every domain that onnx {onnx.__version__} knows. Models of version {OPSETS[0]} to "
        f"{OPSETS[-1]} are read, each",
        "operator as any version since its first writes it. The cases are ONNX's own tests that have the operator in",
        "them, through compiled code; [CONFORMANCE.md](CONFORMANCE.md) says more of them.",
        "",
        *table(),
        "",
        "Besides, as exporters write them or the first versions had them on trial: "
        + ", ".join(f"`{name}`" for name in sorted(others, key=str.lower)) + ".",
        "",
    ]


def _operators() -> set[str]:
    return {*TABLE, *HANDLERS, *STRUCTURAL}


def _layer_rows(keras, classes: Iterable[str]) -> dict[str, str]:
    """Class -> why it isn't compiled, empty if it is."""
    rows = {}
    for name in sorted(classes):
        own = getattr(keras.layers, name).__name__
        known = next((n for n in (name, own) if n in LAYERS), None)
        if own in ABSTRACT:
            rows[name] = "a base of other classes, in no model file"
        elif own in FOREIGN:
            rows[name] = FOREIGN[own]
        else:
            rows[name] = "" if own == "InputLayer" else _refused(known)
    return rows


def _refused(kind: str) -> str:
    """Why no layer of a class is compiled; empty if it depends on the configuration or is never so."""
    try:
        return LAYERS[kind].refused(Layer(kind, Fields({}, kind), (kind,), ())) or ""
    except ModelError:
        return ""


def _count(reasons: Iterable[str]) -> int:
    return sum(not reason for reason in reasons)


def _table(title: str, rows: Mapping[str, str]) -> list[str]:
    return [f"| {title} | |", "|---|---|",
            *(f"| {name} | {why or 'yes'} |" for name, why in sorted(rows.items(), key=lambda row: row[0].lower()))]


def _reasons(reasons: Mapping[str, str]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for name, why in reasons.items():
        by_reason.setdefault(why, []).append(name)
    return ["| it … | operators |", "|---|---|",
            *(f"| {why} | {', '.join(f'`{n}`' for n in sorted(names, key=str.lower))} |"
              for why, names in sorted(by_reason.items()))]


def _subclasses(kind: type) -> set[type]:
    direct = set(kind.__subclasses__())
    return direct.union(*map(_subclasses, direct))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
