"""FullGrad: the gradient at the image and at every bias."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import scores
from saljax.core.axes import CHANNELS, follow, of_images
from saljax.core.layers import alone, traced
from saljax.core.override import LINEAR, MOVES
from saljax.core.program import Plan, planned
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.ops import images as image_ops

_AFFINE = ("add", "add_any", "sub", "mul", "div", "neg")


class Terms(NamedTuple):
    """What a score is the sum of, in a network of ReLUs.

    Attributes:
        image: (*spatial, C), the image times its gradient.
        layers: of each bias with places, (*spatial, C), itself times its gradient.
        rest: sum of what all other biases contribute.
    """

    image: Float[Array, "*spatial channels"]
    layers: list[Float[Array, "..."]]
    rest: Float[Array, ""]


def full_grad(score_fn: ScoreFn, image: Image, target: Target) -> Saliency:
    """Add up what the image and the biases of all layers contribute to a score.

    S = sum_c psi(image g)_c + sum_l sum_c psi(b_l g_l)_c,    psi(x) = minmax(|x|)

    g is the gradient at the image, g_l where the bias b_l was added, and minmax over all places and
    channels of a layer; each is resized to the image, linearly. In a network of ReLUs the score is
    the sum of image g and all b_l g_l. What constants do in a row is one bias: of a batch
    normalization shift - mean scale, and of (image - mean) / std -mean / std. Biases without
    places, those of fully connected layers, are left out of the map.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits, of a network of ReLUs,
            convolutions, sums, maxima and averages.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().

    Returns:
        (*spatial) map >= 0, of no unit.

    Raises:
        ValueError: something in `score_fn` does not grow with its input in proportion (GELU, ReLU6,
            norms, attention), so the sum would not be the score; or several targets.

    Source: Srinivas, Fleuret, NeurIPS 2019, equation 4 and the postprocessing of the authors' code.
    Pixel centers are at halves where they align corners, and there is no 1e-6 beside the maximum,
    so that a score times a number has the same map.
    """
    found = terms(score_fn, image, target)
    total = _postprocessed(found.image)
    for term in found.layers:
        total += image_ops.resize(_postprocessed(term), image.shape[:-1])
    return total


def terms(score_fn: ScoreFn, image: Image, target: Target) -> Terms:
    """What the score is the sum of, see `full_grad`."""
    images = alone(image)
    program = traced(score_fn, images, for_rules=True)
    plan = planned(program, (images,))
    _check(plan)
    visited = plan.visited
    nothing = {i: jnp.zeros(visited[i][1].shape, jnp.float32) for i in _ends(plan)}
    places: dict[int, Any] = {}
    out, back, biases = jax.vjp(
        lambda *x: _with_biases(plan, places, *x), images, nothing, has_aux=True
    )
    of_image, of_biases = back(scores.pick(out, target))
    layers, rest = [], jnp.float32(0)
    for i, bias in biases.items():
        term = bias.astype(jnp.float32) * of_biases[i]
        order = _in_places(places[i], term.shape, image.ndim)
        if order is None:
            rest += term.sum()
        else:
            moved = term.transpose(order)
            layers.append(moved.reshape(moved.shape[-image.ndim :]))
    return Terms((images * of_image)[0], layers, rest)


def _check(plan: Plan) -> None:
    known = {*LINEAR, *MOVES, "relu", "leaky_relu", "maximum", "minimum"} - {"min"}
    kinds = dict.fromkeys(operation.kind for _, operation in plan.visited)
    other = [kind for kind in kinds if kind not in known and not kind.startswith("tap:")]
    if other:
        raise ValueError(
            f"FullGrad's sum is the score in networks of ReLUs alone; `score_fn` has "
            f"{', '.join(other)}. Take deep_lift or lrp, or leave out a softmax at the end."
        )


def _ends(plan: Plan) -> list[int]:
    """Which operations, by their number, are the last of a row that adds constants."""
    readers: dict[int, int] = {}
    for step, _ in plan.steps:
        for n in step.inputs:
            readers[n] = readers.get(n, 0) + 1
    adds: dict[int, tuple[int, bool]] = {}
    ends: dict[int, None] = {}
    for i, (step, operation) in enumerate(plan.visited):
        if not _is_affine(operation):
            continue
        source = step.inputs[operation.dependent.index(True)]
        before, biased = adds.get(source, (-1, False))
        if readers[source] > 1:
            biased = False
        else:
            ends.pop(before, None)
        biased = biased or operation.kind in ("add", "add_any", "sub")
        adds[step.outputs[0]] = i, biased
        if biased:
            ends[i] = None
    return list(ends)


def _is_affine(operation):
    return operation.kind in _AFFINE and sum(operation.dependent) == 1


def _with_biases(plan, places, images, nothing):
    """Scores, and the bias of each end; `places` gets the axes there."""
    known: dict[int, tuple[Any, Any, Any]] = {id(images): (images, of_images(images.ndim), None)}
    number, found = iter(range(len(plan.visited))), {}

    def visit(operation, inputs):
        i, out = next(number), operation(*inputs)
        before = [known.get(id(x), (x, None, None)) for x in inputs]
        several = isinstance(out, list | tuple)
        outs = out if several else [out]
        every = follow(operation, inputs, [a for _, a, _ in before], [x.shape for x in outs])
        bias = None
        if _is_affine(operation):
            at = operation.dependent.index(True)
            own = before[at][2]
            own = jnp.zeros_like(inputs[at]) if own is None else own
            bias = jax.lax.stop_gradient(operation(*inputs[:at], own, *inputs[at + 1 :]))
        if i in nothing:
            out = out + nothing[i].astype(out.dtype)
            outs, found[i], places[i], bias = [out], bias, every[0], None
        for x, axes in zip(outs, every, strict=True):
            known[id(x)] = x, axes, bias
        return out

    return plan([images], visit)[0], found


def _in_places(axes, shape, rank):
    """The order of axes that ends with (*spatial, C); None where there are no places."""
    space = sorted((a, i) for i, a in enumerate(axes) if isinstance(a, int))
    channels = [i for i, a in enumerate(axes) if a == CHANNELS]
    order = [*(i for _, i in space), *channels]
    others = [i for i in range(len(axes)) if i not in order]
    whole = [a for a, _ in space] == list(range(rank - 1)) and len(channels) == 1
    return [*others, *order] if whole and all(shape[i] == 1 for i in others) else None


def _postprocessed(term):
    size = jnp.abs(term).astype(jnp.float32)
    low, high = size.min(), size.max()
    span = jnp.where(high > low, high - low, 1)
    return ((size - low) / span).sum(axis=-1)
