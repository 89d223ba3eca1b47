"""Measures castiron against its peers, in one run on one core: ``python -m bench``."""
