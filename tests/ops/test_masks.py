import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import skimage.transform

from saljax.ops import masks


def test_the_papers_28_positions_are_the_centers_of_its_windows():
    """METHODS section 7: 28 positions 8 pixels apart; here the same at both ends of 224."""
    axis = 3.5 + 8 * np.arange(28)
    expected = list(itertools.product(axis, axis))
    np.testing.assert_array_equal(masks.centers((224, 224), (8, 8)), expected)
    # A window of 35 pixels cannot have its center between two: half of them go either way.
    windows = np.asarray(masks.corners((224, 224), (35, 35), (8, 8))) + 17
    np.testing.assert_array_equal(windows[:28, 1], [*(axis[:14] + 0.5), *(axis[14:] - 0.5)])


def covering(shape, corners, size):
    windows = jax.vmap(lambda corner: masks.window(shape, corner, size))(corners)
    return np.asarray(windows.sum(axis=0))


def test_windows_are_their_own_mirror_image_and_hide_every_pixel():
    for shape, size, stride in [
        ((224, 224), (35, 35), (8, 8)),
        ((24, 36), (5, 4), (2, 3)),
        ((23, 31), (4, 5), (3, 5)),
        ((5, 1), (2, 1), (2, 1)),
    ]:
        corners = np.asarray(masks.corners(shape, size, stride))
        mirrored = np.asarray(shape) - np.asarray(size) - corners
        assert sorted(map(tuple, mirrored)) == sorted(map(tuple, corners))
        assert covering(shape, corners, size).min() >= 1
        steps = np.diff(corners.reshape(-1, len(set(corners[:, 1])), 2)[0, :, 1])
        assert set(steps) <= {stride[1], stride[1] - 1}


def test_windows_inside_end_where_one_reaches_the_border():
    places = masks.corners_inside((10, 7), (4, 3), (3, 2))
    np.testing.assert_array_equal(places, list(itertools.product((0, 3, 6), (0, 2, 4))))
    cut = masks.corners_inside((11,), (4,), (3,))
    np.testing.assert_array_equal(cut, [[0], [3], [6], [9]])


@pytest.mark.parametrize(
    ("shape", "corner", "size"),
    [((7,), (5,), (4,)), ((6, 8), (1, 0), (3, 5)), ((4, 3), (4, 3), (2, 2))],
)
def test_window_is_cut_at_the_border(shape, corner, size):
    expected = np.zeros(shape)
    expected[tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))] = 1
    np.testing.assert_array_equal(masks.window(shape, jnp.asarray(corner), size), expected)


@pytest.mark.parametrize(
    ("shape", "center", "radius"),
    [((11,), (4.0,), 2.5), ((9, 12), (3.5, 10.0), 4.2), ((5, 6, 7), (2.0, 2.5, 8.0), 3.0)],
)
def test_disc_is_what_is_nearer_than_its_radius(shape, center, radius):
    expected = np.zeros(shape)
    for x in itertools.product(*map(range, shape)):
        expected[x] = math.dist(x, center) < radius
    np.testing.assert_array_equal(masks.disc(shape, center, radius), expected)
    soft = scipy.ndimage.gaussian_filter(expected, 1.5, mode="nearest", truncate=4.0)
    np.testing.assert_allclose(masks.disc(shape, center, radius, 1.5), soft, atol=1e-5)


def test_disc_of_several_units_is_an_ellipse():
    expected = np.zeros((9, 12))
    for y, x in itertools.product(range(9), range(12)):
        expected[y, x] = ((y - 3.5) / 2) ** 2 + (x - 6) ** 2 < 2.1**2
    np.testing.assert_array_equal(masks.disc((9, 12), (3.5, 6.0), 2.1, unit=(2.0, 1.0)), expected)
    soft = scipy.ndimage.gaussian_filter(expected, (1.5, 0.6), mode="nearest", truncate=4.0)
    found = masks.disc((9, 12), (3.5, 6.0), 2.1, (1.5, 0.6), (2.0, 1.0))
    np.testing.assert_allclose(found, soft, atol=1e-5)


@pytest.mark.parametrize("radius", [0.0, -1.0])
def test_disc_of_no_radius_is_empty(radius):
    assert not masks.disc((5, 5), jnp.asarray([2.0, 2.0]), jnp.float32(radius)).any()


def random_grid_literally(cells, shape, shift):
    """The masks of github.com/eclique/RISE: enlarge with skimage, cut out."""
    grid = cells.shape[0]
    enlarged = [(grid + 1) * math.ceil(n / grid) for n in shape]
    whole = skimage.transform.resize(cells, enlarged, order=1, mode="reflect", anti_aliasing=False)
    return np.asarray(whole)[tuple(slice(s, s + n) for s, n in zip(shift, shape, strict=True))]


@pytest.mark.parametrize(
    ("shape", "grid"), [((20,), 3), ((17, 24), 7), ((5, 6, 7), 2), ((9, 9), 1)]
)
def test_random_grid_is_a_cut_of_the_enlarged_cells(key, shape, grid):
    """Whatever is drawn: one of all shifts of one of all grids, here of the grid it was made of."""
    mask = np.asarray(masks.random_grid(key, shape, grid, 0.5))
    drawn = jax.random.uniform(key, (grid ** len(shape) + len(shape),))[len(shape) :]
    cells = np.asarray(drawn < 0.5, np.float64).reshape((grid,) * len(shape))
    shifts = itertools.product(*(range(math.ceil(n / grid)) for n in shape))
    assert any(
        np.allclose(mask, random_grid_literally(cells, shape, shift), atol=1e-5) for shift in shifts
    )


def test_random_grids_are_in_range_and_p_in_the_mean(key):
    draw = jax.jit(jax.vmap(lambda k: masks.random_grid(k, (13, 11), 3, 0.3)))
    drawn = draw(jax.random.split(key, 4000))
    assert drawn.min() >= 0 and drawn.max() <= 1 + 1e-6
    error = drawn.std(axis=0) / math.sqrt(4000)
    np.testing.assert_array_less(jnp.abs(drawn.mean(axis=0) - 0.3), 5 * error)


def test_random_grid_of_certain_cells_is_one(key):
    np.testing.assert_allclose(masks.random_grid(key, (10, 12), 4, 1.0), 1.0, atol=1e-6)


def test_grid_segments():
    expected = [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [2, 2, 2, 3, 3], [2, 2, 2, 3, 3]]
    np.testing.assert_array_equal(masks.grid_segments((4, 5), 2), expected)
    volume = np.asarray(masks.grid_segments((6, 7, 8), 3))
    assert set(volume.ravel()) == set(range(27))
    assert volume[5, 0, 7] == 2 * 9 + 0 * 3 + 2
