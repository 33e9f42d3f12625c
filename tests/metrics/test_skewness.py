import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from saljax import metrics

skewness = jax.jit(metrics.skewness)


def test_by_hand():
    """Mean 3, median 2, variance 32 / 5."""
    values = jnp.asarray([1.0, 2, 2, 2, 8])
    np.testing.assert_allclose(skewness(values), 3 / np.sqrt(6.4), rtol=1e-6)
    np.testing.assert_allclose(skewness(-values), -3 / np.sqrt(6.4), rtol=1e-6)
    assert skewness(jnp.full(5, 0.3)) == 0
    assert abs(skewness(jnp.asarray([1.0, 2, 3, 4, 5]))) < 1e-6


@pytest.mark.parametrize("shape", [(7, 7), (96, 96), (299, 299)])
def test_of_a_constant_map_is_zero(shape):
    """Its mean is not its value: float32 rounds the sum."""
    assert skewness(jnp.full(shape, 0.3)) == 0


@pytest.mark.parametrize(
    ("eta", "h", "expected"),
    [
        (0.5, 2.5, 0.508),
        (1.5, 2.5, 1.066),
        (1.5, 1.5, 0.431),
        (2.5, 2.5, 1.327),
        (1.5, 0.5, -0.467),
    ],
)
def test_of_the_controllers_output_for_normal_input(eta, h, expected):
    """Z = sigmoid(eta Y)^h at evenly spaced quantiles of the normal distribution."""
    count = 100_000
    y = scipy.special.ndtri((np.arange(count) + 0.5) / count)
    z = scipy.special.expit(eta * y) ** h
    np.testing.assert_allclose(skewness(jnp.asarray(z, jnp.float32)), expected, atol=1e-3)
