"""What must be installed."""

import importlib.util
import sys


def require(*packages: str) -> None:
    """End the program with one line that says what to do, unless all packages are installed."""
    if absent := [package for package in packages if importlib.util.find_spec(package) is None]:
        sys.exit(f"bench: {', '.join(absent)} missing: pip install -e '.[bench]'")
