"""Maps that do not look at the classifier."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax.evaluation.references import center, random


@pytest.mark.parametrize("shape", [(7,), (5, 9), (4, 6), (3, 4, 5)])
def test_center(shape):
    found = np.asarray(center(lambda images: images, jnp.zeros((*shape, 3)), 0))
    expected = np.empty(shape)
    middle = (np.asarray(shape) - 1) / 2
    for place in np.ndindex(shape):
        expected[place] = 1 - np.linalg.norm(place - middle) / np.linalg.norm(middle)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_random(key):
    image = jnp.zeros((40, 50, 3))
    found = random(lambda images: images, image, 0, key=key)
    assert found.shape == (40, 50)
    assert float(found.min()) >= 0 and float(found.max()) < 1
    np.testing.assert_allclose(found.mean(), 0.5, atol=0.03)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(random(lambda images: images, image, 0, key=key), found)
    other = random(lambda images: images, image, 0, key=jax.random.fold_in(key, 1))
    assert not np.array_equal(found, other)
