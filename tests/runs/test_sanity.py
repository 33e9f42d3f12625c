"""Maps of classifiers whose last layers are random."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.core import explain as core
from saljax.metrics.robustness import parameters
from saljax.metrics.robustness.randomization import cascade
from saljax.runs.loop import Ask
from saljax.runs.sanity import Sanity

RNG, KEY = np.random.default_rng(0), jax.random.key(4)
WEIGHTS = [jnp.asarray(RNG.normal(size=n), jnp.float32) for n in ((108, 7), (7, 5), (5, 3))]
IMAGE = jnp.asarray(RNG.random((6, 6, 3)), jnp.float32)


def scores(first, second, third, images):
    hidden = jnp.tanh(images.reshape(len(images), -1) @ first)
    return jnp.tanh(hidden @ second) @ third


SCORE_FN = Partial(scores, *WEIGHTS)


def edges(score_fn, image, target):
    """Looks at the image alone."""
    return image.sum(-1)


def test_the_last_layers_are_shuffled_and_the_others_stay():
    layers, at = cascade(SCORE_FN, IMAGE, key=KEY)
    assert len(layers) == 3
    for number in range(4):
        for place, (own, given) in enumerate(zip(WEIGHTS, at(number).args, strict=True)):
            assert np.array_equal(own, given) == (place < 3 - number)
            np.testing.assert_array_equal(np.sort(own, None), np.sort(given, None))


def test_untrained_kernels_have_the_scale_of_trained_ones_and_no_mean():
    kernel = jnp.asarray(RNG.normal(-2, 1, (90, 50)), jnp.float32)
    bias = jnp.arange(50, dtype=jnp.float32)
    trained = Partial(scores, {"dense": {"bias": bias, "kernel": kernel}})
    order, found = jax.tree.leaves(parameters.drawn(trained, key=KEY))
    scale = float(jnp.sqrt((kernel**2).mean()))
    assert abs(float(found.mean())) < 4 * scale / 4500**0.5
    assert float(found.std()) == pytest.approx(scale, rel=0.05)
    assert sorted(order.tolist()) == bias.tolist() != order.tolist()


def test_as_alike_as_the_metric_says_and_compiled_once():
    methods = [saljax.gradient, partial(saljax.rise, num_masks=6, grid=2), edges]
    found = [np.asarray(saljax.explain(m, SCORE_FN, IMAGE[None], [1], key=KEY))[0] for m in methods]
    sanity = Sanity([Ask(m, SCORE_FN) for m in methods], SCORE_FN, IMAGE.shape, KEY)
    programs = core._explain._cache_size()
    steps = sanity.steps(np.asarray(IMAGE), 1, np.stack(found))
    assert core._explain._cache_size() == programs
    assert [step.number for step in steps[0]] == [1, 2, 3]
    init = parameters.drawn(SCORE_FN, key=KEY)
    expected = saljax.metrics.randomization(saljax.gradient, SCORE_FN, IMAGE, 1, key=KEY, init=init)
    for name in ("spearman", "ssim"):
        alike = [getattr(step, name) for step in steps[0]]
        np.testing.assert_allclose(alike, getattr(expected, name), atol=1e-4)
        assert [round(getattr(step, name), 5) for step in steps[2]] == [1, 1, 1]
    assert all(step.spearman < 0.95 for step in steps[1])
    assert "rank 1.00, SSIM 1.00" in steps[2][0].caption
