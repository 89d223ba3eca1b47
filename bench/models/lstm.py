"""A recurrent network."""

from __future__ import annotations

from bench.models.keras import KerasRecipe


class LSTM(KerasRecipe):
    name, title = "lstm", "LSTM 2×128, 100 steps"
    #: 'tf.TensorListReserve' op requires element_shape to be static.
    fixed_tflite = True

    def network(self):
        import keras
        from keras import layers

        return keras.Sequential([
            keras.Input((100, 64), name="x"), layers.LSTM(128, return_sequences=True), layers.LSTM(128),
            layers.Dense(10, name="out"),
        ])


RECIPES = (LSTM(),)
