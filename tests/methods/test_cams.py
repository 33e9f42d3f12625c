"""HiResCAM, LayerCAM, XGrad-, Eigen-, Ablation- and Score-CAM: numbers by hand and twins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax

A = np.float32([[[1, 2], [2, 0]], [[3, 0], [4, 2]]])
"""(2, 2) places of two channels: [[1, 2], [3, 4]] and [[2, 0], [0, 2]]."""
G = np.float32([[[2, -1], [0, 1]], [[0, 1], [1, -1]]])


def linear(weights, images):
    """The image is the activation, and `weights` its gradient."""
    score = (saljax.tag(images, "layer") * weights[None]).sum(axis=(1, 2, 3))
    return jnp.stack([score, -score], axis=1)


def asked(method, **keywords):
    return method(Partial(linear, jnp.asarray(G)), jnp.asarray(A), 0, layer="layer", **keywords)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (saljax.hires_cam, [[0, 0], [0, 2]]),
        (saljax.layer_cam, [[2, 0], [0, 4]]),
        (saljax.xgrad_cam, [[0, 1.2], [1.8, 0.4]]),
        (saljax.grad_cam, [[0.75, 1.5], [2.25, 3]]),
    ],
)
def test_numbers_by_hand(method, expected):
    np.testing.assert_allclose(asked(method), expected, atol=1e-6)


def test_hires_cam_is_signed_and_adds_up_to_the_score():
    against = saljax.hires_cam(Partial(linear, jnp.asarray(G)), jnp.asarray(A), 1, layer="layer")
    np.testing.assert_allclose(against, -asked(saljax.hires_cam), atol=1e-6)
    assert float(asked(saljax.hires_cam).sum()) == pytest.approx((A * G).sum())
    opposite = saljax.hires_cam(
        Partial(linear, jnp.asarray(G)), jnp.asarray(A), 1, layer="layer", positive=True
    )
    assert opposite.min() == 0 and opposite.max() == 0


def test_xgrad_gives_no_weight_to_a_channel_that_cancels():
    image = np.stack([A[..., 0], np.float32([[1, -1], [2, -2]])], axis=-1)
    score_fn = Partial(linear, jnp.asarray(G))
    saliency = saljax.xgrad_cam(score_fn, jnp.asarray(image), 0, layer="layer")
    np.testing.assert_allclose(saliency, 0.6 * image[..., 0], atol=1e-6)


def test_behind_the_mean_of_all_places_three_of_them_are_one(cnn):
    """Before their relu, and where the head has no bias: the CAM of Zhou et al."""
    grad, hires, xgrad = (
        method(cnn.score_fn, cnn.image, 1, resize=False)
        for method in (saljax.grad_cam, saljax.hires_cam, saljax.xgrad_cam)
    )
    np.testing.assert_allclose(jax.nn.relu(hires), grad, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(xgrad, grad, rtol=1e-4, atol=1e-6)


def ranked(places, direction):
    """A classifier whose layer is of rank one."""
    x = np.outer(places, direction).reshape(2, 2, 2).astype(np.float32)
    return Partial(linear, jnp.ones((2, 2, 2))), jnp.asarray(x)


@pytest.mark.parametrize(
    ("center", "expected"), [(False, [[0, 0], [5, 15]]), (True, [[-5, -5], [0, 10]])]
)
def test_eigen_cam_of_rank_one(center, expected):
    score_fn, image = ranked([0, 0, 1, 3], [3, 4])
    for scale in (1.0, 1e-12, 1e12):
        saliency = saljax.eigen_cam(score_fn, scale * image, 0, layer="layer", center=center)
        np.testing.assert_allclose(saliency / scale, expected, atol=1e-4)


def test_eigen_cam_is_the_first_singular_vector(cnn):
    activation = np.asarray(saljax.core.taps.pullback(cnn.score_fn, cnn.image, "pooled").activation)
    x = activation.reshape(16, -1).astype(np.float64)
    x -= x.mean(axis=0)
    _, _, rows = np.linalg.svd(x)
    expected = (x @ rows[0]).reshape(4, 4)
    expected *= -1 if -expected.min() > expected.max() else 1
    maps = [
        saljax.eigen_cam(cnn.score_fn, cnn.image, t, layer="pooled", resize=False) for t in (0, 2)
    ]
    np.testing.assert_allclose(maps[0], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(*maps)


def test_eigen_grad_cam_takes_activation_times_gradient():
    x = (A * G).reshape(4, 2).astype(np.float64)
    _, _, rows = np.linalg.svd(x)
    expected = (x @ rows[0]).reshape(2, 2)
    expected *= -1 if -expected.min() > expected.max() else 1
    found = asked(saljax.eigen_cam, gradients=True, center=False)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def pooled(weights, images):
    """Global mean and a linear head with a bias."""
    means = saljax.tag(images, "layer").mean((1, 2))
    return means @ weights["v"] + weights["b"][None]


@pytest.mark.parametrize(
    ("bias", "target", "expected"),
    [(1.0, 0, (1.2, -0.4)), (0.0, 0, (1.5, -0.5)), (0.0, 1, (-1.5, 0.5))],
)
def test_ablation_cam_weights_by_hand(bias, target, expected):
    """Means (3, 2), v = (2, -1): y = 5 with the bias; a score below zero is divided by its size."""
    image = jnp.stack([jnp.full((2, 2), 3.0), jnp.full((2, 2), 2.0)], axis=-1)
    image = image.at[0, 0, 0].set(6.0).at[1, 1, 0].set(0.0)
    weights = {"v": jnp.asarray([[2.0, -2.0], [-1.0, 1.0]]), "b": jnp.asarray([bias, -bias])}
    saliency = saljax.ablation_cam(Partial(pooled, weights), image, target, layer="layer")
    hand = np.maximum(np.asarray(image) @ np.asarray(expected), 0)
    np.testing.assert_allclose(saliency, hand, rtol=1e-5, atol=1e-6)


def test_ablation_cam_leaves_a_channel_out_wherever_it_lies(cnn):
    """Tokens in a row behind a class token: what the map does not show stays."""

    def tokens(weights, images):
        patches = images.reshape(len(images), 16, 12) @ weights["patch"]
        with_class = jnp.concatenate([patches[:, :1] ** 2, patches], axis=1)
        return jnp.tanh(saljax.tag(with_class, "tokens")).mean(1) @ weights["out"]

    random = np.random.default_rng(0)
    weights = {"patch": random.normal(size=(12, 5)), "out": random.normal(size=(5, 3))}
    weights = {name: jnp.asarray(w, jnp.float32) for name, w in weights.items()}
    found = saljax.ablation_cam(
        Partial(tokens, weights), cnn.image, jnp.asarray([2, 0]), layer="tokens", resize=False,
        chunk_size=2, to_spatial=lambda tokens: tokens[1:].reshape(4, 4, -1),
    )  # fmt: skip
    patches = np.asarray(cnn.image).reshape(16, 12) @ np.asarray(weights["patch"])

    def score(patches):
        every = np.concatenate([clean[:1] ** 2, patches])
        return np.tanh(every).mean(0) @ np.asarray(weights["out"])

    clean = patches
    for row, target in zip(found, (2, 0), strict=True):
        expected = np.zeros(16)
        for k in range(5):
            without = patches.copy()
            without[:, k] = 0
            fall = score(patches)[target] - score(without)[target]
            expected += fall / abs(score(patches)[target]) * patches[:, k]
        np.testing.assert_allclose(row, np.maximum(expected, 0).reshape(4, 4), atol=1e-4)


def seen(images):
    """Two pixels of one color; the layer has channels (1, 0) and (0, 2) whatever they are."""
    x = images[..., 0]
    layer = jnp.broadcast_to(jnp.asarray([[1.0, 0.0], [0.0, 2.0]]), (len(images), 2, 2))
    layer = saljax.tag(layer + 0 * images, "layer")
    p = x @ jnp.asarray([0.2, 0.6]) + 0 * layer.sum((1, 2))
    return jnp.stack([p, 1 - p], axis=1)


@pytest.mark.parametrize(
    ("softmax", "expected"), [(False, (0.2, 1.2)), (True, (0.401312, 1.197375))]
)
def test_score_cam_by_hand(softmax, expected):
    image = jnp.ones((2, 1))
    found = saljax.score_cam(
        seen, image, 0, layer="layer", channel_softmax=softmax, baseline=0.0, chunk_size=1,
        to_spatial=lambda a: a,
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_score_cam_equals_a_loop_over_channels(cnn):
    score_fn = saljax.scores.probabilities(cnn.score_fn)
    activation = np.asarray(saljax.core.taps.pullback(cnn.score_fn, cnn.image, "pooled").activation)
    image, total = np.asarray(cnn.image), np.zeros((2, 4, 4))
    for k in range(activation.shape[-1]):
        channel = activation[..., k]
        if channel.max() == channel.min():
            continue
        mask = np.asarray(jax.image.resize(channel, (8, 8), "linear"))
        mask = ((mask - mask.min()) / (mask.max() - mask.min()))[..., None]
        shown = image * mask + image.mean((0, 1)) * (1 - mask)
        scores = np.asarray(score_fn(jnp.asarray(shown)[None]))[0]
        total += scores[[1, 2], None, None] * channel
    found = saljax.score_cam(
        score_fn, cnn.image, jnp.asarray([1, 2]), layer="pooled", resize=False, chunk_size=3
    )
    np.testing.assert_allclose(found, np.maximum(total, 0), rtol=1e-4, atol=1e-5)
