"""The command line: options in, driver calls, words out."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from castiron import driver, verify
from castiron.errors import CastironError
from castiron.frontends import Selection
from castiron.ir import Dim, TensorType, parse_dim, parse_type
from castiron.targets import LEVELS, PLATFORMS, parse
from castiron.toolchain import Tools

#: What a model is on the command line.
MODEL = "a Keras file, a SavedModel directory, a TensorFlow GraphDef or an ONNX file"

#: So many nodes of each kind that stands in the way are named.
NAMED = 6

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exit code 1 for what can't be done, 2 for a wrong command line."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except CastironError as error:
        _fail(f"castiron: {error}", EXIT_FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        _fail("castiron: interrupted", EXIT_INTERRUPTED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"castiron: {where}{error.strerror or error}", EXIT_FAILED)


def _fail(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="castiron", description="Casts a trained model into one static executable that inspects, predicts "
                                     "and serves it.")
    parser.add_argument("--version", action="version", version=f"castiron {version('castiron')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="compile a model file into an executable or a Go module")
    build.add_argument("model", type=Path, help=MODEL)
    _select(build)
    build.add_argument("-o", "--out", type=Path, required=True, help="the executable, or the module's folder")
    build.add_argument("--target", action="append", default=[], metavar="OS/ARCH",
                       help=f"{', '.join(p.name for p in PLATFORMS)}; several for a Go module (default: this machine)")
    build.add_argument("--emit", choices=driver.FORMS, default="executable", help="what to leave (default: executable)")
    build.add_argument("--module", metavar="PATH", help="module path of the Go module")
    build.add_argument("--name", help="the model's name, as it is served (default: the file's)")
    build.add_argument("--no-trace", dest="trace", action="store_false",
                       help="leave out what --feed and --fetch of inner labels need")
    build.add_argument("--verify", choices=("framework", "interpreter"), default="framework",
                       help="compare with the framework if it is installed (default), or with the interpreter")
    build.add_argument("--tolerance", type=float, metavar="T",
                       help="largest difference from the source, relative to the output (default: "
                            f"{verify.TOLERANCE}; in 16-bit floats and bytes {verify.UNITS} of their steps)")
    build.add_argument("--zig", type=Path, metavar="FILE", help="a zig to use instead of the installed wheel's")
    build.add_argument("--go", type=Path, metavar="FILE", help="a go to use instead of the installed wheel's")
    build.set_defaults(run=_build)

    check = commands.add_parser("check", help="say whether a model file compiles, and all that stands in the way")
    check.add_argument("model", type=Path, help=MODEL)
    _select(check)
    check.set_defaults(run=_check)

    inspect = commands.add_parser("inspect", help="list the signatures and nodes of a model file")
    inspect.add_argument("model", type=Path, help=MODEL)
    _select(inspect)
    inspect.add_argument("--json", action="store_true", help="as JSON")
    inspect.set_defaults(run=_inspect)

    bench = commands.add_parser("bench", help="the time of a prediction on one core, and where it goes")
    bench.add_argument("model", type=Path, help=MODEL)
    _select(bench)
    bench.add_argument("--batch", type=_count, default=1, metavar="N",
                       help="the size of the first free dimension (default: 1)")
    bench.add_argument("--per-step", action="store_true", help="the steps, with what they compute and what that takes")
    bench.add_argument("--isa", choices=[level.name for level in LEVELS],
                       help="an instruction-set level (default: the highest of this machine)")
    bench.add_argument("--time", type=float, default=2.0, metavar="S", help="measure for so many seconds (default: 2)")
    bench.add_argument("--json", action="store_true", help="as JSON, with the steps")
    bench.set_defaults(run=_bench)

    demo = commands.add_parser("demo", help="the walkthrough: train, build, inspect, predict, serve, compare")
    demo.add_argument("folder", type=Path, nargs="?", default=Path("demo"), help="where to work (default: demo)")
    demo.set_defaults(run=_demo)
    return parser


def _select(command: argparse.ArgumentParser) -> None:
    """The options that say which part of a model is wanted."""
    command.add_argument("--signature", metavar="NAME", help="one of a SavedModel's signatures")
    command.add_argument("--input", action="append", default=[], type=_input, metavar="LABEL[=TYPE]",
                         help="an input, at which the model is cut, and its type, such as f32[batch,10]; repeatable")
    command.add_argument("--output", action="append", default=[], metavar="LABEL", help="an output; repeatable")
    command.add_argument("--dim", action="append", default=[], type=_size, metavar="NAME=N",
                         help="a size for a free dimension, such as 128, or 32*h for its multiples; repeatable")
    command.add_argument("--set", action="append", default=[], type=_fixed, metavar="LABEL=NUMBER",
                         help="a value for an input, which is none then; repeatable")


def _input(text: str) -> tuple[str, TensorType | None]:
    label, _, type = text.partition("=")
    try:
        return label, parse_type(type) if type else None
    except CastironError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _size(text: str) -> tuple[str, Dim]:
    name, _, size = text.partition("=")
    try:
        dim = parse_dim(size)
    except CastironError:
        dim = 0
    if not name or not dim or (isinstance(dim, int) and dim < 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=N, a free dimension and its size")
    return name, dim


def _fixed(text: str) -> tuple[str, np.ndarray]:
    label, _, number = text.partition("=")
    try:
        return label, np.array({"true": True, "false": False}[number] if number in ("true", "false")
                               else int(number) if number.lstrip("+-").isdigit() else float(number))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not LABEL=NUMBER") from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def _selection(options: argparse.Namespace) -> Selection:
    return Selection(options.signature, dict(options.input), options.output, dict(options.set), dict(options.dim))


def _build(options: argparse.Namespace) -> None:
    with _status() as progress:
        built = driver.build(
            options.model, options.out, _selection(options),
            targets=[parse(t) for t in options.target], form=options.emit,
            module=options.module, name=options.name, trace=options.trace,
            framework=options.verify == "framework", tolerance=options.tolerance,
            tools=Tools(zig=options.zig, go=options.go), progress=progress)
    print(f"{built.report}")
    print(f"{built.path}: {built.nbytes / 1e6:.1f} MB")


@contextlib.contextmanager
def _status() -> Iterator[driver.Progress]:
    """A line that tells the step on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield driver.silent
        return
    with console.status("starting") as status:
        yield lambda step: status.update(step)


def _check(options: argparse.Namespace) -> None:
    found = driver.check(options.model, _selection(options))
    print(f"{options.model}: {found.description}")
    _print_signatures(found.signatures)
    _print_types("", input=found.inputs, output=found.outputs, state=found.states)
    if found.error is None:
        print("castiron compiles it.")
        return
    obstacles = getattr(found.error, "obstacles", ())
    if obstacles:
        print(f"{len(obstacles)} {'thing stands' if len(obstacles) == 1 else 'things stand'} in the way:")
        for obstacle in sorted(obstacles, key=lambda obstacle: -len(obstacle.nodes)):
            shown = ", ".join(obstacle.nodes[:NAMED]) + (", …" if len(obstacle.nodes) > NAMED else "")
            print(f"  {len(obstacle.nodes)} × {obstacle.what}: {shown}")
        if found.error.advice:
            print(found.error.advice)
    else:
        print(f"castiron can't compile it: {found.error}")
    sys.exit(EXIT_FAILED)


def _print_signatures(signatures: Mapping[str, Any]) -> None:
    for name, signature in signatures.items():
        print(f"signature {name}")
        _print_types("  ", input=signature.inputs, output=signature.outputs)


def _print_types(indent: str, **kinds: Mapping[str, str]) -> None:
    width = max((len(name) for types in kinds.values() for name in types), default=0)
    for kind, types in kinds.items():
        for name, type in types.items():
            print(f"{indent}{kind:6} {name:{width}}  {type}")


def _inspect(options: argparse.Namespace) -> None:
    signatures = driver.signatures(options.model)
    if not options.json:
        _print_signatures(signatures)
    nodes = driver.inspect(options.model, _selection(options))
    if options.json:
        declared = {name: {"inputs": dict(s.inputs), "outputs": dict(s.outputs)} for name, s in signatures.items()}
        print(json.dumps({"signatures": declared, "labels": nodes}, indent=1))
        return
    if signatures:
        print()
    rows = [(n["label"], n["op"], n["dtype"] or "", "" if n["shape"] is None else str(n["shape"]).replace("'", ""),
             n["role"] or "") for n in nodes]
    _print_table(("LABEL", "OPERATOR", "DTYPE", "SHAPE", ""), rows)


def _bench(options: argparse.Namespace) -> None:
    level = next((level for level in LEVELS if level.name == options.isa), None)
    profile = driver.bench(options.model, _selection(options), batch=options.batch, seconds=options.time, level=level)
    gflops = profile.gflops
    if options.json:
        steps = [asdict(step) | {"gflops": step.gflops, "share": profile.share(step)} for step in profile.steps]
        print(json.dumps({"level": profile.level, "sizes": profile.sizes, "seconds": profile.seconds,
                          "flops": profile.flops, "gflops": gflops, "limits": asdict(profile.limits),
                          "steps": steps}, indent=1))
        return
    sizes = "".join(f", {name} {size}" for name, size in profile.sizes.items())
    print(f"{options.model}: {profile.level}, one core{sizes}")
    print(f"{profile.seconds * 1e3:.4g} ms in {len(profile.steps)} steps, {profile.flops / 1e6:.4g} MFLOP: "
          f"{gflops:.4g} GFLOP/s, {gflops / profile.limits.gflops:.0%} of the {profile.limits.gflops:.4g} of this core")
    if options.per_step:
        print()
        rows = [(f"{step.seconds * 1e6:.1f}", f"{step.seconds / profile.seconds:.1%}", f"{step.gflops:.1f}",
                 f"{profile.share(step):.0%}", f"{step.nbytes / max(step.seconds, 1e-9) / 1e9:.1f}", step.result,
                 step.label, "; ".join(step.operators)) for step in profile.steps]
        _print_table(("µs", "TIME", "GFLOP/s", "PEAK", "GB/s", "RESULT", "LABEL", "OPERATORS"), rows, numbers=5)


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 0) -> None:
    """Columns, of which the first so many are numbers."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = (cell.rjust(width) if i < numbers else cell.ljust(width)
                 for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        print("  ".join(cells).rstrip())


def _demo(options: argparse.Namespace) -> None:
    from castiron import demo

    demo.run(options.folder)


if __name__ == "__main__":
    main()
