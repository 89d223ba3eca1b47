"""``python -m bench``: see ``command``, which can only be imported where this is installed."""

from bench.needed import require

if __name__ == "__main__":
    require("castiron", "numpy", "matplotlib")
    from bench.command import main

    main()
