import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax


def relu_that_sends_back(backward):
    """A ReLU to build the network with, the oracle of a rule put into it afterwards."""
    relu = jax.custom_vjp(lambda x: jnp.where(x > 0, x, 0.0))
    relu.defvjp(lambda x: (relu(x), x), lambda x, g: (backward(x, g),))
    return relu


BACKWARD = {
    saljax.guided_backprop: lambda x, g: jnp.where((x > 0) & (g > 0), g, 0.0),
    saljax.deconvnet: lambda x, g: jnp.where(g > 0, g, 0.0),
}


@pytest.mark.parametrize("method", BACKWARD)
def test_equals_a_network_built_with_that_relu(cnn, method):
    relu = relu_that_sends_back(BACKWARD[method])

    def oracle(x):
        return cnn.logits(cnn.weights, x[None], relu)[0, 1]

    expected = jax.jit(jax.grad(oracle))(cnn.image)
    run = jax.jit(functools.partial(method, reduce=None))
    found = run(cnn.score_fn, cnn.image, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    plain = saljax.gradient(cnn.score_fn, cnn.image, 1, reduce=None)
    assert float(jnp.abs(found - plain).max()) > 0.05 * float(jnp.abs(plain).max())
    np.testing.assert_allclose(
        method(cnn.score_fn, cnn.image, 1), np.abs(expected).max(-1), rtol=1e-4, atol=1e-6
    )


def test_at_a_layer(cnn):
    saliency = saljax.guided_backprop(cnn.score_fn, cnn.image, 1, layer="block", resize=False)
    # Behind "block" there is no ReLU: the gradient of a mean and a linear classifier.
    expected = np.abs(np.asarray(cnn.weights["dense"])[:, 1]).max() / 16
    np.testing.assert_allclose(saliency, np.full((4, 4), expected), rtol=1e-5)
    assert saljax.guided_backprop(cnn.score_fn, cnn.image, 1, layer="block").shape == (8, 8)
    with pytest.raises(ValueError, match=r"'mean' is \(6,\), an image of this rank needs 2"):
        saljax.guided_backprop(cnn.score_fn, cnn.image, 1, layer="mean")


@pytest.mark.parametrize(
    ("score", "kind"),
    [
        (lambda x: jax.nn.gelu(x).sum((1, 2)), "no rule|matched nothing"),
        (lambda x: x.sum((1, 2)), "the rule for relu matched nothing"),
        (lambda x: jax.nn.softmax(jax.nn.relu(x).sum((1, 2))), "logits and not as probabilities"),
    ],
    ids=["gelu", "linear", "probabilities"],
)
def test_never_in_silence_the_plain_gradient(cnn, score, kind):
    with pytest.raises(ValueError, match=kind):
        saljax.guided_backprop(score, cnn.image, 1)


def test_sharded_images_give_the_same_maps(cnn):
    images = jnp.stack([cnn.image, 1 - cnn.image] * 4)
    targets = [0, 1, 2, 0, 1, 2, 0, 1]
    mesh = jax.make_mesh((8,), ("data",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    spread = jax.device_put(images, sharding)
    alone = saljax.explain(saljax.guided_backprop, cnn.score_fn, images, targets)
    together = saljax.explain(saljax.guided_backprop, cnn.score_fn, spread, targets)
    assert len(together.sharding.device_set) == 8
    np.testing.assert_allclose(np.asarray(together), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", BACKWARD)
def test_smooth_rectifiers_keep_their_derivative(cnn, method):
    relu = relu_that_sends_back(BACKWARD[method])

    def score(images, relu=jax.nn.relu):
        return jax.nn.silu(relu(images - 0.5).sum((1, 2)) - 2).cumsum(1)

    expected = jax.grad(lambda x: score(x[None], relu)[0, 1])(cnn.image)
    found = method(score, cnn.image, 1, reduce=None)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
