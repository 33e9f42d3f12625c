"""The information bottleneck: what it tells by hand, and where the evidence is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.methods.optimization.information_bottleneck import capacity

KEY = jax.random.key(0)


def test_capacity_by_hand_and_as_an_integral():
    found = capacity(jnp.asarray([0.5, 0.5, 0.0]), jnp.asarray([2.0, 0.0, 3.0]))
    np.testing.assert_allclose(found, [0.8181, 0.3181, 0], atol=1e-4)
    x = np.linspace(-12, 12, 100001)
    p = np.exp(-((x - 1) ** 2) / 0.5) / np.sqrt(0.5 * np.pi)
    q = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    kept = p > 0
    divergence = (p[kept] * np.log(p[kept] / q[kept])).sum() * (x[1] - x[0])
    assert float(found[0]) == pytest.approx(divergence, abs=1e-4)


def network(weights, images):
    """Its classes differ by the first channel of the right half alone."""
    hidden = saljax.tag(images * weights[None, None, None], "hidden")
    evidence = hidden[:, :, 4:, 0].mean((1, 2)) * 40
    return jnp.stack([evidence, -evidence], axis=1)


SCORE_FN = Partial(network, jnp.asarray([1.0, 2.0]))
RNG = np.random.default_rng(0)
BATCHES = [jnp.asarray(RNG.normal(size=(n, 6, 8, 2)), jnp.float32) for n in (5, 20, 20)]
IMAGE = jnp.full((6, 8, 2), 0.5, jnp.float32)


def test_statistics_are_those_of_all_batches():
    found = saljax.activation_statistics(SCORE_FN, BATCHES, "hidden")
    together = np.concatenate(BATCHES) * np.asarray([1.0, 2.0])
    np.testing.assert_allclose(found.mean, together.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found.std, together.std(axis=0), rtol=1e-4)
    assert bool(found.active.all())
    rare = [jnp.zeros((100, 6, 8, 2)).at[:1, 0, 0].set(1.0).at[:2, 0, 1].set(1.0)]
    active = saljax.activation_statistics(SCORE_FN, rare, "hidden").active[0]
    assert active[:2].tolist() == [[False, False], [True, True]]
    with pytest.raises(ValueError, match="no images"):
        saljax.activation_statistics(SCORE_FN, [])


def bottleneck(**keywords):
    unit = (jnp.zeros((6, 8, 2)), jnp.ones((6, 8, 2)))
    keywords = {"layer": "hidden", "statistics": unit, "key": KEY} | keywords
    return saljax.information_bottleneck(SCORE_FN, IMAGE, 0, **keywords)


def test_bits_stay_where_the_evidence_is():
    found = bottleneck(beta=1.0, num_steps=30)
    left, right = found[:, :2], found[:, 6:]  # away from what the blur mixes
    assert float(right.min()) > 3 * float(left.max()) and float(found.min()) >= 0
    nothing = bottleneck(beta=1e4, num_steps=40)
    assert float(nothing.max()) < 0.01 * float(right.max())


def test_before_any_step_it_is_the_capacity_of_an_open_layer():
    """One step so small that nothing moves: bits of sigmoid(5), summed over the channels."""
    found = bottleneck(num_steps=1, learning_rate=1e-6)
    share = 1 / (1 + np.exp(-5.0))
    expected = sum(float(capacity(jnp.float32(share), jnp.float32(r))) for r in (0.5, 1.0))
    np.testing.assert_allclose(found, expected / np.log(2), rtol=1e-3)


def test_units_that_are_hardly_active_tell_nothing():
    active = jnp.ones((6, 8, 2), bool).at[:, :, 1].set(False)
    unit = (jnp.zeros((6, 8, 2)), jnp.ones((6, 8, 2)), active)
    found = bottleneck(statistics=unit, num_steps=1, learning_rate=1e-6)
    share = jnp.float32(1 / (1 + np.exp(-5.0)))
    np.testing.assert_allclose(found, capacity(share, jnp.float32(0.5)) / np.log(2), rtol=1e-3)


def test_a_class_token_passes_and_a_pixel_has_its_share_of_a_cell():
    def tokens(images):
        x = images.reshape(len(images), 2, 2, 2, 2).mean((2, 4)).reshape(len(images), 4, 1)
        x = saljax.tag(jnp.concatenate([x[:, :1] + 9, x], axis=1), "tokens")
        return x[:, :, 0] @ jnp.asarray(RNG.normal(size=(5, 3)), jnp.float32)

    image = jnp.full((4, 4, 1), 0.5, jnp.float32)
    found = saljax.information_bottleneck(
        tokens, image, 0, key=KEY, layer="tokens", statistics=(jnp.zeros((5, 1)), jnp.ones((5, 1))),
        to_spatial=lambda x: x[1:].reshape(2, 2, 1), num_steps=1, learning_rate=1e-6, sigma=0.0,
    )  # fmt: skip
    cell = float(capacity(jnp.float32(1 / (1 + np.exp(-5.0))), jnp.float32(0.5))) / np.log(2)
    np.testing.assert_allclose(found, cell / 4, rtol=1e-3)


def test_statistics_of_another_layer_are_refused():
    with pytest.raises(ValueError, match=r"\(mean, std\) of 'hidden', \(6, 8, 2\).*got \(3,\)"):
        bottleneck(statistics=(jnp.zeros(3), jnp.ones(3)))
