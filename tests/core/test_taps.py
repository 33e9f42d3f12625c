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
