"""The command line: options in, driver calls, words out."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from castiron import driver, verify
from castiron.errors import CastironError
from castiron.targets import PLATFORMS, parse
from castiron.toolchain import Tools

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
    build.add_argument("model", type=Path, help="a Keras file, a TensorFlow GraphDef or a SavedModel directory")
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
    build.add_argument("--tolerance", type=float, default=verify.TOLERANCE, metavar="T",
                       help=f"largest difference from the source, relative to the output (default: {verify.TOLERANCE})")
    build.add_argument("--zig", type=Path, metavar="FILE", help="a zig to use instead of the installed wheel's")
    build.add_argument("--go", type=Path, metavar="FILE", help="a go to use instead of the installed wheel's")
    build.set_defaults(run=_build)

    inspect = commands.add_parser("inspect", help="list the nodes of a model file")
    inspect.add_argument("model", type=Path)
    inspect.add_argument("--json", action="store_true", help="as JSON")
    inspect.set_defaults(run=_inspect)

    demo = commands.add_parser("demo", help="the walkthrough: train, build, inspect, predict, serve, compare")
    demo.add_argument("folder", type=Path, nargs="?", default=Path("demo"), help="where to work (default: demo)")
    demo.set_defaults(run=_demo)
    return parser


def _build(options: argparse.Namespace) -> None:
    with _status() as progress:
        built = driver.build(
            options.model, options.out, targets=[parse(t) for t in options.target], form=options.emit,
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


def _inspect(options: argparse.Namespace) -> None:
    nodes = driver.inspect(options.model)
    if options.json:
        print(json.dumps(nodes, indent=1))
        return
    rows = [(n["label"], n["op"], n["dtype"] or "", "" if n["shape"] is None else str(n["shape"]).replace("'", ""),
             n["role"] or "") for n in nodes]
    rows.insert(0, ("LABEL", "OPERATOR", "DTYPE", "SHAPE", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _demo(options: argparse.Namespace) -> None:
    from castiron import demo

    demo.run(options.folder)


if __name__ == "__main__":
    main()
