"""FullGrad: that its terms are the score, and the map by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.methods.gradients.full_grad import terms


def test_terms_add_up_to_the_score_of_a_residual_network(cnn):
    found = terms(cnn.score_fn, cnn.image, 1)
    total = found.image.sum() + sum(term.sum() for term in found.layers) + found.rest
    np.testing.assert_allclose(total, cnn.score_fn(cnn.image[None])[0, 1], rtol=1e-4)
    shapes = [term.shape for term in found.layers]
    assert shapes[:2] == [(8, 8, 3), (8, 8, 6)]  # the preprocessing, the batch normalization


def conv(x, w):
    return jax.lax.conv_general_dilated(
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


RNG = np.random.default_rng(0)
WEIGHTS = {
    name: jnp.asarray(RNG.normal(size=shape), jnp.float32)
    for name, shape in {
        "first": (3, 3, 2, 3), "bias": (3,), "second": (3, 3, 3, 3), "mean": (3,), "scale": (3,),
        "shift": (3,), "dense": (3, 2), "last": (2,),
    }.items()
}  # fmt: skip
IMAGE = jnp.asarray(RNG.uniform(size=(4, 6, 2)), jnp.float32)


def row(v):
    return v[None, None, None]


def network(w, images, seen=(), before=lambda x: x, after=lambda x: x):
    """`seen` is added where biases are; the layers may have their axes in another order."""
    seen = [*seen, 0.0, 0.0, 0.0]
    x = before(conv(images, w["first"])) + before(row(w["bias"])) + seen[0]
    y = before(conv(after(jax.nn.relu(x)), w["second"]))
    y = (y - before(row(w["mean"]))) * before(row(w["scale"])) + before(row(w["shift"])) + seen[1]
    return after(jax.nn.relu(y)).mean((1, 2)) @ w["dense"] + w["last"][None] + seen[2]


def minmax(x):
    x = np.abs(np.asarray(x))
    return (x - x.min()) / (x.max() - x.min())


def test_the_map_by_hand():
    nothing = jnp.zeros((1, 4, 6, 3), jnp.float32)

    def score(image, *seen):
        return network(WEIGHTS, image[None], seen)[0, 1]

    of_image, *of_biases = jax.grad(score, argnums=(0, 1, 2))(IMAGE, nothing, nothing)
    w = WEIGHTS
    biases = [w["bias"], w["shift"] - w["mean"] * w["scale"]]
    expected = minmax(IMAGE * of_image).sum(axis=-1)
    for bias, signal in zip(biases, of_biases, strict=True):
        expected = expected + minmax(row(bias) * signal)[0].sum(axis=-1)
    found = saljax.full_grad(Partial(network, WEIGHTS), IMAGE, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    scaled = saljax.full_grad(lambda x: 1e-6 * network(WEIGHTS, x), IMAGE, 1)
    np.testing.assert_allclose(scaled, found, rtol=1e-3, atol=1e-5)

    def channels_first(w, images):
        return network(
            w, images, (), lambda x: jnp.moveaxis(x, -1, 1), lambda x: jnp.moveaxis(x, 1, -1)
        )

    turned = saljax.full_grad(Partial(channels_first, WEIGHTS), IMAGE, 1)
    np.testing.assert_allclose(turned, found, rtol=1e-4, atol=1e-5)
    assert float(terms(Partial(network, WEIGHTS), IMAGE, 1).rest) == pytest.approx(
        float(w["last"][1]), rel=1e-5
    )


def test_a_bias_that_is_read_twice_counts_once():
    def score_fn(images):
        x = images - 0.5
        return (jax.nn.relu(x) + (2 * x + 0.25)).sum((1, 2))

    found = terms(score_fn, IMAGE, 0)
    total = found.image.sum() + sum(term.sum() for term in found.layers) + found.rest
    np.testing.assert_allclose(total, score_fn(IMAGE[None])[0, 0], rtol=1e-4)


@pytest.mark.parametrize("function", [jax.nn.gelu, jax.nn.relu6, jax.nn.softmax])
def test_other_functions_are_refused(function):
    with pytest.raises(ValueError, match="in networks of ReLUs alone; `score_fn` has"):
        saljax.full_grad(lambda images: function(images).sum((1, 2)), IMAGE, 0)
