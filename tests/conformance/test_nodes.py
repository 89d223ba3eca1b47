"""ONNX's own cases, in the interpreter and in compiled code."""

import pytest

from conformance import nodes
from conformance.corpus import cases, networks
from conformance.page import PAGE, page


@pytest.fixture(scope="module")
def converted():
    return {name: nodes.converted(case) for name, case in cases().items()}


def test_every_case_is_in_one_list():
    passing, refused = nodes.listed()
    assert not passing & refused.keys()
    assert passing | refused.keys() == cases().keys() | networks().keys()


def test_listed_cases_pass_in_the_interpreter(converted):
    passing, _ = nodes.listed()
    failed = {name: why for name in sorted(passing & converted.keys())
              if (why := nodes.interpreted(cases()[name], converted[name]))}
    assert not failed


def test_other_cases_are_refused_or_differ_as_listed(converted):
    """One that passes now, or for another reason doesn't: run tests/conformance/nodes.py."""
    _, refused = nodes.listed()
    now = {name: nodes.interpreted(cases()[name], converted[name]) for name in refused.keys() & converted.keys()}
    changed = {name: why for name, why in now.items() if nodes.one_line(why) != refused[name]}
    assert not changed


def test_listed_cases_pass_in_compiled_code(converted):
    passing, _ = nodes.listed()
    chosen = {name: cases()[name] for name in sorted(passing & converted.keys())}
    assert not nodes.failures(chosen, {name: converted[name].graph for name in chosen})


def test_page(converted):
    """If this fails, tests/conformance/page.py writes the page anew."""
    assert PAGE.read_text(encoding="utf-8") == page(converted)


@pytest.mark.parametrize("name", networks())
def test_whole_networks_pass_in_compiled_code(name):
    passing, _ = nodes.listed()
    case = networks()[name]
    assert name in passing
    assert not nodes.failures({name: case}, {name: nodes.converted(case).graph})
