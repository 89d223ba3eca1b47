"""Encoders of attention."""

from __future__ import annotations

import numpy as np

from bench.models.keras import KerasRecipe

LENGTH = 128


def encoder_layer(x, width: int, heads: int, inner: int):
    """Attention and two dense layers, each added to what it is given and normalised."""
    from keras import layers

    attended = layers.MultiHeadAttention(heads, width // heads)(x, x)
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, attended]))
    dense = layers.Dense(width)(layers.Dense(inner, "gelu")(x))
    return layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, dense]))


class Transformer(KerasRecipe):
    name, title = "transformer", "Transformer encoder, 4 layers, 128×256"

    def network(self):
        import keras
        from keras import layers

        x = value = keras.Input((LENGTH, 256), name="x")
        for _ in range(4):
            value = encoder_layer(value, 256, 4, 1024)
        return keras.Model(x, layers.Dense(10, name="out")(layers.GlobalAveragePooling1D()(value)))


class MiniLM(KerasRecipe):
    """The shape of all-MiniLM-L6-v2: numbers of words in, a unit vector out."""

    name, title = "minilm", "MiniLM-shaped encoder, 6 layers, 128×384"
    dtype = "int32"
    words = 30522

    def network(self):
        import keras
        from keras import layers, ops

        x = keras.Input((LENGTH,), dtype="int32", name="x")
        word = layers.Embedding(self.words, 384)(x)
        place = layers.Embedding(512, 384)(ops.arange(LENGTH))
        value = layers.LayerNormalization(epsilon=1e-12)(word + place)
        for _ in range(6):
            value = encoder_layer(value, 384, 12, 1536)
        return keras.Model(x, layers.UnitNormalization(name="out")(layers.GlobalAveragePooling1D()(value)))

    def rows(self, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return random.integers(0, self.words, shape)


RECIPES = (Transformer(), MiniLM())
