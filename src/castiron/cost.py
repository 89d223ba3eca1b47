"""How long nodes take and how much memory values do, roughly. It only decides how steps are cut and shared out."""

from __future__ import annotations

from math import prod

from castiron.ir import Dim, Node, TensorType, evaluate
from castiron.ops.loop import ENDLESS
from castiron.ops.symbolic import dims_of
from castiron.ops.winograd import places

#: What the cost estimate assumes: a modest core.
FLOPS_PER_NANO = 20.0
BYTES_PER_NANO = 8.0

#: A step from a node of a tree to the next one, of several trees at a time.
STEP_NANOS = 1.0

#: A tree of 256 leaves whose comparisons are bits, for one of many rows.
BITS_NANOS = 3.0

#: How often a loop runs of which that is not known.
TYPICAL_TRIPS = 64


def nbytes(type: TensorType) -> int:
    """Bytes of a tensor; a large number where free dimensions make it unknown."""
    return type.size * type.dtype.itemsize if type.is_static else 1 << 40


def typical_bytes(type: TensorType) -> float:
    """Bytes of a tensor if free dimensions are what they often are."""
    return evaluate(type.size, dict.fromkeys(type.symbols, 64)) * type.dtype.itemsize


def nanos(node: Node, rows: Dim | None, block: int) -> float:
    """A rough estimate of the time that a block of a node takes."""
    def elements(type: TensorType) -> float:
        total = evaluate(type.size, dict.fromkeys(type.symbols, 64))
        count = evaluate(rows, dict.fromkeys(getattr(rows, "symbols", ()), 64)) if rows is not None else 1
        return total / max(count, 1) * block

    if node.bodies:
        times = trips(node) if node.op == "loop" else 1
        return times * sum(nanos(inner, rows, block) for body in node.bodies.values() for inner in body.nodes)
    size = sum(map(elements, node.types))
    match node.op:
        case "dense" | "matmul":
            k = node.inputs[0].type.shape[-1]
            return 2 * size * (k if isinstance(k, int) else 64) / FLOPS_PER_NANO
        case "strassen_dense":
            return 2 * size * node.inputs[0].type.shape[-1] * 7 / 8 / FLOPS_PER_NANO
        case "cell":
            sums = node.attrs["parts"] * elements(node.types[0])
            gates = elements(node.types[0]) * len(node.attrs["body"].instrs) / 2
            return 2 * sums * node.inputs[0].type.shape[-1] / FLOPS_PER_NANO + gates
        case "attention":
            keys, width, depth = node.inputs[1].type.shape[1], node.inputs[0].type.shape[3], node.types[0].shape[3]
            return 2 * size * (1 + width / depth) * keys / FLOPS_PER_NANO
        case "integer_dense":
            return size * node.inputs[0].type.shape[-1] / FLOPS_PER_NANO
        case "packed_conv":
            return 2 * size * _terms(node) / FLOPS_PER_NANO
        case "integer_conv":
            return size * _terms(node) / FLOPS_PER_NANO
        case "winograd_conv":
            tile, channels = node.attrs["tile"], node.inputs[0].type.shape[-1]
            return 2 * size * channels * prod(places(tile)) / prod(tile) / FLOPS_PER_NANO
        case "conv":
            weights = node.inputs[1].type
            return 2 * size * elements(weights) / elements(weights.with_shape(weights.shape[-1:])) / FLOPS_PER_NANO
        case "window_max" | "window_sum":
            return size * (1 + prod(node.attrs["sizes"])) / FLOPS_PER_NANO
        case "map":
            return size * len(node.attrs["body"].instrs) / 2
        case "standardize":
            return size
        case "sort" | "argsort" | "hash_bucket":
            return 30 * size
        case "resample":
            return 2 * size * node.inputs[2].type.shape[1] / FLOPS_PER_NANO
        case "tree_walk":
            depths = node.inputs[3].constant
            return elements(node.inputs[0].type) + block * STEP_NANOS * 8 * (1 if depths is None else depths.sum())
        case "tree_bits":
            return elements(node.inputs[0].type) + block * BITS_NANOS * node.inputs[5].type.size / 256
        case "gather" | "slice":
            return 2 * size * node.types[0].dtype.itemsize / BYTES_PER_NANO
        case "update":
            return 2 * elements(node.inputs[2].type) * node.types[0].dtype.itemsize / BYTES_PER_NANO
    return (size * node.types[0].dtype.itemsize + sum(elements(v.type) * 4 for v in node.inputs)) / BYTES_PER_NANO


def trips(loop: Node) -> float:
    """How often a loop runs, as far as that is known."""
    given = dims_of(loop.inputs[0])
    if given is None or given.item() == ENDLESS:
        return TYPICAL_TRIPS
    return max(1, evaluate(given.item(), dict.fromkeys(getattr(given.item(), "symbols", ()), TYPICAL_TRIPS)))


def _terms(node: Node) -> int:
    """How many products an element of a packed convolution adds up."""
    return prod(node.attrs["sizes"]) * (node.inputs[0].type.shape[-1] // node.attrs["groups"])
