import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.core import taps


def z_plus(x, weights, p):
    """P(x_j) = sum_i x_j W+_ij / (sum_k x_k W+_ik) P(y_i), one output i at a time."""
    positive, below = np.maximum(weights, 0), np.zeros_like(x)
    for i in range(weights.shape[1]):
        excited = sum(x[k] * positive[k, i] for k in range(len(x)))
        if excited != 0:
            below += x * positive[:, i] / excited * p[i]
    return below


def convolution_plus(x, kernel, p):
    """The same for a 3 x 3 convolution: each output is a unit of its own."""
    height, width, _ = x.shape
    below = np.zeros_like(x)
    for h, w in itertools.product(range(height), range(width)):
        rows = [r for r in range(h - 1, h + 2) if 0 <= r < height]
        columns = [c for c in range(w - 1, w + 2) if 0 <= c < width]
        window = np.ix_(rows, columns)
        weights = kernel[np.ix_([r - h + 1 for r in rows], [c - w + 1 for c in columns])]
        inputs = x[window].reshape(-1)
        outputs = z_plus(inputs, weights.reshape(len(inputs), -1), p[h, w])
        below[window] += outputs.reshape(x[window].shape)
    return below


def by_hand(cnn, target, sign=1):
    """P at "mean", "block" and "pooled" of the small network, layer by layer."""
    w = jax.tree.map(lambda v: np.asarray(v, np.float64), cnn.weights)
    x = np.asarray(taps.pullback(cnn.score_fn, cnn.image, "pooled").activation, np.float64)
    inside = cnn.convolve(jnp.asarray(x, jnp.float32)[None], cnn.weights["second"])[0]
    inside = np.asarray(inside, np.float64) + w["bias"]
    block = np.maximum(x + inside, 0)
    mean = block.mean((0, 1))

    p_mean = z_plus(mean, sign * w["dense"], np.eye(3)[target])
    p_block = block / np.maximum(block.sum((0, 1)), 1e-30) * p_mean
    p_sum = np.where(x + inside > 0, p_block, 0)
    total = np.where(x + inside == 0, 1, x + inside)
    p_pooled = x / total * p_sum + convolution_plus(x, w["second"], inside / total * p_sum)
    return {"mean": p_mean, "block": p_block, "pooled": p_pooled}


@pytest.mark.parametrize("layer", ["mean", "block", "pooled"])
def test_equals_the_papers_rule_layer_by_layer(cnn, layer):
    raw = saljax.excitation_backprop(cnn.score_fn, cnn.image, 1, layer=layer, reduce=None)
    np.testing.assert_allclose(raw, by_hand(cnn, 1)[layer], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(raw.sum(), 1, rtol=1e-5)


@pytest.mark.parametrize("layer", ["block", "pooled"])
def test_contrast_is_the_difference_to_the_negated_classifier(cnn, layer):
    expected = by_hand(cnn, 1)[layer] - by_hand(cnn, 1, sign=-1)[layer]
    run = functools.partial(saljax.contrastive_excitation_backprop, cnn.score_fn, cnn.image, 1)
    raw = run(layer=layer, reduce=None)
    np.testing.assert_allclose(raw, expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(raw.sum(), 0, atol=1e-5)  # both have mass 1
    np.testing.assert_allclose(
        run(layer=layer, resize=False), np.maximum(expected.sum(-1), 0), rtol=1e-3, atol=1e-6
    )
    np.testing.assert_allclose(run(layer=layer, reduce=None, contrast_layer="mean"), raw)


def test_the_contrast_layer_can_be_told_when_more_follows_the_classifier(cnn):
    """The last linear operation here sums classes; the classifier is the one before it."""
    groups = saljax.scores.class_sums(cnn.score_fn, [[1], [0, 2]], 3)
    run = functools.partial(saljax.contrastive_excitation_backprop, layer="block", reduce=None)
    found = run(groups, cnn.image, 0, contrast_layer="mean")
    np.testing.assert_allclose(found, run(cnn.score_fn, cnn.image, 1), rtol=1e-4, atol=1e-7)
    with pytest.raises(ValueError, match="pooled, block, mean; got 'fc7'"):
        run(groups, cnn.image, 0, contrast_layer="fc7")
    with pytest.raises(ValueError, match="no operation with weights to negate$"):
        run(lambda x: saljax.tag(x, "block").mean((1, 2)), cnn.image, 0)


def test_without_biases_and_negative_weights_it_is_gradient_times_input_over_output():
    rng = np.random.default_rng(0)
    shapes = {"first": (3, 4), "last": (4, 2)}
    weights = {k: jnp.asarray(rng.uniform(size=s), jnp.float32) for k, s in shapes.items()}

    def network(w, images):
        x = saljax.tag(images, "pixels")
        return jax.nn.relu(x @ w["first"]).mean((1, 2)) @ w["last"]

    image = jnp.asarray(rng.uniform(size=(4, 5, 3)), jnp.float32)
    score_fn = Partial(network, weights)
    raw = saljax.excitation_backprop(score_fn, image, 1, layer="pixels", reduce=None)
    expected = saljax.input_x_gradient(score_fn, image, 1, reduce=None)
    np.testing.assert_allclose(raw, expected / score_fn(image[None])[0, 1], rtol=1e-4)


def test_nothing_excited_sends_nothing(cnn):
    """A class with negative weights only: no division by zero."""
    dense = -jnp.abs(cnn.weights["dense"])
    score_fn = Partial(cnn.logits, {**cnn.weights, "dense": dense})
    assert float(jnp.abs(saljax.excitation_backprop(score_fn, cnn.image, 0)).max()) == 0


def test_a_resnet_of_bottlenecks_conserves_through_its_skip_connections():
    from flax import nnx

    from saljax.models.architectures.resnet import Architecture, ResNet

    rng = np.random.default_rng(0)

    def drawn(leaf):
        if len(leaf.shape) == 1:  # of batch norms, and the bias of the classifier
            return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), jnp.float32)
        scale = (2 / np.prod(leaf.shape[:-1])) ** 0.5
        return jnp.asarray(rng.normal(0, scale, leaf.shape), jnp.float32)

    two_a_stage = Architecture((2, 2, 2, 2), bottleneck=True)
    shapes = nnx.eval_shape(lambda: ResNet(two_a_stage, 10, rngs=nnx.Rngs(0)))
    structure, state = nnx.split(shapes)
    model = nnx.merge(structure, jax.tree.map(drawn, state))
    image = jnp.asarray(rng.uniform(size=(64, 64, 3)), jnp.float32)
    read = functools.partial(saljax.excitation_backprop, layer="layer3", resize=False)
    saliency = jax.jit(read)(model, image, 3)
    assert saliency.shape == (4, 4)
    np.testing.assert_allclose(saliency.sum(), 1, rtol=1e-4)


def test_behind_the_classifier_there_is_no_contrast(cnn):
    """SqueezeNet's classifier is a convolution whose output has places; the layer is before it."""

    def score_fn(images):
        x = saljax.tag(jax.nn.relu(images @ first), "features")
        return saljax.tag(jax.nn.relu(x @ last), "classes").mean((1, 2))

    rng = np.random.default_rng(0)
    first, last = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((3, 5), (5, 4)))
    image = jnp.asarray(rng.uniform(size=(4, 5, 3)), jnp.float32)
    run = functools.partial(saljax.contrastive_excitation_backprop, score_fn, image, 1, reduce=None)
    found = run()
    assert found.shape == (4, 5, 5)
    np.testing.assert_allclose(found, run(layer="features"))
    np.testing.assert_allclose(found.sum(), 0, atol=1e-5)
    with pytest.raises(ValueError, match="'classes' lies behind the classifier.*lie features"):
        run(layer="classes")


def test_a_gate_and_its_factor_have_half_each():
    rng = np.random.default_rng(0)
    inner, outer = rng.uniform(0.1, 1, (4, 4)), rng.normal(size=(4, 2))
    image = rng.uniform(size=(2, 3, 4))

    def network(images):
        x = saljax.tag(images, "pixels")
        return (x * jax.nn.sigmoid(x @ jnp.float32(inner))).mean((1, 2)) @ jnp.float32(outer)

    gated = image / (1 + np.exp(-image @ inner))
    p = gated / gated.sum((0, 1)) * z_plus(gated.mean((0, 1)), outer, np.eye(2)[1])
    below = [
        z_plus(x, inner, q / 2) for x, q in zip(image.reshape(-1, 4), p.reshape(-1, 4), strict=True)
    ]
    expected = p / 2 + np.stack(below).reshape(image.shape)
    raw = saljax.excitation_backprop(
        network, jnp.float32(image), 1, layer="pixels", reduce=None
    )  # fmt: skip
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(raw.sum(), 1, rtol=1e-5)


def test_what_arrives_at_a_softmax_and_a_norm_goes_on():
    """R_i = x_i (R_i - s_i sum R) at a softmax; a norm and a smooth rectifier hand on all."""
    image = jnp.asarray([[[0.3, 1.0]]])
    weights = jnp.asarray([[2.0, 0.5], [1.0, 3.0]])

    def at_softmax(images):
        return jax.nn.softmax(saljax.tag(images, "pixels")).mean((1, 2)) @ weights

    s = np.asarray(jax.nn.softmax(image[0, 0]), np.float64)
    p = z_plus(s, np.asarray(weights), np.eye(2)[0])
    run = functools.partial(saljax.excitation_backprop, layer="pixels", reduce=None)
    expected = np.asarray(image[0, 0]) * (p - s * p.sum())
    np.testing.assert_allclose(run(at_softmax, image, 0)[0, 0], expected, rtol=1e-4)

    def at_norm(images):
        x = saljax.tag(images, "pixels")
        x = jax.nn.gelu(x / jnp.sqrt((x**2).mean(-1, keepdims=True) + 1e-3))
        return x.mean((1, 2)) @ weights

    x = image[0, 0] / jnp.sqrt((image[0, 0] ** 2).mean() + 1e-3)
    expected = z_plus(np.asarray(jax.nn.gelu(x)), np.asarray(weights), np.eye(2)[0])
    np.testing.assert_allclose(run(at_norm, image, 0)[0, 0], expected, rtol=1e-4)
