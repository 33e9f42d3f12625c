"""What is said of the time to come."""

from functools import partial

import jax.numpy as jnp
import pytest
from jax.tree_util import Partial

import saljax
from saljax.runs import cost
from saljax.runs.loop import Ask

SCORE_FN = Partial(
    lambda w, x: x.reshape(len(x), -1) @ w[0] @ w[1], [jnp.zeros(n) for n in ((192, 500), (500, 9))]
)
GLAS = partial(saljax.glas, grid=3, chunk_size=19)


@pytest.mark.parametrize(
    ("asks", "targets", "expected"),
    [
        ([Ask(GLAS)], 1, 2 * 9 + 1),
        ([Ask(GLAS)], 4, 2 * 9 + 1),
        ([Ask(GLAS, one_class=True)], 2, 2 * 19),
        ([Ask(GLAS), Ask(partial(saljax.rise, num_masks=40, chunk_size=8))], 1, 19 + 40),
        ([Ask(saljax.gradient, SCORE_FN, True)], 3, 3 * 2),
    ],
)
def test_passes(asks, targets, expected):
    """Those that the methods need by their definition; what they do besides is little."""
    found = cost.passes(asks, SCORE_FN, (8, 8, 3), targets)
    assert found == pytest.approx(expected, rel=0.05)


def test_said():
    assert cost.said(461.2, 13.2, 3) == (
        "about 460 passes an image, up to 40 s for 3 images, and the time to compile"
    )
    assert "up to 13 s for it" in cost.said(7.9, 13.2, 1)
