"""Kernels as they ship, flat text of an instruction-set level, run in a process of their own."""

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from castiron.targets import Level
from castiron.toolchain import Tools, zig

HERE = Path(__file__).parent

UNARY = (
    "abs", "floor", "ceil", "trunc", "round", "sqrt", "relu", "rsqrt", "exp", "exp2", "expm1", "sigmoid", "tanh",
    "sinh", "cosh", "log", "log2", "log10", "log1p", "softplus", "asinh", "acosh", "atanh", "erf", "erfc",
    "ndtr", "sin", "cos", "tan", "asin", "acos", "atan",
)  # fmt: skip
BINARY = ("max", "min", "copysign", "pow", "atan2", "fmod", "floormod")
#: Functions that there are of doubles too.
UNARY64 = tuple(name for name in UNARY if name not in ("relu", "exp2", "log2", "log10", "ndtr"))
BINARY64 = tuple(name for name in BINARY if name != "copysign")
DTYPES = ("f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
ENTRIES = (
    *(f"apply_{name}" for name in UNARY + BINARY), *(f"apply64_{name}" for name in UNARY64 + BINARY64),
    *(f"partial_{dtype}" for dtype in DTYPES),
    "leaky", "classify", "reduce", "reduce_f64", "store_three",
    "gemm_plain", "gemm_bias_relu", "gemm_residual", "gemm_long_residual", "gemm_layer", "gemm_column", "gemm_pack",
)  # fmt: skip

PLACES = {"end": 0, "start": 1}  # of an operand between its two guard pages


class Kernels:
    """The entries of unit.c at one level."""

    def __init__(self, level: Level, folder: Path, emulator: list[str]) -> None:
        functions = [f"UNARY({name})" for name in UNARY] + [f"BINARY({name})" for name in BINARY]
        functions += [f"UNARY64({name})" for name in UNARY64] + [f"BINARY64({name})" for name in BINARY64]
        source = "\n".join([(HERE / "unit.c").read_text(), *functions, ""])
        self.level = level
        self._text = zig.compile_text(source, ENTRIES, level, Tools())
        self._offsets = dict(zip(ENTRIES, self._text.offsets, strict=True))
        harness = folder / "harness"
        subprocess.run([Tools().zig_path(), "cc", "-target", level.triple, "-O2", "-ffreestanding", "-nostdlib",
                        "-fno-builtin", "-fno-stack-protector", "-fno-sanitize=all", "-static",
                        HERE / "harness.c", "-o", harness], check=True)  # fmt: skip
        self._command = [*emulator, str(harness)]
        self._process = None

    def __call__(
        self, entry: str, out: np.ndarray, *operands: np.ndarray, dimensions=(), place="end", flush=False
    ) -> np.ndarray:
        """What the entry makes of `out`, which is not changed; with `flush`, subnormal numbers count as zero, as
        in a predictor. It reads and writes nothing but its operands, or the test fails."""
        arrays = [np.ascontiguousarray(a) for a in (out, *operands)]
        sizes = [a.nbytes for a in arrays] + [0] * (4 - len(arrays))
        dimensions = [*dimensions, *[0] * (8 - len(dimensions))]
        words = struct.pack("<15q", self._offsets[entry], PLACES[place], flush, *dimensions, *sizes)
        process = self._running()
        try:
            process.stdin.write(words + b"".join(a.tobytes() for a in arrays))
            process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = process.stdout.read(sizes[0])
        if len(answer) != sizes[0] or process.poll() is not None:
            status = self.close()
            pytest.fail(f"{entry} at {self.level.name} touched memory outside its operands (status {status})")
        return np.frombuffer(answer, out.dtype).reshape(out.shape)

    def unary(self, function: str, x: np.ndarray, flush=False) -> np.ndarray:
        return self(f"{_family(x)}_{function}", np.empty_like(x), x, dimensions=[x.size], flush=flush)

    def binary(self, function: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self(f"{_family(x)}_{function}", np.empty_like(x), x, y, dimensions=[x.size])

    def close(self) -> int | None:
        if self._process is None:
            return None
        self._process.stdin.close()
        status = self._process.wait()
        self._process.stdout.close()
        self._process = None
        return status

    def _running(self) -> subprocess.Popen:
        if self._process is None:
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._process.stdin.write(struct.pack("<q", len(self._text.code)) + self._text.code)
        return self._process


def _family(x: np.ndarray) -> str:
    return "apply64" if x.dtype == np.float64 else "apply"


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal types and bits, but any NaN for a NaN."""
    a, b = np.asarray(a), np.asarray(b)
    equal = a.view(f"u{a.itemsize}") == b.view(f"u{b.itemsize}")
    return a.dtype == b.dtype and bool((equal | (np.isnan(a) & np.isnan(b))).all())
