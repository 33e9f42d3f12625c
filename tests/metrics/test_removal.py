"""Metrics that take features away, against their definitions on tiny classifiers."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from saljax import metrics
from saljax.metrics.faithfulness import removal

SHAPE = (6, 8)
RNG = np.random.default_rng(0)
IMAGE = jnp.asarray(RNG.uniform(size=(*SHAPE, 3)), jnp.float32)
MEAN = np.broadcast_to(np.asarray(IMAGE).mean((0, 1)), IMAGE.shape)
ONES = jnp.ones((*SHAPE, 1))
MAP = jnp.asarray(RNG.normal(size=SHAPE).round(1), jnp.float32)


def softmax(weights, images):
    flat = images.reshape(len(images), -1)
    return jax.nn.softmax(jnp.matmul(flat, weights, precision="highest"))


def linear(weights, images):
    flat = images.reshape(len(images), -1)
    return jnp.matmul(flat, weights.reshape(-1, 1), precision="highest")


SOFTMAX = Partial(softmax, jnp.asarray(RNG.normal(0, 0.3, (144, 4)), jnp.float32))
CONSTANT = Partial(softmax, jnp.zeros((144, 4)))


def said(image, target=1, score_fn=SOFTMAX):
    return float(score_fn(jnp.asarray(image, jnp.float32)[None])[0, target])


def run(metric, *args, **settings):
    return jax.jit(functools.partial(metric, **settings))(*args)


def area(curve):
    return (sum(curve) - curve[0] / 2 - curve[-1] / 2) / (len(curve) - 1)


def test_average_drop_equals_its_definition():
    normal = np.asarray((MAP - MAP.min()) / (MAP.max() - MAP.min()))
    for keep in (1.0, 0.5):
        mask = np.where(normal >= np.quantile(normal, 1 - keep), normal, 0)[..., None]
        before, after = said(IMAGE), said(IMAGE * mask + MEAN * (1 - mask))
        found = run(metrics.average_drop, SOFTMAX, IMAGE, 1, MAP, keep=keep)
        lost, won = max(before - after, 0) / before, max(after - before, 0) / (1 - before)
        expected = [100 * lost, 100 * (after > before), 100 * won]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0.8, 0.6, (25, 0, 0)),
        (0.8, 0.9, (0, 100, 50)),
        (0.8, 0.8, (0, 0, 0)),
        (0.0, 0.5, (0, 100, 50)),
        (1.0, 0.25, (75, 0, 0)),
    ],
)
def test_average_drop_by_hand(before, after, expected):
    def score_fn(images):
        return jnp.where(images[:, 0, 0] > 0.5, before, after)

    image, saliency = jnp.ones((2, 1, 1)), jnp.asarray([[0.0], [1.0]])  # pixel 0 is masked
    found = metrics.average_drop(score_fn, image, 0, saliency, baseline=0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_constant_map_keeps_nothing():
    found = run(metrics.average_drop, SOFTMAX, IMAGE, 1, jnp.ones(SHAPE))
    before, after = said(IMAGE), said(MEAN)
    np.testing.assert_allclose(found.drop, 100 * max(before - after, 0) / before, rtol=1e-4)


@pytest.mark.parametrize("tile", [1, 3])
def test_pixel_flipping_equals_its_definition(tile):
    """Tiles of 3 on 6 x 8 pixels: those of the last column are narrower."""
    places = itertools.product(range(0, 6, tile), range(0, 8, tile))
    features = [np.s_[y : y + tile, x : x + tile] for y, x in places]
    order = sorted(range(len(features)), key=lambda i: -float(np.mean(MAP[features[i]])))
    steps = min(10, len(features))
    curves = []
    for way in (order, order[::-1]):
        curves.append([])
        for step in range(steps + 1):
            image = np.array(IMAGE)
            for i in way[: step * len(features) // steps]:
                image[features[i]] = MEAN[features[i]]
            curves[-1].append(said(image))
    found = run(
        metrics.pixel_flipping, SOFTMAX, IMAGE, 1, MAP, tile=tile, num_steps=10, details=True
    )
    np.testing.assert_allclose([found.morf_curve, found.lerf_curve], curves, rtol=1e-4)
    morf, lerf = map(area, curves)
    expected = [morf, lerf, lerf - morf, np.mean([curves[0][0] - y for y in curves[0]])]
    np.testing.assert_allclose(found[:4], expected, atol=1e-5)


def test_pixel_flipping_of_four_contributions():
    shares = jnp.asarray([0.4, 0.3, 0.2, 0.1])
    score_fn, image = Partial(linear, shares), jnp.ones((4, 1))
    flip = functools.partial(run, metrics.pixel_flipping, score_fn, image, 0)
    found = flip(shares, baseline=0.0)
    np.testing.assert_allclose(found, [0.375, 0.625, 0.25, 0.6], rtol=1e-5)
    np.testing.assert_allclose(flip(-shares, baseline=0.0).abpc, -0.25, rtol=1e-5)
    flat = run(metrics.pixel_flipping, CONSTANT, IMAGE, 0, MAP)
    np.testing.assert_allclose(flat, [0.25, 0.25, 0, 0], atol=1e-6)


def pearson(a, b):
    return np.corrcoef(a, b)[0, 1]


def test_faithfulness_correlation_of_contributions_and_of_their_opposite(key):
    weights = jnp.asarray(RNG.normal(size=SHAPE), jnp.float32)
    score_fn = Partial(linear, weights)
    for metric in (metrics.faithfulness_correlation, metrics.mu_fidelity):
        for grid in (None, 4):
            one = functools.partial(metric, key=key, num_samples=30, grid=grid, baseline=0.0)
            found = jax.jit(jax.vmap(lambda s, one=one: one(score_fn, ONES, 0, s)))
            several = jnp.stack([weights, -3 * weights, jnp.zeros(SHAPE)])
            np.testing.assert_allclose(found(several), [1, -1, np.nan], rtol=1e-4)


def test_faithfulness_correlation_equals_its_definition(key):
    """The subsets are drawn as its docstring says: of a number of their own, folded from it."""
    sums, drops = [], []
    for index in range(1, 13):
        order = np.asarray(jax.random.uniform(jax.random.fold_in(key, index), (48,)))
        chosen = np.argsort(-order)[:5].tolist()  # round(0.1 * 48)
        image = np.array(IMAGE).reshape(48, 3)
        image[chosen] = MEAN.reshape(48, 3)[chosen]
        sums.append(np.asarray(MAP).ravel()[chosen].sum())
        drops.append(said(IMAGE) - said(image.reshape(IMAGE.shape)))
    settings = {"key": key, "num_samples": 12, "share": 0.1}
    found = run(metrics.faithfulness_correlation, SOFTMAX, IMAGE, 1, MAP, **settings)
    np.testing.assert_allclose(found, pearson(sums, drops), rtol=1e-3)
    assert abs(found) < 0.99


def test_sensitivity_n_of_contributions_and_of_a_random_map(key):
    weights = jnp.asarray(RNG.normal(size=SHAPE), jnp.float32)
    score_fn = Partial(linear, weights)
    settings = {"key": key, "num_samples": 40, "num_sizes": 4, "tile": 1, "baseline": 0.0}
    measure = functools.partial(metrics.sensitivity_n, score_fn, ONES, 0, details=True, **settings)
    several = jnp.stack([weights, 2 * weights, jnp.asarray(RNG.normal(size=SHAPE), jnp.float32)])
    found = jax.jit(jax.vmap(measure))(several)
    assert found.sizes[0].tolist() == [1, 3, 11, 38]
    np.testing.assert_allclose(found.correlations[:2], 1, rtol=1e-4)
    assert abs(found.mean[2]) < 0.35
    # Pooled over images the scale counts.
    pooled = [metrics.pearson(found.sums[a, 1], found.drops[a, 1]) for a in (np.s_[:1], np.s_[:2])]
    np.testing.assert_allclose(pooled[0], 1, rtol=1e-4)
    assert pooled[1] < 0.99


def test_sensitivity_n_sums_and_drops_are_those_of_n_tiles(key):
    found = run(
        metrics.sensitivity_n, SOFTMAX, IMAGE, 1, MAP, key=key, num_samples=5, tile=2, details=True
    )
    assert found.sizes.tolist() == sorted({*found.sizes.tolist()}) and found.sizes[-1] == 9
    tiles = [np.asarray(MAP)[y : y + 2, x : x + 2].sum() for y in (0, 2, 4) for x in (0, 2, 4, 6)]
    single = {round(float(t), 3) for t in tiles}
    assert {round(float(s), 3) for s in found.sums[0]} <= single
    for s, d in zip(found.sums[0], found.drops[0], strict=True):
        i = int(np.argmin(np.abs(np.asarray(tiles) - float(s))))
        image = np.array(IMAGE)
        rows, columns = np.s_[2 * (i // 4) : 2 * (i // 4) + 2], np.s_[2 * (i % 4) : 2 * (i % 4) + 2]
        image[rows, columns] = MEAN[rows, columns]
        np.testing.assert_allclose(d, said(IMAGE) - said(image), atol=1e-5)


def test_monotonicity_equals_its_definition():
    assert len({float(v) for v in MAP.ravel()}) < 48  # equal values: the last comes first
    order = sorted(range(48), key=lambda i: (float(MAP.ravel()[i]), -i))
    shown, curve = MEAN.reshape(48, 3).copy(), []
    for i in [None, *order]:
        if i is not None:
            shown[i] = np.asarray(IMAGE).reshape(48, 3)[i]
        curve.append(said(shown.reshape(IMAGE.shape)))
    found = run(metrics.monotonicity, SOFTMAX, IMAGE, 1, MAP)
    np.testing.assert_allclose(found, [0, np.mean(np.diff(curve) >= 0)], atol=0.03)
    weights = jnp.abs(MAP)
    one = functools.partial(run, metrics.monotonicity, baseline=0.0)
    assert one(Partial(linear, weights), ONES, 0, weights) == (1, 1)
    assert run(metrics.monotonicity, CONSTANT, IMAGE, 0, MAP) == (1, 1)
    half = jnp.where(jnp.arange(48).reshape(SHAPE) < 24, -1.0, 1.0)
    np.testing.assert_allclose(one(Partial(linear, half), ONES, 0, MAP), [0, 0.5], atol=1e-6)


def test_monotonicity_correlation(key):
    weights = jnp.arange(1.0, 49).reshape(SHAPE)
    one = functools.partial(
        run, metrics.monotonicity_correlation, key=key, num_blocks=48, num_samples=40
    )
    assert one(Partial(linear, weights), 0.5 * ONES, 0, weights) > 0.95
    shuffled = jnp.asarray(np.random.default_rng(1).permutation(np.asarray(weights).ravel()))
    assert one(Partial(linear, weights), 0.5 * ONES, 0, shuffled.reshape(SHAPE)) < 0.5


@pytest.mark.parametrize("given", [False, True])
def test_irof_equals_its_definition(given):
    labels = (np.arange(6)[:, None] * 2 // 6) * 2 + np.arange(8)[None] * 2 // 8
    if given:
        labels = np.where(labels == 3, 5, labels)  # label 3 does not occur
    regions = [labels == i for i in np.unique(labels)]
    order = sorted(regions, key=lambda r: -float(np.asarray(MAP)[r].mean()))
    image, curve = np.array(IMAGE), [1.0]
    for region in order:
        image[region] = MEAN[region]
        curve.append(said(image) / said(IMAGE))
    settings = {"segments": jnp.asarray(labels)} if given else {"grid": 2}
    found = run(metrics.irof, SOFTMAX, IMAGE, 1, MAP, **settings)
    np.testing.assert_allclose(found, 1 - area(curve), rtol=1e-3)
    assert abs(float(run(metrics.irof, CONSTANT, IMAGE, 0, MAP, **settings))) < 1e-6


def test_irof_by_hand():
    left = jnp.asarray([1, 0.6, 0.3, 0.1, 0])

    def score_fn(images):
        return left[(4 - images.sum((1, 2)).round()).astype(jnp.int32)][:, None]

    settings = {"segments": np.arange(4), "baseline": 0.0}
    found = metrics.irof(score_fn, jnp.ones((4, 1)), 0, -jnp.arange(4.0), **settings)
    np.testing.assert_allclose(found, 0.625, rtol=1e-6)


def test_sufficiency():
    same = jnp.ones((3, 2, 2))
    assert metrics.sufficiency(same, jnp.asarray([0, 0, 1])).tolist() == [0.5, 0.5, 0]
    maps = jnp.asarray(RNG.normal(size=(6, 2, 2)), jnp.float32).at[:, 0, 0].set(3)
    labels = jnp.asarray([0, 1, 0, 1, 0, 0])
    flat = np.asarray(maps).reshape(6, 4)[:, 1:]
    away = np.sqrt((((flat[:, None] - flat[None]) / flat.std(0)) ** 2).sum(-1))
    expected = []
    for i in range(6):
        near = [j for j in range(6) if j != i and away[i, j] <= 0.6 * away.max()]
        expected.append(np.mean([labels[j] == labels[i] for j in near]) if near else 0)
    np.testing.assert_allclose(metrics.sufficiency(maps, labels), expected, rtol=1e-6)
    everybody = metrics.sufficiency(maps, labels, threshold=1.0)
    np.testing.assert_allclose(everybody, [0.6, 0.2, 0.6, 0.2, 0.6, 0.6], rtol=1e-6)


def test_adcc():
    """By a method that returns the image's first channel."""

    def first(score_fn, image, target):
        return image[..., 0]

    found = jax.jit(lambda image: metrics.adcc(first, SOFTMAX, image, 1))(IMAGE)
    channel = np.asarray(IMAGE)[..., 0]
    mask = (channel - channel.min()) / (channel.max() - channel.min())
    masked = IMAGE * mask[..., None] + MEAN * (1 - mask[..., None])
    coherency = (1 + pearson(channel.ravel(), np.asarray(masked)[..., 0].ravel())) / 2
    drop = max(said(IMAGE) - said(masked), 0) / said(IMAGE)
    mean = 3 / (1 / coherency + 1 / (1 - mask.mean()) + 1 / (1 - drop))
    np.testing.assert_allclose(found, [mean, coherency, mask.mean(), drop], rtol=1e-3, atol=1e-5)
    flat = metrics.adcc(lambda score_fn, image, target: jnp.ones(SHAPE), SOFTMAX, IMAGE, 1)
    assert flat.adcc == flat.coherency == 0


def test_arcc_has_roads_number_in_place_of_the_drop(key):
    """The map is the first channel; it helps class 1, and hinders it where its weights are < 0."""

    def first(score_fn, image, target):
        return image[..., 0]

    @jax.jit
    def both(score_fn):
        settings = {"key": key, "shares": (0.25, 0.5)}
        return (
            metrics.arcc(first, score_fn, IMAGE, 1, **settings),
            metrics.adcc(first, score_fn, IMAGE, 1),
            metrics.road(score_fn, IMAGE, 1, IMAGE[..., 0], **settings).combined,
        )

    helps = jnp.zeros((144, 4)).at[::3, 1].set(0.1)
    found, other, combined = both(Partial(softmax, helps))
    assert 0 < combined < 0.5 and found.road == 2 * combined and found[1:3] == other[1:3]
    terms = np.asarray([found.coherency, 1 - found.complexity, 2 * combined])
    np.testing.assert_allclose(found.arcc, 3 / (1 / terms).sum(), rtol=1e-5)
    found, _, combined = both(Partial(softmax, -helps))
    assert combined < 0 and found.arcc == found.road == 0


def test_tiles_and_grids():
    labels, number = removal.tiles((5, 4), 3)
    assert labels.tolist() == [[0, 0, 0, 1]] * 3 + [[2, 2, 2, 3]] * 2 and number == 4
    labels, number = removal.grid((2, 6), 3)
    assert labels.tolist() == [[0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5]] and number == 6


@pytest.mark.parametrize(
    ("metric", "settings", "message"),
    [
        (metrics.average_drop, {"keep": 1.5}, "`keep` must be at most 1"),
        (metrics.pixel_flipping, {"tile": 0}, "`tile` must be greater than 0"),
        (metrics.pixel_flipping, {"num_steps": 2.5}, "`num_steps` must be a whole number"),
        (metrics.faithfulness_correlation, {"share": 1.0}, "`share` must be less than 1"),
        (metrics.mu_fidelity, {"statistic": "kendall"}, "one of pearson, spearman"),
        (metrics.sensitivity_n, {"tile": 8}, "`tile` must leave several tiles"),
        (metrics.sensitivity_n, {"tile": 1, "largest": 1.0}, "`largest` must be less than 1"),
        (metrics.irof, {"num_segments": 3}, "give them, or `grid`"),
        (metrics.irof, {"segments": np.zeros((8, 6), int)}, r"shape, \(6, 8\); got int64 \(8, 6\)"),
        (metrics.irof, {"segments": np.full(SHAPE, -1)}, r"labels 0\.\.-1; got -1\.\.-1"),
        (metrics.monotonicity, {"chunk_size": 0}, "`chunk_size` must be greater than 0"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_wrong_input(metric, settings, message, key):
    if metric in (metrics.faithfulness_correlation, metrics.mu_fidelity, metrics.sensitivity_n):
        settings = {"key": key, **settings}
    with pytest.raises(ValueError, match=message):
        metric(SOFTMAX, IMAGE, 1, MAP, **settings)
