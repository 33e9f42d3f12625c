"""Questions that are no class: one class rather than others, a box, a text, as scores."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from saljax.core import checks
from saljax.core.ask import answer, ask
from saljax.core.scores import as_pytree
from saljax.core.types import Images, ScoreFn

Weights = Literal["mean", "softmax", "softmax, moving"]


@dataclasses.dataclass(frozen=True)
class _Contrast:
    references: tuple[int, ...] | None
    num: int
    weights: Weights

    def __call__(self, score_fn, gamma, images):
        scores = ask(score_fn, images).astype(jnp.float32)
        others, is_other = self._others(scores)
        values = jnp.take_along_axis(scores[:, None], others, axis=2)
        weighed = jnp.zeros_like(values) if self.weights == "mean" else values
        if self.weights != "softmax, moving":
            weighed = jax.lax.stop_gradient(weighed)
        highest = jax.lax.stop_gradient(weighed.max(2, keepdims=True))
        shares = jnp.where(is_other, jnp.exp(weighed - highest), 0)
        total = shares.sum(2)
        return scores - gamma * (shares * values).sum(2) / jnp.where(total > 0, total, 1)

    def _others(self, scores):
        """Indices (N, K, R) of the references of each class, and which of them count."""
        classes = jnp.arange(scores.shape[1])
        if self.references is not None:
            if max(self.references) >= len(classes):
                raise ValueError(
                    f"`references` must be classes in 0..{len(classes) - 1}; got {self.references}."
                )
            others = jnp.broadcast_to(
                jnp.asarray(self.references), (*scores.shape, len(self.references))
            )
            return others, others != classes[None, :, None]
        # The nearest are among the neighbors in the order of scores, not among all K.
        order = jnp.argsort(jax.lax.stop_gradient(scores), axis=1)
        steps = jnp.asarray([s for s in range(-self.num, self.num + 1) if s], jnp.int32)
        places = classes[:, None] + steps[None]
        is_there = (places >= 0) & (places < len(classes))
        neighbors = order[:, jnp.clip(places, 0, len(classes) - 1)]
        ranked = jax.lax.stop_gradient(jnp.take_along_axis(scores, order, axis=1))
        values = ranked[:, jnp.clip(places, 0, len(classes) - 1)]
        distances = jnp.where(is_there[None], jnp.abs(values - ranked[..., None]), jnp.inf)
        least, nearest = jax.lax.top_k(-distances, self.num)
        by_rank = jnp.take_along_axis(neighbors, nearest, axis=2)
        back = jnp.argsort(order, axis=1)[..., None]
        return (
            jnp.take_along_axis(by_rank, back, axis=1),
            jnp.take_along_axis(jnp.isfinite(least), back, axis=1),
        )


def contrast(
    score_fn: ScoreFn,
    references: Sequence[int] | None = None,
    *,
    num: int = 3,
    gamma: float = 0.6,
    weights: Weights = "mean",
) -> ScoreFn:
    """Why this class rather than others: the target's logit less that of its references.

    s(c) = y_c - gamma sum_d w_d y_d, over the references d of c; w = 1 / R, or the softmax of the
    references' logits. Any method explains it; with Grad-CAM it is Finer-CAM.

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, K).
        references: class indices; a class is none of its own. None: of each class the `num` whose
            logits are the nearest to its own, of each image. Fewer where there are no more.
        num: of references, where they are not given.
        gamma: what is subtracted of them; 0 gives y_c, and with 1 a constant added to all logits
            changes nothing.
        weights: "mean"; "softmax" with weights that a derivative takes for constants; or "softmax,
            moving", in which it does not. Then a reference may speak for the target.

    Returns:
        Score function (N, K), float32.

    Raises:
        ValueError: `num` is no whole number above 0, or `weights` none of these.

    Source: Zhang et al., CVPR 2025 (Finer-CAM), by the authors' code, which has three references,
    gamma 1 and moving weights. The mean and 0.6 are those of torch-cam, which gives them as the
    paper's; the paper was not read. Constant weights are our choice.
    """
    checks.count(num=num)
    checks.one_of(("mean", "softmax", "softmax, moving"), weights=weights)
    chosen = None if references is None else tuple(int(index) for index in references)
    if chosen is not None and (not chosen or min(chosen) < 0):
        raise ValueError(f"`references` must be class indices; got {chosen}.")
    asked = _Contrast(chosen, num, weights)
    return Partial(asked, as_pytree(score_fn), jnp.float32(gamma))


def _detection(detector, boxes, classes, images):
    found = answer(detector, images)
    if not isinstance(found, tuple | list) or len(found) not in (2, 3):
        raise ValueError(
            "`detector` must return boxes (N, M, 4), scores of classes (N, M, K) and, if it has "
            f"them, of objects (N, M); got {type(found).__name__}."
        )
    proposed, scores = (jnp.asarray(part, jnp.float32) for part in found[:2])
    objects = jnp.asarray(found[2], jnp.float32) if len(found) == 3 else jnp.ones(scores.shape[:2])
    likeness = _cosine(scores[:, :, None], classes[None, None])
    each = _iou(proposed[:, :, None], boxes[None, None]) * likeness * objects[..., None]
    return each.max(1)


def _iou(one, other):
    """Of boxes (..., 4), with areas in the plane and not of pixels counted; 0 of empty ones."""
    low = jnp.maximum(one[..., :2], other[..., :2])
    high = jnp.minimum(one[..., 2:], other[..., 2:])
    shared = jnp.prod(jnp.maximum(high - low, 0), -1)
    areas = [jnp.prod(jnp.maximum(box[..., 2:] - box[..., :2], 0), -1) for box in (one, other)]
    whole = areas[0] + areas[1] - shared
    return jnp.where(whole > 0, shared / jnp.where(whole > 0, whole, 1), 0)


def _cosine(one, other):
    """Of vectors (..., D); 0 where one of them is 0."""
    return (_unit(one) * _unit(other)).sum(-1)


def _unit(vectors):
    squares = (vectors**2).sum(-1, keepdims=True)
    return vectors * jnp.where(squares > 0, jax.lax.rsqrt(jnp.where(squares > 0, squares, 1)), 0)


def detection(
    detector: Callable[[Images], Any],
    boxes: Float[Array, "*boxes corners"] | np.ndarray | Sequence[Any],
    classes: Float[Array, "*boxes classes"] | np.ndarray | Sequence[Any],
) -> ScoreFn:
    """How well a detector still finds an object: the score of D-RISE, for any method.

    s = max_j IoU(box, box_j) cos(classes, classes_j) objectness_j

    Args:
        detector: images (N, *spatial, C) -> boxes (N, M, 4), left, top, right, bottom in any unit,
            scores of classes (N, M, K) >= 0 and, if it has one, an objectness (N, M), which is 1
            otherwise. M is fixed; what fills it up has scores of 0.
        boxes: of the object that was found, (4,), in the same unit; or of several, (T, 4).
        classes: its scores (K,), or (T, K).

    Returns:
        Score function with scores in [0, 1], (N, 1), or (N, T): target t is object t.

    Raises:
        ValueError: `boxes` and `classes` do not go together; when it is called: `detector` returns
            something else.

    Source: Petsiuk et al., CVPR 2021 (D-RISE), whose code is not public: the formula is that of
    XAITK-Saliency, which adds a pixel to each side of a box, where areas here are those of the
    plane. An objectness of 1 where there is none is our choice. With `saljax.rise`, p = 0.5 and
    16 x 16 cells, as in Microsoft's vision-explanation-methods, it is D-RISE; neither these numbers
    nor the formula were compared with the paper.
    """
    boxes, classes = (jnp.atleast_2d(jnp.asarray(x, jnp.float32)) for x in (boxes, classes))
    if boxes.ndim != 2 or boxes.shape[1] != 4 or len(classes) != len(boxes):
        raise ValueError(
            "`boxes` must be (4,) or (T, 4), and `classes` a row each; got shapes "
            f"{boxes.shape} and {classes.shape}."
        )
    return Partial(_detection, as_pytree(detector), boxes, classes)


def _similarity(encode, units, scale, images):
    vectors = jnp.asarray(answer(encode, images))
    if vectors.ndim != 2 or vectors.shape[1] != units.shape[1]:
        raise ValueError(
            f"`encode` must return vectors (N, {units.shape[1]}) like those given; got "
            f"{getattr(vectors, 'shape', type(vectors).__name__)}."
        )
    return scale * jnp.matmul(_unit(vectors.astype(jnp.float32)), units.T, precision="highest")


def similarity(
    encode: Callable[[Images], Float[Array, "batch features"]],
    vectors: Float[Array, "..."] | np.ndarray | Sequence[Any],
    scale: float = 1.0,
) -> ScoreFn:
    """How near an image is to vectors, such as those of texts: the score of CLIP.

    s(t) = scale cos(encode(image), vector_t)

    For one text explain the cosine. For texts that are classes the softmax, `probabilities` of
    this with the `scale` of the network (100 in CLIP's), or their `contrast`: otherwise a map
    shows what all of them share.

    Args:
        encode: images (N, *spatial, C) -> vectors (N, D).
        vectors: (D,), or one a class (T, D), or several a class (T, P, D), such as one a prompt:
            the mean of their unit vectors. They are constants: compute them once.
        scale: of the cosine; of logits e^logit_scale.

    Returns:
        Score function (N, 1) or (N, T), float32; of a vector that is 0 everywhere 0.

    Raises:
        ValueError: `vectors` have other axes; when it is called: `encode` returns others than (N,
            D).

    Source: Radford et al., ICML 2021 (CLIP), by the authors' code: cosine, scale, and the mean of
    the prompts' unit vectors made a unit vector again. The paper was not read.
    """
    vectors = jnp.atleast_2d(jnp.asarray(vectors, jnp.float32))
    if vectors.ndim not in (2, 3):
        raise ValueError(f"`vectors` must be (D,), (T, D) or (T, P, D); got {vectors.shape}.")
    units = _unit(vectors)
    if units.ndim == 3:
        units = _unit(units.mean(1))
    return Partial(_similarity, as_pytree(encode), units, jnp.float32(scale))
