"""A stack of one-dimensional convolutions, as for half a second of sound."""

from __future__ import annotations

from bench.models.keras import KerasRecipe


class Conv1D(KerasRecipe):
    name, title = "conv1d", "Conv1D stack, 8,000 samples"

    def network(self):
        import keras
        from keras import layers

        x = value = keras.Input((8000, 1), name="x")
        for filters, kernel, stride in ((64, 80, 4), (64, 3, 1), (128, 3, 1), (256, 3, 1), (512, 3, 1)):
            value = layers.Conv1D(filters, kernel, stride, padding="same", use_bias=False)(value)
            value = layers.ReLU()(layers.BatchNormalization()(value))
            value = layers.MaxPooling1D(2)(value)
        value = layers.Dense(256, "relu")(layers.GlobalAveragePooling1D()(value))
        return keras.Model(x, layers.Dense(35, name="out")(value))


RECIPES = (Conv1D(),)
