import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax


def dense(weights, images):
    x = images.reshape(len(images), -1)
    x = jax.nn.relu(x @ weights[0] + weights[1][None])
    x = jax.nn.relu(x @ weights[2] + weights[3][None])
    return x @ weights[4] + weights[5][None]


def lrp_literally(weights, image, target, epsilon):
    """Bach et al., layer by layer: R_i = sum_j x_i w_ij / (z_j + epsilon sign(z_j)) R_j."""
    w = [np.asarray(v, np.float64) for v in weights]
    activations, sums = [np.asarray(image, np.float64).ravel()], []
    for layer in range(3):
        sums.append(activations[-1] @ w[2 * layer] + w[2 * layer + 1])
        activations.append(np.maximum(sums[-1], 0) if layer < 2 else sums[-1])
    relevance = np.zeros_like(activations[-1])
    relevance[target] = activations[-1][target]
    for layer in reversed(range(3)):
        before, z = np.zeros_like(activations[layer]), sums[layer]
        for i, x in enumerate(activations[layer]):
            for j in np.flatnonzero(relevance):
                share = x * w[2 * layer][i, j] / (z[j] + epsilon * np.sign(z[j]))
                before[i] += share * relevance[j]
        relevance = before
    return relevance.reshape(image.shape)


@pytest.fixture
def weights():
    rng = np.random.default_rng(0)
    shapes = [(12, 7), (7,), (7, 5), (5,), (5, 3), (3,)]
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


IMAGE = jnp.asarray(np.random.default_rng(1).uniform(size=(2, 2, 3)), jnp.float32)


@pytest.mark.parametrize("target", [0, 1, 2])
@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_equals_the_papers_rule_layer_by_layer(weights, target, epsilon):
    expected = lrp_literally(weights, IMAGE, target, epsilon)
    raw = saljax.lrp(Partial(dense, weights), IMAGE, target, epsilon=epsilon, reduce=None)
    np.testing.assert_allclose(raw, expected, rtol=1e-3, atol=1e-4)


def test_lrp_0_is_gradient_times_input_and_conserves_without_biases(weights):
    bias_free = [w if w.ndim == 2 else jnp.zeros_like(w) for w in weights]
    score_fn = Partial(dense, bias_free)
    saliency = saljax.lrp(score_fn, IMAGE, 1, epsilon=0.0)
    np.testing.assert_allclose(
        saliency, saljax.input_x_gradient(score_fn, IMAGE, 1), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(saliency.sum(), score_fn(IMAGE[None])[0, 1], rtol=1e-4)


def test_a_relu6_that_cuts_hands_on_all_it_has(weights):
    first, last = weights[0], jnp.abs(weights[4][:, :2])

    def network(w, images):
        x = saljax.tag(images, "pixels").reshape(len(images), -1)
        return jax.nn.relu6(20 * jax.nn.relu6(20 * x @ w[0]) @ w[1]) @ w[2]

    score_fn = Partial(network, [first, jnp.abs(weights[2]), last])
    score = score_fn(IMAGE[None])[0, 1]
    np.testing.assert_allclose(score, 6 * last[:, 1].sum(), rtol=1e-5)  # all are cut
    for method, total in [(saljax.lrp, score), (saljax.excitation_backprop, 1.0)]:
        settings = {"epsilon": 0.0} if method is saljax.lrp else {"layer": "pixels"}
        np.testing.assert_allclose(method(score_fn, IMAGE, 1, **settings).sum(), total, rtol=1e-4)


def test_epsilon_damps_and_layers_can_be_read(cnn):
    at_block = saljax.lrp(cnn.score_fn, cnn.image, 1, epsilon=0.0, layer="block", resize=False)
    np.testing.assert_allclose(at_block.sum(), cnn.score_fn(cnn.image[None])[0, 1], rtol=1e-4)
    damped = saljax.lrp(cnn.score_fn, cnn.image, 1, epsilon=1.0, reduce=None)
    exact = saljax.lrp(cnn.score_fn, cnn.image, 1, epsilon=0.0, reduce=None)
    assert float(jnp.abs(damped).sum()) < float(jnp.abs(exact).sum())


@pytest.mark.usefixtures("as_users_run")
def test_wrong_hyperparameters(cnn):
    with pytest.raises(ValueError, match="`epsilon` must be at least 0; got -1"):
        saljax.lrp(cnn.score_fn, cnn.image, 1, epsilon=-1)
