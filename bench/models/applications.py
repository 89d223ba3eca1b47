"""Networks of ``keras.applications`` at their own size, which give logits: the softmax of random weights is nearly
uniform and hides errors."""

from __future__ import annotations

import numpy as np

from bench.models.keras import KerasRecipe


class Application(KerasRecipe):
    def __init__(self, name: str, title: str, maker: str):
        self.name, self.title, self.maker = name, title, maker

    def network(self):
        import keras

        return getattr(keras.applications, self.maker)(weights=None, classifier_activation=None)


class Pixels(Application):
    """The network scales its input itself: numbers from 0 to 255."""

    def rows(self, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return random.uniform(0, 255, shape).astype(np.float32)


RECIPES = (
    Application("mobilenetv2", "MobileNetV2", "MobileNetV2"),
    Application("resnet50", "ResNet50", "ResNet50"),
    Pixels("efficientnetb0", "EfficientNetB0", "EfficientNetB0"),
)
