"""Metrics by name, and the columns that come of their values."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax import metrics, models, scores
from saljax.evaluation import costs
from saljax.evaluation.derived import ALPHAS
from saljax.evaluation.measures import MEASURES, Batched, measures, to_json
from saljax.evaluation.rows import rows
from saljax.models.zoo import ModelInfo

SHAPE = (6, 8, 3)
TINY = ModelInfo("tiny", "a tiny one", SHAPE, 6, None, True, ("a", "b", "c"), "none")


def one(name, *texts, with_boxes=True):
    keywords = dict(text.split("=") for text in texts)
    (found,) = measures(name, {name: keywords}, TINY, with_boxes)
    return found


def boxes(number):
    corners = np.full((number, 2, 4), np.nan, np.float32)
    corners[:, 0] = [[i % 3, 1, 4 + i % 3, 4] for i in range(number)]
    return corners


def test_all_that_can_be_measured():
    with_boxes = [m.name for m in measures(None, {}, TINY, True)]
    without = [m.name for m in measures(None, {}, TINY, False)]
    quick = [name for name in MEASURES if not MEASURES[name].dear]
    assert with_boxes == quick and {"road", "relevance_mass", "sparseness"} <= set(quick)
    assert without == [name for name in quick if MEASURES[name].needs != "boxes"]
    assert [m.name for m in measures("all", {}, TINY, True)] == list(MEASURES)
    everything = [m.name for m in measures("all", {}, TINY, False)]
    assert everything == [name for name in MEASURES if MEASURES[name].needs != "boxes"]


def test_what_costs_much_says_so():
    assert one("infidelity", "num_samples=20").cost == (
        "some 21 passes through the classifier a map"
    )
    assert one("sensitivity").cost == "11 maps more of each method and image"
    assert one("randomization").cost == "a map a layer more of each method and image"


@pytest.mark.parametrize("name", ["faithfulness", "insertion_deletion", "average_drop", "irof"])
def test_passes_are_those_that_are_made(name):
    """Counted, without a compiler, one image at a time."""
    measure, passes = one(name, *(["step=7"] if name == "insertion_deletion" else [])), []

    def score_fn(images):
        passes.append(len(images))
        return jax.nn.softmax(images.mean((1, 2)))

    image = jax.random.uniform(jax.random.key(0), SHAPE)
    chunked = {"chunk_size": 1} if "chunk_size" in measure.settings() else {}
    with jax.disable_jit():
        measure.function(score_fn, image, jnp.asarray(0), image[..., 0], **chunked)
    assert sum(passes) == measure.passes > 1


def test_a_long_run_is_estimated(monkeypatch):
    monkeypatch.setattr(costs, "_seconds_a_pass", lambda score_fn, image: 0.01)
    measured = [one("faithfulness"), one("skewness"), one("infidelity", "num_samples=9")]
    compared = rows("occlusion,gradient", {"occlusion": {"window": "3", "stride": "1"}}, None, True)
    weights = jnp.zeros((144, 3))

    def logits(images):
        return jnp.matmul(images.reshape(len(images), -1), weights)

    given = (
        {"logits": logits, "probabilities": scores.probabilities(logits)},
        jnp.zeros((1, *SHAPE)),
    )
    said = costs.estimate(compared, measured, 100, *given)
    # Of 4 maps 42 passes each; of 100 images 247 or so at 10 ms.
    found = re.fullmatch(
        r"about (\d+) passes through the classifier an image \(occlusion (\d+), gradient (\d+); of "
        r"each map faithfulness 32, infidelity 10\), (\d) min for 100 images, and the time to "
        r"compile",
        said,
    )
    assert found, said
    whole, occlusion, gradient, minutes = map(int, found.groups())
    assert whole == 4 * 42 + occlusion + gradient and minutes == round(whole / 60)
    assert occlusion >= 4 * 6 and gradient <= 3
    assert costs.estimate(compared, measured, 10, *given) == ""


def test_settings():
    assert one("pointing_game", "tolerance=3").settings() == {"tolerance": 3.0}
    assert one("iou_curve", "thresholds=0.2,0.5").settings() == {"thresholds": [0.2, 0.5]}
    settings = one("insertion_deletion").settings()
    assert settings["deletion_baseline"] == "mean_color"
    assert settings["step"] == 64  # eight rows of eight pixels
    assert settings["insertion_baseline"] == "rise_blur"
    assert one("insertion_deletion", "step=5").settings()["step"] == 5
    (of_imagenet,) = measures("insertion_deletion", {}, models.info("resnet18"), True)
    assert of_imagenet.settings()["deletion_baseline"] == "imagenet_mean"


@pytest.mark.parametrize(
    ("names", "with_boxes", "says"),
    [
        ("pointing", True, "no metric is called 'pointing'; there is pointing_game"),
        ("explainability", False, "explainability needs --boxes"),
        ("", True, "no metric is called ''"),
    ],
)
def test_wrong_names(names, with_boxes, says):
    with pytest.raises(ValueError, match=says):
        measures(names, {}, TINY, with_boxes)


@pytest.mark.parametrize("name", list(MEASURES))
def test_every_column_has_a_name_of_its_own_and_says_which_end_is_better(name):
    """Of values that a batch of the metric has, and of none."""
    measure, corners = one(name), jnp.asarray(boxes(2))
    key, images, maps = jax.random.key(0), jnp.zeros((2, *SHAPE)), jnp.zeros((2, *SHAPE[:2]))

    def score_fn(weights, images):
        return jax.nn.softmax(jnp.matmul(images.reshape(len(images), -1), weights))

    score_fn = jax.tree_util.Partial(score_fn, jnp.zeros((144, 3)))

    def method(score_fn, image, target):
        return image[..., 0]

    def program(score_fn, images, maps, corners, key):
        targets = jnp.asarray([0, 1])
        batch = Batched(targets, maps, corners, images, score_fn, method, score_fn, key)
        return measure.program(batch)

    shapes = jax.eval_shape(program, score_fn, images, maps, corners, key)
    (value, _) = to_json(jax.tree.map(lambda x: np.full(x.shape, 0.25), shapes))
    values = [value, None]
    stored = {"a": values, "failed": [None, None]}
    columns = measure.columns(stored, ["a", "failed"], np.arange(2))
    assert len({column.name for column in columns}) == len(columns) > 0
    for column in columns:
        assert (column.better == "") == (name == "skewness") and len(column.values["a"]) == 2
        assert np.isnan(column.values["failed"]).all()
    if name != "localization_error":
        assert np.isfinite(columns[0].values["a"][0]) and np.isnan(columns[0].values["a"][1])


def test_wrong_settings():
    with pytest.raises(ValueError, match="--set skewness.a=1: no option is called 'a'"):
        one("skewness", "a=1")


def test_a_program_measures_a_batch(key):
    """The same as the metric one by one, for each kind of input."""
    maps = jax.random.uniform(key, (3, 6, 8))
    images = jax.random.uniform(key, (3, *SHAPE))
    targets, corners = jnp.asarray([0, 1, 2]), jnp.asarray(boxes(3))

    def score_fn(images):
        return jax.nn.softmax(images.mean((1, 2)))

    score_fn = jax.tree_util.Partial(score_fn)
    found = one("score_drop").program(Batched(targets, maps, corners, images, score_fn))
    expected = [metrics.score_drop(score_fn, images[i], i, maps[i]) for i in range(3)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    found = one("skewness").program(Batched(targets, maps, corners))
    np.testing.assert_allclose(found, [metrics.skewness(one_map) for one_map in maps], rtol=1e-5)
    found = one("pointing_game_fong", "tolerance=1").program(Batched(targets, maps, corners))
    near = []
    for one_map, (x1, y1, x2, y2) in zip(np.asarray(maps), boxes(3)[:, 0], strict=True):
        y, x = np.unravel_index(one_map.argmax(), one_map.shape)
        near.append(np.hypot(max(x1 - x, 0, x - x2), max(y1 - y, 0, y - y2)) <= 1)
    assert len(set(near)) == 2
    np.testing.assert_array_equal(found, near)


def test_a_metric_of_a_method_explains_again(key):
    """With what the method explains, its key, and the probabilities where it asks for these."""
    images = jax.random.uniform(key, (2, *SHAPE))
    weights = jax.random.normal(key, (144, 3))

    def logits(weights, images):
        return jnp.matmul(images.reshape(len(images), -1), weights, precision="highest")

    explained = jax.tree_util.Partial(logits, weights)
    score_fn = scores.probabilities(explained)
    method = partial(saljax.smoothgrad, num_samples=2)
    batch = Batched(
        jnp.asarray([0, 2]), images[..., 0], None, images, score_fn, method, explained, key
    )
    found = one("sensitivity", "num_samples=2").program(batch)
    expected = metrics.sensitivity(method, explained, images[1], 2, key=key, num_samples=2)
    np.testing.assert_allclose([x[1] for x in found], expected, rtol=1e-4, atol=1e-6)
    found = one("adcc").program(batch)
    given = {"key": key, "explains": explained}
    expected = metrics.adcc(method, score_fn, images[1], 2, **given)
    np.testing.assert_allclose([x[1] for x in found], expected, rtol=1e-4, atol=1e-6)
    found = one("randomization", "order=independent").program(batch)
    assert set(found) == {"spearman", "pearson", "ssim"} and found["ssim"].shape == (2,)


def test_to_json():
    """One image after the other, None where a number of it is not finite."""
    values = metrics.InsertionDeletion(np.float32([0.5, 1]), np.float32([np.nan, 2]))
    assert to_json(values) == [
        {"insertion": 0.5, "deletion": None},
        {"insertion": 1.0, "deletion": 2.0},
    ]
    assert to_json(np.asarray([True, False])) == [1.0, 0.0]
    curves = {"a": np.asarray([[0, 1, 2], [3, np.inf, 5]])}
    assert to_json(curves) == [{"a": [0.0, 1.0, 2.0]}, {"a": None}]


def test_the_threshold_of_localization_is_chosen_on_other_images(key):
    """That of `metrics.choose_alpha` on images 1, 3, 5; the error is that on 2, 4, 6."""
    maps = jax.random.uniform(key, (6, 6, 8)) ** 3 + 3 * jnp.zeros((6, 8)).at[2:5, 2:6].set(1)[None]
    corners = jnp.asarray(boxes(6))
    measure = one("localization_error")
    values = measure.program(Batched(jnp.zeros(6, jnp.int32), maps, corners))
    stored = to_json(values)
    columns = measure.columns({"a": stored, "nothing": [None] * 6}, ["a"], np.arange(6))
    assert [column.name.split(", ")[1] for column in columns] == list(ALPHAS)
    for column in columns:
        assert column.better == "lower" and set(column.notes) == {"a"}
        assert np.isnan(column.values["a"][0::2]).all()
        assert np.isfinite(column.values["a"][1::2]).all()
        assert np.isnan(column.values["nothing"]).all()
    energy = columns[1]
    choice = metrics.choose_alpha(maps[0::2], corners[0::2], rule="energy")
    np.testing.assert_allclose(choice.alphas, ALPHAS["energy"], rtol=1e-6)
    assert energy.notes["a"] == f"alpha {choice.alpha:g}" != "alpha 0"
    error = jax.jit(partial(metrics.localization_error, rule="energy", alpha=choice.alpha))
    errors = [error(m, b) for m, b in zip(maps[1::2], corners[1::2], strict=True)]
    np.testing.assert_array_equal(energy.values["a"][1::2], np.asarray(errors, float))
    # Two classes of one picture are on the same side.
    twice = measure.columns({"a": stored}, ["a"], np.asarray([0, 0, 1, 1, 2, 3]))[1].values["a"]
    assert np.isnan(twice).tolist() == [True, True, False, False, True, False]


def test_one_image_alone_has_no_localization_error():
    stored = to_json({rule: np.zeros((1, len(alphas))) for rule, alphas in ALPHAS.items()})
    columns = one("localization_error").columns({"a": stored}, ["a"], np.arange(1))
    assert all(np.isnan(column.values["a"]).all() for column in columns)


def test_faithfulness_and_what_it_is_among_the_compared():
    curves = {
        "good": [[0.2, 0.6], [0.5, 0.5], None],
        "bad": [[0.0, 0.2], [0.5, 0.5], [0.1, 0.1]],
        "fair": [[0.1, 0.3], [0.1, 0.3], [0.1, 0.3]],
        "center": [[0.9, 0.9]] * 3,
        "failed": [None] * 3,
    }
    measure = one("faithfulness")
    own, relative = measure.columns(curves, ["good", "bad", "fair", "failed"], np.arange(3))
    np.testing.assert_allclose(own.values["good"], [40, 50, np.nan])
    np.testing.assert_allclose(own.values["center"], [90, 90, 90])
    np.testing.assert_allclose(relative.values["good"], [100, 100, np.nan], rtol=1e-5)
    np.testing.assert_allclose(relative.values["bad"], [0, 100, np.nan], atol=1e-4)
    np.testing.assert_allclose(relative.values["fair"], [100 / 3, 0, np.nan], rtol=1e-5)
    assert np.isnan(relative.values["center"]).all() and np.isnan(relative.values["failed"]).all()
    assert len(measure.columns(curves, ["good"], np.arange(3))) == 1


def test_iou_has_a_column_a_threshold():
    stored = {"a": [[0.1, 0.2], None], "failed": [None, None]}
    columns = one("iou_curve", "thresholds=0.25,0.5").columns(stored, ["a"], np.arange(2))
    assert [column.name for column in columns] == ["IoU, map >= 0.25", "IoU, map >= 0.5"]
    np.testing.assert_array_equal(columns[1].values["a"], [0.2, np.nan])
    assert np.isnan(columns[0].values["failed"]).all()


def test_insertion_and_deletion_are_two_columns():
    stored = {"a": [{"insertion": 0.75, "deletion": 0.25}, {"insertion": 0.5, "deletion": None}]}
    insertion, deletion = one("insertion_deletion").columns(stored, ["a"], np.arange(2))
    assert (insertion.better, deletion.better) == ("higher", "lower")
    np.testing.assert_array_equal(insertion.values["a"], [0.75, 0.5])
    np.testing.assert_array_equal(deletion.values["a"], [0.25, np.nan])
