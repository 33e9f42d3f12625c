"""Scores from outputs, values and maps of classes, beside plain numpy."""

import collections
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax import scores
from saljax.core.outputs import taken

IMAGES = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 4, 6, 3)), jnp.float32)
LOGITS = np.asarray(IMAGES).mean((1, 2))


@dataclasses.dataclass
class Record:
    logits: jax.Array
    hidden: jax.Array | None = None


Named = collections.namedtuple("Named", ["hidden", "logits"])


def both(x):
    return {"hidden": x, "logits": x.mean((1, 2))}


OUTPUTS = {
    "dict": (both, ("logits", 1, -1)),
    "ordered": (lambda x: collections.OrderedDict(both(x)), ("logits", 1)),
    "tuple": (lambda x: tuple(both(x).values()), (1, -1)),
    "list": (lambda x: list(both(x).values()), (1, -1)),
    "named tuple": (lambda x: Named(**both(x)), ("logits", 1)),
    "record": (lambda x: Record(x.mean((1, 2))), ("logits", 0)),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_by_name_or_place(name):
    fn, outputs = OUTPUTS[name]
    for output in outputs:
        found = scores.select(fn, output)(IMAGES)
        np.testing.assert_allclose(found, LOGITS, rtol=1e-6)


def test_an_output_is_explained_like_scores():
    method = functools.partial(saljax.occlusion, window=2, stride=2)
    found = saljax.explain(method, scores.select(both, "logits"), IMAGES, [0, 1])
    expected = saljax.explain(method, lambda x: both(x)["logits"], IMAGES, [0, 1])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_an_output_that_is_not_there():
    with pytest.raises(ValueError, match="no output 'logit'; did you mean 'logits'.* 'hidden', 'l"):
        scores.select(both, "logit")(IMAGES)
    with pytest.raises(ValueError, match="no output 2. It has 0, 1"):
        taken((1, 2), 2)
    with pytest.raises(ValueError, match="no output 'a'. It has one ndarray"):
        taken(LOGITS, "a")


def test_values_are_scores():
    ages = scores.regression(lambda x: x.mean((1, 2, 3)))(IMAGES)
    np.testing.assert_allclose(ages, np.asarray(IMAGES).mean((1, 2, 3))[:, None], rtol=1e-6)
    np.testing.assert_allclose(scores.regression(lambda x: x.mean((1, 2)))(IMAGES), LOGITS, 1e-6)


@pytest.mark.parametrize("region", [None, np.eye(4, 6)])
def test_a_mean_over_space(region):
    found = scores.mean_over_space(lambda x: x**2, region)(IMAGES)
    expected = np.zeros((2, 3))
    weights = np.ones((4, 6)) if region is None else region
    for y in range(4):
        for x in range(6):
            expected += weights[y, x] * np.asarray(IMAGES)[:, y, x] ** 2 / weights.sum()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_is_no_map_of_scores():
    with pytest.raises(ValueError, match=r"\(N, \*spatial, K\); got shape \(2, 3\)"):
        scores.mean_over_space(lambda x: x.mean((1, 2)))(IMAGES)
    with pytest.raises(ValueError, match=r"map of scores, \(4, 6\); got \(6, 4\)"):
        scores.mean_over_space(lambda x: x, np.ones((6, 4)))(IMAGES)
