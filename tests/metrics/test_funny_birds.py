import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from saljax import metrics
from saljax.data import birdlets

BIRD = birdlets.sample(0, 3, size=32)
PARTS, COLORS, DECISIVE = birdlets.removable(BIRD, 0)
IMAGE = jnp.asarray(BIRD.image)
VIVID = jnp.asarray(BIRD.image[PARTS[DECISIVE] >= 0.9].mean(0))


def follows(images):
    """Two classes: whether the diagnostic part has its color, and whether it has not."""
    there = PARTS[DECISIVE] >= 0.9
    away = jnp.abs(images - VIVID[None, None, None]).sum(-1)
    mean = jnp.where(there[None], away, 0.0).sum((1, 2)) / there.sum(dtype=np.float32)
    own = 0.95 - 0.9 * jnp.clip(mean, 0, 1)
    return jnp.stack([own, 1 - own], axis=1)


@jax.jit
def judge(saliency):
    return metrics.funny_birds(
        follows, IMAGE, 0, saliency, jnp.asarray(PARTS), jnp.asarray(COLORS), DECISIVE,
        dilation=3, thresholds=(0.01, 0.2, 0.5),
    )  # fmt: skip


def literally(saliency, threshold):
    """The protocols, part by part."""
    positive = np.maximum(saliency, 0)
    grown = []
    for part in PARTS >= 0.5:
        padded = np.pad(part, 1)
        grown.append(
            np.max([padded[i : i + 32, j : j + 32] for i in range(3) for j in range(3)], axis=0)
        )
    importance = np.asarray([(positive * mask).sum() for mask in grown])
    chosen = importance > threshold * positive.sum()

    def scores(removed):
        image = BIRD.image
        for i in np.flatnonzero(removed):
            image = birdlets.repaint(image, PARTS[i], COLORS[i])
        return np.asarray(follows(jnp.asarray(image, jnp.float32)[None])[0])

    clean = scores(np.zeros(len(PARTS), bool))
    drops = np.asarray([clean[0] - scores(one)[0] for one in np.eye(len(PARTS), dtype=bool)])
    irrelevant = drops < 0.05 * clean[0]
    return (
        chosen[DECISIVE],
        scores(~chosen).argmax() == clean.argmax(),
        scores(chosen).argmax() != clean.argmax(),
        1 - (chosen & irrelevant).sum() / irrelevant.sum(),
        (1 + scipy.stats.spearmanr(importance, drops).statistic) / 2,
        scipy.stats.rankdata(-importance)[DECISIVE],
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_all_equal_their_definitions(seed):
    saliency = np.random.default_rng(seed).normal(size=(32, 32)).astype(np.float32)
    saliency += (3 * PARTS[(DECISIVE + seed) % len(PARTS)]).astype(np.float32)
    found = judge(jnp.asarray(saliency))
    for i, threshold in enumerate((0.01, 0.2, 0.5)):
        expected = literally(saliency, threshold)
        np.testing.assert_allclose([x[i] for x in found[:4]], expected[:4], rtol=1e-5)
        np.testing.assert_allclose(found[4:], expected[4:], rtol=1e-4)


def test_the_truth_has_all_and_the_whole_bird_is_distracted():
    truth = jnp.asarray(PARTS[DECISIVE] >= 0.9, jnp.float32)
    found = judge(truth)
    assert [float(x[2]) for x in found[:3]] == [1, 1, 1] and found.rank == 1
    bird = judge(jnp.asarray(BIRD.object_mask, jnp.float32))
    assert bird.distractibility[0] < 0.6 and bird.preservation[0] == 1
    both = jax.tree.map(lambda *x: jnp.stack(x), found, found)
    scores = metrics.funny_birds_scores(both, thresholds=(0.01, 0.2, 0.5))
    complete = (1 + found.distractibility) / 2
    np.testing.assert_allclose(scores.completeness, complete.max(), rtol=1e-6)
    np.testing.assert_allclose(scores.threshold, (0.01, 0.2, 0.5)[int(complete.argmax())])


def test_nothing_is_important_in_a_map_without_mass():
    found = judge(-jnp.ones((32, 32)))
    assert found.csdc.tolist() == [0, 0, 0] and found.distractibility.tolist() == [1, 1, 1]
    assert found.deletion.tolist() == [0, 0, 0]
    assert np.isnan(found.single_deletion)
    broken = judge(jnp.ones((32, 32)).at[0, 0].set(jnp.inf))
    assert all(np.isnan(x).all() for x in broken)


def test_target_sensitivity():
    parts = jnp.zeros((2, 9, 9)).at[0, 1, 1].set(1).at[1, 7, 7].set(1)
    assert metrics.target_sensitivity(parts, parts) == 1
    assert metrics.target_sensitivity(parts[::-1], parts) == 0
    assert metrics.target_sensitivity(parts[:1].repeat(2, 0), parts) == 0
    one = jnp.stack([parts[0], parts[0] * 0.5])
    assert metrics.target_sensitivity(one, parts) == 0.5


@pytest.mark.usefixtures("as_users_run")
def test_wrong_input():
    with pytest.raises(ValueError, match="two maps and two parts"):
        metrics.target_sensitivity(jnp.ones((3, 4, 4)), jnp.ones((3, 4, 4)))
    with pytest.raises(ValueError, match=r"`colors` \(P, 3\); got .* and \(2, 3\)"):
        metrics.funny_birds(
            follows, IMAGE, 0, jnp.ones((32, 32)), jnp.asarray(PARTS), jnp.ones((2, 3)), 0
        )


def test_removable_parts_are_seen_and_one_of_them_decides():
    assert PARTS.shape == (len(COLORS), 32, 32) and PARTS.dtype == COLORS.dtype == np.float32
    np.testing.assert_array_equal(PARTS[DECISIVE], BIRD.part_masks[BIRD.diagnostic_part])
    np.testing.assert_array_equal(COLORS[DECISIVE], BIRD.neutral)
    np.testing.assert_array_equal(birdlets.removable(BIRD, 0)[1], COLORS)
    assert (birdlets.removable(BIRD, 1)[1] != COLORS).any()
