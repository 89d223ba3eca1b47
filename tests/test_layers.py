"""Imports go one way, and what is public is described."""

import ast
from pathlib import Path

import pytest

import castiron

ROOT = Path(castiron.__file__).parent

#: Each module or package may import those of the lines above, and its own line's where a line has several that
#: are one subject.
LAYERS = (
    {"errors"},
    {"ir"},
    {"ops"},
    {"interp", "samples", "strings", "targets"},
    {"frontends", "passes"},
    {"kernels"},
    {"rows"},
    {"strips"},
    {"program"},
    {"ahead", "cost", "storage"},
    {"plan"},
    {"emit"},
    {"toolchain"},
    {"native", "packagers"},
    {"limits"},
    {"profile"},
    {"model_data", "oracle"},
    {"verify"},
    {"builds"},
    {"driver"},
    {"demo"},
    {"cli"},
    {"__init__", "__main__"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

#: What a layer may not import even though it is below it.
FORBIDDEN = {"kernels": {"ir", "ops", "interp", "frontends", "passes"}, "targets": {"ir", "ops"},
             "passes": {"frontends"}, "frontends": {"passes", "targets"},
             "toolchain": {"ir", "ops", "interp", "frontends", "passes", "kernels", "plan", "emit"}}

#: Written by a tool.
GENERATED = {p for p in ROOT.rglob("*_pb2.py")}
FILES = sorted(p for p in ROOT.rglob("*.py") if p not in GENERATED and "runtime" not in p.relative_to(ROOT).parts[:1])


def room(path):
    """The first part of a file's place in the package: ``ops`` of ops/base.py, ``plan`` of plan.py."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path):
    """The rooms that a file imports, with the line of each."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(level=0, module="castiron", names=names):
                modules = [f"castiron.{alias.name}" for alias in names]
            case ast.ImportFrom(level=0, module=module):
                modules = [module]
            case ast.ImportFrom():
                raise AssertionError(f"{path}:{node.lineno}: imports are written in full")
            case _:
                continue
        for module in modules:
            if module.split(".")[0] == "castiron":
                yield ([*module.split("."), "__init__"])[1], node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    here = room(path)
    assert here in LEVEL, f"{here} has no place in the order"
    for there, line in imported(path):
        if there == "__init__" and here != "__init__":
            continue  # metadata of the package itself
        assert there in LEVEL, f"{path}:{line}: {there} has no place in the order"
        allowed = there == here or LEVEL[there] < LEVEL[here]
        assert allowed and there not in FORBIDDEN.get(here, ()), f"{path}:{line}: {here} imports {there}"


@pytest.mark.parametrize("name", sorted({room(path) for path in FILES}))
def test_modules_of_a_room_do_not_import_in_a_circle(name):
    files = {".".join(["castiron", *p.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__"): p
             for p in FILES if room(p) == name}
    edges = {}
    for module, path in files.items():
        targets = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                submodules = {f"{node.module}.{alias.name}" for alias in node.names}
                targets |= submodules if submodules <= files.keys() else {node.module}
        edges[module] = {t for t in targets if t in files and t != module}
    done = set()

    def visit(module, chain):
        assert module not in chain, " -> ".join([*chain, module])
        if module not in done:
            for target in edges[module]:
                visit(target, (*chain, module))
            done.add(module)

    for module in edges:
        visit(module, ())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_public_is_described(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree) or not tree.body, "the module has no docstring"
    for node in tree.body:
        # What a decorator enters into a table is known by its entry there.
        registered = isinstance(node, ast.FunctionDef) and node.decorator_list
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and not registered:
            assert ast.get_docstring(node), f"line {node.lineno}: {node.name} has no docstring"
