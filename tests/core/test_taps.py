"""What is at a tag: its activation, its derivative, and what follows from another activation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.core import taps

RNG = np.random.default_rng(0)
W = {
    "first": jnp.asarray(RNG.normal(size=(2, 5)), jnp.float32),
    "last": jnp.asarray(RNG.normal(size=(5, 3)), jnp.float32),
}
IMAGE = jnp.asarray(RNG.uniform(size=(4, 4, 2)), jnp.float32)


def head(w, a):
    return (jax.nn.relu(a) ** 2).mean((1, 2)) @ w["last"]


def network(w, images):
    a = jax.jit(lambda x: saljax.tag(x @ w["first"], "hidden"))(images)
    skip = images.mean((1, 2, 3))[:, None]
    return saljax.tag(head(w, a), "logits") + skip


SCORE_FN = Partial(network, W)


def test_tags_are_listed_in_order_without_the_axis_of_images():
    assert taps.tagged(SCORE_FN, IMAGE) == {"hidden": (4, 4, 5), "logits": (3,)}
    assert list(taps.tagged(SCORE_FN, IMAGE)) == ["hidden", "logits"]
    assert taps.last_spatial(SCORE_FN, IMAGE) == "hidden"
    assert taps.tagged(lambda x: x.mean((1, 2)), IMAGE) == {}


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_activation_and_gradient_are_exact(wrap):
    read = wrap(lambda f, x: taps.activation_and_gradient(f, x, 1, "hidden"))
    activation, gradient = read(SCORE_FN, IMAGE)
    expected = IMAGE[None] @ W["first"]
    np.testing.assert_allclose(activation, expected[0], rtol=1e-6)
    by_hand = jax.grad(lambda a: head(W, a)[0, 1])(expected)[0]
    np.testing.assert_allclose(gradient, by_hand, rtol=1e-5, atol=1e-7)


def test_several_layers_are_seen_from_one_pass():
    seen = taps.pullbacks(SCORE_FN, IMAGE, ["logits", "hidden"])
    signal = jnp.asarray([[0.0, 1.0, -2.0]])
    np.testing.assert_allclose(seen.scores, SCORE_FN(IMAGE[None]), rtol=1e-6)
    at_logits, at_hidden = seen.back(signal)
    np.testing.assert_array_equal(at_logits, signal[0])
    for name, activation, arrived in zip(
        ["logits", "hidden"], seen.activations, (at_logits, at_hidden), strict=True
    ):
        alone = taps.pullback(SCORE_FN, IMAGE, name)
        np.testing.assert_array_equal(activation, alone.activation)
        np.testing.assert_allclose(arrived, alone.back(signal), rtol=1e-6)
    with pytest.raises(ValueError, match="`layers` must be one of"):
        taps.pullbacks(SCORE_FN, IMAGE, ["hidden", "nowhere"])


def test_attention_is_no_layer_of_the_image():
    """What has as many axes and cannot be (*spatial, channels) is passed over for what can."""

    def score_fn(x):
        square = saljax.tag(jnp.ones((len(x), 2, 17, 17)) * x.mean(), "block0.attention")
        return saljax.tag(x[:, ::2, ::2], "grid").mean((1, 2)) * square.mean()

    assert taps.last_spatial(score_fn, IMAGE) == "grid"


def test_at_zero_the_derivative_of_relu_is_jaxs_own():
    """`jax.nn.relu` has the derivative 0 at 0; that of max(x, 0) would be 1/2."""

    def score_fn(x):
        return jax.nn.relu(saljax.tag(0 * x, "zero")).sum((1, 2))

    _, gradient = taps.activation_and_gradient(score_fn, IMAGE, 0, "zero")
    assert float(jnp.abs(gradient).max()) == 0


def test_loops_beside_the_tag_are_left_alone():
    def score_fn(x):
        x = saljax.tag(x, "x")
        return jax.lax.scan(lambda c, _: (jnp.sin(c), None), x, None, length=2)[0].mean((1, 2))

    _, gradient = taps.activation_and_gradient(score_fn, IMAGE, 0, "x")
    expected = jnp.cos(jnp.sin(IMAGE[..., 0])) * jnp.cos(IMAGE[..., 0]) / 16
    np.testing.assert_allclose(gradient[..., 0], expected, rtol=1e-5)


def test_vmap_over_images():
    images = jnp.stack([IMAGE, 1 - IMAGE])
    together = jax.vmap(lambda x: taps.activation_and_gradient(SCORE_FN, x, 1, "hidden"))(images)
    alone = taps.activation_and_gradient(SCORE_FN, images[1], 1, "hidden")
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a[1], b, rtol=1e-5, atol=1e-7)


def test_cut_at_a_layer():
    activation, scores_of = taps.split(SCORE_FN, IMAGE, "hidden")
    np.testing.assert_allclose(activation, IMAGE @ W["first"], rtol=1e-6)
    np.testing.assert_allclose(scores_of(activation), SCORE_FN(IMAGE[None])[0], rtol=1e-5)
    mask = jnp.zeros((4, 4, 1)).at[1:3, 1:3].set(1)
    expected = head(W, (mask * activation)[None])[0] + IMAGE.mean()
    np.testing.assert_allclose(scores_of(mask * activation), expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"\(4, 4, 5\); got \(4, 4\)"):
        scores_of(activation[..., 0])


@pytest.mark.parametrize("steps", [3, None], ids=["scan", "while"])
def test_a_loop_after_a_layer_does_not_compute_again_what_is_before_or_beside(steps):
    """XLA counts the body of a loop once, so a product inside would count again."""
    wide = jnp.ones((2, 4000))

    def score_fn(images):
        before = saljax.tag(jnp.tanh(images @ wide).mean(axis=-1, keepdims=True), "before")
        beside = jnp.sin(images @ wide).mean((1, 2, 3))
        return (before**2).mean((1, 2)) + beside[:, None]

    def run(image):
        activation, scores_of = taps.split(score_fn, image, "before")

        def step(mask):
            return mask - jax.grad(lambda m: scores_of(m * activation)[0] ** 2)(mask)

        one = jnp.ones((4, 4, 1))
        if steps is None:
            return jax.lax.while_loop(lambda mask: mask.sum() > 1, step, one)
        return jax.lax.scan(lambda mask, _: (step(mask), None), one, length=steps)[0]

    def flops(fn, x):
        return jax.jit(fn).lower(x).compile().cost_analysis()["flops"]

    assert flops(run, IMAGE) < 1.1 * flops(score_fn, IMAGE[None])


def test_unknown_layers_are_answered_with_those_there_are():
    message = "`layer` must be one of .*: hidden, logits; got 'hiden'"
    with pytest.raises(ValueError, match=message):
        taps.activation_and_gradient(SCORE_FN, IMAGE, 1, "hiden")
    with pytest.raises(ValueError, match="none are; got 'x'"):
        taps.pullback(lambda x: x.mean((1, 2)), IMAGE, "x")
    with pytest.raises(ValueError, match="rank 3.*it tags nothing"):
        taps.last_spatial(lambda x: x.mean((1, 2)), IMAGE)

    def twice(x):
        return saljax.tag(saljax.tag(x, "a"), "a").mean((1, 2))

    with pytest.raises(ValueError, match="unique; a is not"):
        taps.tagged(twice, IMAGE)


@pytest.mark.parametrize("pool", [jax.lax.max, jax.lax.add])
def test_the_last_layer_is_the_one_before_its_pooling(pool):
    start = -jnp.inf if pool is jax.lax.max else 0.0

    def score_fn(images):
        x = saljax.tag(jax.nn.relu(images * 2), "conv")
        x = jax.lax.reduce_window(x, start, pool, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4
        return saljax.tag(x, "pool").mean((1, 2))

    assert taps.last_spatial(score_fn, IMAGE) == "conv"
    assert taps.last_spatial(lambda x: score_fn(saljax.tag(x, "pixels") * 0.5), IMAGE) == "conv"


def of_one_example(image):
    """Channels first, so that the axis a vmap adds is not the first where an operation ends."""
    hidden = saljax.tag(
        jax.nn.relu(jnp.tensordot(W["first"].T, jnp.moveaxis(image, -1, 0), 1)), "hidden"
    )
    dense = saljax.tag(jax.nn.relu(W["last"].T @ hidden.mean((1, 2))), "dense")
    return dense @ W["last"].T[:, :3]


def of_many(images):
    hidden = saljax.tag(jnp.moveaxis(jax.nn.relu(images @ W["first"]), -1, 1), "hidden")
    dense = saljax.tag(jax.nn.relu(hidden.mean((2, 3)) @ W["last"]), "dense")
    return dense @ W["last"].T[:, :3]


@pytest.mark.parametrize("layer", ["hidden", "dense"])
def test_a_score_function_that_is_the_vmap_of_one_example(layer):
    mapped = jax.vmap(of_one_example)
    assert taps.tagged(mapped, IMAGE) == {"hidden": (5, 4, 4), "dense": (3,)}
    found = taps.activation_and_gradient(mapped, IMAGE, 1, layer)
    expected = taps.activation_and_gradient(of_many, IMAGE, 1, layer)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, expected
    )
    inside_out = saljax.explain(
        lambda f, image, target: taps.activation_and_gradient(f, image, target, layer)[1],
        mapped, jnp.stack([IMAGE, 1 - IMAGE]), [1, 1],
    )  # fmt: skip
    np.testing.assert_allclose(inside_out[0], expected[1], rtol=1e-5, atol=1e-6)


def test_a_tag_has_both_derivatives_and_leaves_no_trace():
    tagged = jax.vmap(lambda x: saljax.tag(jnp.sin(x), "t").sum())
    np.testing.assert_allclose(jax.jacrev(tagged)(IMAGE[0, :2]), jax.jacfwd(tagged)(IMAGE[0, :2]))
    second = jax.hessian(lambda x: saljax.tag(jnp.sin(x), "t"))(0.3)
    assert float(second) == pytest.approx(-np.sin(0.3), rel=1e-5)
    compiled = jax.jit(lambda x: saljax.tag(x, "t") + 1).lower(IMAGE).compile().as_text()
    assert " call(" not in compiled and "custom-call" not in compiled


def test_what_has_no_axis_of_images_is_refused():
    with pytest.raises(ValueError, match=r"first axis of what is tagged.*'w' has shape \(4, 4, 1"):
        taps.tagged(lambda x: saljax.tag(jnp.moveaxis(x, 0, 2), "w").sum((0, 1)), IMAGE)


def test_a_layer_in_half_precision():
    half = jax.tree.map(lambda w: w.astype(jnp.bfloat16), W)

    def score_fn(images):
        hidden = saljax.tag(images.astype(jnp.bfloat16) @ half["first"], "hidden")
        return jax.lax.dot(jax.nn.relu(hidden).mean((1, 2)), half["last"])

    activation, gradient = taps.activation_and_gradient(score_fn, IMAGE, 1, "hidden")
    assert activation.dtype == gradient.dtype == jnp.float32
    whole = taps.activation_and_gradient(
        lambda x: jax.nn.relu(saljax.tag(x @ W["first"], "hidden")).mean((1, 2)) @ W["last"],
        IMAGE, 1, "hidden",
    )  # fmt: skip
    np.testing.assert_allclose(activation, whole[0], atol=0.02)
    np.testing.assert_allclose(gradient, whole[1], atol=0.02 * float(jnp.abs(whole[1]).max()))


def test_tags_are_there_without_jit():
    with jax.disable_jit():
        assert list(taps.tagged(SCORE_FN, IMAGE)) == ["hidden", "logits"]
        found = taps.activation_and_gradient(SCORE_FN, IMAGE, 1, "hidden")[1]
    expected = taps.activation_and_gradient(SCORE_FN, IMAGE, 1, "hidden")[1]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
