"""What one core does at most, and what models ask of it."""

from __future__ import annotations

from dataclasses import asdict

from bench.models import MEASURED
from bench.setting import Setting


def run(setting: Setting) -> dict:
    """{"gflops", "read_gbs": {where: billions of bytes a second}, "flops": {model: multiplications and additions of a
    row}}, of 32-bit floats."""
    import castiron
    from castiron import limits, profile
    from castiron.toolchain import Tools

    flops = {}
    for name in MEASURED:
        program = castiron.compile(setting.model(name).source).programs["fast"]
        flops[name] = profile.count(program, {symbol: 1 for symbol in program.symbols})
    return asdict(limits.measure(Tools())) | {"flops": flops}
