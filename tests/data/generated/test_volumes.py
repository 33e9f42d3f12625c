import numpy as np

from saljax.data import volumes


def test_the_atlas_has_every_region_in_mirrored_pairs():
    labels = volumes.atlas(32)
    assert labels.shape == (32, 32, 32) and labels.dtype == np.int32
    counts = np.bincount(labels.ravel())
    assert len(counts) == volumes.NUM_REGIONS + 1 and counts.min() > 100
    centers = [np.argwhere(labels == k).mean(axis=0) for k in range(1, volumes.NUM_REGIONS + 1)]
    for left, right in zip(centers[::2], centers[1::2], strict=True):
        np.testing.assert_allclose(left + right * [-1, -1, 1], [0, 0, 31], atol=2.5)


def test_another_size_is_the_same_atlas():
    fine = volumes.atlas(32)[::2, ::2, ::2]
    assert np.mean(fine == volumes.atlas(16)) > 0.9


def test_a_volume_is_a_function_of_seed_and_index():
    one, again, other = (volumes.volume(1, index, size=16) for index in (5, 5, 6))
    np.testing.assert_array_equal(one.image, again.image)
    assert np.abs(one.image - other.image).max() > 0.01
    assert one.image.shape == (16, 16, 16, 1) and one.image.dtype == np.float32
    assert one.image.min() >= 0 and one.image.max() <= 1
    np.testing.assert_array_equal(one.labels, volumes.atlas(16))


def test_the_label_changes_the_deciding_region_and_nothing_else():
    control, patient = (volumes.volume(2, 0, label=label) for label in (0, 1))
    brighter = (patient.image - control.image)[..., 0]
    region = control.labels == control.region
    assert brighter[region].mean() > 0.5 * volumes.UPTAKE
    # Voxels next to the region hold a little of it.
    grown = region.copy()
    for axis in range(3):
        grown |= np.roll(grown, 1, axis) | np.roll(grown, -1, axis)
    assert np.abs(brighter[~grown]).max() < 1e-6


def test_the_classes_differ_in_one_region_only():
    images, classes = volumes.batch(0, range(200), size=16)
    labels = volumes.atlas(16)
    assert 70 < classes.sum() < 130
    for region in range(volumes.NUM_REGIONS + 1):
        values = images[:, labels == region, 0].mean(axis=1)
        patients, controls = values[classes == 1], values[classes == 0]
        difference = patients.mean() - controls.mean()
        error = np.sqrt(patients.var() / len(patients) + controls.var() / len(controls))
        if region == volumes.REGION:
            # Brighter by UPTAKE in whole voxels; those at its border share with their neighbors.
            assert 0.6 * volumes.UPTAKE < difference < 1.1 * volumes.UPTAKE
        else:
            assert abs(difference) < 0.01 + 4 * error
