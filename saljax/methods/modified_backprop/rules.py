"""Rules for `saljax.override`, and what is done with the signal that they send back.

A *rule* says what happens at one kind of operation, a *composite* which rule goes to which kind.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import scores, taps
from saljax.core.kinds import ROOTS
from saljax.core.operation import Operation
from saljax.core.override import LINEAR, Others, Rule, Rules
from saljax.core.pointwise import SMOOTH
from saljax.core.spatial import ToSpatial, spatial
from saljax.core.types import Image, Reduction, Saliency, ScoreFn, Target
from saljax.ops import images

Activation = Float[Array, "..."]

WEIGHTED = ("conv_general_dilated", "dot_general")
_OF_ONE = (*SMOOTH, "logistic", "hard_sigmoid", "tanh", "square", "integer_pow")
BESIDE_LINEAR = ("relu", "min", *_OF_ONE, "product", "norm", "softmax")
SUMS = ("reduce_sum", "reduce_window_sum", "cumsum")


def rectifier(backward: Callable[[Activation, Activation], Activation]) -> Rule:
    """A ReLU that sends back `backward(x, signal)`, x being what came in."""

    @jax.custom_vjp
    def relu(x):
        return jax.nn.relu(x)

    relu.defvjp(lambda x: (jax.nn.relu(x), x), lambda x, signal: (backward(x, signal),))
    return lambda operation, x: relu(x)


GUIDED = {"relu": rectifier(lambda x, m: jnp.where(x > 0, jax.nn.relu(m), 0)), SMOOTH: None}
DECONV = {"relu": rectifier(lambda x, m: jax.nn.relu(m)), SMOOTH: None}


def relevance(epsilon: float) -> Rules:
    """LRP-epsilon as a modified gradient m, the relevance of an activation x being x * m.

    At z_j = sum_i x_i w_ij + b_j, R_i = sum_j x_i w_ij / (z_j + epsilon) R_j is a gradient that a
    rectifier shrinks by z / (z + epsilon); z > 0 wherever anything is sent back. Where min(z, c)
    cuts, it hands on all it has: m min(z, c) / z. So does any other function f of one number:
    m f(z) / (z + epsilon sign(z)). A product of two factors hands half to each, a norm is linear
    for it, its scale being fixed, and a softmax keeps its derivative, which is AttnLRP's
    R_i = z_i (R_i - softmax(z)_i sum_j R_j).
    """
    return {BESIDE_LINEAR: _relevance(epsilon)}


def _relevance(epsilon: float) -> Rule:
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
        if operation.kind == "min":
            x, c = inputs if operation.dependent[0] else inputs[::-1]
            return ceiling(x, c)
        if operation.kind == "norm":
            return operation.apart(with_fixed_scale)(*inputs)
        if operation.kind == "product":
            return _halves(operation)(*inputs)
        return (
            operation(*inputs) if operation.kind == "softmax" else _all(operation, epsilon)(*inputs)
        )

    return rule


def attention_relevance(
    epsilon: float, attention: str, gamma_convolution: float, gamma_dense: float
) -> Rules:
    """AttnLRP, or CP-LRP within attention, as such a modified gradient; see `attn_lrp`."""
    other = _relevance(epsilon)
    gammas: dict[str, float] = dict(zip(WEIGHTED, (gamma_convolution, gamma_dense), strict=True))

    def rule(operation, *inputs):
        if operation.kind in LINEAR:
            gamma = gammas.get(operation.kind, 0)
            return _gamma(operation, gamma)(*inputs) if gamma else operation(*inputs)
        if attention == "cp" and operation.kind == "softmax":
            return jax.lax.stop_gradient(operation(*inputs))
        if attention == "cp" and "dimension_numbers" in operation.settings:
            return operation(*inputs)  # of a matrix product, what is no attention has it all
        return other(operation, *inputs)

    return {(*LINEAR, *BESIDE_LINEAR): rule}


def with_fixed_scale(part, inputs):
    """A norm that is linear, for `Operation.apart`."""
    outputs = part(*inputs)
    return jax.lax.stop_gradient(outputs) if part.kind in ROOTS else outputs


def _all(operation: Operation, epsilon: float):
    """A function of one number that hands on all the relevance it has."""

    @jax.custom_vjp
    def run(x):
        return operation(x)

    def backward(saved, m):
        x, out = saved
        stable = x + jnp.where(x < 0, -epsilon, epsilon).astype(x.dtype)
        return (m * jnp.where(stable == 0, 0, out / jnp.where(stable == 0, 1, stable)),)

    run.defvjp(lambda x: (operation(x), (x, operation(x))), backward)
    return run


def _halves(operation: Operation):
    """A product that hands half to each factor."""

    @jax.custom_vjp
    def run(*inputs):
        return operation(*inputs)

    run.defvjp(
        lambda *inputs: jax.vjp(operation, *inputs),
        lambda back, m: tuple(sent / 2 for sent in back(m)),
    )
    return run


def _gamma(operation: Operation, gamma: float):
    """LRP-gamma: weights that agree with the output's sign count 1 + gamma times."""
    image = operation.dependent.index(True)

    @jax.custom_vjp
    def run(*inputs):
        return operation(*inputs)

    def backward(inputs, m):
        x, w = inputs[image], inputs[1 - image]
        more, less = w + gamma * jax.nn.relu(w), w - gamma * jax.nn.relu(-w)

        def at(x, w):
            return operation(x, w) if image == 0 else operation(w, x)

        def sent(weights, share):
            return jax.vjp(lambda x: at(x, weights), x)[1](share)[0]

        up, down = jax.nn.relu(x), -jax.nn.relu(-x)
        out = at(x, w)
        shares = []
        for of_these, first, second in ((out > 0, more, less), (out < 0, less, more)):
            total = at(up, first) + at(down, second)
            none = ~of_these | (total == 0)
            shares.append(jnp.where(none, 0, m * out / jnp.where(none, 1, total)))
        above = sent(more, shares[0]) + sent(less, shares[1])
        below = sent(less, shares[0]) + sent(more, shares[1])
        found = [jnp.zeros_like(w), jnp.zeros_like(w)]
        found[image] = jnp.where(x > 0, above, below)
        return tuple(found)

    run.defvjp(lambda *inputs: (operation(*inputs), inputs), backward)
    return run


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

    return {(*LINEAR, *BESIDE_LINEAR): rule}


def _winners(operation: Operation, contrast: bool):
    @jax.custom_vjp
    def run(*inputs):
        return operation(*inputs)

    def forward(*inputs):
        return operation(*inputs), inputs

    def backward(inputs, signal):
        shared = (*WEIGHTED, *SUMS, "softmax")
        if sum(operation.dependent) == 1 and operation.kind not in shared:
            sent = [signal for _ in inputs]  # a bias, a scale, a norm, a ceiling, a rectifier
        else:
            sent = _shares(operation, inputs, signal, 1)
            if operation.kind == "product":
                sent = [share / 2 for share in sent]
            if contrast:
                negated = _shares(operation, inputs, signal, -1)
                sent = [a - b for a, b in zip(sent, negated, strict=True)]
        dependent = zip(inputs, sent, operation.dependent, strict=True)
        return tuple(s if image else jnp.zeros_like(x) for x, s, image in dependent)

    run.defvjp(forward, backward)
    return run


def _shares(operation, inputs, signal, sign):
    """X * vjp(signal / operation(x)), weights being those of one sign; nothing from 0 / 0."""
    weighted = operation.kind in (*WEIGHTED, *LINEAR)
    inputs = [
        x if image or not weighted else jax.nn.relu(sign * x)
        for x, image in zip(inputs, operation.dependent, strict=True)
    ]
    excited, back = jax.vjp(operation, *inputs)
    none = excited == 0
    shares = back(jnp.where(none, 0, signal / jnp.where(none, 1, excited)))
    # What a mask made -inf before a softmax has a share of 0.
    return [jnp.where(share == 0, 0, x * share) for x, share in zip(inputs, shares, strict=True)]


def send_back(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    layer: str | None,
    rules: Rules,
    others: Others,
) -> tuple[Activation, Activation, Float[Array, ""]]:
    """The activation of a layer (None: the image), what arrives there from a one-hot, the score."""
    seen = taps.pullback(score_fn, image, layer, rules, others)
    one_hot = scores.pick(seen.scores, target)
    return seen.activation, seen.back(one_hot), scores.of_class(seen.scores, target)[0]


def in_units_of(score: Float[Array, ""], epsilon: float, signal: Activation) -> Activation:
    """What comes from the score where 1 was sent back, LRP-epsilon standing there too."""
    stable = score + jnp.where(score < 0, -epsilon, epsilon)
    last = jnp.where(stable == 0, 1, score / jnp.where(stable == 0, 1, stable))
    return signal * last.astype(signal.dtype)


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
