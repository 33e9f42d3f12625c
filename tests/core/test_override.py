"""The mechanism; what methods do with it is tested beside them."""

import functools
import inspect
import re
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from jax.tree_util import Partial

import saljax
from saljax.core import program, taps

RNG = np.random.default_rng(0)
WEIGHTS = {
    "in": jnp.asarray(RNG.normal(size=(6, 5)), jnp.float32),
    "out": jnp.asarray(RNG.normal(size=(5, 3)), jnp.float32),
}
IMAGES = jnp.asarray(RNG.normal(size=(2, 6)), jnp.float32)


@jax.custom_vjp
def doubling_relu(x):
    return jax.nn.relu(x)


doubling_relu.defvjp(lambda x: (doubling_relu(x), x), lambda x, g: (jnp.where(x > 0, 2 * g, 0),))
DOUBLE = {"relu": lambda operation, x: doubling_relu(x)}


def network(weights, images, relu=jax.nn.relu):
    return relu(images @ weights["in"]) @ weights["out"]


def gradient(fn, images=IMAGES):
    return jax.grad(lambda x: fn(x)[:, 1].sum())(images)


TWICE = 2 * gradient(Partial(network, WEIGHTS))
"""With one ReLU on every path, doubling its derivative doubles the gradient."""

RECTIFIERS = {
    "jax.nn.relu": jax.nn.relu,
    "maximum": lambda x: jnp.maximum(x, 0),
    "swapped": lambda x: jnp.maximum(0.0, x),
    "zeros": lambda x: jnp.maximum(x, jnp.zeros_like(x)),
    "clip": lambda x: jnp.clip(x, 0, 1e6),
    "relu6": lambda x: 1e6 * jax.nn.relu6(x / 1e6),
    "lax": lambda x: jax.lax.max(x, jnp.float32(0)),
    "nested jit": jax.jit(jax.jit(jax.nn.relu)),
    "checkpoint": jax.checkpoint(jax.nn.relu),
    "checkpoint of jit": jax.checkpoint(jax.jit(lambda x: jnp.maximum(x, 0))),
    "vmap": jax.vmap(jax.nn.relu),
    "where": lambda x: jnp.where(x > 0, x, 0),
    "minimum": lambda x: -jnp.minimum(-x, 0),
    "scan of one": lambda x: jax.lax.scan(lambda c, _: (jax.nn.relu(c), None), x, None, 1)[0],
}


@pytest.mark.parametrize("name", RECTIFIERS)
def test_a_relu_is_found_however_it_is_written(name):
    fn = functools.partial(network, WEIGHTS, relu=RECTIFIERS[name])
    overridden = saljax.override(fn, DOUBLE)
    np.testing.assert_allclose(overridden(IMAGES), fn(IMAGES), rtol=1e-5)
    np.testing.assert_allclose(gradient(overridden), TWICE, rtol=1e-5)


def test_under_jit_vmap_and_checkpoint_with_weights_as_arguments():
    def run(fn, images):
        return gradient(saljax.override(fn, DOUBLE), images)

    fn = Partial(network, WEIGHTS)
    np.testing.assert_allclose(jax.jit(run)(fn, IMAGES), TWICE, rtol=1e-5)
    one = jax.vmap(lambda image: jax.checkpoint(run)(fn, image[None])[0])
    np.testing.assert_allclose(one(IMAGES), TWICE, rtol=1e-5)

    overridden = saljax.override(fn, DOUBLE)
    traces = []

    @jax.jit
    def counted(fn, images):
        traces.append(1)
        return gradient(fn, images)

    np.testing.assert_allclose(counted(overridden, IMAGES), TWICE, rtol=1e-5)
    halved = saljax.override(Partial(network, jax.tree.map(lambda w: w / 2, WEIGHTS)), DOUBLE)
    np.testing.assert_allclose(counted(halved, IMAGES), TWICE / 4, rtol=1e-5)
    assert len(traces) == 1, "other weights are the same program"


def test_the_example_of_the_docstring():
    example = inspect.getdoc(saljax.override).partition("half strength:")[2].partition("Nothing")[0]
    names = {"jax": jax, "jnp": jnp, "saljax": saljax, "image": IMAGES[0], "target": 1}
    names["score_fn"] = Partial(network, WEIGHTS)
    exec(textwrap.dedent(example), names)
    hidden = IMAGES[0] @ WEIGHTS["in"]
    assert (hidden < 0).any()
    expected = WEIGHTS["in"] @ (jnp.where(hidden > 0, 1, 0.5) * WEIGHTS["out"][:, 1])
    found = saljax.gradient(names["kind"], IMAGES[0], 1, reduce=None)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


class NnxNetwork(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first = nnx.Conv(2, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)
        self.last = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.first(x)))
        return self.last(nnx.max_pool(x, (2, 2), (2, 2)).mean((1, 2)))


class LinenNetwork(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (3, 3))(x)
        x = linen.relu(linen.BatchNorm(use_running_average=True)(x))
        return linen.Dense(3)(linen.max_pool(x, (2, 2), (2, 2)).mean((1, 2)))


def equinox_network():
    eqx = pytest.importorskip("equinox")
    keys = jax.random.split(jax.random.key(0), 2)
    layers = [
        eqx.nn.Conv2d(2, 4, 3, key=keys[0]), eqx.nn.Lambda(jax.nn.relu),
        eqx.nn.AvgPool2d(2, 2), eqx.nn.Lambda(jnp.ravel), eqx.nn.Linear(16, 3, key=keys[1]),
    ]  # fmt: skip
    return jax.vmap(lambda image: eqx.nn.Sequential(layers)(jnp.moveaxis(image, -1, 0)))


@pytest.mark.parametrize("framework", ["nnx", "linen", "equinox"])
def test_frameworks(framework):
    images = jnp.asarray(RNG.normal(size=(2, 6, 6, 2)), jnp.float32)
    linen_network = LinenNetwork()
    fn = {
        "nnx": NnxNetwork,
        "linen": lambda: Partial(
            linen_network.apply, linen_network.init(jax.random.key(0), images)
        ),
        "equinox": equinox_network,
    }[framework]()
    overridden = saljax.override(fn, DOUBLE)
    np.testing.assert_allclose(overridden(images), fn(images), rtol=1e-4, atol=1e-5)
    plain = gradient(fn, images)
    assert float(jnp.abs(plain).max()) > 0
    np.testing.assert_allclose(gradient(overridden, images), 2 * plain, rtol=1e-4, atol=1e-6)


def test_weights_changed_in_place_are_seen():
    model, images = NnxNetwork(), jnp.ones((1, 6, 6, 2))
    overridden = saljax.override(model, DOUBLE)
    before = overridden(images)
    model.last.kernel[...] *= 2
    assert not np.allclose(overridden(images), before)


NOT_RECTIFIERS = {
    "select_n": lambda x: jnp.where(x > 0, x, -2.0),
    "product": lambda x: x * jax.nn.relu(x),
    "quotient": lambda x: x / (1 + jax.nn.relu(x)),
    "logistic": jax.nn.sigmoid,
    "softmax": jax.nn.softmax,
    "norm": lambda x: x / jnp.linalg.norm(x, axis=1, keepdims=True),
    "leaky_relu": lambda x: jnp.maximum(x, 0.1 * x),
    "gelu": jax.nn.gelu,
    "maximum": lambda x: jnp.maximum(x, x[:, ::-1]),
    "minimum": lambda x: jnp.minimum(x, x[:, ::-1]),
    "cond": lambda x: jax.lax.cond(x.sum() > 0, jax.nn.relu, jnp.negative, x),
    "while": lambda x: jax.lax.while_loop(lambda c: c.sum() > 9, lambda c: c / 2, x),
}


@pytest.mark.parametrize("kind", NOT_RECTIFIERS)
def test_what_has_no_rule_is_refused_by_name(kind):
    fn = functools.partial(network, WEIGHTS, relu=NOT_RECTIFIERS[kind])
    line = r" \(test_override\.py:\d+\)"
    with pytest.raises(ValueError, match=rf"`{kind}`{line}: .* no rule .* saljax.override\("):
        saljax.override(fn, DOUBLE)(IMAGES)
    # Given a rule of its own, it is accepted.
    rule = {kind: lambda operation, *inputs: operation(*inputs)}
    found = saljax.override(fn, rule | OTHERS[kind])(IMAGES)
    np.testing.assert_allclose(found, fn(IMAGES), rtol=1e-5)


OTHERS = dict.fromkeys(NOT_RECTIFIERS, {}) | {
    kind: {"relu": lambda operation, x: operation(x)} for kind in ("product", "quotient")
}


def test_a_rule_that_matches_nothing_is_refused():
    linear = functools.partial(network, WEIGHTS, relu=lambda x: x)
    with pytest.raises(ValueError, match="the rule for relu matched nothing.*are dot_general"):
        saljax.override(linear, DOUBLE)(IMAGES)

    # A ReLU of the weights alone is a constant and not the image's.
    def constant(x):
        return x @ jax.nn.relu(WEIGHTS["in"])

    with pytest.raises(ValueError, match="matched nothing"):
        saljax.override(constant, DOUBLE)(IMAGES)


def test_one_rule_for_a_linear_operation_asks_for_all():
    fn = Partial(lambda w, x: (jax.nn.relu(x @ w["in"]) + 1) @ w["out"], WEIGHTS)

    def positive(operation, x, w):
        return operation(x, jnp.maximum(w, 0))

    rules = {"dot_general": positive, **DOUBLE}
    with pytest.raises(ValueError, match="`add`"):
        saljax.override(fn, rules)(IMAGES)
    rules |= {"add": lambda operation, *inputs: operation(*inputs)}
    clipped = jax.tree.map(lambda w: jnp.maximum(w, 0), WEIGHTS)
    expected = Partial(fn.func, clipped)(IMAGES)
    np.testing.assert_allclose(saljax.override(fn, rules)(IMAGES), expected, rtol=1e-5)


def test_operations_tell_the_image_from_constants():
    def fn(x):
        y = x @ WEIGHTS["in"]
        return (y + 1) + y

    found = program.operations(program.trace(fn, IMAGES), IMAGES)
    assert [(o.kind, o.dependent, o.shape) for o in found] == [
        ("dot_general", (True, False), (2, 5)),
        ("add", (True, False), (2, 5)),
        ("add", (True, True), (2, 5)),
    ]


def test_derivatives_of_ones_own_are_entered_and_half_precision_works():
    own = jax.custom_vjp(jax.nn.relu)
    own.defvjp(lambda x: (jax.nn.relu(x), None), lambda _, g: (0 * g,))
    fn = functools.partial(network, WEIGHTS, relu=own)
    np.testing.assert_allclose(gradient(saljax.override(fn, DOUBLE)), TWICE, rtol=1e-5)

    half = Partial(network, jax.tree.map(lambda w: w.astype(jnp.bfloat16), WEIGHTS))
    twice = gradient(saljax.override(half, DOUBLE), IMAGES.astype(jnp.bfloat16))
    assert twice.dtype == jnp.bfloat16
    np.testing.assert_allclose(twice.astype(jnp.float32), TWICE, atol=0.1 * jnp.abs(TWICE).max())


MOVES = {
    "stack": lambda x: jnp.stack([x[:, 0], x[:, 1]], 1),
    "unstack": lambda x: jnp.concatenate([r[None] for r in jnp.unstack(x)]),
    "tile": lambda x: jnp.tile(x, (1, 2)),
    "set": lambda x: x.at[:, 0].set(0),
    "dynamic_update_slice": lambda x: jax.lax.dynamic_update_slice(0 * x, x[:, :1], (0, 1)),
    "roll": lambda x: jnp.roll(x, 1, 1),
    "flip": jnp.flip,
    "repeat": lambda x: jnp.repeat(x, 2, 1),
    "take": lambda x: jnp.take(x, jnp.array([1, 0]), 1),
    "where": lambda x: jnp.where(jnp.arange(x.shape[1])[None] > 0, x, 0),
    "swapaxes": lambda x: jnp.swapaxes(x, 0, 1).T,
    "split": lambda x: jnp.split(x, x.shape[1], 1)[1],
    "pad": lambda x: jnp.pad(x, 1),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_moves_values_about_needs_no_rule(name):
    def fn(x):
        return MOVES[name](jax.nn.relu(x @ WEIGHTS["in"]))

    found = jax.grad(lambda x: saljax.override(fn, DOUBLE)(x).sum())(IMAGES)
    np.testing.assert_allclose(found, 2 * jax.grad(lambda x: fn(x).sum())(IMAGES), rtol=1e-5)


@pytest.mark.parametrize("method", [saljax.guided_backprop, saljax.grad_cam])
def test_a_function_on_the_host_cannot_be_looked_into(method):
    score_fn = saljax.scores.from_callback(lambda x: x.mean((1, 2)), 3)
    with pytest.raises(ValueError, match="on the host, which cannot be looked into.*glas, rglas"):
        method(score_fn, jnp.ones((4, 4, 3)), 1)


def gated(weights, images, relu=jax.nn.relu):
    """A ReLU, and a gate beside it as in squeeze and excitation."""
    hidden = relu(images @ weights["in"])
    return (hidden * jax.nn.sigmoid(images @ weights["in"])) @ weights["out"]


PLAIN = {kind: lambda operation, *inputs: operation(*inputs) for kind in ("logistic", "product")}


@jax.custom_vjp
def guided_relu(x):
    return jax.nn.relu(x)


guided_relu.defvjp(
    lambda x: (guided_relu(x), x), lambda x, g: (jnp.where(x > 0, jnp.maximum(g, 0), 0),)
)
WAYS = {
    "once": lambda fn: saljax.override(fn, PLAIN),
    "twice": lambda fn: saljax.override(
        saljax.override(fn, {"logistic": PLAIN["logistic"]}), {"product": PLAIN["product"]}
    ),
    "inside": lambda fn: saljax.scores.class_sums(
        saljax.override(fn, PLAIN), [[0], [1], [2]], num_classes=3
    ),
    "in a jit": lambda fn: jax.jit(saljax.override(fn, PLAIN)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_methods_take_the_rules_that_an_overridden_function_has(way):
    score_fn = way(Partial(gated, WEIGHTS))
    found = saljax.guided_backprop(score_fn, IMAGES[0], 1, reduce=None)
    expected = gradient(lambda x: gated(WEIGHTS, x, guided_relu), IMAGES[:1])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(
        ValueError, match="`relu` .*: depends on the image"
    ):  # alone it is not enough
        saljax.gradient(saljax.override(Partial(gated, WEIGHTS), PLAIN), IMAGES[0], 1)


def test_rules_of_the_user_come_before_those_of_a_method():
    own = saljax.override(Partial(gated, WEIGHTS), {**PLAIN, **DOUBLE})
    found = saljax.guided_backprop(own, IMAGES[0], 1, reduce=None)
    expected = gradient(lambda x: gated(WEIGHTS, x, doubling_relu), IMAGES[:1])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", [saljax.deconvnet, saljax.lrp, saljax.excitation_backprop])
def test_other_methods_take_them_too(method):
    def score(weights, images):
        hidden = saljax.tag(jax.nn.relu(images @ weights["in"]), "hidden")
        return (jnp.sin(hidden) / (1 + hidden)).mean(1) @ weights["out"]

    plain = dict.fromkeys(("sin", "quotient"), PLAIN["product"])
    overridden = saljax.override(Partial(score, WEIGHTS), plain)
    image = jnp.abs(IMAGES[0])[None]
    assert jnp.isfinite(method(overridden, image, 1)).all()
    with pytest.raises(ValueError, match="`sin`.*`quotient`.*there is no rule for it"):
        method(Partial(score, WEIGHTS), image, 1)


def refused(call):
    """The message, and the code that it says helps."""
    with pytest.raises(ValueError, match="no rule") as raised:
        call()
    message = str(raised.value)
    found = re.search(r"saljax\.override\(.*?\}\)", message)
    assert found is not None
    names = {"saljax": saljax, "rule": lambda operation, *inputs: operation(*inputs)}
    return message, lambda score_fn: eval(found[0], names | {"score_fn": score_fn})


def test_all_refusals_at_once_and_what_the_message_says_helps():
    score_fn = Partial(gated, WEIGHTS)

    def guided(fn):
        return saljax.guided_backprop(fn, IMAGES[0], 1, reduce=None)

    expected = gradient(lambda x: gated(WEIGHTS, x, guided_relu), IMAGES[:1])[0]
    message, remedy = refused(lambda: guided(score_fn))
    assert "`logistic` (test_override.py:" in message and "`product` (test_override.py:" in message
    np.testing.assert_allclose(guided(remedy(score_fn)), expected, rtol=1e-5, atol=1e-6)
    # Of what a user overrode it has the user's kinds too, or it would lead in a circle.
    _, remedy = refused(lambda: saljax.override(score_fn, DOUBLE)(IMAGES))
    np.testing.assert_allclose(remedy(score_fn)(IMAGES), score_fn(IMAGES), rtol=1e-6)


def test_others_keep_their_derivative_on_request_with_a_warning():
    score_fn = Partial(gated, WEIGHTS)
    expected = gradient(lambda x: gated(WEIGHTS, x, guided_relu), IMAGES[:1])[0]
    named = "`logistic` .*`product` .*no rule for these, so they keep their derivative"
    with pytest.warns(UserWarning, match=named):
        found = saljax.guided_backprop(score_fn, IMAGES[0], 1, reduce=None, others="gradient")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    # Asked for once, inside, it is asked for: only what has a rule outside takes that.
    inside = saljax.override(score_fn, {"logistic": None}, others="gradient")
    found = saljax.guided_backprop(inside, IMAGES[0], 1, reduce=None)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    with pytest.warns(UserWarning, match="`product`"):
        twice = gradient(saljax.override(score_fn, DOUBLE | {"logistic": None}, others="gradient"))
    np.testing.assert_allclose(
        twice, gradient(lambda x: gated(WEIGHTS, x, doubling_relu)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.usefixtures("as_users_run")
def test_there_are_two_others():
    with pytest.raises(ValueError, match="`others` must be 'refuse' or 'gradient'; got 'ignore'"):
        saljax.override(Partial(gated, WEIGHTS), DOUBLE, others="ignore")


@pytest.mark.parametrize("reverse", [False, True])
def test_turns_of_a_loop_are_operations_one_after_the_other(reverse):
    kernels = jnp.asarray(RNG.normal(size=(3, 6, 6)), jnp.float32)

    def scanned(images, relu=jax.nn.relu):
        def turn(x, kernel):
            x = saljax.tag(relu(x @ kernel), "block")
            return x, x.sum(1)

        x, sums = jax.lax.scan(turn, images, kernels, reverse=reverse)
        return x @ WEIGHTS["in"] + (sums * jnp.array([[1.0], [2.0], [3.0]])).sum(0)[:, None]

    found = gradient(saljax.override(scanned, DOUBLE))
    np.testing.assert_allclose(
        found, gradient(functools.partial(scanned, relu=doubling_relu)), rtol=1e-5, atol=1e-5
    )
    shape = {"block:0": (6,), "block:1": (6,), "block:2": (6,)}
    assert taps.tagged(scanned, IMAGES[0]) == shape
    activation, slope = taps.activation_and_gradient(scanned, IMAGES[0], 1, "block:1")
    x = IMAGES[:1]
    for i in (2, 1) if reverse else (0, 1):
        x = jax.nn.relu(x @ kernels[i])
    np.testing.assert_allclose(activation, x[0], rtol=1e-5)

    def rest(x):
        last = jax.nn.relu(x @ kernels[0 if reverse else 2])
        weight = 1.0 if reverse else 3.0
        return ((last @ WEIGHTS["in"])[:, 1] + 2 * x.sum(1) + weight * last.sum(1)).sum()

    np.testing.assert_allclose(slope, jax.grad(rest)(x)[0], rtol=1e-4, atol=1e-5)
