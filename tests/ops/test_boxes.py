import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax.ops import boxes

SHAPE = (9, 12)
SOME = np.array(
    [[1, 2, 4, 3], [3.4, 0.5, 6, 2.9], [-5, 7, 2, 20], [np.nan] * 4, [5, 5, 4, 4]], np.float32
)


def test_pixels_inside_by_their_centers():
    expected = np.zeros(SHAPE, bool)
    for x1, y1, x2, y2 in SOME:
        for row, column in np.ndindex(SHAPE):
            expected[row, column] |= x1 <= column <= x2 and y1 <= row <= y2
    inside = jax.jit(boxes.inside_boxes, static_argnames="shape")
    np.testing.assert_array_equal(inside(jnp.asarray(SOME), SHAPE), expected)
    assert not inside(jnp.full_like(SOME, jnp.nan), SHAPE).any()


def test_overlap_counts_pixels_of_both_corners():
    def pixels(box):
        x1, y1, x2, y2 = map(int, box)
        return {(x, y) for x in range(x1, x2 + 1) for y in range(y1, y2 + 1)}

    rng = np.random.default_rng(0)
    low, side = rng.integers(0, 6, (8, 2)), rng.integers(0, 6, (8, 2))
    others = np.concatenate([low, low + side], axis=1).astype(np.float32)
    one = np.float32([2, 1, 5, 6])
    expected = [len(pixels(one) & pixels(b)) / len(pixels(one) | pixels(b)) for b in others]
    padded = jnp.asarray(np.concatenate([others, np.full((1, 4), np.nan, np.float32)]))
    np.testing.assert_allclose(
        jax.jit(boxes.overlap)(jnp.asarray(one), padded), [*expected, 0], rtol=1e-6
    )


@pytest.mark.usefixtures("as_users_run")
def test_padding_is_no_nan_of_a_computation():
    with jax.debug_nans(True):
        for some in (SOME, SOME.astype(np.float64)):
            assert boxes.inside_boxes(some, SHAPE).any()


@pytest.mark.usefixtures("as_users_run")
def test_a_single_box_without_its_row_is_an_error():
    with pytest.raises(ValueError, match=r"`boxes` must be \(B, 4\), rows of x1, y1, x2, y2"):
        boxes.inside_boxes(jnp.asarray([1.0, 2.0, 3.0, 4.0]), SHAPE)
