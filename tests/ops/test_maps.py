import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from saljax.ops import maps


def test_normalize_spans_zero_to_one_and_survives_a_constant():
    saliency = jnp.asarray([[2.0, 4.0], [3.0, 6.0]])
    np.testing.assert_allclose(maps.normalize(saliency), [[0.0, 0.5], [0.25, 1.0]])
    np.testing.assert_array_equal(maps.normalize(jnp.full((3, 3), 7.0)), np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("shape", "x64"), [((40,), False), ((13, 17), False), ((13, 17), True), ((6, 7, 8), True)]
)
def test_blobs_equal_scipy_with_diagonal_neighbors(shape, x64):
    mask = np.random.default_rng(0).uniform(size=shape) < {1: 0.5, 2: 0.25, 3: 0.05}[len(shape)]
    with jax.enable_x64(x64):
        ours = jax.jit(maps.blobs)(jnp.asarray(mask))
    assert ours.dtype == jnp.int32
    ours = np.asarray(ours)
    theirs, number = scipy.ndimage.label(mask, np.ones((3,) * len(shape)))
    pairs = set(zip(ours.ravel().tolist(), theirs.ravel().tolist(), strict=True))
    assert number > 2
    assert (
        len(pairs) == number + 1 == len({ours for ours, _ in pairs}) == len({t for _, t in pairs})
    )


def test_a_snake_is_one_blob():
    mask = np.zeros((9, 9), bool)
    mask[::2] = True
    mask[1::4, -1] = mask[3::4, 0] = True
    assert len(np.unique(maps.blobs(jnp.asarray(mask)))) == 2


def test_biggest_blob_and_its_centroid():
    mask = np.zeros((8, 8), bool)
    mask[0, 0:2] = True
    mask[4:7, 4:6] = True
    biggest = maps.biggest_blob(jnp.asarray(mask))
    assert biggest.sum() == 6
    np.testing.assert_allclose(maps.centroid(biggest), [5.0, 4.5])


def test_of_equal_blobs_the_first_is_taken_and_an_empty_mask_stays_empty():
    mask = np.zeros((5, 9), bool)
    mask[3, 1:3] = mask[1, 6:8] = True
    np.testing.assert_allclose(maps.centroid(maps.biggest_blob(jnp.asarray(mask))), [1.0, 6.5])
    assert not maps.biggest_blob(jnp.zeros((4, 4), bool)).any()


def test_peak():
    saliency = jnp.zeros((3, 4, 5)).at[1, 2, 3].set(1.0)
    np.testing.assert_array_equal(maps.peak(saliency), [1, 2, 3])


def test_region_centroids_and_means():
    labels = np.zeros((4, 5, 6), np.int32)
    labels[1:3, 1:3, 1:3] = 1
    labels[3, 4, :] = 2
    centroids = maps.region_centroids(jnp.asarray(labels), 2)
    np.testing.assert_allclose(centroids, [[1.5, 1.5, 1.5], [3.0, 4.0, 2.5]])
    values = np.random.default_rng(0).uniform(size=labels.shape).astype(np.float32)
    expected = [values[labels == 1].mean(), values[labels == 2].mean()]
    means = maps.region_means(jnp.asarray(values), jnp.asarray(labels), 2)
    np.testing.assert_allclose(means, expected, rtol=1e-5)


def test_region_means_of_low_precision_are_summed_in_float32():
    """A sum of ones in bfloat16 stays at 256."""
    values = jnp.full((48, 48), 0.3, jnp.bfloat16)
    means = maps.region_means(values, jnp.ones((48, 48), jnp.int32), 1)
    np.testing.assert_allclose(means, [float(values[0, 0])], rtol=1e-5)


def test_labels_of_no_region_are_background():
    values, labels = jnp.asarray([1.0, 2.0, 100.0, 50.0]), jnp.asarray([1, 2, -1, 3])
    assert maps.region_means(values, labels, 2).tolist() == [1, 2]
