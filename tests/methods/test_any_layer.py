"""Every method with `layer`, at layers that nobody tagged, channels first, and tokens."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.core import taps

RNG = np.random.default_rng(3)
IMAGE = jnp.asarray(RNG.uniform(size=(8, 6, 3)), jnp.float32)


def weights(*shape):
    return jnp.asarray(RNG.normal(size=shape) / np.sqrt(np.prod(shape[:-1])), jnp.float32)


W = {"a": weights(3, 3, 3, 4), "b": weights(3, 3, 4, 5), "bias": weights(5), "head": weights(5, 3)}


def conv(x, w, layout):
    numbers = (layout, "HWIO", layout)
    return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=numbers)


def of_one(w, image):
    """As Equinox has it: of one example, channels first, no tag."""
    x = jnp.moveaxis(image, -1, 0)
    x = jax.nn.relu(conv(x[None], w["a"], "NCHW")[0])
    x = x.reshape(4, 4, 2, 3, 2).max((2, 4))
    x = jax.nn.relu(conv(x[None], w["b"], "NCHW")[0] + w["bias"][:, None, None])
    return jax.lax.dot(x.mean((1, 2)), w["head"], precision="highest")


def channels_first(w, images):
    return jax.vmap(functools.partial(of_one, w))(images)


def channels_last(w, images):
    """The same network as Flax has it, with tags."""
    x = saljax.tag(jax.nn.relu(conv(images, w["a"], "NHWC")), "early")
    x = x.reshape(-1, 4, 2, 3, 2, 4).max((2, 4))
    bias = jnp.broadcast_to(w["bias"], (1, 1, 1, 5))
    x = saljax.tag(jax.nn.relu(conv(x, w["b"], "NHWC") + bias), "late")
    return jax.lax.dot(x.mean((1, 2)), w["head"], precision="highest")


FIRST, LAST = Partial(channels_first, W), Partial(channels_last, W)
METHODS = {
    "grad_cam": saljax.grad_cam,
    "grad_cam_plus_plus": saljax.grad_cam_plus_plus,
    "excitation_backprop": saljax.excitation_backprop,
    "contrastive_excitation_backprop": saljax.contrastive_excitation_backprop,
    "guided_backprop": saljax.guided_backprop,
    "deconvnet": saljax.deconvnet,
    "lrp": saljax.lrp,
    "feature_inversion": functools.partial(
        saljax.feature_inversion, num_inversion_steps=1, num_steps=2, inversion_layer=-1
    ),
    "meaningful_perturbation_at_layer": functools.partial(
        saljax.meaningful_perturbation_at_layer, num_steps=2
    ),
}


def test_grad_cam_of_channels_first_is_the_formula_by_hand():
    def head(a):  # (H, W, C)
        return jax.lax.dot(a.mean((0, 1)), W["head"], precision="highest")[2]

    a = np.asarray(taps.split(LAST, IMAGE, "late")[0])
    g = np.asarray(jax.grad(head)(jnp.asarray(a)))
    expected = np.maximum((a * g.mean((0, 1))).sum(-1), 0)
    assert expected.max() > 1e-3 and a.shape == (4, 3, 5)
    for layer in (None, -1, "relu:-1", "relu:1"):
        found = saljax.grad_cam(FIRST, IMAGE, 2, layer=layer, resize=False)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_methods_read_channels_first_as_they_read_channels_last(name):
    found, expected = (
        saljax.explain(functools.partial(METHODS[name], layer=layer), f, IMAGE[None], [2])
        for f, layer in ((FIRST, "relu:0"), (LAST, "early"))
    )
    assert float(expected.std()) > 1e-4
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("where", ["relu:0", "relu:-1", "conv:1", "norm:0"])
def test_a_found_layer_is_a_tag_at_the_same_place_bit_for_bit(where):
    """With a derivative of its own after it, which entering the call would lose."""

    @jax.custom_jvp
    def odd(x):
        return jnp.where(x > 0, x, 0.0)

    odd.defjvp(lambda x, t: (odd(*x), t[0] * 3))

    def network(tagged, w, images):
        def tag(x, name):
            return saljax.tag(x, "here") if name == tagged else x

        x = tag(jax.nn.relu(conv(images, w["a"], "NHWC")), "relu:0")
        x = tag(x * jax.lax.rsqrt(1 + (x**2).mean(-1, keepdims=True)), "norm:0")
        x = tag(conv(odd(x), w["b"], "NHWC"), "conv:1")
        x = tag(jax.nn.relu(odd(x)), "relu:-1")
        return jax.lax.dot(x.mean((1, 2)), w["head"], precision="highest")

    given = saljax.grad_cam(Partial(functools.partial(network, where), W), IMAGE, 2, layer="here")
    found = saljax.grad_cam(Partial(functools.partial(network, None), W), IMAGE, 2, layer=where)
    assert float(given.max()) > 0
    np.testing.assert_array_equal(found, given)


def test_channels_that_the_tag_tells():
    """Without a convolution nobody knows, and eight places and eight channels look alike."""
    w = weights(3, 8)

    def score_fn(told, images):
        x = images.reshape(-1, 192).reshape(-1, 3, 8, 8)
        x = jnp.einsum("ck,nchw->nkhw", w, x, precision="highest")
        x = saljax.tag(jax.nn.relu(x), "here", channels=1) if told else jax.nn.relu(x)
        return (x**2).mean((2, 3))[:, :3]

    image = jnp.asarray(RNG.uniform(size=(8, 8, 3)), jnp.float32)
    activation, gradient = taps.activation_and_gradient(Partial(score_fn, True), image, 1, "here")
    assert activation.shape == (8, 8, 8)
    assert float(jnp.abs(gradient[..., [0, 2]]).max()) == 0 < float(jnp.abs(gradient[..., 1]).max())
    found = saljax.grad_cam(Partial(score_fn, True), image, 1, resize=False)
    by_hand = jax.nn.relu(activation[..., 1] * gradient[..., 1].mean())
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)


def attention(x, w):
    q, k, v = (jax.lax.dot_general(x, w[n], (((2,), (0,)), ((), ()))) for n in "qkv")
    if "bias" in w:
        q, k, v = q + w["bias"], k + w["bias"], v + w["bias"]
    seen = jax.nn.softmax(jnp.einsum("ntd,nsd->nts", q, k, precision="highest"))
    return jnp.einsum("nts,nsd->ntd", seen, v, precision="highest")


T = {n: weights(5, 5) for n in "qkvm"} | {"patch": weights(2, 2, 3, 5), "head": weights(5, 3)}


def norm(x):
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-6)


def transformer(extra, tagged, w, images):
    """Patches of 2 x 2, class and other tokens first, two blocks; the class token is read."""
    x = jax.lax.conv_general_dilated(
        images, w["patch"], (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    x = x.reshape(x.shape[0], -1, 5)
    first = jnp.broadcast_to(
        jnp.linspace(-1, 1, extra * 5).reshape(1, extra, 5), (len(x), extra, 5)
    )
    x = jnp.concatenate([first, x], axis=1)
    for block in range(2):
        seen = norm(x)
        x = x + attention(saljax.tag(seen, "norm") if tagged and block else seen, w)
        x = x + jnp.tanh(jax.lax.dot_general(norm(x), w["m"], (((2,), (0,)), ((), ()))))
    return jax.lax.dot(norm(x)[:, 0], w["head"], precision="highest")


@pytest.mark.parametrize(("extra", "bias"), [(1, True), (5, False)])
def test_tokens_become_a_grid_and_none_is_the_norm_before_the_last_attention(extra, bias):
    w = T | ({"bias": jnp.full((1, 1, 5), 0.1)} if bias else {})
    tagged = Partial(functools.partial(transformer, extra, True), w)
    by_hand = saljax.grad_cam(
        tagged, IMAGE, 1, layer="norm", resize=False,
        to_spatial=lambda tokens: tokens[extra:].reshape(4, 3, 5),
    )  # fmt: skip
    assert float(by_hand.max()) > 0
    untagged = Partial(functools.partial(transformer, extra, False), w)
    np.testing.assert_array_equal(saljax.grad_cam(untagged, IMAGE, 1, resize=False), by_hand)
    found = saljax.grad_cam(tagged, IMAGE, 1, layer="norm", resize=False)
    np.testing.assert_array_equal(found, by_hand)


@pytest.mark.parametrize(("layer", "dead"), [("add:3", True), ("norm:-1", True), ("add:1", False)])
def test_places_that_do_not_reach_the_scores_are_told(layer, dead):
    """Behind the last attention only the class token is read."""
    score_fn = Partial(functools.partial(transformer, 1, False), T)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = saljax.grad_cam(score_fn, IMAGE, 1, layer=layer, resize=False)
    assert (float(jnp.abs(found).max()) == 0) == dead
    messages = [str(warning.message) for warning in told]
    assert ["try layer='norm:2'" in message for message in messages] == [True] * dead


def test_a_mean_over_tokens_and_a_branch_that_ends():
    def score_fn(images):
        tokens = images.reshape(-1, 48, 3)
        saljax.tag(jnp.tanh(tokens), "dead")
        return jax.nn.relu(saljax.tag(tokens * 2, "alive")).mean(1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saljax.grad_cam(score_fn, IMAGE, 1, layer="alive")
        with pytest.raises(UserWarning, match="map at 'dead' is the same everywhere"):
            saljax.grad_cam(score_fn, IMAGE, 1, layer="dead")
