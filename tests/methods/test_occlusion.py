import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats

import saljax
from saljax.methods.perturbation import variable_occlusion as variable


def linear_score(weights, images):
    return images.reshape(len(images), -1) @ weights


def softmax_score(weights, images):
    return jax.nn.softmax(linear_score(weights, images))


def scorer(shape, score=softmax_score):
    weights = np.random.default_rng(0).normal(0, 0.3, (math.prod(shape), 3))
    return jax.tree_util.Partial(score, jnp.asarray(weights, jnp.float32))


def explained(method, score_fn, image, target, **settings):
    """As one program: compiling every operation by itself takes several times as long."""
    return jax.jit(functools.partial(method, **settings))(score_fn, image, target)


def picture(shape):
    return jnp.asarray(np.random.default_rng(1).uniform(size=shape), jnp.float32)


def drops_literally(score_fn, image, target, hidden, unseen):
    """f(I) - f(I without m), one mask at a time."""

    def f(perturbed):
        return float(score_fn(jnp.asarray(perturbed[None], jnp.float32))[0, target])

    image = np.asarray(image, np.float64)
    unseen = np.broadcast_to(unseen, image.shape)
    return [f(image) - f(image * (1 - m[..., None]) + unseen * m[..., None]) for m in hidden]


def middles(n, step, number):
    """`number` places `step` apart about the middle of an axis."""
    return [(n - 1) / 2 + step * (i - (number - 1) / 2) for i in range(number)]


def windows_literally(spatial, size, stride):
    axes = []
    for n, side, step in zip(spatial, size, stride, strict=True):
        number = math.ceil(n / step)
        if number % 2 == 1 and (n - side) % 2 == 1:
            number += 1
        middle, axis = (n - 1) / 2, []
        for center in middles(n, step, number):
            corner = center - (side - 1) / 2
            if corner % 1:
                corner += 0.5 if center < middle else -0.5
            axis.append(int(corner))
        axes.append(axis)
    for corner in itertools.product(*axes):
        mask = np.zeros(spatial)
        mask[tuple(slice(max(c, 0), c + s) for c, s in zip(corner, size, strict=True))] = 1
        yield mask


@pytest.mark.parametrize(
    ("shape", "window", "stride"),
    [((20, 1), 5, 3), ((9, 10, 3), (4, 3), (2, 3)), ((4, 5, 6, 1), 3, 2)],
)
def test_occlusion_equals_the_papers_formula_at_any_rank(shape, window, stride):
    score_fn, image = scorer(shape), picture(shape)
    spatial = shape[:-1]
    size, steps = ((x,) * len(spatial) if isinstance(x, int) else x for x in (window, stride))
    hidden = list(windows_literally(spatial, size, steps))
    drops = drops_literally(
        score_fn, image, 1, hidden, np.asarray(image).mean(tuple(range(len(spatial))))
    )
    total = sum(d * m for d, m in zip(drops, hidden, strict=True))
    settings = dict(window=window, stride=stride)
    np.testing.assert_allclose(
        explained(saljax.occlusion, score_fn, image, 1, **settings), total / sum(hidden), atol=1e-5
    )
    both = explained(
        saljax.occlusion, score_fn, image, jnp.asarray([0, 1]), aggregate="sum", **settings
    )
    np.testing.assert_allclose(both[1], total, atol=1e-5)


def test_occlusion_of_a_linear_scorer_by_single_pixels_is_their_contribution():
    shape = (5, 6, 3)
    score_fn, image = scorer(shape, linear_score), picture(shape)
    saliency = explained(saljax.occlusion, score_fn, image, 2, window=1, stride=1, baseline=0.0)
    contributions = (score_fn.args[0][:, 2].reshape(shape) * image).sum(axis=-1)
    np.testing.assert_allclose(saliency, contributions, atol=1e-4)


def corner_pixel(images):
    return images[:, 4, 5, :1]


def test_a_scorer_of_one_pixel_peaks_on_the_pixels_that_share_its_windows():
    """METHODS section 7: windows of 4 at -1, 1, 3 ... hide pixel (4, 5) from 1 and 3, 3 and 5."""
    image = picture((12, 12, 3))
    image = image.at[4, 5, 0].set(1.0)
    score_fn = jax.tree_util.Partial(corner_pixel)
    saliency = np.asarray(explained(saljax.occlusion, score_fn, image, 0, window=4, stride=2))
    peak = np.zeros((12, 12), bool)
    peak[3:5, 5:7] = True
    np.testing.assert_array_equal(np.isclose(saliency, saliency.max()), peak)


def test_windows_inside_are_those_of_captum():
    """One at each corner 0, stride, ... until one reaches the border: captum.attr.Occlusion."""
    shape = (10, 11, 3)
    score_fn, image = scorer(shape), picture(shape)
    hidden = []
    for corner in itertools.product(range(0, 7, 3), range(0, 8, 3)):
        mask = np.zeros(shape[:-1])
        mask[tuple(slice(c, c + 4) for c in corner)] = 1
        hidden.append(mask)
    for row in range(0, 7, 3):
        last = np.zeros(shape[:-1])
        last[row : row + 4, 9:] = 1
        hidden.append(last)
    drops = drops_literally(score_fn, image, 1, hidden, 0.0)
    expected = sum(d * m for d, m in zip(drops, hidden, strict=True)) / sum(hidden)
    settings = dict(window=4, stride=3, windows="inside", baseline=0.0)
    saliency = explained(saljax.occlusion, score_fn, image, 1, **settings)
    np.testing.assert_allclose(saliency, expected, atol=1e-5)


@pytest.mark.parametrize("method", [saljax.occlusion, saljax.blur_occlusion])
def test_lengths_that_nobody_gave_follow_the_image_on_each_axis(method):
    """An image of half the pixels along one axis: 35, 8 and 10 of 224 are half as many there."""
    shape = (28, 56, 1)
    score_fn, image = scorer(shape), picture(shape)
    given = {
        saljax.occlusion: dict(window=(4, 9), stride=(1, 2)),
        saljax.blur_occlusion: dict(
            diameter=(4.375, 8.75), stride=(1, 2), softness=(1.25, 2.5), blur=(1.25, 2.5)
        ),
    }
    np.testing.assert_array_equal(
        explained(method, score_fn, image, 1),
        explained(method, score_fn, image, 1, **given[method]),
    )


def constant_score(images):
    return jnp.full((len(images), 2), 0.7)


def test_a_constant_scorer_loses_nothing(key):
    for method, settings in [
        (saljax.occlusion, {"window": 4, "stride": 3}),
        (saljax.blur_occlusion, {"diameter": 4.0, "stride": 3}),
        (saljax.variable_occlusion, {"key": key, "num_masks": 9}),
    ]:
        score_fn = jax.tree_util.Partial(constant_score)
        assert not explained(method, score_fn, picture((10, 9, 3)), 0, **settings).any()


def soft_discs(spatial, discs, softness):
    pixels = np.stack(np.meshgrid(*map(np.arange, spatial), indexing="ij"), axis=-1)
    for center, radius in discs:
        hard = (np.linalg.norm(pixels - np.asarray(center), axis=-1) < radius).astype(float)
        yield scipy.ndimage.gaussian_filter(hard, softness, mode="nearest", truncate=4.0)


def blurred_literally(image, sigma):
    sigmas = (sigma,) * (image.ndim - 1) + (0,)
    return scipy.ndimage.gaussian_filter(np.asarray(image), sigmas, mode="nearest", truncate=4.0)


@pytest.mark.parametrize("shape", [(20, 1), (9, 10, 3), (5, 6, 4, 1)])
def test_blur_occlusion_equals_the_papers_formula_at_any_rank(shape):
    score_fn, image = scorer(shape), picture(shape)
    centers = itertools.product(*(middles(n, 3, math.ceil(n / 3)) for n in shape[:-1]))
    discs = [(center, 2.5) for center in centers]
    hidden = list(soft_discs(shape[:-1], discs, 1.2))
    drops = drops_literally(score_fn, image, 1, hidden, blurred_literally(image, 2.0))
    expected = sum(d * m for d, m in zip(drops, hidden, strict=True)) / sum(hidden)
    saliency = explained(
        saljax.blur_occlusion, score_fn, image, 1, diameter=5.0, stride=3, softness=1.2, blur=2.0
    )
    np.testing.assert_allclose(saliency, expected, atol=1e-5)


def test_pixels_that_no_disc_reaches_are_zero():
    """Hard discs of diameter 5, side by side, leave the corners of their squares uncovered."""
    shape = (10, 10, 3)
    saliency = explained(
        saljax.blur_occlusion,
        scorer(shape),
        picture(shape),
        0,
        diameter=5.0,
        stride=5,
        softness=0.0,
        blur=2.0,
    )
    uncovered = np.zeros((5, 5), bool)
    uncovered[::4, ::4] = True
    np.testing.assert_array_equal(saliency == 0, np.tile(uncovered, (2, 2)))


def test_variable_occlusion_equals_the_papers_rule_and_the_mean_of_its_drops(key):
    shape, number = (28, 28, 3), 30
    score_fn, image = scorer(shape), picture(shape)
    found = explained(
        saljax.variable_occlusion,
        score_fn,
        image,
        jnp.asarray([2, 1, 7]),
        key=key,
        num_masks=number,
        details=True,
    )
    draw = jax.jit(lambda i: variable.draw_disc(jax.random.fold_in(key, i), (28, 28)))
    discs = [draw(i) for i in range(number)]
    discs = [(np.asarray(c), float(r)) for c, r in discs]
    hidden = list(soft_discs((28, 28), discs, 10 * 28 / 224))
    drops = drops_literally(score_fn, image, 1, hidden, blurred_literally(image, 10 * 28 / 224))
    areas = [max(disc.sum(), 1) for disc in soft_discs((28, 28), discs, 0)]
    shared = sum(d / a * m for d, a, m in zip(drops, areas, hidden, strict=True))
    expected = shared / np.maximum(sum(hidden), 1e-30)
    reached = sum(hidden) > 1e-3
    np.testing.assert_allclose(found.saliency[1][reached], expected[reached], atol=1e-5)

    strongest = sorted(range(number), key=lambda i: -drops[i])[:3]
    smallest = min(strongest, key=lambda i: discs[i][1])
    np.testing.assert_allclose(found.point[1], discs[smallest][0], atol=1e-5)
    np.testing.assert_allclose(found.radius[1], discs[smallest][1], rtol=1e-6)
    assert jnp.isnan(found.point[2]).all() and jnp.isnan(found.radius[2])

    alone = explained(
        saljax.variable_occlusion, score_fn, image, 1, key=key, num_masks=number, details=True
    )
    np.testing.assert_allclose(alone.point, found.point[1], atol=1e-5)


def test_discs_are_drawn_from_the_papers_distributions(key):
    """METHODS section 7: median radius 24.06, mean 29.58; y normal and clipped, x uniform."""
    keys = jax.random.split(key, 20000)

    def drawn(shape):
        return jax.jit(jax.vmap(lambda k: variable.draw_disc(k, shape)))(keys)

    centers, radii = drawn((224, 224))
    assert float(jnp.median(radii)) == pytest.approx(24.06, rel=0.02)
    assert float(radii.mean()) == pytest.approx(29.58, rel=0.02)
    y, x = np.asarray(centers.T) + 0.5
    assert y.min() == 0 and y.max() == 224
    assert np.median(y) == pytest.approx(116.0759, abs=1.5)
    inside = (y > 0) & (y < 224)
    assert np.mean(y < 116.0759 - 47.5054) == pytest.approx(0.1587, abs=0.01)
    assert inside.mean() == pytest.approx(0.9811, abs=0.005)
    assert scipy.stats.kstest(x / 224, "uniform").pvalue > 0.01

    elsewhere, scaled = drawn((112, 56))
    np.testing.assert_allclose(
        elsewhere + 0.5, (centers + 0.5) * jnp.asarray([[0.5, 0.25]]), atol=1e-3
    )
    np.testing.assert_allclose(scaled, radii * math.sqrt(0.5 * 0.25), rtol=1e-5)
    for axis, places in zip((7, 8, 9), np.asarray(drawn((7, 8, 9))[0].T) + 0.5, strict=True):
        assert scipy.stats.kstest(places / axis, "uniform").pvalue > 0.01


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (saljax.occlusion, {"window": 35}, r"`window` .* from 1 to the image's size.*; got 35"),
        (saljax.occlusion, {"window": 3, "stride": 0}, "`stride` .* got 0"),
        (saljax.occlusion, {"window": 3, "stride": 2.0}, "`stride` must be a whole .* got 2.0"),
        (saljax.occlusion, {"window": (3, 3, 3)}, r"one for each of the 2 axes.*\(3, 3, 3\)"),
        (saljax.occlusion, {"windows": "all"}, "`windows` must be one of centered, inside"),
        (saljax.occlusion, {"window": 3, "stride": 4}, r"at most `window`, \(3, 3\).*got \(4, 4\)"),
        (saljax.occlusion, {"window": 3, "stride": 3, "aggregate": "max"}, "mean, sum; got 'max'"),
        (saljax.occlusion, {"window": 3, "stride": 3, "chunk_size": 0}, "`chunk_size`"),
        (saljax.blur_occlusion, {"diameter": 0.0}, "`diameter` must be greater than 0"),
        (saljax.blur_occlusion, {"softness": -1.0}, "`softness` must be at least 0"),
    ],
)
def test_wrong_settings_say_what_is_wrong(method, settings, message):
    with pytest.raises(ValueError, match=message):
        method(constant_score, picture((9, 9, 3)), 0, **settings)


def test_a_window_of_numpy_is_a_number_too(as_users_run):
    run = functools.partial(explained, saljax.occlusion, scorer((6, 6, 3)), picture((6, 6, 3)), 1)
    np.testing.assert_array_equal(run(window=np.int64(3), stride=2), run(window=3, stride=2))
