import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax import metrics
from saljax.data import birdlets

share = jax.jit(metrics.share_on_part)
hit = jax.jit(metrics.pointing_on_part)


@pytest.fixture(scope="module")
def bird():
    return birdlets.sample(0, 0, size=24)


def test_share_is_the_positive_mass_on_the_part():
    saliency = jnp.asarray([[4.0, -9.0, 1.0], [0.0, 3.0, 2.0]])
    mask = jnp.asarray([[True, True, False], [False, True, False]])
    np.testing.assert_allclose(share(saliency, mask), 7 / 10, rtol=1e-6)
    assert hit(saliency, mask)
    assert not hit(saliency, ~mask)


def test_the_truth_itself_its_opposite_and_chance(bird):
    mask = jnp.asarray(bird.diagnostic_mask)
    truth = mask.astype(jnp.float32)
    assert share(truth, mask) == 1 and hit(truth, mask)
    assert share(1 - truth, mask) == 0 and not hit(1 - truth, mask)
    assert 0 < bird.diagnostic_mask.mean() < 0.2
    for nothing in (jnp.ones_like(truth), jnp.zeros_like(truth), -1 - truth):
        np.testing.assert_allclose(share(nothing, mask), bird.diagnostic_mask.mean(), rtol=1e-6)


def test_a_map_with_a_nan_has_no_share_and_misses(bird):
    mask = jnp.asarray(bird.diagnostic_mask)
    broken = mask.astype(jnp.float32).at[0, 0].set(jnp.nan)
    assert jnp.isnan(share(broken, mask)) and not hit(broken, mask)
    assert jnp.isnan(share(jnp.full_like(broken, jnp.nan), mask))


@pytest.mark.parametrize("metric", [metrics.share_on_part, metrics.pointing_on_part])
@pytest.mark.usefixtures("as_users_run")
def test_wrong_input(metric):
    with pytest.raises(ValueError, match="`mask` must be of booleans; got float32"):
        metric(jnp.ones((4, 4)), np.ones((4, 4), np.float32))
    with pytest.raises(ValueError, match=r"must have the map's shape, \(4, 4\); got \(4, 5\)"):
        metric(jnp.ones((4, 4)), np.ones((4, 5), bool))
