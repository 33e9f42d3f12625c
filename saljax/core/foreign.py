"""Models of other libraries where a score function is asked for, and the line that makes one.

They are known by the names of their types: none of the libraries is imported.
"""

import functools
import os
import types
import warnings
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from saljax.ops import images as image_ops

_MODELS = {
    ("transformers", "FlaxPreTrainedModel"): "a Flax model of transformers: "
    "saljax.scores.select(saljax.scores.from_linen(model), 'logits')",
    ("transformers", "PreTrainedModel"): "a torch model of transformers: "
    "saljax.scores.from_torch(model, num_classes, output='logits')",
    ("keras", "Layer"): "a Keras model: saljax.scores.from_keras(model)",
    ("torch", "Module"): "a torch module: saljax.scores.from_torch(module, num_classes)",
    ("onnxruntime", "Session"): "a session of ONNX Runtime: saljax.scores.from_onnx(session)",
    ("sklearn", "BaseEstimator"): "an estimator of scikit-learn: saljax.scores.from_sklearn(it)",
    ("tensorflow", "Module"): "of TensorFlow: saljax.scores.from_callback(fn, num_classes)",
}
"""By package and class that they descend from."""
_LINEN = "a Linen module without variables: saljax.scores.from_linen(module, variables)"
_EQUINOX = (
    "saljax.scores.from_equinox(model) makes a score function of an Equinox model of one image, "
    "channels first"
)


def refuse(score_fn: Any) -> None:
    """Refuse a model that is no function of images, though one can be made of it.

    Raises:
        ValueError: it is a model of another library, or the path of a file, or cannot be called.
    """
    score_fn = _bare(score_fn)
    line = _line(score_fn)
    if line is not None:
        raise ValueError(f"`score_fn` is {line} makes a score function of it.")
    if isinstance(score_fn, str | os.PathLike):
        is_onnx = os.fspath(score_fn).endswith(".onnx")
        how = "scores.from_onnx(path)" if is_onnx else "models.load(name, weights)"
        raise ValueError(f"`score_fn` is the text {str(score_fn)!r}; saljax.{how} reads a file.")
    if not callable(score_fn):
        raise ValueError(f"`score_fn` must be a function; got {type(score_fn).__name__}.")


def hint(score_fn: Any, shape: Sequence[int] = ()) -> str:
    """What may be wrong where a model, or images of a shape, do not go together; "" if unknown."""
    kinds = type(_bare(score_fn)).__mro__
    found = [_EQUINOX] if any(_is_in(kind, "equinox") for kind in kinds) else []
    if channels_first(shape[1:]):
        found.append(
            f"images {tuple(shape)} look channels first: jnp.moveaxis(images, 1, -1) are last"
        )
    return "; ".join(found)


def warn_of_channels_first(shape: Sequence[int]) -> None:
    """Warn of images that were explained though they look like (N, channels, *spatial)."""
    if channels_first(shape[1:]):
        warnings.warn(
            f"images {tuple(shape)} look channels first, and are read as (N, *spatial, channels): "
            f"the maps are {tuple(shape[1:-1])}. Give jnp.moveaxis(images, 1, -1), and as score "
            "function what saljax.scores.from_equinox or from_torch make of the model, or "
            "lambda x: score_fn(jnp.moveaxis(x, -1, 1))",
            stacklevel=3,
        )


BELOW_BLACK = -0.5
"""From where on a color is no rounding below black, but normalized. Our choice."""


def warn_of_normalized(images: Any) -> None:
    """Warn of pictures that a mean and a deviation were taken off; not inside a jit."""
    lowest = image_ops.extreme(images, jnp.min)
    if lowest is not None and lowest < BELOW_BLACK:
        highest = image_ops.extreme(images, jnp.max)
        warnings.warn(
            f"images are in [0, 1], 0 is black; these go from {lowest:.3g} to {highest:.3g}, as if "
            "normalized. Give them in [0, 1], and as score function "
            "saljax.scores.preprocess(score_fn, mean, std)",
            stacklevel=3,
        )


def channels_first(shape: Sequence[int]) -> bool:
    """Whether an image of this shape looks like (channels, *spatial).

    It has one channel or three, then more than four places along each axis, and along the last at
    least a quarter of the most, which the channels of a volume of three slices hardly are. The
    numbers are our choice.
    """
    space = shape[1:]
    alike = len(space) > 1 and min(space) > 4 and 4 * space[-1] >= max(space)
    return alike and shape[0] in (1, 3)


def _bare(score_fn):
    """What a Partial of nothing holds, and of a method its object."""
    while isinstance(score_fn, functools.partial) and not (score_fn.args or score_fn.keywords):
        score_fn = score_fn.func
    return score_fn


def _line(model):
    is_method = isinstance(model, types.MethodType)
    kinds = type(model.__self__ if is_method else model).__mro__
    for (package, name), line in _MODELS.items():
        if any(_is_in(kind, package) and kind.__name__ == name for kind in kinds):
            return line
    unbound = not is_method and getattr(model, "scope", None) is None
    return _LINEN if unbound and any(_is_in(kind, "flax.linen.module") for kind in kinds) else None


def _is_in(kind, package):
    return f"{kind.__module__}.".startswith(f"{package}.")
