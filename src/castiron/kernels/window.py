"""Kernels on windows that slide over the spatial dimensions: pooling and convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod

from castiron.kernels import contraction, scalar
from castiron.kernels.reduction import LIMITS
from castiron.kernels.scalar import Instr
from castiron.kernels.writer import LANES, MEMORY, REGISTER, Extent, View, Writer, mul, number

#: Bytes of windows that are copied side by side to be multiplied: part of the second-level cache.
GATHER_BYTES = 192 << 10

#: Lines of windows whose addresses are in scratch where every channel is convolved by itself.
DEPTHWISE_BAND = 16

#: The most channels of an image whose windows are multiplied where they stand.
DIRECT_CHANNELS = 4

#: The kernel sizes and strides along the last dimension for which there is code for windows side by side.
DEPTHWISE_LINES = {(3, 1), (3, 2), (5, 1), (5, 2), (7, 1)}

#: The fewest and most windows of such a block.
GATHER_ROWS = (6, 96)


@dataclass(frozen=True)
class Windows:
    """How windows slide over x [n, size…, channels], and which are asked for: ``number`` from ``first`` on."""

    size: tuple[Extent, ...]
    count: tuple[Extent, ...]
    kernel: tuple[Extent, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[Extent, ...]
    channels: Extent
    first: Extent
    number: Extent

    def declare(self, w: Writer) -> str:
        """A ``struct window`` with leading ones for dimensions that aren't there. Its fields are set one by one: for a
        larger initializer compilers call memcpy, which there is none of."""
        name = w.fresh("w")
        w.line(f"struct window {name};")
        w.line(f"{name}.channels = {self.channels};")
        for field in ("size", "count", "kernel", "stride", "dilation", "before"):
            values = getattr(self, field)
            neutral = 0 if field == "before" else 1
            padded = (neutral,) * (3 - len(values)) + values
            w.line(" ".join(f"{name}.{field}[{i}] = {value};" for i, value in enumerate(padded)))
        return name


def reduce(w: Writer, kind: str, out: View, x: View, windows: Windows, padding: float | None = None) -> None:
    """out = each window's largest element (NaN passed over), in which padding counts as a number if that is given, or
    its sum."""
    low = {"f32": "-__FLT_MAX__", "f64": "-__DBL_MAX__"}.get(x.dtype) or number(LIMITS[x.dtype][0], x.dtype)
    start, combine = {"max": (low, "v_greater(element, result)" if x.dtype in scalar.FLOATS else
                              "(element > result ? element : result)"),
                      "sum": ("0", "result + element")}[kind]
    outside = start if padding is None or padding == -inf else number(padding, x.dtype)
    name = w.define(f"window_{kind}_", f"#define @_combine(result, element) ({combine})\n"
                    f"WINDOW_REDUCE_DEFINE(@, {MEMORY[x.dtype]}, {REGISTER[x.dtype]}, {start}, {outside}, @_combine)")
    w.line(f"{name}(&{windows.declare(w)}, {x.pointer}, {windows.first}, {windows.number}, {out.pointer});")


def overlap_add(w: Writer, out: View, x: View, windows: Windows) -> None:
    """out = the sums of what windows have at each place; here its elements are ``first``, ``number``."""
    name = w.define("overlap_add_", f"OVERLAP_ADD_DEFINE(@, {MEMORY[x.dtype]}, {REGISTER[x.dtype]})")
    w.line(f"{name}(&{windows.declare(w)}, {x.pointer}, {windows.first}, {windows.number}, {out.pointer});")


def conv(w: Writer, out: View, x: View, weights: View, windows: Windows, groups: int) -> None:
    """out = windows · weights, which are not packed."""
    dtype = x.dtype
    combine = "v_fma(x, weight, sum)" if dtype in scalar.FLOATS else "((x) * (weight) + (sum))"
    name = w.define("conv_", f"#define @_combine(x, weight, sum) {combine}\n"
                    f"CONV_PLAIN_DEFINE(@, {MEMORY[dtype]}, {REGISTER[dtype]}, @_combine)")
    w.line(f"{name}(&{windows.declare(w)}, {groups}, {out.shape[-1]}, {x.pointer}, {weights.pointer}, "
           f"{windows.first}, {windows.number}, {out.pointer});")


def workspace(sizes: tuple[int, ...], channels: int, groups: int) -> int:
    """Bytes of scratch that a packed convolution needs."""
    taps = prod(sizes)
    if is_depthwise(channels, groups):
        return 8 * DEPTHWISE_BAND * prod(sizes[:-1])
    rows, stride = _gathered(taps * (channels // groups))
    return 4 * (rows * stride + LANES)


def is_depthwise(channels: Extent, groups: int) -> bool:
    """Whether every channel is convolved by itself."""
    return groups == channels != 1


def _gathered(k: int) -> tuple[int, int]:
    """How many windows of k floats are copied into scratch side by side, and how many floats apart."""
    stride = align(k) + LANES  # not a power of two: rows don't compete for the same cache lines
    fewest, most = GATHER_ROWS
    return max(fewest, min(most, GATHER_BYTES // (4 * stride) // fewest * fewest)), stride


def align(floats: int) -> int:
    """The next multiple of a vector."""
    return -(-floats // LANES) * LANES


def packed_conv(w: Writer, out: View, x: View, packed: View, more: list[View], instrs: list[Instr], windows: Windows,
                groups: int, scratch: str) -> None:
    """out = epilogue(windows · packed, more…), as ``contraction.dense`` with a window as a row."""
    outputs = out.shape[-1]
    operands = contraction.epilogue_operands(w, out, more)
    ends = f"{windows.first}, {windows.number}, {out.pointer}"
    if is_depthwise(windows.channels, groups):
        line = windows.kernel[-1], windows.stride[-1]
        if windows.dilation[-1] > 1 or line not in DEPTHWISE_LINES:
            line = 0, 1
        name = w.define("depthwise_", f"{contraction.epilogue(out, more, instrs)}\n"
                        f"DEPTHWISE_DEFINE(@, @_epilogue, {line[0]}, {line[1]})")
        w.line(f"{name}(&{windows.declare(w)}, {x.pointer}, {packed.pointer}, {ends}, {scratch}, &{operands});")
        return
    columns = outputs // groups
    if windows.channels <= DIRECT_CHANNELS and groups == windows.dilation[-1] == 1 < min(columns, len(windows.kernel)):
        name = w.define("direct_", f"{contraction.epilogue(out, more, instrs)}\nDIRECT_DEFINE(@, @_epilogue)")
        _, stride = _gathered(mul(*windows.kernel) * windows.channels)
        w.line(f"{name}(&{windows.declare(w)}, {stride}, {x.pointer}, {packed.pointer}, {windows.first}, {outputs}, "
               f"{windows.number}, {out.pointer}, {scratch}, &{operands});")
        return
    product = contraction.product(w, columns, out, more, instrs)
    call = f"{product}(m, k, __VA_ARGS__)" if columns == 1 else f"{product}_tiled(m, n, k, __VA_ARGS__)"
    name = w.define("conv_", f"#define @_product(m, n, k, ...) {call}\nCONV_DEFINE(@, @_product)")
    rows, stride = _gathered(mul(*windows.kernel) * (windows.channels // groups))
    step, geometry = mul(*packed.shape[1:]) if groups > 1 else 0, w.fresh("c")
    w.line(f"const struct conv {geometry} = {{{groups}, {outputs}, {step}, {rows}, {stride}}};")
    sizes = f"&{windows.declare(w)}, &{geometry}"
    w.line(f"{name}({sizes}, {x.pointer}, {packed.pointer}, {ends}, {scratch}, &{operands});")
