"""Measures castiron against its peers, side by side: ``python -m bench``.

A model is a recipe in ``models``, an engine an adapter in ``engines``; each has its place in its package's table.
"""
