"""A classifier as a run needs it: its scores, the names of its classes, where its weights are."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from saljax import models
from saljax.core import scores
from saljax.core.types import ScoreFn
from saljax.models import labels
from saljax.models.zoo import ModelInfo
from saljax.runs.records import sha256


class Classifier(NamedTuple):
    """A loaded classifier.

    Attributes:
        about: what is known of it by name.
        weights: the file they came from; None for the bundled ones.
        logits: images (N, *spatial, C) -> logits (N, K).
        labels: K names.
        one_logit: it has a single one, z; `logits` are those of its two sides, -z and z.
    """

    about: ModelInfo
    weights: Path | None
    logits: Any
    labels: Sequence[str]
    one_logit: bool = False

    @property
    def probabilities(self) -> ScoreFn:
        """Images (N, *spatial, C) -> probabilities (N, K) that sum to 1."""
        squash = scores.sigmoid if self.one_logit else scores.probabilities
        return squash(self.logits)

    def record(self) -> dict[str, Any]:
        """Which classifier: its name, and its file of weights by name and SHA-256, or "bundled"."""
        file = {"file": self.weights.name, "sha256": sha256(self.weights)} if self.weights else None
        own = {"probabilities": "sigmoid of one logit"} if self.one_logit else {}
        return {"model": self.about.name, "weights": file or "bundled"} | own


def load(
    name: str,
    weights: Path | None,
    fetching: Callable[[int, int | None], None] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Classifier:
    """Load a classifier for the command line.

    Args:
        name: see `models.names`.
        weights: file, or name of published ones; None for the bundled ones.
        fetching: told of the progress of a download.
        say: told what of the file of weights is passed over, see `models.load`.

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
    logits = models.load(name, weights, say=say)
    image = jax.ShapeDtypeStruct((1, *about.input_shape), "float32")
    number = jax.eval_shape(logits, image).shape[-1]
    if number == 1:
        return Classifier(about, weights, _sides(name, logits), labels.of_sides(weights), True)
    return Classifier(about, weights, logits, labels.of_weights(number, about.labels, weights))


def _sides(name: str, logits: Any) -> ScoreFn:
    from saljax.models import transfer

    return transfer.sides(name, logits) if transfer.ends_in_head(name) else scores.sides(logits)
