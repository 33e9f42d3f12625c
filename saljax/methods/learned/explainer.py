"""What explainers that learn have in common: what they were trained for, and how they are trained.

An explainer is a Flax module with the signature of a method, `explainer(score_fn, image, target)`.
The classifier explained is its encoder: activations come from the classifier's one pass, its
weights are arguments and never a copy inside the explainer, and no gradient reaches them.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from saljax.core import taps
from saljax.core.scores import as_pytree
from saljax.core.types import Image, Images, ScoreFn, Scores
from saljax.ops import images as image_ops


@dataclass(frozen=True)
class Fit:
    """What an explainer knows of the classifier it was trained for.

    Attributes:
        layers: names of the tagged activations it reads, the coarsest first; none where it reads
            the image alone.
        shapes: of these activations for one image, (*spatial, channels) each.
        num_classes: K.
        image_shape: (*spatial, C) of the images it was trained on.
        fingerprint: of the classifier's weights, see `fingerprint`.
    """

    layers: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    num_classes: int
    image_shape: tuple[int, ...]
    fingerprint: str


class Seen(NamedTuple):
    """What a classifier's one pass says of images; no derivative goes back through it.

    Attributes:
        scores: (N, K).
        activations: of the explainer's layers, the coarsest first, (N, *spatial, channels) each.
    """

    scores: Scores
    activations: tuple[Float[Array, "batch *spatial channels"], ...]


Loss = Callable[[Any, ScoreFn, Images, Seen, Key[Array, ""]], Float[Array, ""]]
"""loss(explainer, score_fn, images, seen, key) -> (): of a batch, with the explainer's batch norms
in training; what they have seen moves their statistics, inside the explainer."""


class Stage(NamedTuple):
    """A part of the training of an explainer.

    Attributes:
        name: what is learned in it, in a word.
        loss: of a batch.
        learns: names of the explainer's parts that learn in it, such as `("embedding",)`; the
            others stay as they are.
        epochs: times that every image is seen; 0 leaves the stage out.
        optimizer: from the number of steps of an epoch.
    """

    name: str
    loss: Loss
    learns: tuple[str, ...]
    epochs: int
    optimizer: Callable[[int], optax.GradientTransformation]


def look(score_fn: ScoreFn, images: Images, layers: Sequence[str]) -> Seen:
    """One pass of the classifier.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        images: (N, *spatial, C).
        layers: names of tagged activations.

    Raises:
        ValueError: no such layer.
    """
    scores, activations = taps.activations(score_fn, images, layers)
    return jax.lax.stop_gradient(Seen(scores, activations))


def frozen(score_fn: ScoreFn) -> ScoreFn:
    """The same classifier, with weights that no derivative reaches."""
    return jax.tree.map(
        lambda leaf: jax.lax.stop_gradient(leaf) if isinstance(leaf, jax.Array) else leaf,
        as_pytree(score_fn),
    )


def look_as_trained(fit: Fit, score_fn: ScoreFn, image: Image) -> Seen:
    """`look` at one image, by an explainer that was trained for this classifier and no other.

    Raises:
        ValueError: other layers, shapes or classes than it was trained for.
    """
    image_ops.check(image, one=True)
    if image.shape != fit.image_shape:
        raise ValueError(
            f"the explainer was trained on images of shape {fit.image_shape}; got {image.shape}."
        )
    images = taps.alone(image)
    there = taps.tagged(score_fn, image) if fit.layers else {}
    for layer, shape in zip(fit.layers, fit.shapes, strict=True):
        if there.get(layer) != shape:
            found = f"has {there[layer]} there" if layer in there else "has none"
            raise ValueError(
                f"the explainer was trained for a classifier whose {layer!r} is {shape}; this one "
                f"{found}. Train one for it."
            )
    seen = look(score_fn, images, fit.layers)
    if seen.scores.shape[-1] != fit.num_classes:
        raise ValueError(
            f"the explainer was trained for {fit.num_classes} classes; this classifier has "
            f"{seen.scores.shape[-1]}. Train one for it."
        )
    return seen


def coarsest_layers(score_fn: ScoreFn, image: Image, number: int = 4) -> tuple[str, ...]:
    """The last tagged activation at each of the coarsest sizes, the coarsest first.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).
        number: of sizes, where there are so many.

    Raises:
        ValueError: nothing with the axes of an image is tagged.
    """
    by_size: dict[tuple[int, ...], str] = {}
    for layer, shape in taps.tagged(score_fn, image).items():
        if len(shape) == image.ndim and max(shape[:-1]) > 1:
            by_size[shape[:-1]] = layer
    if not by_size:
        raise ValueError(
            "`score_fn` tags no activation with the axes of an image; tag some inside the model "
            "with saljax.tag(x, name), or give `layers`."
        )
    return tuple(by_size[size] for size in sorted(by_size, key=lambda s: np.prod(s))[:number])


def fit_to(score_fn: ScoreFn, image: Image, layers: Sequence[str]) -> Fit:
    """What an explainer that reads these layers must know of a classifier.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C), of which the shape matters.
        layers: names of tagged activations, the coarsest first; may be none.

    Raises:
        ValueError: no such layer.
    """
    there = taps.tagged(score_fn, image) if layers else {}
    shapes = tuple(taps.shape_of(there, layer, "layers") for layer in layers)
    scores = jax.eval_shape(score_fn, taps.alone(image))
    return Fit(tuple(layers), shapes, scores.shape[-1], tuple(image.shape), fingerprint(score_fn))


def fingerprint(score_fn: ScoreFn) -> str:
    """SHA-256 of a classifier's weights, in whatever order and under whatever wrapping they come.

    Arrays of fewer than 16 numbers do not count, so that a classifier inside `scores.preprocess`
    or `scores.probabilities` has the fingerprint it has alone.
    """
    digests = sorted(
        hashlib.sha256(f"{leaf.shape} {leaf.dtype}".encode() + np.asarray(leaf).tobytes()).digest()
        for leaf in jax.tree.leaves(score_fn)
        if isinstance(leaf, jax.Array | np.ndarray)
        and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        and leaf.size >= 16
    )
    return hashlib.sha256(b"".join(digests)).hexdigest()
