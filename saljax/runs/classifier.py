"""A classifier as a run needs it: its scores, the names of its classes, where its weights are."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from saljax import models
from saljax.models import labels
from saljax.models.zoo import ModelInfo


class Classifier(NamedTuple):
    """A loaded classifier.

    Attributes:
        about: what is known of it by name.
        weights: the file they came from; None for the bundled ones.
        logits: images (N, *spatial, C) -> logits (N, K).
        labels: K names.
    """

    about: ModelInfo
    weights: Path | None
    logits: Any
    labels: Sequence[str]


def load(
    name: str,
    weights: Path | None,
    fetching: Callable[[int, int | None], None] | None = None,
) -> Classifier:
    """Load a classifier for the command line.

    Args:
        name: see `models.names`.
        weights: file, or name of published ones; None for the bundled ones.
        fetching: told of the progress of a download.

    Returns:
        The classifier.

    Raises:
        ValueError: no such model, no weights, or weights that do not fit.
        OSError: weights that cannot be read or fetched.
    """
    about = models.info(name)
    if weights is None and not about.bundled:
        raise ValueError(f"{name} comes without weights; name a file of them with --weights")
    weights = weights and models.weights_file(name, weights, fetching)
    logits = models.load(name, weights)
    image = jax.ShapeDtypeStruct((1, *about.input_shape), "float32")
    number = jax.eval_shape(logits, image).shape[-1]
    return Classifier(about, weights, logits, labels.of_weights(number, about.labels, weights))
