"""Rules of LRP that differ from layer to layer, and the choices of them that have a name.

Here the signal is the relevance itself, since some rules give it to inputs that are 0.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from saljax.core.layers import alone, traced
from saljax.core.override import LINEAR, Others, Rules, evaluate
from saljax.core.types import Image, ScoreFn
from saljax.methods.modified_backprop import rules

Composite = Literal[
    "epsilon_plus",
    "epsilon_plus_flat",
    "epsilon_alpha2_beta1",
    "epsilon_alpha2_beta1_flat",
    "epsilon_gamma_box",
]
Share = Literal["epsilon", "gamma", "z_plus", "alpha2_beta1", "box", "flat", "w_square"]

COMPOSITES: dict[str, dict[str, str]] = {
    "epsilon_plus": {"convolution": "z_plus"},
    "epsilon_plus_flat": {"first": "flat", "convolution": "z_plus"},
    "epsilon_alpha2_beta1": {"convolution": "alpha2_beta1"},
    "epsilon_alpha2_beta1_flat": {"first": "flat", "convolution": "alpha2_beta1"},
    "epsilon_gamma_box": {"first_convolution": "box", "convolution": "gamma"},
}
PLACES = ("first", "first_convolution", "convolution", "dense")
_AFFINE = ("add", "add_any", "sub", "mul", "div", "neg")
_MOVED = ("reshape", "squeeze", "transpose")
_KINDS = (*LINEAR, *rules.BESIDE_LINEAR, *_MOVED)


class Layer(NamedTuple):
    """y = scale product(x, w) + shift: a product with weights, and what is folded into it."""

    product: Callable[[Any, Any], Any]
    x: Any
    w: Any
    scale: Any
    shift: Any

    def part(self, x: Any, sign: int) -> Any:
        """What the weights of one sign, after scaling, make of an input."""
        more, less = jax.nn.relu(self.w), -jax.nn.relu(-self.w)
        same, other = (more, less) if sign > 0 else (less, more)
        up, down = jax.nn.relu(self.scale), -jax.nn.relu(-self.scale)
        return up * self.product(x, same) + down * self.product(x, other)

    def whole(self, x: Any) -> Any:
        """What all weights make of an input."""
        return self.scale * self.product(x, self.w)


def chosen(composite: Composite | Mapping[str, Share]) -> Mapping[str, str]:
    """Place -> rule, of a name or as given.

    Raises:
        ValueError: no such composite, place or rule.
    """
    if isinstance(composite, str):
        if composite not in COMPOSITES:
            raise ValueError(f"`composite` must be one of {', '.join(COMPOSITES)}; got {composite}")
        return COMPOSITES[composite]
    wrong = [*(set(composite) - set(PLACES)), *(set(composite.values()) - set(_SHARES))]
    wrong += [f"box at {p}" for p in composite if p != PLACES[1] and composite[p] == "box"]
    if wrong:
        known, places, shares = (", ".join(names) for names in (COMPOSITES, PLACES, _SHARES))
        raise ValueError(
            f"`composite` is a name ({known}) or place -> rule, of the places {places} and the "
            f"rules {shares}, box at first_convolution alone; got {', '.join(map(str, wrong))}"
        )
    return composite


def relevance(
    places: Mapping[str, str], epsilon: float, gamma: float, box: tuple[Any, Any] | None
) -> Rules:
    """Rules for one evaluation, since they count, and know what they gave.

    Args:
        places: of `chosen`.
        epsilon: added to each sum that divides, with its sign.
        gamma: of the rule of that name.
        box: lowest and highest input of the layer with that rule.
    """
    settings = {"epsilon": epsilon, "gamma": gamma, "box": box}
    layers: dict[int, tuple[Any, Layer, str]] = {}
    met: set[str] = set()

    def of_layer(layer, share, out):
        out = _shared_in(layer, share, jax.lax.stop_gradient(out), settings)
        layers[id(out)] = (out, layer, share)  # kept alive here, so that the id is its own
        return out

    def rule(operation, *inputs):
        image = operation.dependent.index(True)
        if operation.kind in rules.WEIGHTED:

            def product(x, w):
                return operation(x, w) if image == 0 else operation(w, x)

            out = operation(*inputs)
            one = jnp.ones((1,) * out.ndim, out.dtype)
            layer = Layer(product, inputs[image], inputs[1 - image], one, jnp.zeros_like(one))
            return of_layer(layer, _share_at(places, met, operation.kind), out)
        _, layer, share = layers.get(id(inputs[image]), (None, None, ""))
        folded = operation.kind in (*_AFFINE, *_MOVED) and sum(operation.dependent) == 1
        if layer is not None and folded:
            return of_layer(_followed(layer, operation, inputs), share, operation(*inputs))
        return (
            operation(*inputs) if operation.kind in _MOVED else _other(operation, epsilon, inputs)
        )

    return {_KINDS: rule}


def box(score_fn: ScoreFn, image: Image, others: Others) -> tuple[Any, Any]:
    """What the first convolution reads of a black image and of a white one."""
    program, found = traced(score_fn, alone(image), for_rules=True), []

    def look(operation, *inputs):
        if operation.kind == "conv_general_dilated":
            found.append(inputs[operation.dependent.index(True)])
        return operation(*inputs)

    ends = []
    for fill in (jnp.zeros_like, jnp.ones_like):
        found.clear()
        evaluate(program, (fill(alone(image)),), {_KINDS: look}, others=others)
        if not found:
            raise ValueError("the box rule is for convolutions, and `score_fn` has none")
        ends.append(found[0])
    return jnp.minimum(*ends), jnp.maximum(*ends)


def _share_at(places, met, kind):
    """The rule for a layer, that for the first before that for its kind."""
    convolution = kind == "conv_general_dilated"
    wanted = ["first"] if not met else []
    wanted += ["first_convolution"] if convolution and kind not in met else []
    wanted += ["convolution" if convolution else "dense"]
    met.add(kind)
    return next((places[place] for place in wanted if place in places), "epsilon")


def _followed(layer, operation, inputs):
    """The layer with a bias, a batch normalization or another shape behind it."""
    image, shape = operation.dependent.index(True), inputs[operation.dependent.index(True)].shape

    def behind(y):
        return operation(*inputs[:image], y, *inputs[image + 1 :])

    shift, scale = (jnp.broadcast_to(end, shape) for end in (layer.shift, layer.scale))
    shift, scale = jax.jvp(behind, (shift,), (scale,))
    if operation.kind not in _MOVED:
        return layer._replace(scale=scale, shift=shift)
    moved = lambda x, w: operation(layer.product(x, w))  # noqa: E731
    return layer._replace(product=moved, scale=scale, shift=shift)


def _shared_in(layer, share, out, settings):
    """What a layer gave, which sends back what each input has of the relevance."""

    @jax.custom_vjp
    def run(x, rest, out):
        return out

    def backward(saved, signal):
        x, rest, out = saved
        here = Layer(layer.product, x, *rest)
        return _SHARES[share](here, out, signal, **settings), None, None

    run.defvjp(lambda *inputs: (inputs[-1], inputs), backward)
    return run(layer.x, tuple(layer[2:]), out)


def _other(operation, epsilon, inputs):
    """Sums and what has several parts share, what is a function of one number hands on all."""

    def of_image(*values):
        values = iter(values)
        pairs = zip(inputs, operation.dependent, strict=True)
        every = [next(values) if dependent else x for x, dependent in pairs]
        if operation.kind == "norm":
            return operation.apart(rules.with_fixed_scale)(*every)
        return operation(*every)

    @jax.custom_vjp
    def run(*values):
        return of_image(*values)

    def backward(values, signal):
        if len(values) == 1 and operation.kind not in (*rules.SUMS, "softmax", "norm"):
            return (signal,)
        whole = signal / 2 if operation.kind == "product" else signal
        return _in_proportion(of_image, values, 0, whole, epsilon)

    run.defvjp(lambda *values: (of_image(*values), values), backward)
    return run(*(x for x, dependent in zip(inputs, operation.dependent, strict=True) if dependent))


def _in_proportion(function, values, bias, signal, epsilon):
    """R_i = v_i d function / d v_i R / (function + bias + epsilon sign)."""
    total, back = jax.vjp(function, *values)
    total = total + bias
    total = total + jnp.where(total < 0, -epsilon, epsilon).astype(total.dtype)
    none = total == 0
    sent = back(jnp.where(none, 0, signal / jnp.where(none, 1, total)))
    # What a mask made -inf before a softmax has a share of 0.
    return tuple(jnp.where(s == 0, 0, v * s) for v, s in zip(values, sent, strict=True))


def _signs(x):
    return jax.nn.relu(x), -jax.nn.relu(-x)


def _epsilon(layer, out, signal, *, epsilon, **_):
    return _in_proportion(layer.whole, (layer.x,), layer.shift, signal, epsilon)[0]


def _of_sign(layer, signal, sign, epsilon):
    """The share of what is above 0, or below."""

    def function(up, down):
        return layer.part(up, sign) + layer.part(down, -sign)

    bias = _signs(layer.shift)[0 if sign > 0 else 1]
    return sum(_in_proportion(function, _signs(layer.x), bias, signal, epsilon))


def _z_plus(layer, out, signal, *, epsilon, **_):
    return _of_sign(layer, signal, 1, epsilon)


def _alpha2_beta1(layer, out, signal, *, epsilon, **_):
    return 2 * _of_sign(layer, signal, 1, epsilon) - _of_sign(layer, signal, -1, epsilon)


def _gamma(layer, out, signal, *, epsilon, gamma, **_):
    shares = 0
    for sign, these in ((1, out > 0), (-1, out < 0)):

        def function(up, down, sign=sign):
            more = layer.part(up, sign) + layer.part(down, -sign)
            return layer.whole(up) + layer.whole(down) + gamma * more

        bias = layer.shift + gamma * _signs(layer.shift)[0 if sign > 0 else 1]
        own = jnp.where(these, signal, 0)
        shares += sum(_in_proportion(function, _signs(layer.x), bias, own, epsilon))
    return shares


def _box(layer, out, signal, *, epsilon, box, **_):
    def function(x, low, high):
        return layer.whole(x) - layer.part(low, 1) - layer.part(high, -1)

    return sum(_in_proportion(function, (layer.x, *box), 0, signal, epsilon))


def _flat(layer, out, signal, *, epsilon, **_):
    weights = jnp.ones_like(layer.w)
    ones = (jnp.ones_like(layer.x),)
    return _in_proportion(lambda x: layer.product(x, weights), ones, 0, signal, epsilon)[0]


def _w_square(layer, out, signal, *, epsilon, **_):
    weights = jnp.square(layer.w)
    ones = (jnp.ones_like(layer.x),)
    return _in_proportion(lambda x: layer.product(x, weights), ones, 0, signal, epsilon)[0]


_SHARES: dict[str, Callable[..., Any]] = {
    "epsilon": _epsilon, "gamma": _gamma, "z_plus": _z_plus, "alpha2_beta1": _alpha2_beta1,
    "box": _box, "flat": _flat, "w_square": _w_square,
}  # fmt: skip
