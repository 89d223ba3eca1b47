"""The README promises what there is."""

import re
from pathlib import Path

from castiron.frontends.keras.layers.base import LAYERS
from castiron.targets import PLATFORMS

README = (Path(__file__).parents[1] / "README.md").read_text()

#: Names that older files have for layers, and one that stands for a call of a function.
ALIASES = {"BatchNormalizationV1", "BatchNormalizationV2", "TFOpLambda"}


def test_layers():
    table = README.split("| Keras layers |")[1].split("\n\n")[0]
    named = set(re.findall(r"\b(?:[A-Z]+[a-z]+[A-Za-z0-9]*|ELU|PReLU|ReLU)\b", table)) - {"Keras"}
    assert named == set(LAYERS) - ALIASES


def test_targets():
    table = README.split("| target |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z]+/[a-z0-9]+)`", table)) == {platform.name for platform in PLATFORMS}


def test_links():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (Path(__file__).parents[1] / link).exists(), link
