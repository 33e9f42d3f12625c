"""A classifier as a run needs it: its scores, the names of its classes, where its weights are."""

import functools
import hashlib
import inspect
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saljax import models
from saljax.core import scores
from saljax.core.ask import ask
from saljax.core.compiled import closed
from saljax.core.types import ScoreFn
from saljax.models import labels
from saljax.models.zoo import ModelInfo
from saljax.runs import own, trained
from saljax.runs.records import sha256


class Classifier(NamedTuple):
    """A loaded classifier.

    Attributes:
        about: what is known of it by name.
        weights: the file they came from; None for the bundled ones.
        logits: images (N, *spatial, C) -> logits (N, K).
        labels: K names.
        one_logit: it has a single one, z; `logits` are those of its two sides, -z and z.
        precision: in which it computes.
        source: where one's own came from: its file, and a digest of the arrays that it computes
            with. What it reads elsewhere while it runs is not seen.
    """

    about: ModelInfo
    weights: Path | None
    logits: Any
    labels: Sequence[str]
    one_logit: bool = False
    precision: str = "float32"
    source: dict[str, Any] | None = None

    @property
    def probabilities(self) -> ScoreFn:
        """Images (N, *spatial, C) -> probabilities (N, K) that sum to 1."""
        squash = scores.sigmoid if self.one_logit else scores.probabilities
        return squash(self.logits)

    def record(self) -> dict[str, Any]:
        """Which classifier: its name, and its file of weights by name and SHA-256, or "bundled"."""
        file = {"file": self.weights.name, "sha256": sha256(self.weights)} if self.weights else None
        own_scores = {"probabilities": "sigmoid of one logit"} if self.one_logit else {}
        weights = self.source or {"weights": file or "bundled"}
        precision = {} if self.precision == "float32" else {"precision": self.precision}
        return {"model": self.about.name} | weights | precision | own_scores


def info(name: str, input_size: Sequence[int] | None = None) -> ModelInfo:
    """What is known of a classifier before it is loaded.

    Args:
        name: see `models.names`; or FILE.py:NAME or PACKAGE.MODULE:NAME of one's own; or a folder
            in which `saljax train classifier` has left a record and weights.
        input_size: (*spatial, C) of images for one's own.

    Raises:
        ValueError: there is none; or `input_size` is missing, or not asked for.
    """
    name, _ = trained.found(name)
    if not own.is_own(name):
        if input_size is not None:
            raise ValueError(f"--input-size is for models of your own; {name} has its size")
        return models.info(name)
    if input_size is None:
        raise ValueError(f"{name}: what images does it take? --input-size, such as 224")
    height, *others = shape = tuple(input_size)
    side = height if others == [height, 3] else None
    return ModelInfo(name, "", shape, side, side, bundled=True, labels=(), layer=None)


def load(
    name: str,
    weights: Path | None,
    fetching: Callable[[int, int | None], None] | None = None,
    say: Callable[[str], None] = lambda text: None,
    *,
    input_size: Sequence[int] | None = None,
    names: Path | None = None,
    precision: str = "float32",
) -> Classifier:
    """Load a classifier for the command line.

    Args:
        name: see `info`.
        weights: file, or name of published ones; None for the bundled ones, or of a folder the
            best.
        fetching: told of the progress of a download.
        say: told what of the file of weights is passed over, see `models.load`.
        input_size: see `info`.
        names: file of class names, one a line; None for those that come with it.
        precision: in which it computes, see `scores.in_precision`.

    Returns:
        The classifier.

    Raises:
        ValueError: no such model, no weights, or weights that do not fit; one's own is no score
            function; or there are other names than logits.
        OSError: weights or names that cannot be read or fetched.
    """
    about = info(name, input_size)
    name, best = trained.found(name)
    weights = weights or best
    image = jax.ShapeDtypeStruct((1, *about.input_shape), "float32")
    source = None
    if own.is_own(name):
        if weights is not None:
            raise ValueError(f"--weights is for models of saljax; {name} has its own")
        logits, source = _own(name, image)
    else:
        if weights is None and not about.bundled:
            known = "".join(f", or {file} to download" for file in about.published)
            raise ValueError(
                f"{name} comes without weights; name a file of them with --weights{known}"
            )
        weights = weights and models.weights_file(name, weights, fetching)
        logits = models.load(name, weights, say=say)
    number = jax.eval_shape(logits, image).shape[-1]
    given = names and labels.read(names)
    if number == 1:
        given = labels.of_sides(weights) if given is None else labels.sides(given, names)
        logits = _sides(name, logits) if source is None else scores.sides(logits)
    elif given is None:
        given = labels.of_weights(number, about.labels, weights)
    elif len(given) != number:
        raise ValueError(f"{names}: {len(given)} class names, but {number} logits")
    if precision != "float32":
        logits = scores.in_precision(logits, precision)
    return Classifier(about, weights, logits, given, number == 1, precision, source)


def _own(name: str, image: Any) -> tuple[Any, dict[str, Any]]:
    """A score function of one's own, and what a record says of it."""
    found = own.load(name)
    score_fn = found.value
    if _makes_one(score_fn):
        try:
            score_fn = score_fn()
        except Exception as error:
            raise ValueError(own.described(error, str(found.file))) from error
    try:
        jax.eval_shape(functools.partial(ask, score_fn), image)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    except Exception as error:
        raise ValueError(own.described(error, str(found.file))) from error
    score_fn = scores.as_pytree(score_fn)
    arrays, _ = closed(score_fn, image)
    return score_fn, {"model_source": found.record(), "arrays": _digest(arrays)}


def _makes_one(value: Any) -> bool:
    """Whether it is called without arguments: a function, or a class."""
    if not isinstance(value, type | types.FunctionType | functools.partial):
        return False
    try:
        inspect.signature(value).bind()
    except (TypeError, ValueError):
        return isinstance(value, type)
    return True


def _digest(arrays: Sequence[Any]) -> str:
    """SHA-256 of arrays: their shapes, kinds and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            array = jax.random.key_data(array)
        array = np.asarray(array)
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _sides(name: str, logits: Any) -> ScoreFn:
    from saljax.models import transfer

    return transfer.sides(name, logits) if transfer.ends_in_head(name) else scores.sides(logits)
