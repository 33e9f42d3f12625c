"""The host loop: the same maps as `explain`, in order, whatever the batch size."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.runs import devices
from saljax.runs.loop import Ask, Explained, explain_all


def scores(images):
    return jax.nn.softmax(4 * images.mean((1, 2)))


SCORE_FN = Partial(scores)
GLAS = partial(saljax.glas, grid=2)


def images(number):
    rng = np.random.default_rng(0)
    return [(f"image {i}", rng.random((6, 6, 3)).astype(np.float32)) for i in range(number)]


def best(row):
    return np.array([row.argmax()])


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_equals_explain(batch_size):
    named = images(5)
    found = list(explain_all([Ask(GLAS)], SCORE_FN, named, best, batch_size=batch_size))
    assert [result.name for result in found] == [name for name, _ in named]
    stack = jnp.asarray(np.stack([image for _, image in named]))
    targets = np.asarray(scores(stack)).argmax(1)
    expected = saljax.explain(GLAS, SCORE_FN, stack, targets)
    for i, result in enumerate(found):
        assert result.targets.tolist() == [targets[i]]
        np.testing.assert_allclose(result.scores, np.asarray(scores(stack))[i], rtol=1e-5)
        np.testing.assert_allclose(result.saliency[0, 0], expected[i], rtol=1e-4)


def test_what_a_pass_takes_is_told_once_before_the_first_map():
    told = []
    found = explain_all(
        [Ask(GLAS)], SCORE_FN, images(3), best, batch_size=2, timed=lambda *of: told.append(of)
    )
    next(found)
    ((seconds, targets),) = told
    assert 0 < seconds < 60 and targets == 1
    assert len(list(found)) == 2 and len(told) == 1


def test_several_methods_and_targets_are_the_first_axes():
    both = [GLAS, partial(saljax.glas, grid=2, parts="light")]
    two = explain_all(
        [Ask(method) for method in both],
        SCORE_FN,
        images(1),
        lambda row: np.array([2, 0]),
        batch_size=1,
    )
    (result,) = two
    assert result.saliency.shape == (2, 2, 6, 6)
    image = jnp.asarray(images(1)[0][1])
    expected = saljax.glas(SCORE_FN, image, 0, grid=2, parts="light")
    np.testing.assert_allclose(result.saliency[1, 1], expected, rtol=1e-4)


def test_methods_that_answer_one_class_are_called_once_a_target():
    logits = Partial(lambda images: 4 * images.mean((1, 2)) ** 2)
    found = explain_all(
        [Ask(method, logits, True) for method in (saljax.gradient, saljax.input_x_gradient)],
        SCORE_FN, images(2), lambda row: np.array([2, 0]), batch_size=2,
    )  # fmt: skip
    for result, (_, image) in zip(found, images(2), strict=True):
        assert result.saliency.shape == (2, 2, 6, 6)
        np.testing.assert_allclose(result.scores, SCORE_FN(image[None])[0], rtol=1e-5)
        expected = saljax.input_x_gradient(logits, jnp.asarray(image), 0)
        np.testing.assert_allclose(result.saliency[1, 1], expected, rtol=1e-4)


def test_methods_of_both_kinds_together():
    """Each has its own scores and its own way with several classes; of one size they must be."""
    logits = Partial(lambda images: 4 * images.mean((1, 2)) ** 2)
    asks, two = [Ask(saljax.gradient, logits, True), Ask(GLAS)], lambda row: np.array([2, 0])
    (result,) = explain_all(asks, SCORE_FN, images(1), two, batch_size=1)
    image = jnp.asarray(images(1)[0][1])
    expected = [saljax.gradient(logits, image, 0), GLAS(SCORE_FN, image, 0)]
    np.testing.assert_allclose(result.saliency[:, 1], expected, rtol=1e-4)
    small = Ask(lambda score_fn, image, target: jnp.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"one size .* \(6, 6\), \(2, 2\)"):
        next(explain_all([Ask(GLAS), small], SCORE_FN, images(1), best, batch_size=1))


def random_map(score_fn, image, target, *, key):
    return jax.random.uniform(key, image.shape[:-1])


def test_a_random_map_is_the_images_own():
    """Order, company and batch size do not change it; the key does."""
    named = images(3)

    def maps(order, batch_size, seed=0):
        found = explain_all(
            [Ask(random_map)],
            SCORE_FN,
            order,
            best,
            batch_size=batch_size,
            key=jax.random.key(seed),
        )
        return {result.name: result.saliency for result in found}

    first, second = maps(named, 3), maps(named[::-1], 2)
    for name, _ in named:
        np.testing.assert_array_equal(first[name], second[name])
    assert not np.array_equal(first["image 0"], first["image 1"])
    assert not np.array_equal(first["image 0"], maps(named, 3, seed=1)["image 0"])


def test_images_are_drawn_as_they_are_needed():
    drawn = []

    def source():
        for name, image in images(6):
            drawn.append(name)
            yield name, image

    next(explain_all([Ask(GLAS)], SCORE_FN, source(), best, batch_size=2))
    assert len(drawn) == 2


def test_problems_are_said():
    good = Explained("a", np.ones(3), np.zeros(1), np.ones((1, 1, 2, 2)))
    assert good.problem is None
    assert "scores" in good._replace(scores=np.array([1, np.nan])).problem
    assert "map" in good._replace(saliency=np.full((1, 1, 2, 2), np.inf)).problem


def test_shard_uses_all_devices_where_the_batch_divides():
    number = jax.device_count()
    assert number == 8
    whole = devices.shard(jnp.zeros((2 * number, 3)))
    assert len(whole.sharding.device_set) == number
    assert devices.shard(jnp.zeros((number + 1, 3))).sharding.device_set == {jax.devices()[0]}


def test_replicate_puts_weights_on_all_devices_once():
    number = jax.device_count()
    weights = jnp.arange(3.0)
    both = devices.replicate((Partial(scores, weights), Partial(scores, weights), "a"), number)
    first, second = both[0].args[0], both[1].args[0]
    assert len(first.sharding.device_set) == number and first is second and both[2] == "a"
    np.testing.assert_array_equal(first, weights)
    assert devices.replicate(weights, number + 1) is weights
