"""Makes models: ``python -m bench.models FOLDER NAME...``."""

import sys
from pathlib import Path

from bench.models import RECIPES

for name in sys.argv[2:]:
    RECIPES[name].make(Path(sys.argv[1]) / name)
