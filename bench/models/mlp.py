"""Multilayer perceptrons."""

from __future__ import annotations

from bench.models.keras import KerasRecipe


class Perceptron(KerasRecipe):
    """Dense layers of these sizes; the last is linear."""

    def __init__(self, name: str, title: str, sizes: tuple[int, ...], activation: str = "relu",
                 batches: tuple[int, ...] = (1, 32), count: int = 32):
        self.name, self.title, self.sizes, self.activation = name, title, sizes, activation
        self.batches, self.count = batches, count

    def network(self):
        import keras

        hidden = [keras.layers.Dense(n, self.activation, bias_initializer="normal") for n in self.sizes[1:-1]]
        last = keras.layers.Dense(self.sizes[-1], bias_initializer="normal", name="out")
        return keras.Sequential([keras.Input(self.sizes[:1], name="x"), *hidden, last])


RECIPES = (
    Perceptron("seed_mlp", "MLP 10-64-64-1", (10, 64, 64, 1), batches=(1, 32, 1024), count=1024),
    Perceptron("wide_mlp", "MLP 784-1024-1024-10", (784, 1024, 1024, 10)),
    # What a build with a warm cache follows on.
    Perceptron("neighbour", "MLP 10-48-32-1", (10, 48, 32, 1), activation="elu", batches=()),
)
