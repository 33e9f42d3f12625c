import numpy as np
import pytest

from saljax.data import birdlets
from saljax.data.generated.birdlets import DIAGNOSTIC, PALETTE, SPECIES


@pytest.fixture(scope="module")
def samples():
    return [birdlets.sample(5, index) for index in range(120)]


def vividness(image):
    return image.max(axis=-1) - image.min(axis=-1)


def test_each_species_has_a_name_and_evidence_of_its_own():
    assert len(SPECIES) >= 12
    assert len(set(SPECIES)) == len(set(DIAGNOSTIC.values())) == len(SPECIES)


def test_a_sample_is_a_function_of_seed_and_index():
    one = birdlets.sample(3, 7)
    np.random.default_rng(0).random()
    again, other_index, other_seed = (birdlets.sample(*at) for at in ((3, 7), (3, 8), (4, 7)))
    np.testing.assert_array_equal(one.image, again.image)
    assert one.label == again.label and one.box == again.box
    assert np.abs(one.image - other_index.image).max() > 0.1
    assert np.abs(one.image - other_seed.image).max() > 0.1


def test_images_and_masks_are_what_they_say(samples):
    for bird in samples:
        assert bird.image.shape == (96, 96, 3) and bird.image.dtype == np.float32
        assert bird.image.min() >= 0 and bird.image.max() <= 1
        parts = np.stack(list(bird.part_masks.values()))
        assert parts.min() >= 0 and parts.sum(axis=0).max() <= 1 + 1e-5
        assert bird.diagnostic_mask.any()
        part = bird.part_masks[bird.diagnostic_part]
        assert (part[bird.diagnostic_mask] > 0).all()
        # The object is where all its shapes together cover half a pixel, details included.
        assert (bird.object_mask | (parts.sum(axis=0) < 0.5)).all()
        rows, columns = np.nonzero(bird.object_mask)
        assert bird.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert 0.001 < part.mean() < 0.03, bird.diagnostic_part


def test_another_size_is_the_same_scene():
    for index in range(10):
        coarse, fine = birdlets.sample(2, index), birdlets.sample(2, index, size=192)
        assert coarse.label == fine.label
        np.testing.assert_allclose(2 * np.array(coarse.box), fine.box, atol=3)
        averaged = fine.image.reshape(96, 2, 96, 2, 3).mean(axis=(1, 3))
        assert np.abs(averaged - coarse.image).mean() < 0.01
        averaged = fine.part_masks["wing"].reshape(96, 2, 96, 2).mean(axis=(1, 3))
        assert np.abs(averaged - coarse.part_masks["wing"]).max() < 0.4


def test_species_changes_the_diagnostic_parts_and_nothing_else():
    for index in range(6):
        birds = [birdlets.sample(9, index, species=label) for label in range(len(SPECIES))]
        for one, two in zip(birds, birds[1:], strict=False):
            changed = np.abs(one.image - two.image).max(axis=-1) > 1e-6
            allowed = one.part_masks[one.diagnostic_part] + two.part_masks[two.diagnostic_part] > 0
            assert changed.any() and not (changed & ~allowed).any()
        drawn = birdlets.sample(9, index)
        np.testing.assert_array_equal(drawn.image, birds[drawn.label].image)


def test_labels_are_even_and_tell_nothing_of_pose_and_plumage(samples):
    labels = np.array([birdlets.sample(0, i, size=8).label for i in range(280)])
    counts = np.bincount(labels, minlength=len(SPECIES))
    # 20 expected of each; a binomial count leaves 20 +- 17 about once in 10 000 draws.
    assert counts.min() > 3 and counts.max() < 37
    bodies = np.array([s.image[s.part_masks["body"] > 0.9].mean() for s in samples])
    widths = np.array([s.box[2] - s.box[0] for s in samples])
    labels = np.array([s.label for s in samples])
    for label in np.unique(labels):
        for values in (bodies, widths):
            own = values[labels == label]
            error = values.std() / np.sqrt(len(own))
            assert abs(own.mean() - values.mean()) < 4 * error


def test_the_diagnostic_part_has_its_color_and_no_other_part_is_vivid(samples):
    for bird in samples:
        color = np.array(DIAGNOSTIC[SPECIES[bird.label]][1])
        seen = bird.image[bird.part_masks[bird.diagnostic_part] > 0.8]
        if len(seen):
            hues = PALETTE / np.linalg.norm(PALETTE, axis=1, keepdims=True)
            nearest = PALETTE[(hues @ seen.mean(axis=0)).argmax()]
            np.testing.assert_allclose(nearest, color, atol=1e-6)
            assert vividness(seen.mean(axis=0)) > 0.35
        others = sum(m for k, m in bird.part_masks.items() if k != bird.diagnostic_part)
        assert vividness(bird.image[others > 0.999]).max() < 0.3


def test_distractors_carry_the_diagnostic_colors_away_from_the_bird(samples):
    vivid = [(vividness(s.image) > 0.6) & ~s.object_mask for s in samples]
    assert np.mean([v.sum() > 10 for v in vivid]) > 0.9


def test_pairs_are_two_species_with_their_own_truth():
    for index in range(8):
        scene = birdlets.pair(1, index)
        one, two = scene.birds
        assert one.label != two.label
        assert one.image is scene.image and two.image is scene.image
        assert one.diagnostic_mask.any() and two.diagnostic_mask.any()
        assert not (one.object_mask & two.object_mask).any()


def test_flocks_are_three_to_five_of_one_species():
    sizes = set()
    for index in range(12):
        birds = birdlets.flock(1, index).birds
        sizes.add(len(birds))
        assert len({bird.label for bird in birds}) == 1
        assert np.sum([bird.object_mask for bird in birds], axis=0).max() == 1
        assert all(bird.diagnostic_mask.any() for bird in birds)
    assert sizes == {3, 4, 5}


def test_repaint_is_soft_and_leaves_the_rest(samples):
    bird = samples[0]
    part = bird.part_masks[bird.diagnostic_part]
    before = bird.image.copy()
    painted = birdlets.repaint(bird.image, part, (0.25, 0.5, 0.75))
    np.testing.assert_array_equal(bird.image, before)
    np.testing.assert_array_equal(painted[part == 0], before[part == 0])
    assert np.abs(painted[part > 0.34] - (0.25, 0.5, 0.75)).max() < 1e-6
    sixth = birdlets.repaint(np.zeros((1, 1, 3), np.float32), np.full((1, 1), 1 / 6), (1, 1, 1))
    np.testing.assert_allclose(sixth, 0.5, rtol=1e-6)


def test_elsewhere_is_as_large_and_apart(samples):
    for index, bird in enumerate(samples[:40]):
        patch = birdlets.elsewhere(bird, index)
        part = bird.part_masks[bird.diagnostic_part]
        assert patch.sum() == int(np.clip(3 * part, 0, 1).sum())
        assert not patch[part > 0].any() and bird.object_mask[patch > 0].all()


def test_batch_is_the_samples(samples):
    images, labels = birdlets.batch(5, [4, 2])
    np.testing.assert_array_equal(images, [samples[4].image, samples[2].image])
    assert labels.tolist() == [samples[4].label, samples[2].label] and labels.dtype == np.int32
    assert birdlets.batch(5, [])[0].shape == (0, 96, 96, 3)


def test_the_background_is_what_it_is_called(samples):
    seen = {bird.background for bird in samples}
    assert seen == {"sky", "leaves", "bark", "water"}
    for bird in samples:
        red, green, blue = np.median(bird.image[~bird.object_mask], axis=0)
        bluish, bright = blue > red, (red + green + blue) / 3
        found = "leaves" if green > max(red, blue) + 0.02 else "bark"
        found = ("sky" if bright > 0.62 else "water") if bluish or bright > 0.62 else found
        assert found == bird.background, (red, green, blue)
