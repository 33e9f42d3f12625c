"""Making a score function: preprocessing, probabilities, sums over classes.

Each helper wraps a score function in `jax.tree_util.Partial`, a pytree: the weights inside stay
arguments of the compiled program and never become constants of it.
"""

import functools
import types
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from saljax.core.ask import ask, check
from saljax.core.types import ScoreFn, Scores, Target


def of_class(
    scores: Scores, target: Target
) -> Float[Array, " batch"] | Float[Array, "batch classes_asked"]:
    """Scores of the class asked for, or of several.

    A class that does not exist, -1 too, has the score NaN; plain indexing would quietly take the
    last one.

    Args:
        scores: (N, K).
        target: class index (), or (T,).

    Returns:
        (N,), or (N, T), in float32 whatever the classifier computes in.

    Raises:
        ValueError: the scores are not (N, K), or the target is no whole number.
    """
    check(scores)
    target = _index(target)
    target = jnp.where(target < 0, scores.shape[1], target)
    return (
        jnp.asarray(scores).at[:, target].get(mode="fill", fill_value=jnp.nan).astype(jnp.float32)
    )


def pick(scores: Scores, target: Target) -> Scores:
    """What to send back through a classifier to explain one class: 1 for it, 0 for the others.

    Args:
        scores: (N, K).
        target: class index ().

    Returns:
        (N, K) like `scores`; NaN where there is no such class.

    Raises:
        ValueError: several classes were asked for; each needs a backward pass of its own. Or the
            scores are not (N, K) or no floating-point numbers, which have no derivative.
    """
    one_class(target)
    check(scores)
    if not jnp.issubdtype(scores.dtype, jnp.floating):
        raise ValueError(
            f"scores must be floating-point to have a derivative; `score_fn` gives {scores.dtype}."
        )
    exists = of_class(jnp.ones_like(scores), target).astype(scores.dtype)
    return jnp.zeros_like(scores).at[:, target].set(1) * exists[:, None]


def one_class(target: Target) -> None:
    """Refuse several classes where each needs backward passes of its own.

    Raises:
        ValueError: `target` is not one class index.
    """
    shape = _index(target).shape
    if shape:
        raise ValueError(
            "`target` must be one class index for a method that differentiates the classifier; got "
            f"shape {shape}. Call it once a class, or jax.vmap it over targets."
        )


def _index(target):
    """A target as int32."""
    if target is None or isinstance(target, str):
        raise ValueError(f"`target` must be a class index; got {target!r}.")
    target = jnp.asarray(target)
    if not jnp.issubdtype(target.dtype, jnp.integer):
        raise ValueError(f"`target` must be a class index; got {target.dtype}.")
    return target.astype(jnp.int32)


def as_pytree(score_fn: ScoreFn) -> ScoreFn:
    """A plain function is no pytree; as the static part of a Partial it may pass through jit.

    Of a model's method, such as `model.logits`, the model is the pytree.
    """
    if isinstance(score_fn, types.MethodType) and not is_leaf(score_fn.__self__):
        return Partial(score_fn.__func__, score_fn.__self__)
    return Partial(score_fn) if is_leaf(score_fn) else score_fn


def is_leaf(value: object) -> bool:
    """Whether JAX sees nothing inside of it."""
    leaves = jax.tree.leaves(value)
    return len(leaves) == 1 and leaves[0] is value


def _probabilities(score_fn, images):
    logits = ask(score_fn, images)
    if logits.shape[1] == 1:
        raise ValueError(
            "the softmax over one class is 1 whatever the image; of one logit take "
            "saljax.scores.sigmoid(score_fn)"
        )
    return jax.nn.softmax(logits.astype(jnp.float32), axis=-1)


def probabilities(score_fn: ScoreFn) -> ScoreFn:
    """Softmax probabilities of a score function that gives logits.

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, K).

    Returns:
        Score function with scores in [0, 1], float32 whatever the classifier computes in, that sum
        to 1 over the classes; it raises ValueError where there is one class, see `sigmoid`.
    """
    return Partial(_probabilities, as_pytree(score_fn))


def _sigmoid(score_fn, images):
    return jax.nn.sigmoid(ask(score_fn, images).astype(jnp.float32))


def sigmoid(score_fn: ScoreFn) -> ScoreFn:
    """Probabilities of labels that do not exclude each other, or of one logit alone.

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, K), K may be 1.

    Returns:
        Score function with scores 1 / (1 + exp(-logit)) in [0, 1], float32, each by itself.
    """
    return Partial(_sigmoid, as_pytree(score_fn))


def _sides(score_fn, images):
    logits = ask(score_fn, images)
    return jnp.concatenate([-logits, logits], axis=-1)


def sides(score_fn: ScoreFn) -> ScoreFn:
    """The two sides of a classifier with one logit, which is for one and against the other.

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, 1), z.

    Returns:
        Score function with two logits, -z and z: `sigmoid` makes of them probabilities that sum
        to 1.
    """
    return Partial(_sides, as_pytree(score_fn))


def _preprocess(score_fn, mean, std, images):
    channels_last = range(images.ndim - 1)
    mean, std = jnp.expand_dims(mean, channels_last), jnp.expand_dims(std, channels_last)
    return ask(score_fn, (images - mean) / std)


def preprocess(
    score_fn: ScoreFn,
    mean: Sequence[float] | Float[Array, " channels"],
    std: Sequence[float] | Float[Array, " channels"],
) -> ScoreFn:
    """Put a classifier's channel normalization inside its score function.

    Perturbations then act on RGB in [0, 1], where black is 0, and the classifier sees
    (image - mean) / std.

    Args:
        score_fn: normalized images (N, *spatial, C) -> scores (N, K).
        mean: one value a channel, in units of [0, 1] images.
        std: one value a channel, in units of [0, 1] images.

    Returns:
        Score function of images in [0, 1].
    """
    mean, std = jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32)
    return Partial(_preprocess, as_pytree(score_fn), mean, std)


def _class_sums(score_fn, membership, images):
    return jnp.matmul(ask(score_fn, images), membership, precision="highest")


def class_sums(score_fn: ScoreFn, groups: Sequence[Sequence[int]], num_classes: int) -> ScoreFn:
    """Scores of groups of classes, each the sum over its members.

    One group of five classes answers "why one of these five?" (Fong and Vedaldi's supplement
    section 1, equation 2); groups such as all breeds of dog answer "why a dog?" when `score_fn`
    gives probabilities.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        groups: class indices of each group.
        num_classes: K.

    Returns:
        Score function with one score a group; target 0 is the first group.

    Raises:
        ValueError: a group names a class outside 0..K-1.
    """
    membership = np.zeros((num_classes, len(groups)), np.float32)
    for column, members in enumerate(groups):
        outside = [index for index in members if not 0 <= index < num_classes]
        if outside:
            raise ValueError(
                f"`groups` must name classes in 0..{num_classes - 1}; group {column} has {outside}."
            )
        membership[list(members), column] = 1.0
    return Partial(_class_sums, as_pytree(score_fn), jnp.asarray(membership))


def _in_precision(dtype, score_fn, images):
    return ask(score_fn, images.astype(dtype)).astype(jnp.float32)


def in_precision(score_fn: ScoreFn, dtype: Any = jnp.bfloat16) -> ScoreFn:
    """A classifier that computes in half precision, for methods that add up in float32.

    Its weights are rounded once, here, and each image when it is asked about; masks, blurs, means
    over passes and the map stay in float32. On GPU and TPU a pass takes down to half of the time
    and memory. How near the maps are is in `experiments/results/precision.md`.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), a pytree with its weights as leaves;
            weights that a function closes over stay as they are.
        dtype: floating, such as `jnp.bfloat16` (8 bits of mantissa, the range of float32) or
            `jnp.float16` (11 bits, up to 65504).

    Returns:
        Score function of float32 images with float32 scores.

    Raises:
        ValueError: `dtype` is not floating.
    """
    dtype = jnp.dtype(dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"`dtype` must be floating; got {dtype}.")

    def rounded(leaf):
        is_floating = jnp.issubdtype(getattr(leaf, "dtype", bool), jnp.floating)
        return leaf.astype(dtype) if is_floating else leaf

    score_fn = jax.tree.map(rounded, as_pytree(score_fn))
    return Partial(functools.partial(_in_precision, dtype), score_fn)
