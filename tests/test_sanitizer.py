"""The emitted C under AddressSanitizer."""

import pytest

import sanitized

pytestmark = pytest.mark.skipif(not sanitized.runtime(), reason="libasan, which comes with gcc, is not installed")


def test_touches_no_memory_but_its_own():
    done = sanitized.run()
    assert done.stdout.endswith("clean\n"), done.stderr[-4000:]


@pytest.mark.parametrize("where", ["heap", "stack"])
def test_a_fault_is_found(where):
    done = sanitized.run(where)
    assert done.returncode and f"{where}-buffer-overflow" in done.stderr, done.stderr[-4000:]
