"""DeepLIFT: values by hand, the paper's rule layer by layer, and the sum of its values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax


def lifted(function, image, baseline, **keywords):
    """Contributions of the pixels of a signal to a function of (N, pixels)."""

    def score_fn(images):
        return function(images[..., 0])[:, None]

    image = jnp.asarray(image, jnp.float32)[:, None]
    baselines = jnp.asarray(baseline, jnp.float32).reshape(-1, *image.shape)
    return saljax.deep_lift(score_fn, image, 0, baselines=baselines, **keywords)


def pool(x):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2), (1, 2), "VALID").sum(axis=1)


def test_where_the_gradient_saturates():
    found = lifted(lambda x: 1 - jax.nn.relu(1 - x.sum(axis=1)), [1, 1], [0, 0])
    np.testing.assert_allclose(found, [0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize("largest", [pool, lambda x: x.max(axis=1)])
@pytest.mark.parametrize(
    ("image", "baseline", "expected"),
    [([1, 3], [2, 0], [0, 1]), ([1, 0], [0, 3], [0, -2]), ([1, 0], [0, 1], [0, 0])],
)
def test_a_maximum_by_hand(largest, image, baseline, expected):
    np.testing.assert_allclose(lifted(largest, image, baseline), expected, atol=1e-6)
    smallest = lifted(lambda x: -(-x).min(axis=1), image, baseline)
    np.testing.assert_allclose(smallest, expected, atol=1e-6)


def test_equal_inputs_have_the_derivative_between_and_contribute_nothing():
    found = lifted(lambda x: jnp.tanh(x[:, 0] - x[:, 1]), [0.7, 0.2], [0.5, 0.0])
    np.testing.assert_allclose(found, 0.2 * (1 - np.tanh(0.5) ** 2) * np.array([1, -1]), rtol=1e-5)


def dense(weights, images):
    x = images.reshape(len(images), -1)
    x = jax.nn.relu(x @ weights[0] + weights[1][None])
    return jnp.tanh(x @ weights[2]) @ weights[3]


def literally(weights, image, baseline, target):
    """Multipliers of the paper's equations 3 to 5, a unit at a time."""
    w = [np.asarray(v, np.float64) for v in weights]

    def layers(x):
        x = np.asarray(x, np.float64).ravel()
        a = x @ w[0] + w[1]
        b = np.maximum(a, 0) @ w[2]
        return x, a, np.maximum(a, 0), b, np.tanh(b)

    (x, a, fa, b, fb), (x0, a0, fa0, b0, fb0) = layers(image), layers(baseline)
    m = w[3][:, target] * (fb - fb0) / (b - b0)
    m = (w[2] @ m) * (fa - fa0) / (a - a0)
    return ((x - x0) * (w[0] @ m)).reshape(image.shape)


@pytest.fixture(scope="module")
def weights():
    rng, shapes = np.random.default_rng(0), [(12, 7), (7,), (7, 5), (5, 3)]
    return [jnp.asarray(rng.normal(size=s) / 2, jnp.float32) for s in shapes]


IMAGES = jnp.asarray(np.random.default_rng(1).uniform(size=(4, 2, 2, 3)), jnp.float32)


def test_is_the_papers_rule_and_several_baselines_are_their_mean(weights):
    found = saljax.deep_lift(
        Partial(dense, weights), IMAGES[0], 1, baselines=IMAGES[1:], reduce=None, chunk_size=2
    )
    expected = np.mean([literally(weights, IMAGES[0], b, 1) for b in IMAGES[1:]], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_contributions_sum_to_the_difference_of_scores(cnn):
    baseline = jnp.full_like(cnn.image, 0.4)
    found = saljax.deep_lift(cnn.score_fn, cnn.image, 2, baselines=baseline[None])
    difference = cnn.score_fn(cnn.image[None]) - cnn.score_fn(baseline[None])
    np.testing.assert_allclose(found.sum(), difference[0, 2], rtol=1e-4)


def test_a_network_whose_batch_is_not_its_first_axis(weights):
    """Each image by itself: vmap puts the axis of images where it likes."""
    each = Partial(lambda w, images: jax.vmap(lambda x: dense(w, x[None])[0])(images), weights)
    turned = Partial(lambda w, images: (w[0].T @ images.reshape(len(images), -1).T).T, weights)
    for one in (each, turned):
        found = saljax.deep_lift(one, IMAGES[0], 1)
        difference = one(IMAGES[:1]) - one(jnp.zeros_like(IMAGES[:1]))
        np.testing.assert_allclose(found.sum(), difference[0, 1], rtol=1e-4)


def test_from_black_without_biases_it_is_gradient_times_input(weights):
    def score_fn(images):
        return jax.nn.relu(images.reshape(len(images), -1) @ weights[0]) @ weights[2]

    found = saljax.deep_lift(score_fn, IMAGES[0], 1)
    expected = saljax.input_x_gradient(score_fn, IMAGES[0], 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_gates_have_no_rule_and_baselines_are_images_like_it():
    with pytest.raises(ValueError, match="product"):
        lifted(lambda x: x[:, 0] * x[:, 1], [1, 2], [0, 0])
    with pytest.raises(ValueError, match=r"`baselines` must be images .*\(B, 2, 2, 3\); got \(2,"):
        saljax.deep_lift(lambda x: x.sum((1, 2)), IMAGES[0], 0, baselines=IMAGES[0])
