import numpy as np

from saljax.data.superpixels import quickshift, slic


def test_superpixels_are_numbered_and_do_not_cross_a_strong_edge():
    picture = np.random.default_rng(0).uniform(0, 0.1, (40, 40, 3)).astype(np.float32)
    picture[:, 20:] += 0.8
    labels = quickshift(picture, max_dist=10)
    assert labels.shape == (40, 40) and labels.dtype == np.int32
    assert set(labels.ravel()) == set(range(labels.max() + 1))
    assert not set(labels[:, :20].ravel()) & set(labels[:, 20:].ravel())
    np.testing.assert_array_equal(quickshift(picture, max_dist=10), labels)


def test_slic_follows_a_strong_edge_and_is_as_fine_as_asked():
    picture = np.zeros((40, 40, 3), np.float32)
    picture[:, 23:] = 0.8
    few, many = (slic(picture, num_segments=n) for n in (8, 60))
    assert few.dtype == np.int32 and set(few.ravel()) == set(range(few.max() + 1))
    assert 4 <= few.max() + 1 <= 12 < 40 <= many.max() + 1 <= 80
    assert not set(few[:, :23].ravel()) & set(few[:, 23:].ravel())
