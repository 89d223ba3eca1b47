import threading

import pytest

from castiron.errors import OutputError
from castiron.toolchain import cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "castiron"


def writes(content, log):
    def make(path):
        log.append(content)
        path.write_bytes(content)

    return make


def test_a_thing_is_made_once(folder):
    log = []
    assert cache.fetch("k", writes(b"x", log)).read_bytes() == b"x"
    assert cache.fetch("k", writes(b"y", log)).read_bytes() == b"x"
    assert log == [b"x"]


@pytest.mark.parametrize("damage", [b"", b"xy", None])
def test_a_damaged_entry_is_made_again(folder, damage):
    path = cache.fetch("k", writes(b"x", []))
    path.unlink() if damage is None else path.write_bytes(damage)
    assert cache.fetch("k", writes(b"x", [])).read_bytes() == b"x"
    (folder / "k.sha256").write_bytes(b"\xff\xfe")
    assert cache.fetch("k", writes(b"x", [])).read_bytes() == b"x"


def test_a_failure_leaves_nothing(folder):
    def make(path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.fetch("k", make)
    assert list(folder.iterdir()) == []


def test_builds_at_the_same_time_agree(folder):
    start, results = threading.Barrier(8), []

    def build():
        start.wait()
        results.append(cache.fetch("k", writes(b"x" * 100_000, [])).read_bytes())

    threads = [threading.Thread(target=build) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [b"x" * 100_000] * 8
    assert sorted(p.name for p in folder.iterdir()) == ["k", "k.sha256"]


def test_keys_tell_parts_apart():
    assert cache.key("ab", "c") != cache.key("a", "bc") != cache.key("abc")
    assert cache.key("a", b"b") == cache.key("a", "b")


def test_a_cache_that_cannot_be_made_is_one_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match=r"cannot be made .*XDG_CACHE_HOME"):
        cache.fetch("k", writes(b"x", []))
