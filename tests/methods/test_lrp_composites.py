"""Rules of LRP by hand, composites layer by layer, and what they conserve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax

X, W, B = (1, 2), (3, -1), 0.5


def one_unit(share, x=X, w=W, b=B, relevance=10, **keywords):
    """Relevance of the inputs of one unit that has 10, by a convolution or a dense layer."""
    x, w = (jnp.asarray(v, jnp.float32)[:, None] for v in (x, w))
    z = float((x * w).sum() + b)

    def dense(images):
        return (images[..., 0] @ w + b) * (relevance / z)

    keywords = {"composite": {"dense": share}, "epsilon": 0.0} | keywords
    return saljax.lrp(dense, x, 0, **keywords)


@pytest.mark.parametrize(
    ("share", "settings", "expected"),
    [
        ("epsilon", {}, (20, -13.333)),
        ("gamma", {}, (15.789, -8.421)),
        ("gamma", {"gamma": 0.0}, (20, -13.333)),
        ("gamma", {"x": (1, 2), "w": (1, -1), "b": 0}, (-6.667, 16.667)),
        ("gamma", {"b": 0, "gamma": 1e6}, (10, 0)),
        ("z_plus", {}, (8.571, 0)),
        ("alpha2_beta1", {}, (17.143, -10)),
        ("flat", {}, (5, 5)),
        ("w_square", {}, (9, 1)),
    ],
)
def test_rules_by_hand(share, settings, expected):
    np.testing.assert_allclose(one_unit(share, **settings), expected, rtol=2e-4, atol=1e-4)


def conv(x, w):
    return jax.lax.conv_general_dilated(x, w, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))


def test_box_by_hand_however_the_image_was_normalized():
    """From -1 to 3 at the convolution, where the image is (1, 2) of it."""
    kernel = jnp.asarray([3.0, -1.0])[None, :, None]

    def score_fn(images):
        return conv(4 * images - 1, kernel).sum((1, 2))[:, None] * 10

    image = (jnp.asarray([[1.0, 2.0]]) + 1) / 4
    found = saljax.lrp(
        score_fn, image, 0, composite={"first_convolution": "box"}, epsilon=0.0, reduce=None
    )
    np.testing.assert_allclose(found, [[8.571, 1.429]], rtol=1e-3)


RNG = np.random.default_rng(0)
WEIGHTS = {
    "first": RNG.normal(size=(3, 2, 4)), "bias": RNG.normal(size=4) / 2,
    "second": RNG.normal(size=(3, 4, 4)), "mean": RNG.normal(size=4) / 4,
    "scale": RNG.normal(size=4), "shift": RNG.normal(size=4) / 2, "dense": RNG.normal(size=(4, 3)),
}  # fmt: skip
IMAGE = jnp.asarray(RNG.uniform(size=(5, 2)), jnp.float32)
AS_JAX = {name: jnp.asarray(w, jnp.float32) for name, w in WEIGHTS.items()}


def network(w, images):
    """Convolution with a bias, with batch normalization, a skip, a mean and a dense layer."""
    x = jax.nn.relu(conv(images - 0.5, w["first"]) + w["bias"][None, None])
    y = (conv(x, w["second"]) - w["mean"][None, None]) * w["scale"][None, None]
    x = x + jax.nn.relu(y + w["shift"][None, None])
    return x.mean(1) @ w["dense"]


def matrix(kernel, width):
    """The convolution as a matrix, (width * in, width * out)."""
    size, ins, outs = kernel.shape
    found = np.zeros((width, ins, width, outs))
    for at in range(width):
        for k in range(size):
            if 0 <= at + k - 1 < width:
                found[at + k - 1, :, at, :] = kernel[k]
    return found.reshape(width * ins, width * outs)


def shares_literally(rule, x, w, b, relevance, low, high):
    below = np.zeros_like(x)
    for j, r in enumerate(relevance):
        v = w[:, j]
        up, down = np.maximum(v, 0), np.minimum(v, 0)
        plus = np.maximum(x, 0) * up + np.minimum(x, 0) * down
        minus = np.maximum(x, 0) * down + np.minimum(x, 0) * up
        z = (x * v).sum() + b[j]
        if rule == "z_plus":
            parts = [(1, plus, max(b[j], 0))]
        elif rule == "alpha2_beta1":
            parts = [(2, plus, max(b[j], 0)), (-1, minus, min(b[j], 0))]
        elif rule == "gamma":
            more, bias = (plus, max(b[j], 0)) if z > 0 else (minus, min(b[j], 0))
            parts = [(1, x * v + 0.25 * more, b[j] + 0.25 * bias)]
        elif rule == "box":
            parts = [(1, x * v - low * up - high * down, 0)]
        elif rule == "flat":
            parts = [(1, (v != 0).astype(float), 0)]
        else:
            parts = [(1, x * v, b[j])]
        for factor, part, bias in parts:
            total = part.sum() + bias
            below += factor * part / (total if total else 1) * r
    return below


def literally(first, inner, target):
    """The network unrolled by hand, batch normalization folded into the second convolution."""
    w, n = WEIGHTS, 5
    scale, own = w["scale"], np.asarray(IMAGE, np.float64).ravel() - 0.5
    one, b1 = matrix(w["first"], n), np.tile(w["bias"], n)
    two = matrix(w["second"] * scale, n)
    b2 = np.tile(w["shift"] - w["mean"] * scale, n)
    x1 = np.maximum(own @ one + b1, 0)
    x2 = np.maximum(x1 @ two + b2, 0)
    whole = x1 + x2
    mean = whole.reshape(n, 4).mean(0)
    score = mean @ w["dense"][:, target]
    of_mean = mean * w["dense"][:, target]
    total = whole.reshape(n, 4).sum(0)
    of_sum = whole.reshape(n, 4) / np.where(total == 0, 1, total) * of_mean
    of_sum = of_sum.ravel() / np.where(whole == 0, 1, whole)
    of_x1 = of_sum * x1 + shares_literally(inner, x1, two, b2, of_sum * x2, 0, 0)
    found = shares_literally(first, own, one, b1, of_x1, -0.5, 0.5)
    assert np.isfinite(score)
    return found.reshape(5, 2)


@pytest.mark.parametrize(
    ("composite", "first", "inner"),
    [
        ("epsilon_plus", "z_plus", "z_plus"),
        ("epsilon_alpha2_beta1_flat", "flat", "alpha2_beta1"),
        ("epsilon_gamma_box", "box", "gamma"),
        ({"first": "epsilon"}, "epsilon", "epsilon"),
    ],
)
def test_composites_are_their_rules_layer_by_layer(composite, first, inner):
    score_fn = Partial(network, AS_JAX)
    found = saljax.lrp(score_fn, IMAGE, 1, composite=composite, epsilon=0.0, reduce=None)
    expected = literally(first, inner, 1)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3 * np.abs(expected).max())


def test_a_shape_between_a_layer_and_its_bias_changes_nothing():
    """As vmap leaves it."""

    def each(w, images):
        return jax.vmap(lambda image: network(w, image[None])[0])(images)

    def turned(w, images):
        x = jnp.swapaxes(jnp.swapaxes(conv(images - 0.5, w["first"]), 1, 2), 1, 2)
        x = jax.nn.relu(x + w["bias"][None, None])
        y = (conv(x, w["second"]) - w["mean"][None, None]) * w["scale"][None, None]
        return (x + jax.nn.relu(y + w["shift"][None, None])).mean(1) @ w["dense"]

    expected = saljax.lrp(Partial(network, AS_JAX), IMAGE, 1, composite="epsilon_plus")
    for same in (each, turned):
        found = saljax.lrp(Partial(same, AS_JAX), IMAGE, 1, composite="epsilon_plus")
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_gamma_and_box_conserve_the_score_and_give_black_pixels_something(cnn):
    bare = {
        n: jnp.zeros_like(w) if n in ("bias", "mean", "shift") else w for n, w in AS_JAX.items()
    }
    image, score_fn = IMAGE.at[2].set(0), Partial(network, bare)
    found = saljax.lrp(score_fn, image, 1, composite="epsilon_gamma_box", epsilon=1e-9)
    np.testing.assert_allclose(found.sum(), score_fn(image[None])[0, 1], rtol=1e-3)
    assert float(jnp.abs(found[2])) > 1e-3
    at_layer = saljax.lrp(cnn.score_fn, cnn.image, 1, composite="epsilon_plus", layer="pooled")
    assert at_layer.shape == cnn.image.shape[:-1] and bool(jnp.isfinite(at_layer).all())


@pytest.mark.usefixtures("as_users_run")
def test_says_what_composites_there_are():
    for composite, said in [
        ("plus", "epsilon_gamma_box; got plus"),
        ({"conv": "z_plus"}, "places first, .* got conv"),
        ({"dense": "zplus"}, "rules epsilon, .* got zplus"),
        ({"dense": "box"}, "first_convolution alone; got box at dense"),
    ]:
        with pytest.raises(ValueError, match=said):
            one_unit("", composite=composite)
    with pytest.raises(ValueError, match="box rule is for convolutions"):
        one_unit("", composite="epsilon_gamma_box")
