"""Dimensions: arithmetic that stays canonical, and agrees with Python's on numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from castiron.errors import ShapeError
from castiron.ir import (
    DType,
    Graph,
    TensorType,
    ceil_div,
    evaluate,
    exact_div,
    floor_div,
    greatest,
    least,
    maximum,
    minimum,
    parse_dim,
    parse_graph,
    placeholder,
    print_graph,
    symbol,
)

N, M, K = map(symbol, "NMK")

#: Operation -> what it does to dimensions and to numbers.
OPERATIONS = {
    "+": (lambda a, b: a + b, lambda a, b: a + b),
    "-": (lambda a, b: a - b, lambda a, b: a - b),
    "*": (lambda a, b: a * b, lambda a, b: a * b),
    "//": (floor_div, lambda a, b: a // b),
    "ceil": (ceil_div, lambda a, b: -(-a // b)),
    "%": (lambda a, b: a - floor_div(a, b) * b, lambda a, b: a % b),
    "max": (maximum, max),
    "min": (minimum, min),
}
TREES = st.recursive(
    st.sampled_from(["N", "M", "K"]) | st.integers(-9, 9),
    lambda tree: st.tuples(st.sampled_from([*OPERATIONS, "//", "max"]), tree, tree | st.integers(1, 6)), max_leaves=8)
VALUES = st.fixed_dictionaries({s: st.integers(0, 12) for s in "NMK"})


def build(tree):
    if isinstance(tree, tuple):
        return OPERATIONS[tree[0]][0](*map(build, tree[1:]))
    return symbol(tree) if isinstance(tree, str) else tree


def compute(tree, values):
    if isinstance(tree, tuple):
        return OPERATIONS[tree[0]][1](*(compute(t, values) for t in tree[1:]))
    return values[tree] if isinstance(tree, str) else tree


@given(TREES, st.lists(VALUES, min_size=1, max_size=8))
def test_agrees_with_numbers(tree, several):
    try:
        dim = build(tree)
    except ShapeError:
        return
    assert parse_dim(str(dim)) == dim
    for values in several:
        try:
            expected = compute(tree, values)
        except ZeroDivisionError:
            continue
        try:
            assert evaluate(dim, values) == expected
        except ShapeError:
            continue
        assert least(dim) is None or least(dim) <= expected
        assert greatest(dim) is None or greatest(dim) >= expected


@pytest.mark.parametrize("dim, text", [
    ((2 * N + 3) // 2, "N+1"),
    ((N + 2) // 2, "N//2+1"),
    ((N - 3) // 2 + 1, "(N+1)//2-1"),
    (-(-N // 2), "(N+1)//2"),
    (-(-((N + 3) // 4) // 2), "(N+7)//8"),
    (N // 2 + (N + 1) // 2 - N, "0"),
    ((4 * N + 7) // 6, "-((N+2)//3)+N+1"),
    ((4 * N + 6) // 8, "(N+1)//2"),
    (N // 2 // 3, "N//6"),
    (ceil_div(ceil_div(N, 2), 2), "(N+3)//4"),
    (-(-N // 4), "(N+3)//4"),
    ((5 * N) // 7, "-((2*N+6)//7)+N"),
    (3 * (N // 2) * M, "3*M*(N//2)"),
    ((3 * N + 2) // N, "2//N+3"),
    (N // (M + 1), "N//(M+1)"),
    (N % 2, "N-2*(N//2)"),
    (maximum(N, 0), "N"),
    (maximum(N + 2, 1), "N+2"),
    (maximum(3, N), "max(N-3,0)+3"),
    (maximum(N - 3, 0), "max(N-3,0)"),
    (maximum(2 * N - 6, 0), "2*max(N-3,0)"),
    (maximum(maximum(N - 3, 0) - 1, 0), "max(N-4,0)"),
    (maximum(N, M), "N+max(M-N,0)"),
    (minimum(N, N + 1), "N"),
    (minimum(N, 3) - minimum(3, N), "0"),
    (maximum(M, N) - maximum(N, M), "0"),
    (maximum(minimum(N, 3), -1) - 3 + maximum(N, 3), "N"),
    (exact_div(2 * (N // 2) * M, N // 2), "2*M"),
])
def test_equal_computations_give_equal_expressions(dim, text):
    assert str(dim) == text and parse_dim(text) == dim


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_gives_the_size_divided_by_the_stride(kernel, stride):
    total = maximum((ceil_div(N, stride) - 1) * stride + kernel - N, 0)
    assert maximum(total, 0) == total
    if kernel >= stride:
        assert floor_div(N + total - kernel, stride) + 1 == ceil_div(N, stride)


def test_equal_expressions_need_not_look_equal():
    for a, b in ((N - N // 2, (N + 1) // 2), (N // 4 + (N + 2) // 4, N // 2), (maximum(N, M), M + maximum(N - M, 0)),
                 (N // 2 + (N + 1) // 2, N), (N - maximum(N - 3, 0), minimum(3, N))):
        assert a == b and hash(a) == hash(b) and len({a, b}) == 1 and a * K == b * K
        assert TensorType(DType.F32, (a,)) == TensorType(DType.F32, (b,))
        assert exact_div(a, b) == 1
    assert N // 2 != (N + 1) // 2 and N // 3 != N // 4 and maximum(N - 1, 0) != N and N // 2 != 5


def test_division_by_sums():
    for quotient in (2, N, N + K, 3 * N * M - K, (N // 2) * K + 1):
        for divisor in (N + M, 4 * N + 4 * M, N * M - K + 3, N // 2 + 1):
            assert exact_div(quotient * divisor, divisor) == quotient
            assert floor_div(quotient * divisor, divisor) == quotient
    for dim, divisor in ((N + M, N + 1), (3 * N + 3, 2 * N + 2), (N * M + 1, N + M), (N, N + M)):
        with pytest.raises(ShapeError, match="is not a multiple of"):
            exact_div(dim, divisor)


def test_division_by_zero_is_an_error():
    with pytest.raises(ShapeError, match="divided by zero"):
        N // 0
    with pytest.raises(ShapeError, match="divides by zero"):
        (5 // N).evaluate({"N": 0})


def test_symbols_and_atoms():
    dim = maximum((N + 1) // 2 - M, 0) * K
    assert dim.symbols == {"N", "M", "K"}
    assert list(dim.atoms) == ["(N+1)//2", dim.terms[0][0][1]]
    assert str(dim) == "K*max((N+1)//2-M,0)"


@pytest.mark.parametrize("text", ["", "N N", "2**N", "N/2", "(N", "N)", "max(N)", "min(N,", "//2", "1.5", "N-",
                                  "9" * 40, "(" * 99 + "N" + ")" * 99])
def test_what_is_no_dimension(text):
    with pytest.raises(ShapeError, match="is not a dimension"):
        parse_dim(text)


def test_stands_in_the_text_of_graphs():
    x = placeholder("x", TensorType(DType.F32, (N, maximum(N // 2 - 3, 0), (2 * N) // 3)))
    graph = Graph("g", {"x": x}, {"x": x})
    assert parse_graph(print_graph(graph)).inputs["x"].type == x.type
