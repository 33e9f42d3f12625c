import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from saljax.ops import masks


@pytest.mark.parametrize(
    ("shape", "center", "radius"),
    [((11,), (4.0,), 2.5), ((9, 12), (3.5, 10.0), 4.2), ((5, 6, 7), (2.0, 2.5, 8.0), 3.0)],
)
def test_disc_is_what_is_nearer_than_its_radius(shape, center, radius):
    expected = np.zeros(shape)
    for x in itertools.product(*map(range, shape)):
        expected[x] = math.dist(x, center) < radius
    np.testing.assert_array_equal(masks.disc(shape, center, radius), expected)
    soft = scipy.ndimage.gaussian_filter(expected, 1.5, mode="nearest", truncate=4.0)
    np.testing.assert_allclose(masks.disc(shape, center, radius, 1.5), soft, atol=1e-5)


@pytest.mark.parametrize("radius", [0.0, -1.0])
def test_disc_of_no_radius_is_empty(radius):
    assert not masks.disc((5, 5), jnp.asarray([2.0, 2.0]), jnp.float32(radius)).any()
