"""What all metrics promise: pure functions of plain arrays, for jit and for vmap."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from saljax import metrics

SHAPE, NUMBER = (8, 10), 4
HOST = {metrics.choose_alpha}
RECORDS = {
    metrics.AlphaChoice,
    metrics.Arcc,
    metrics.Completeness,
    metrics.Adcc,
    metrics.AverageDrop,
    metrics.FunnyBirds,
    metrics.FunnyBirdsScores,
    metrics.InsertionDeletion,
    metrics.InsertionDeletionCurves,
    metrics.MeanAndError,
    metrics.Monotonicity,
    metrics.PixelFlipping,
    metrics.PixelFlippingCurves,
    metrics.Road,
    metrics.Sensitivity,
    metrics.SensitivityN,
    metrics.Similarity,
}
PUBLIC = {name: value for name, value in vars(metrics).items() if callable(value)}
OF_A_MAP_AND_BOXES = [
    metrics.pointing_game,
    metrics.pointing_game_fong,
    metrics.pointing_game_glas,
    metrics.iou_curve,
    metrics.localization_error,
    metrics.explainability,
]
OF_A_MAP_AND_A_MASK = [
    metrics.share_on_part,
    metrics.pointing_on_part,
    metrics.relevance_mass,
    metrics.relevance_rank,
    metrics.top_k_intersection,
    metrics.localization_auc,
]
OF_A_MAP = [
    metrics.skewness,
    metrics.sparseness,
    metrics.complexity,
    metrics.effective_complexity,
]
OF_A_CLASSIFIER = [
    metrics.faithfulness,
    metrics.insertion_deletion,
    metrics.score_drop,
    metrics.completeness,
    metrics.average_drop,
    metrics.pixel_flipping,
    metrics.monotonicity,
    metrics.irof,
]
DRAWN = {
    metrics.road: {"shares": (0.3, 0.6)},
    metrics.faithfulness_correlation: {"num_samples": 6},
    metrics.mu_fidelity: {"num_samples": 6},
    metrics.sensitivity_n: {"num_samples": 6, "tile": 3},
    metrics.monotonicity_correlation: {"num_samples": 2},
    metrics.infidelity: {"num_samples": 6},
}
"""Metrics of a classifier that draw at random, with few samples."""
OF_A_METHOD = {
    metrics.adcc: {},
    metrics.arcc: {"shares": (0.3,)},
    metrics.sensitivity: {"num_samples": 2},
    metrics.randomization: {},
    metrics.smooth_randomization: {"num_samples": 2},
    metrics.efficient_randomization: {},
    metrics.random_logit: {},
}
CALLED_BY_THESE = {
    metrics.faithfulness_curve,
    metrics.localization_box,
    metrics.average_precision,
    metrics.max_sensitivity,
}
OTHERS = {
    metrics.faithfulness_relative,
    metrics.parts_saliency,
    metrics.parts_ratio,
    metrics.mean_and_error,
    metrics.is_small,
    metrics.mean_over_classes,
    metrics.inside_boxes,
    metrics.sufficiency,
    metrics.funny_birds,
    metrics.funny_birds_scores,
    metrics.part_importance,
    metrics.target_sensitivity,
    metrics.pearson,
    metrics.spearman,
    metrics.ssim,
}


def score(weights, images):
    return jax.nn.softmax(images.reshape(len(images), -1) @ weights)


def steepest(score_fn, image, target):
    return jnp.abs(jax.grad(lambda x: score_fn(x[None])[0, target])(image)).max(-1)


def everything(score_fn, image, target, saliency, boxes, keypoints):
    """All metrics of one image, under their names."""
    mask = metrics.inside_boxes(boxes, SHAPE)
    sampled = metrics.parts_saliency(saliency, keypoints)
    curves = jnp.stack([saliency, 2 * saliency])[:, 0]
    given = score_fn, image, target, saliency
    return {
        "boxes": [f(saliency, boxes) for f in OF_A_MAP_AND_BOXES],
        "masks": [f(saliency, mask) for f in OF_A_MAP_AND_A_MASK],
        "maps": [f(saliency) for f in OF_A_MAP],
        "classifier": [f(*given) for f in OF_A_CLASSIFIER],
        "parts": [sampled, metrics.parts_ratio(sampled[None], sampled[None, :2])],
        "others": [
            metrics.faithfulness_relative(curves),
            metrics.is_small(boxes, SHAPE),
            metrics.sufficiency(saliency, jnp.arange(len(saliency)) % 2),
            [f(saliency, image[..., 0]) for f in (metrics.pearson, metrics.spearman, metrics.ssim)],
            metrics.mean_over_classes(saliency[0], jnp.arange(saliency.shape[1]) % 3, 3),
        ],
    }


def by_chance(score_fn, image, target, saliency):
    """All that draw at random, of a map or of a method."""
    key, given = jax.random.key(1), (score_fn, image, target)
    return [f(*given, saliency, key=key, **settings) for f, settings in DRAWN.items()], [
        f(steepest, *given, key=key, **settings) for f, settings in OF_A_METHOD.items()
    ]


judged, judged_by_chance = jax.jit(everything), jax.jit(by_chance)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(NUMBER, *SHAPE, 3)).astype(np.float32)
    saliency = np.round(rng.normal(size=(NUMBER, *SHAPE)) * 4).astype(np.float32)
    low = rng.integers(0, 5, (NUMBER, 3, 2))
    boxes = np.concatenate([low, low + rng.integers(0, 5, low.shape)], -1).astype(np.float32)
    boxes[1, 1:] = boxes[2, 2:] = np.nan
    keypoints = rng.uniform(0, 8, (NUMBER, 5, 2)).astype(np.float32)
    targets = np.arange(NUMBER, dtype=np.int32)
    return images, targets, saliency, boxes, keypoints


@pytest.fixture(scope="module")
def score_fn():
    weights = np.random.default_rng(1).normal(0, 0.1, (240, 5))
    return Partial(score, jnp.asarray(weights, jnp.float32))


def close(found, expected):
    def same(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)

    jax.tree.map(same, found, expected)


def test_vmap_equals_a_loop_and_padding_with_nan_changes_nothing(arrays, score_fn):
    def batch(score_fn, *arrays):
        return jax.vmap(everything, (None, *[0] * 5))(score_fn, *arrays)

    images, targets, saliency, boxes, keypoints = arrays
    more = np.pad(boxes, ((0, 0), (1, 1), (0, 0)), constant_values=np.nan)
    found = jax.device_get(jax.jit(batch)(score_fn, images, targets, saliency, more, keypoints))
    for i in range(NUMBER):
        alone = judged(score_fn, images[i], targets[i], saliency[i], boxes[i], keypoints[i])
        close(jax.tree.map(lambda x, i=i: x[i], found), alone)


def test_what_draws_at_random_too(arrays, score_fn):
    images, targets, saliency, *_ = arrays
    batch = jax.jit(jax.vmap(by_chance, (None, 0, 0, 0)))
    found = jax.device_get(batch(score_fn, images, targets, saliency))
    for i in range(NUMBER):
        alone = judged_by_chance(score_fn, images[i], targets[i], saliency[i])
        close(jax.tree.map(lambda x, i=i: x[i], found), alone)
    broken = saliency[0].copy()
    broken[3, 3] = np.inf
    of_map, of_method = judged_by_chance(score_fn, images[0], targets[0], broken)
    assert all(np.isnan(x).all() for x in jax.tree.leaves(of_map))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(of_method))
    with jax.enable_x64(True):
        double = saliency[0].astype(np.float64)
        shapes = jax.eval_shape(by_chance, score_fn, images[0], 0, double)
    assert {x.dtype for x in jax.tree.leaves(shapes)} == {np.dtype(np.float32)}


def test_under_x64_types_and_values_are_the_same(arrays, score_fn):
    one = [score_fn, *(array[1] for array in arrays)]
    plain = judged(*one)
    with jax.enable_x64(True):
        found = judged(*one)
        doubles = [score_fn, one[1], 0, *(array.astype(np.float64) for array in one[3:])]
        of_doubles = jax.eval_shape(everything, *doubles)
    close(found, plain)
    types = [[x.dtype for x in jax.tree.leaves(tree)] for tree in (plain, found, of_doubles)]
    assert types[0] == types[1] == types[2]


@pytest.mark.usefixtures("as_users_run")
def test_numpy_arrays_and_lists_of_boxes_will_do(arrays, score_fn):
    images, _, saliency, boxes, keypoints = (array[0] for array in arrays)
    double = saliency.astype(np.float64)

    def from_numpy():
        return [f(double, boxes.tolist()) for f in OF_A_MAP_AND_BOXES] + [
            metrics.explainability(double, boxes.astype(int)),
            metrics.parts_saliency(double, keypoints.tolist()),
            metrics.average_precision(double, double > 0),
            metrics.score_drop(score_fn, images, 0, double),
            metrics.insertion_deletion(score_fn, images, 0, double),
            metrics.faithfulness(score_fn, images, 0, double),
        ]

    jax.eval_shape(from_numpy)


@pytest.mark.parametrize("extreme", [np.inf, -np.inf])
def test_an_infinite_value_counts_as_nan(extreme, arrays, score_fn):
    image, target, saliency, boxes, keypoints = (array[0] for array in arrays)

    def with_value(value):
        broken = saliency.copy()
        broken[3, 3] = value
        found = judged(score_fn, image, target, broken, boxes, keypoints)
        return found["boxes"], found["classifier"]

    jax.tree.map(np.testing.assert_array_equal, with_value(extreme), with_value(np.nan))


@pytest.mark.parametrize("metric", OF_A_CLASSIFIER)
@pytest.mark.usefixtures("as_users_run")
def test_pictures_of_bytes_are_refused(metric, arrays, score_fn):
    image = jnp.asarray(255 * arrays[0][0], jnp.uint8)
    with pytest.raises(ValueError, match="floating point.*uint8.*Divide bytes by 255"):
        metric(score_fn, image, 0, jnp.asarray(arrays[2][0]))


@pytest.mark.parametrize("shape", [(16, 2), (3, 4, 5, 1), (6, 8, 4)])
def test_signals_volumes_and_any_number_of_channels(shape):
    image, saliency = jnp.zeros(shape), jnp.zeros(shape[:-1])
    score_fn = Partial(score, jnp.zeros((image.size, 5)))

    def judged():
        mask = saliency > 0
        curve = metrics.faithfulness_curve(score_fn, image, 0, saliency)
        return curve, [
            metrics.insertion_deletion(score_fn, image, 0, saliency, step=9),
            metrics.score_drop(score_fn, image, 0, saliency),
            metrics.average_precision(saliency, mask),
            metrics.share_on_part(saliency, mask),
            *(f(saliency, mask) for f in OF_A_MAP_AND_A_MASK[1:]),
            *(f(saliency) for f in OF_A_MAP),
        ]

    curve, numbers = jax.eval_shape(judged)
    assert curve.shape == (32,) and {x.shape for x in jax.tree.leaves(numbers)} == {()}


def test_chunk_size_is_memory_only_and_the_classifier_is_traced_once(arrays, score_fn):
    images, _, saliency, *_ = map(jnp.asarray, arrays)
    traces = []

    def counted(weights, images):
        traces.append(len(images))
        return score_fn.func(weights, images)

    def several(score_fn, image, saliency, chunk_size):
        given, size = (score_fn, image, 1, saliency), {"chunk_size": chunk_size}
        once = [metrics.faithfulness, metrics.pixel_flipping, metrics.monotonicity, metrics.irof]
        return (
            metrics.insertion_deletion(*given, step=7, **size),
            [f(*given, **size) for f in once],
            [f(*given, key=jax.random.key(1), **few, **size) for f, few in DRAWN.items()],
        )

    run = jax.jit(several, static_argnames="chunk_size")
    small = run(Partial(counted, *score_fn.args), images[0], saliency[0], chunk_size=5)
    assert len(traces) == 11 and max(traces) <= 5
    close(small, run(score_fn, images[0], saliency[0], chunk_size=64))


def test_every_public_metric_is_here():
    called = {*OF_A_MAP_AND_BOXES, *OF_A_MAP_AND_A_MASK, *OF_A_MAP, *OF_A_CLASSIFIER, *OTHERS}
    called |= {*DRAWN, *OF_A_METHOD}
    assert set(PUBLIC.values()) == called | CALLED_BY_THESE | HOST | RECORDS


@pytest.mark.parametrize("name", sorted(name for name in PUBLIC if name.islower()))
def test_docstring_and_keywords(name):
    text, parameters = inspect.getdoc(PUBLIC[name]), inspect.signature(PUBLIC[name]).parameters
    assert "Args:" in text and "Returns:" in text
    for parameter in parameters.values():
        assert f"\n    {parameter.name}:" in text
        keyword = parameter.kind == parameter.KEYWORD_ONLY
        required = parameter.default is parameter.empty and parameter.name != "key"
        assert keyword != required
