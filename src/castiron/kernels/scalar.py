"""Element-wise operators as C expressions over 16 lanes."""

from __future__ import annotations

from dataclasses import dataclass

from castiron.kernels.writer import REGISTER, View, number

FLOATS = ("f32", "f64")

#: Operators whose C is the same for every type they take; {0}, {1}, … are the operands.
_ANY = {
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "neg": "-{0}", "square": "{0} * {0}",
    "and": "{0} & {1}", "or": "{0} | {1}", "not": "~{0}",
}

#: Operators on floats.
_FLOAT = {
    "div": "{0} / {1}", "reciprocal": "1.0f / {0}", "abs": "v_abs({0})", "sqrt": "v_sqrt({0})",
    "floor": "v_floor({0})", "ceil": "v_ceil({0})", "trunc": "v_trunc({0})", "round": "v_round({0})",
    "maximum": "v_max({0}, {1})", "minimum": "v_min({0}, {1})", "floordiv": "v_floor({0} / {1})",
    "floormod": "v_floormod({0}, {1})",
    "sign": "v_sign({0})", "is_nan": "v_is_nan({0})", "is_finite": "v_is_finite({0})",
}

#: Functions of elementary.h.
ELEMENTARY = ("exp", "expm1", "log", "log1p", "rsqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
               "asinh", "acosh", "atanh", "tanh", "sigmoid", "softplus", "erf", "erfc", "ndtr",
               "pow", "atan2")
_FLOAT |= {name: f"v_{name}({{0}})" for name in ELEMENTARY} | {name: f"v_{name}({{0}}, {{1}})"
                                                               for name in ("pow", "atan2")}

#: Roundings of narrow.h.
_FLOAT |= {f"round_to_{name}": f"v_round_to_{name}({{0}})" for name in (
    "f16", "bf16", "f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz", "f8e8m0", "f4e2m1")}

#: Operators on integers.
_INTEGER = {
    "abs": "({0} < 0 ? -{0} : {0})", "sign": "({0} < 0) - ({0} > 0)",  # a comparison that holds gives -1
    "maximum": "({0} > {1} ? {0} : {1})", "minimum": "({0} < {1} ? {0} : {1})", "floordiv": "v_floordiv({0}, {1})",
    "floormod": "({0} - v_floordiv({0}, {1}) * {1})",
    "bitwise_and": "{0} & {1}", "bitwise_or": "{0} | {1}", "bitwise_xor": "{0} ^ {1}", "bitwise_not": "~{0}",
}

_SHIFTS = {"left_shift": "<<", "right_shift": ">>"}

_UNSIGNED = {"abs": "{0}", "sign": "({0} > 0 ? 1 : {0})"}

#: Maximum and minimum of which one operand is a number, so that the other decides about NaN.
_ONE_SIDED = {"maximum": "v_greater", "minimum": "v_less"}

_COMPARISONS = {"equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">",
                "greater_equal": ">="}


@dataclass(frozen=True)
class Instr:
    """An operator of a straight line of code: operands are numbers of earlier values, inputs first."""

    op: str
    operands: tuple[int, ...]
    #: Element type of the result.
    dtype: str


class Number(str):
    """The code of 16 equal lanes whose value is known and is a number."""


def expression(op: str, operands: list[str], operand_dtypes: list[str], dtype: str) -> str:
    """The C expression of a core operator over registers; KeyError if it isn't one of these types."""
    source = operand_dtypes[0]
    if op == "cast":
        return _cast(operands[0], source, dtype)
    if op == "bitcast":
        return _cast(operands[0], source, dtype) if "bool" in (source, dtype) else f"({REGISTER[dtype]})({operands[0]})"
    if op == "select":
        mask = operands[0] if dtype in ("f32", "i32", "u32", "bool") else (
            f"__builtin_convertvector({operands[0]}, {_mask_type(dtype)})")
        return f"({mask} ? {operands[1]} : {operands[2]})"
    if op in _ONE_SIDED and source in FLOATS:
        x, bound = sorted(operands, key=lambda operand: isinstance(operand, Number))
        if isinstance(bound, Number):
            return f"{_ONE_SIDED[op]}({bound}, {x})"
    if op in _COMPARISONS:
        mask = f"({operands[0]} {_COMPARISONS[op]} {operands[1]})"
        return mask if source in ("f32", "i32", "u32", "bool") else f"__builtin_convertvector({mask}, i32x16)"
    if op in _SHIFTS:
        x, by, most = *operands, f"({REGISTER[dtype]}){int(dtype[1:]) - 1}"
        return f"({x} {_SHIFTS[op]} ({by} < 0 ? ({REGISTER[dtype]})0 : {by} > {most} ? {most} : {by}))"
    if op in _ANY:
        return _ANY[op].format(*operands)
    table = _FLOAT if source in FLOATS else _INTEGER
    if source[0] == "u" and op in _UNSIGNED:
        table = _UNSIGNED
    return table[op].format(*operands)


def _mask_type(dtype: str) -> str:
    return f"i{dtype[1:]}x16"


def _cast(x: str, source: str, target: str) -> str:
    register = REGISTER[target]
    if source == target:
        return x
    if target == "bool":
        return expression("not_equal", [x, f"({REGISTER[source]})0"], [source, source], "bool")
    if source == "bool":
        return f"__builtin_convertvector(-{x}, {register})"
    if source in FLOATS and target not in FLOATS:
        return f"v_saturate_{target}({x})"
    return f"__builtin_convertvector({x}, {register})"


def load(dtype: str, pointer: str, count: str | None) -> str:
    """16 lanes from memory, or the first ``count`` and zeros."""
    value = f"v_load({pointer})" if count is None else f"v_load_n({pointer}, {count})"
    return f"__builtin_convertvector({value} != 0, i32x16)" if dtype == "bool" else value


def splat(view: View, pointer: str) -> str:
    """One element in every lane."""
    dtype = view.dtype
    if view.known is not None:
        code = f"({REGISTER[dtype]}){number(view.known, dtype)}" if dtype != "bool" else f"(i32x16)-{int(view.known)}"
        return code if view.known != view.known else Number(code)
    return f"(i32x16)-(int32_t)(*{pointer} != 0)" if dtype == "bool" else f"v_splat(*{pointer})"


def store(dtype: str, pointer: str, value: str, count: str | None) -> str:
    """The statement that writes 16 lanes, or the first ``count``."""
    if dtype == "bool":
        value = f"__builtin_convertvector(-({value}), u8x16)"
    return f"v_store({pointer}, {value});" if count is None else f"v_store_n({pointer}, {value}, {count});"
