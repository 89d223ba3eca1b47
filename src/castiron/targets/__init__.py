"""What castiron compiles for: instruction-set levels and platforms, as data."""

from castiron.targets.levels import LEVELS, NEON, V2, V3, V4, Level
from castiron.targets.platforms import PLATFORMS, Platform, host, parse

__all__ = ["LEVELS", "NEON", "PLATFORMS", "V2", "V3", "V4", "Level", "Platform", "host", "parse"]
