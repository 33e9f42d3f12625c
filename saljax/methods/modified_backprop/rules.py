"""Rules for `saljax.override`, and what is done with the signal that they send back.

A *rule* says what happens at one kind of operation, a *composite* which rule goes to which kind.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import scores, taps
from saljax.core.override import LINEAR, Rule, Rules
from saljax.core.program import Operation
from saljax.core.spatial import ToSpatial, spatial
from saljax.core.types import Image, Reduction, Saliency, ScoreFn, Target
from saljax.ops import images

Activation = Float[Array, "..."]

WEIGHTED = ("conv_general_dilated", "dot_general")
_SUMS = ("reduce_sum", "reduce_window_sum", "cumsum")


def rectifier(backward: Callable[[Activation, Activation], Activation]) -> Rule:
    """A ReLU that sends back `backward(x, signal)`, x being what came in."""

    @jax.custom_vjp
    def relu(x):
        return jax.nn.relu(x)

    relu.defvjp(lambda x: (jax.nn.relu(x), x), lambda x, signal: (backward(x, signal),))
    return lambda operation, x: relu(x)


GUIDED = {"relu": rectifier(lambda x, signal: jnp.where(x > 0, jax.nn.relu(signal), 0))}
DECONV = {"relu": rectifier(lambda x, signal: jax.nn.relu(signal))}


def relevance(epsilon: float) -> Rules:
    """LRP-epsilon as a modified gradient m, the relevance of an activation x being x * m.

    At z_j = sum_i x_i w_ij + b_j, R_i = sum_j x_i w_ij / (z_j + epsilon) R_j is a gradient that a
    rectifier shrinks by z / (z + epsilon); z > 0 wherever anything is sent back. Where min(z, c)
    cuts, it hands on all it has: m min(z, c) / z.
    """
    relu = rectifier(lambda z, m: jnp.where(z > 0, m * z / (z + epsilon), 0))

    @jax.custom_vjp
    def ceiling(x, c):
        return jnp.minimum(x, c)

    def kept(saved, m):
        x, out = saved
        return m * jnp.where(x == 0, 1, out / jnp.where(x == 0, 1, x)), None

    ceiling.defvjp(lambda x, c: (jnp.minimum(x, c), (x, jnp.minimum(x, c))), kept)

    def rule(operation, *inputs):
        if operation.kind == "relu":
            return relu(operation, *inputs)
        x, c = inputs if operation.dependent[0] else inputs[::-1]
        return ceiling(x, c)

    return {("relu", "min"): rule}


def excitation(contrast_at: int | None = None) -> Rules:
    """Excitation backprop: each unit is a winner in proportion to what it excites.

    Args:
        contrast_at: which weighted operation, counted from the image, also sends back the signal
            of its negated weights, with a minus sign; None: none does.

    Returns:
        Rules for one evaluation, since they count.
    """
    passed = 0

    def rule(operation, *inputs):
        nonlocal passed
        if operation.kind == "relu":
            return operation(*inputs)
        contrast = operation.kind in WEIGHTED and passed == contrast_at
        passed += operation.kind in WEIGHTED
        return _winners(operation, contrast)(*inputs)

    return {(*LINEAR, "relu", "min"): rule}


def _winners(operation: Operation, contrast: bool):
    @jax.custom_vjp
    def run(*inputs):
        return operation(*inputs)

    def forward(*inputs):
        return operation(*inputs), inputs

    def backward(inputs, signal):
        if sum(operation.dependent) == 1 and operation.kind not in WEIGHTED + _SUMS:
            sent = [signal for _ in inputs]  # a bias, a batch norm's scale, a ReLU6's ceiling
        else:
            sent = _shares(operation, inputs, signal, 1)
            if contrast:
                negated = _shares(operation, inputs, signal, -1)
                sent = [a - b for a, b in zip(sent, negated, strict=True)]
        dependent = zip(inputs, sent, operation.dependent, strict=True)
        return tuple(s if image else jnp.zeros_like(x) for x, s, image in dependent)

    run.defvjp(forward, backward)
    return run


def _shares(operation, inputs, signal, sign):
    """X * vjp(signal / operation(x)), weights being those of one sign; nothing from 0 / 0."""
    inputs = [
        x if image else jax.nn.relu(sign * x)
        for x, image in zip(inputs, operation.dependent, strict=True)
    ]
    excited, back = jax.vjp(operation, *inputs)
    none = excited == 0
    shares = back(jnp.where(none, 0, signal / jnp.where(none, 1, excited)))
    return [x * share for x, share in zip(inputs, shares, strict=True)]


def send_back(
    score_fn: ScoreFn, image: Image, target: Target, layer: str | None, rules: Rules
) -> tuple[Activation, Activation, Float[Array, ""]]:
    """The activation of a layer (None: the image), what arrives there from a one-hot, the score."""
    seen = taps.pullback(score_fn, image, layer, rules)
    one_hot = scores.pick(seen.scores, target)
    return seen.activation, seen.back(one_hot), scores.of_class(seen.scores, target)[0]


def to_map(
    signed: Activation,
    image: Image,
    layer: str | None,
    to_spatial: ToSpatial | None,
    reduce: Reduction | None,
    resize: bool,
) -> Saliency:
    """One value a place, brought to the size of the image if `resize`."""
    if reduce is None:
        return signed
    channels_last = signed if layer is None else spatial(signed, image, layer, to_spatial)
    saliency = reduce(channels_last).astype(jnp.float32)
    return images.resize(saliency, image.shape[:-1]) if resize else saliency
