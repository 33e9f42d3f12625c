import jax
import numpy as np

from saljax.ops import draws


def test_stratified_numbers_are_one_in_each_interval_and_alike_in_all(key):
    many = np.asarray(jax.vmap(lambda k: draws.stratified(k, 8, 3))(jax.random.split(key, 500)))
    assert many.min() >= 0 and many.max() < 1
    np.testing.assert_array_equal(np.sort(np.floor(8 * many), axis=1)[..., 0], 500 * [range(8)])
    # Each row by itself is uniform, and dimensions know nothing of each other.
    error = 1 / np.sqrt(12 * 500)
    np.testing.assert_allclose(many.mean(axis=0), 0.5, atol=4 * error)
    np.testing.assert_allclose(many.var(axis=0), 1 / 12, atol=0.012)
    for row in (0, 7):
        correlations = np.corrcoef(many[:, row].T)[np.triu_indices(3, 1)]
        np.testing.assert_allclose(correlations, 0, atol=4 / np.sqrt(500))
    # So are places within the intervals, from row to row.
    correlations = np.corrcoef((8 * many % 1)[..., 0].T)[np.triu_indices(8, 1)]
    np.testing.assert_allclose(correlations, 0, atol=4 / np.sqrt(500))
