import platform

import pytest

from castiron.errors import CastironError
from castiron.targets import LEVELS, PLATFORMS, host, parse


def test_six_platforms():
    names = {f"{os}/{arch}" for os in ("linux", "darwin", "windows") for arch in ("amd64", "arm64")}
    assert {p.name for p in PLATFORMS} == names
    assert all(parse(p.name) is p for p in PLATFORMS)


def test_a_platform_has_the_levels_of_its_architecture():
    for p in PLATFORMS:
        assert p.levels == tuple(level for level in LEVELS if level.arch == p.arch)


def test_an_unknown_target_lists_the_choices():
    with pytest.raises(CastironError, match="'linux/mips' is unknown: choose one of linux/amd64, linux/arm64, darwin"):
        parse("linux/mips")


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [("Linux", "x86_64", "linux/amd64"), ("Darwin", "arm64", "darwin/arm64"), ("Windows", "AMD64", "windows/amd64")],
)
def test_host(monkeypatch, system, machine, name):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert host().name == name
