"""Keras 3 with its JAX backend."""

from typing import Any

import jax
import keras  # pyright: ignore[reportMissingImports]

from saljax.core.outputs import taken
from saljax.core.types import ScoreFn


@jax.tree_util.register_pytree_node_class
class _Stateless:
    """A model whose leaves are its variables, as they are when it is looked at."""

    def __init__(self, model: Any, output: str | int | None, values: Any = None):
        self.model, self.output, self.values = model, output, values

    def tree_flatten(self):
        values = self.values
        if values is None:
            both = self.model.trainable_variables, self.model.non_trainable_variables
            values = tuple([variable.value for variable in variables] for variables in both)
        return values, (self.model, self.output)

    @classmethod
    def tree_unflatten(cls, of, values):
        model, output = of
        return cls(model, output, values)

    def __call__(self, images):
        values, _ = self.tree_flatten()
        found, _ = self.model.stateless_call(*values, images, training=False)
        return taken(found, self.output)


def from_keras(model: Any, output: str | int | None = None) -> ScoreFn:
    """Score function of a Keras model, called without training and without side effects.

    Each call sees the variables of now: after `fit` or `set_weights` the map is that of the new
    ones. The model is not changed by it, whatever layers it has.

    Args:
        model: a built model, images (N, *spatial, C) -> scores (N, K). Those of keras.applications
            take colors of 0 to 255: `saljax.scores.preprocess(score_fn, [0] * 3, [1 / 255] * 3)`.
        output: name or place of the output to take, where it has several.

    Returns:
        Score function whose leaves are the model's variables.

    Raises:
        ValueError: Keras runs on another backend, or the model is not built yet.
    """
    if keras.config.backend() != "jax":
        raise ValueError(
            f"Keras runs on {keras.config.backend()}: set KERAS_BACKEND=jax before it is imported, "
            "or take saljax.scores.from_callback(lambda x: model.predict(x, verbose=0), "
            "num_classes), without gradients."
        )
    if not model.built:
        raise ValueError("the model has no weights yet: call it once, or model.build(input_shape).")
    return _Stateless(model, output)
