"""Feature inversion against METHODS section 9, written out with differences for derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.methods.optimization.feature_inversion import channel_mask, defaults_for, layers
from saljax.ops import images, maps

SHAPE, CHANNELS, CLASSES = (6, 4, 2), 5, 3


def network(weights, images):
    """Probabilities, by way of cells of 2 x 2 pixels."""
    n, h, w, c = images.shape
    pooled = images.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))
    cells = saljax.tag(jax.nn.relu(pooled @ weights["cells"]), "cells")
    deep = saljax.tag(jax.nn.relu(cells @ weights["deep"]), "deep")
    return jax.nn.softmax(saljax.tag(deep.mean((1, 2)), "mean") @ weights["classes"])


def network_by_hand(weights, image):
    """Activation of cells, of the layer after them, and probabilities."""
    h, w, c = image.shape
    pooled = image.reshape(h // 2, 2, w // 2, 2, c).mean((1, 3))
    cells = np.maximum(pooled @ weights["cells"], 0)
    deep = np.maximum(cells @ weights["deep"], 0)
    powers = np.exp(deep.mean((0, 1)) @ weights["classes"])
    return cells, deep, powers / powers.sum()


@pytest.fixture
def scene():
    """Weights, an image, and a baseline."""
    rng = np.random.default_rng(1)
    weights = {
        "cells": rng.normal(0.3, 1.5, size=(SHAPE[-1], CHANNELS)),
        "deep": rng.normal(0.3, 1.5, size=(CHANNELS, 4)),
        "classes": rng.normal(0, 1, size=(4, CLASSES)),
    }
    return weights, rng.uniform(size=SHAPE), rng.uniform(size=SHAPE)


def upsampled(cells, shape):
    """Linear interpolation between cell centers, the outermost repeated outside."""
    for axis, n in enumerate(shape):
        rows = []
        for i in range(n):
            at = (i + 0.5) * cells.shape[axis] / n - 0.5
            low = int(np.floor(at))
            a, b = (np.clip(j, 0, cells.shape[axis] - 1) for j in (low, low + 1))
            rows.append((low + 1 - at) * cells.take(a, axis) + (at - low) * cells.take(b, axis))
        cells = np.stack(rows, axis)
    return cells


def mask_by_hand(cells, w):
    summed = sum(w[i] * cells[..., i] for i in range(len(w)))
    return upsampled((summed - summed.min()) / (summed.max() - summed.min()), SHAPE[:2])[..., None]


def slope(loss, w, tiny=1e-6):
    out = np.zeros_like(w)
    for i in range(len(w)):
        up, down = w.copy(), w.copy()
        up[i], down[i] = w[i] + tiny, w[i] - tiny
        out[i] = (loss(up) - loss(down)) / (2 * tiny)
    return out


def learn_by_hand(loss, w, num_steps, rate):
    first = second = 0.0
    losses = []
    for t in range(num_steps):
        losses.append(loss(w))
        gradient = slope(loss, w)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        step = first / (1 - 0.9 ** (t + 1)) / (np.sqrt(second / (1 - 0.999 ** (t + 1))) + 1e-8)
        w = np.maximum(w - rate(t) * step, 0)
    return w, losses


def inversion_by_hand(weights, image, nothing, target, *, gamma, delta, lam, relative):
    cells, whole, _ = network_by_hand(weights, image)
    scale = (whole**2).sum() if relative else 1.0

    def inversion_loss(w):
        m = mask_by_hand(cells, w)
        missed = network_by_hand(weights, image * m + nothing * (1 - m))[1] - whole
        return (missed**2).sum() / scale + gamma * np.abs(w).sum()

    def loss(w):
        m = mask_by_hand(cells, w)
        kept = network_by_hand(weights, image * m + nothing * (1 - m))[2][target]
        left = network_by_hand(weights, image * (1 - m) + nothing * m)[2][target]
        return -kept + lam * left + delta * np.abs(w).sum()

    start = np.full(CHANNELS, 0.1)
    w, inversion_losses = learn_by_hand(inversion_loss, start, 4, lambda t: 0.01)
    w, losses = learn_by_hand(loss, w, 13, lambda t: 0.01 * 0.5 ** (t // 10))
    return mask_by_hand(cells, w)[..., 0], w, inversion_losses, losses


def found(scene, **settings):
    weights, image, _ = scene
    settings = {"layer": "cells", "details": True, **settings}
    method = functools.partial(saljax.feature_inversion, **settings)
    single = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), weights)
    return jax.jit(method)(Partial(network, single), jnp.asarray(image, jnp.float32), 1)


@pytest.mark.parametrize("relative", [False, True])
def test_equals_the_papers_two_stages(scene, relative):
    weights, image, nothing = scene
    result = found(
        scene, baseline=jnp.asarray(nothing, jnp.float32), num_inversion_steps=4, num_steps=13,
        inversion_l1=0.05, l1=0.02, background=0.7, relative=relative,
    )  # fmt: skip
    mask, w, inversion_losses, losses = inversion_by_hand(
        weights, image, nothing, 1, gamma=0.05, delta=0.02, lam=0.7, relative=relative
    )
    assert w.min() == 0 and w.max() > 0.15, "the weights moved"
    np.testing.assert_allclose(result.inversion_losses, inversion_losses, rtol=1e-4)
    np.testing.assert_allclose(result.losses, losses, atol=1e-4)
    np.testing.assert_allclose(result.weights, w, atol=1e-4)
    np.testing.assert_allclose(result.saliency, mask, atol=1e-3)


def test_a_baseline_like_the_image_costs_nothing_and_leaves_the_weights_to_their_price(scene):
    """Nothing speaks for a channel: all fall alike, and the mask stays that of equal weights."""
    image = jnp.asarray(scene[1], jnp.float32)
    result = found(
        scene, baseline=image, learning_rate=0.05, num_inversion_steps=3, num_steps=2,
        inversion_l1=10.0,
    )  # fmt: skip
    assert float(result.inversion_losses[0]) == pytest.approx(10 * 0.1 * CHANNELS)
    np.testing.assert_allclose(result.weights, 0.05, rtol=1e-5)  # one step of Adam
    cells, _, _ = network_by_hand(*scene[:2])
    np.testing.assert_allclose(
        result.saliency, mask_by_hand(cells, np.ones(CHANNELS))[..., 0], atol=1e-5
    )


def test_the_price_of_the_first_stage_follows_the_number_of_pixels(scene):
    assert defaults_for((224, 224))["inversion_l1"] == pytest.approx(10)
    image = jnp.asarray(scene[1], jnp.float32)
    result = found(scene, baseline=image, num_inversion_steps=1, num_steps=1)
    price = 10 * 6 * 4 / 224**2
    assert float(result.inversion_losses[0]) == pytest.approx(price * 0.1 * CHANNELS)


def test_the_mask_does_not_know_the_scale_of_the_weights():
    rng = np.random.default_rng(0)
    channels, w = rng.uniform(size=(3, 2, 5)), rng.uniform(size=5)
    channels, w = jnp.asarray(channels, jnp.float32), jnp.asarray(w, jnp.float32)
    mask = channel_mask(channels, w, (6, 4))
    np.testing.assert_allclose(channel_mask(channels, 7 * w, (6, 4)), mask, atol=1e-6)
    one = channels[..., :1]
    alone = images.resize(maps.normalize(one[..., 0]), (6, 4))
    for scale in (0.01, 3.0):
        np.testing.assert_allclose(channel_mask(one, w[:1] * scale, (6, 4)), alone, atol=1e-6)


def test_the_layer_to_restore_is_the_one_after_the_masks(scene):
    weights, image, _ = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), scene)
    for given, expected in [
        ((None, None), ("deep", "mean")),
        (("cells", None), ("cells", "deep")),
        (("mean", None), ("mean", "mean")),
        ((None, "cells"), ("deep", "cells")),
        (("cells", "mean"), ("cells", "mean")),
    ]:
        assert layers(Partial(network, weights), image, *given) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": "mean"}, r"'mean' is \(4,\), .* needs 2 spatial axes"),
        ({"layer": "conv"}, "`layer` must be one of .* cells, deep, mean; got 'conv'"),
        ({"inversion_layer": "conv"}, "`inversion_layer` must be one of .*; got 'conv'"),
        ({"num_steps": 0}, "`num_steps` must be greater than 0"),
        ({"num_inversion_steps": 0}, "num_inversion_steps"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"l1": -1.0}, "`l1` must be at least 0"),
        ({"inversion_l1": -1.0}, "inversion_l1"),
        ({"background": -1.0}, "background"),
        ({"target": jnp.asarray([0, 1])}, "`target` must be one class index"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_wrong_hyperparameters(scene, settings, message):
    weights, image, _ = (jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), x) for x in scene)
    with pytest.raises(ValueError, match=message):
        saljax.feature_inversion(Partial(network, weights), image, **{"target": 0} | settings)


def test_a_layer_that_is_silent_for_the_image_gives_no_nan(scene):
    weights, image, nothing = scene
    silent = {k: jnp.asarray(v, jnp.float32) for k, v in weights.items()}
    silent["deep"] = -jnp.abs(silent["deep"])
    run = functools.partial(
        saljax.feature_inversion, layer="cells", relative=True, num_steps=2, num_inversion_steps=2,
        baseline=jnp.asarray(nothing, jnp.float32),
    )  # fmt: skip
    saliency = jax.jit(run)(Partial(network, silent), jnp.asarray(image, jnp.float32), 1)
    assert np.isfinite(saliency).all()
