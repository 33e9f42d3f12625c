import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax.core.work import multiplications
from saljax.methods.perturbation.glas import responses
from saljax.ops import gaussians, maps


def softmax_score(weights, images):
    return jax.nn.softmax(images.reshape(len(images), -1) @ weights)


def linear_score(weights, images):
    return images.reshape(len(images), -1) @ weights


def constant_score(value, images):
    return jnp.full((len(images), 3), value)


def scorer(shape, seed=0, score=softmax_score, low=-0.2):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(low, 0.2, size=(math.prod(shape), 3))
    return jax.tree_util.Partial(score, jnp.asarray(weights, jnp.float32))


def picture(shape, seed=1):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=shape), jnp.float32)


def glas_literally(score, image, target, points, sigma_l, sigma_s, sigma_sp, floor=1e-5):
    """S1, equations 1 to 3, one pixel and one search point at a time; sigmas in pixels."""
    image = np.asarray(image, np.float64)
    spatial = image.shape[:-1]
    pixels = list(itertools.product(*map(range, spatial)))

    def light(mu, sigma):
        mask = np.zeros(spatial)
        for x in pixels:
            mask[x] = math.exp(-(math.dist(x, mu) ** 2) / (2 * sigma**2))
        return mask[..., None]

    def p(perturbed):
        return float(score(jnp.asarray(perturbed[None], jnp.float32))[0, target])

    f_l = [p(image * light(mu, sigma_l)) for mu in points]
    f_s = [abs(p(image) - p(image * (1 - light(mu, sigma_s)))) + floor for mu in points]
    saliency = np.zeros(spatial)
    for x in pixels:
        for mu, of_light, of_shadow in zip(points, f_l, f_s, strict=True):
            weight = math.exp(-(math.dist(x, mu) ** 2) / sigma_sp**2)
            saliency[x] += weight * of_light * of_shadow / len(points)
    return saliency, np.asarray(f_l), np.asarray(f_s)


def centers(spatial, grid):
    """Cell centers, the image's axis reaching from -1/2 to n - 1/2."""
    return list(
        itertools.product(*[[(i + 0.5) * n / grid - 0.5 for i in range(grid)] for n in spatial])
    )


@pytest.mark.parametrize("shape", [(20, 1), (9, 9, 3), (6, 10, 3), (5, 6, 5, 1)])
def test_equals_the_papers_equations_at_any_rank(shape):
    score_fn, image, grid = scorer(shape), picture(shape), 3
    unit = math.prod(shape[:-1]) ** (1 / (len(shape) - 1)) / 15
    expected, _, _ = glas_literally(
        score_fn, image, 1, centers(shape[:-1], grid), 5 * unit, 3 * unit, 6 * unit
    )
    saliency = saljax.glas(score_fn, image, 1, grid=grid)
    assert saliency.dtype == jnp.float32
    np.testing.assert_allclose(saliency, expected, rtol=1e-4)


def test_pixel_unit_and_given_points_equal_the_papers_equations():
    shape = (8, 9, 3)
    score_fn, image = scorer(shape), picture(shape)
    points = [(0.0, 0.0), (3.5, 4.25), (7.0, 8.0), (2.0, 6.0)]
    expected, _, _ = glas_literally(score_fn, image, 2, points, 2.0, 1.5, 2.5)
    saliency = saljax.glas(
        score_fn, image, 2, points=jnp.asarray(points), unit="pixel",
        sigma_light=2.0, sigma_shadow=1.5, sigma_spatial=2.5,
    )  # fmt: skip
    np.testing.assert_allclose(saliency, expected, rtol=1e-4)


def test_parts_leave_the_other_factor_out():
    shape = (8, 8, 3)
    score_fn, image = scorer(shape), picture(shape)
    unit, points = 8 / 15, centers((8, 8), 3)
    _, f_l, f_s = glas_literally(score_fn, image, 0, points, 5 * unit, 3 * unit, 6 * unit)
    for part, factor in [("light", f_l), ("shadow", f_s)]:
        expected = gaussians.spread_points(
            jnp.asarray(factor / 9, jnp.float32), jnp.asarray(points), (8, 8), 6 * unit
        )
        saliency = saljax.glas(score_fn, image, 0, grid=3, parts=part)
        np.testing.assert_allclose(saliency, expected, rtol=1e-3)


def test_euclidean_distance():
    shape = (8, 8, 3)
    score_fn, image = scorer(shape), picture(shape)
    unit, points = 8 / 15, centers((8, 8), 3)
    _, f_l, f_s = glas_literally(score_fn, image, 0, points, 5 * unit, 3 * unit, 1.0)
    expected = np.zeros((8, 8))
    for x in itertools.product(range(8), range(8)):
        for mu, value in zip(points, f_l * f_s, strict=True):
            expected[x] += math.exp(-(math.dist(x, mu) / unit) / 6**2) * value / 9
    saliency = saljax.glas(score_fn, image, 0, grid=3, distance="euclidean")
    np.testing.assert_allclose(saliency, expected, rtol=1e-4)


def test_linear_scorer_light_equals_shadow_and_fusion_is_their_product():
    """METHODS section 3: f = <a, I>, sigma_light = sigma_shadow: f_s - floor = f_l."""
    shape, floor = (8, 8, 3), 1e-3
    score_fn, image = scorer(shape, score=linear_score, low=0.0), picture(shape)
    settings = dict(grid=3, sigma_light=4.0, sigma_shadow=4.0, floor=floor)
    light = saljax.glas(score_fn, image, 1, parts="light", **settings)
    shadow = saljax.glas(score_fn, image, 1, parts="shadow", **settings)
    coverage = gaussians.spread_grid(jnp.full((3, 3), floor / 9), (8, 8), 6 * 8 / 15)
    np.testing.assert_allclose(shadow - coverage, light, rtol=1e-4)

    f_l = [
        float(
            score_fn((image * saljax.gaussian_mask((8, 8), mu, 4 * 8 / 15)[..., None])[None])[0, 1]
        )
        for mu in centers((8, 8), 3)
    ]
    products = jnp.asarray([f * (f + floor) / 9 for f in f_l])
    expected = gaussians.spread_points(
        products, jnp.asarray(centers((8, 8), 3)), (8, 8), 6 * 8 / 15
    )
    np.testing.assert_allclose(saljax.glas(score_fn, image, 1, **settings), expected, rtol=1e-3)


def test_constant_classifier_gives_its_coverage():
    score_fn = jax.tree_util.Partial(constant_score, 0.25)
    saliency = saljax.glas(score_fn, picture((15, 15, 3)), 0)
    coverage = gaussians.spread_grid(jnp.full((15, 15), 1 / 225), (15, 15), 6.0)
    np.testing.assert_allclose(saliency, 0.25 * 1e-5 * coverage, rtol=1e-4)
    assert maps.peak(saliency).tolist() == [7, 7]


def test_a_very_wide_light_shows_the_whole_image():
    shape = (8, 8, 3)
    score_fn, image = scorer(shape), picture(shape)
    saliency = saljax.glas(score_fn, image, 1, grid=3, parts="light", sigma_light=1e6)
    coverage = gaussians.spread_grid(jnp.full((3, 3), 1 / 9), (8, 8), 6 * 8 / 15)
    np.testing.assert_allclose(saliency, score_fn(image[None])[0, 1] * coverage, rtol=1e-5)


def test_a_mirrored_image_gives_a_mirrored_map():
    shape = (8, 9, 3)
    image = picture(shape)
    weights = picture((8, 9, 3), seed=5)
    saliency = saljax.glas(
        lambda x: jnp.einsum("nhwc,hwc->n", x, weights)[:, None], image, 0, grid=4
    )
    mirrored = saljax.glas(
        lambda x: jnp.einsum("nhwc,hwc->n", x, weights[:, ::-1])[:, None], image[:, ::-1], 0, grid=4
    )
    np.testing.assert_allclose(mirrored, saliency[:, ::-1], rtol=1e-4)


def test_darkness_may_be_a_color():
    shape = (8, 8, 3)
    score_fn, image = scorer(shape), picture(shape)
    color = jnp.asarray([0.4, 0.5, 0.6])
    # A light on a baseline is a light on black for a classifier that adds the baseline back.
    black = saljax.glas(
        lambda x: score_fn(x + color[None, None, None]), image - color[None, None], 1, grid=3
    )
    np.testing.assert_allclose(
        saljax.glas(score_fn, image, 1, grid=3, baseline=color), black, rtol=1e-4
    )


def test_several_targets_cost_the_same_passes():
    shape, images_scored = (8, 8, 3), []
    score_fn, image = scorer(shape), picture(shape)

    def counted(images):
        images_scored.append(len(images))
        return score_fn(images)

    several = saljax.glas(counted, image, jnp.asarray([2, 0]), grid=3, chunk_size=100)
    assert sum(images_scored) == 2 * 9 + 1
    for saliency, target in zip(several, [2, 0], strict=True):
        np.testing.assert_allclose(
            saliency, saljax.glas(score_fn, image, target, grid=3), rtol=1e-5
        )


def searched_literally(answers, clean, grid, num_passes):
    """f_l and f_s from passes for some of (light, row, column) and (shadow, ...), one by one."""
    cells = list(itertools.product(range(grid), range(grid)))
    every = list(itertools.product((0, 1), cells))

    def neighbors(cell):
        steps = [(cell[0] + a, cell[1] + b) for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))]
        return [c for c in steps if c in cells]

    def fill(seen):
        known = [{c: answers[part][c] for p, c in seen if p == part} for part in (0, 1)]
        means = [sum(k.values()) / max(len(k), 1) for k in known]
        now = [{c: known[part].get(c, means[part]) for c in cells} for part in (0, 1)]
        for _ in range(4 * 3**2):
            now = [
                {
                    c: known[part][c]
                    if c in known[part]
                    else sum(now[part][n] for n in neighbors(c)) / len(neighbors(c))
                    for c in cells
                }
                for part in (0, 1)
            ]
        return now[0], {c: abs(clean - now[1][c]) + 1e-5 for c in cells}

    ends = [i for i in range(grid) if i in (0, 3, grid - 1, grid - 4)]
    first = [(part, (i, j)) for part in (0, 1) for i in ends for j in ends]
    seen, rounds = [], [num_passes // 8] * 8
    rounds[0] -= 1  # the clean image
    for passes in rounds:
        light, shadow = fill(seen)
        left = [p for p in every if p not in seen]

        def promise(part, cell, light=light, shadow=shadow, seen=tuple(seen)):
            known = [other for own, other in seen if own == part]
            gaps = [max(abs(a - b) for a, b in zip(cell, other, strict=True)) for other in known]
            return light[cell] * shadow[cell] * min([*gaps, 4])

        rank = {p: math.inf if p in first else promise(*p) for p in left}
        seen += sorted(left, key=lambda p: -rank[p])[:passes]
    return fill(seen)


def test_fewer_passes_go_where_the_map_is_large():
    shape, grid, num_passes = (14, 14, 3), 7, 42
    score_fn, image = scorer(shape), picture(shape)
    settings = dict(sigma_light=1.5, sigma_shadow=1.5)
    every = gaussians.grid_centers(shape[:-1], grid)
    pixels = 1.5 * 14 / 15
    plain = (score_fn, image, 1, every, pixels, pixels)
    f_l, f_s = responses(*plain, "fusion", 0.0, 0.0, 100)
    clean = float(score_fn(image[None])[0, 1])
    darkened = [
        float(
            score_fn((image * (1 - saljax.gaussian_mask((14, 14), mu, pixels)[..., None]))[None])[
                0, 1
            ]
        )
        for mu in every
    ]
    cells = list(itertools.product(range(grid), range(grid)))
    answers = [dict(zip(cells, map(float, f), strict=True)) for f in (f_l, darkened)]
    light, shadow = searched_literally(answers, clean, grid, num_passes)
    products = jnp.asarray([light[c] * shadow[c] / grid**2 for c in cells], jnp.float32)
    expected = gaussians.spread_points(products, every, (14, 14), 6 * 14 / 15)
    found = saljax.glas(score_fn, image, 1, grid=grid, num_passes=num_passes, **settings)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    full = saljax.glas(score_fn, image, 1, grid=grid, **settings)
    assert float(jnp.abs(found - full).max()) > 1e-3 * float(full.max())


def test_as_many_passes_as_the_grid_asks_for_are_the_whole_grid():
    shape = (8, 8, 3)
    score_fn, image = scorer(shape), picture(shape)
    for parts, passes in [("light", 16), ("shadow", 17), ("fusion", 33)]:
        settings = dict(grid=4, parts=parts)
        full = saljax.glas(score_fn, image, 1, **settings)
        again = saljax.glas(score_fn, image, 1, num_passes=passes, **settings)
        np.testing.assert_array_equal(again, full)
        fewer = saljax.glas(score_fn, image, 1, num_passes=passes - 1, **settings)
        assert float(jnp.abs(fewer - full).max()) > 0


@pytest.mark.parametrize(
    ("shape", "grid", "num_passes"), [((16, 2), 12, 17), ((9, 9, 3), 7, 50), ((4, 5, 6, 1), 4, 99)]
)
def test_passes_are_counted_at_any_rank(shape, grid, num_passes):
    score_fn, image = scorer(shape), picture(shape)
    one = multiplications(score_fn, image[None])

    def spread(**settings):
        return multiplications(
            lambda x: saljax.glas(
                score_fn, x, jnp.asarray([0, 2]), grid=grid, chunk_size=999, **settings
            ),
            image,
        )

    spent = spread(num_passes=num_passes) - spread() + one * (2 * grid ** (len(shape) - 1) + 1)
    assert spent == one * (num_passes // 8 * 8)


@pytest.mark.parametrize(
    "method", [saljax.glas, saljax.rglas, functools.partial(saljax.glas, num_passes=25)]
)
def test_chunk_size_jit_and_vmap_change_nothing(method):
    shape = (8, 8, 3)
    score_fn, images = scorer(shape), jnp.stack([picture(shape, seed) for seed in range(3)])
    method = functools.partial(method, grid=4)
    expected = jnp.stack([method(score_fn, image, 1, chunk_size=100) for image in images])
    small = jax.jit(jax.vmap(lambda image: method(score_fn, image, 1, chunk_size=5)))(images)
    np.testing.assert_allclose(small, expected, rtol=1e-3, atol=1e-4 * float(expected.max()))


def test_memory_does_not_grow_with_the_number_of_search_points():
    shape = (16, 16, 3)
    score_fn, image = scorer(shape), picture(shape)

    def temporary_bytes(grid):
        run = jax.jit(functools.partial(saljax.glas, grid=grid, chunk_size=16))
        return run.lower(score_fn, image, 0).compile().memory_analysis().temp_size_in_bytes

    # 31 x 31 points are nine times as many; each costs a few numbers and not a mask of 1 KiB.
    assert temporary_bytes(31) - temporary_bytes(10) < (31**2 - 10**2) * 64


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sigma_light": 0.0}, "`sigma_light` must be greater than 0; got 0.0"),
        ({"sigma_shadow": -1.0}, "sigma_shadow"),
        ({"sigma_spatial": 0}, "sigma_spatial"),
        ({"grid": 0}, "`grid` must be greater than 0; got 0"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"parts": "dark"}, "`parts` must be one of fusion, light, shadow; got 'dark'"),
        ({"unit": "inch"}, "unit"),
        ({"distance": "city"}, "distance"),
        ({"points": jnp.zeros((4, 3))}, r"`points` must be \(P, 2\)"),
        ({"points": jnp.zeros((4, 2)), "num_passes": 3}, "give no `points`"),
        ({"num_passes": 0}, "`num_passes` must be greater than 0"),
        ({"num_passes": 15}, "`num_passes` must be at least 16 for this grid; got 15"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_wrong_hyperparameters(settings, message):
    with pytest.raises(ValueError, match=message):
        saljax.glas(scorer((8, 8, 3)), picture((8, 8, 3)), 0, **settings)


def rglas_literally(score, image, target, grid, t1, t2, max_iterations):
    """METHODS section 4, the do-while reading of S1's Algorithm 1."""
    spatial, rank = image.shape[:-1], image.ndim - 1
    unit = math.prod(spatial) ** (1 / rank) / 15
    image, omega = np.asarray(image, np.float64), centers(spatial, grid)
    total = np.zeros(spatial)
    iteration = 0
    while iteration < max_iterations:
        iteration += 1
        saliency, _, _ = glas_literally(score, image, target, omega, 5 * unit, 3 * unit, 6 * unit)
        saliency = (saliency - saliency.min()) / (saliency.max() - saliency.min())
        total += saliency
        image = image * (1 - saliency[..., None])
        at = {mu: saliency[tuple(round(c) for c in mu)] for mu in omega}
        kept = [mu for mu in omega if at[mu] <= t1]
        omega = (
            kept if len(kept) < len(omega) else [mu for mu in omega if mu != max(at, key=at.get)]
        )
        left = float(score(jnp.asarray(image[None], jnp.float32))[0, target])
        if math.sqrt(saliency.mean() / left) >= t2 or not omega:
            break
    total = (total - total.min()) / (total.max() - total.min())
    return total, iteration


@pytest.mark.parametrize(("t2", "iterations"), [(0.0, 1), (1.3, 5), (50.0, 6)])
def test_rglas_equals_the_papers_algorithm(t2, iterations):
    shape = (9, 9, 3)
    score_fn, image = scorer(shape), picture(shape)
    settings = dict(grid=5, t1=0.8, t2=t2, max_iterations=6)
    expected, done = rglas_literally(score_fn, image, 1, **settings)
    assert done == iterations
    np.testing.assert_allclose(saljax.rglas(score_fn, image, 1, **settings), expected, atol=2e-3)


def test_rglas_stopped_at_once_is_glas():
    shape = (9, 9, 3)
    score_fn, image = scorer(shape), picture(shape)
    once = saljax.rglas(score_fn, image, 1, grid=5, t2=0.0)
    np.testing.assert_allclose(
        once, maps.normalize(saljax.glas(score_fn, image, 1, grid=5)), atol=1e-4
    )


@pytest.mark.parametrize(("probability", "iterations"), [(0.01, 1), (1.0, 10)])
def test_rglas_of_a_constant_classifier(probability, iterations):
    """It stops at once where P <= mean(S) / 25, and runs to the guard where P = 1."""
    score_fn = jax.tree_util.Partial(constant_score, probability)
    image = picture((15, 15, 3))
    stopped = saljax.rglas(score_fn, image, 0)
    bounded = saljax.rglas(score_fn, image, 0, max_iterations=iterations, t2=1e9)
    np.testing.assert_allclose(stopped, bounded, atol=1e-6)


def test_rglas_of_several_targets_is_one_recursion_each():
    shape = (9, 9, 3)
    score_fn, image = scorer(shape), picture(shape)
    several = saljax.rglas(score_fn, image, jnp.asarray([0, 2]), grid=4)
    for saliency, target in zip(several, [0, 2], strict=True):
        np.testing.assert_allclose(
            saliency, saljax.rglas(score_fn, image, target, grid=4), atol=1e-3
        )


@pytest.fixture
def atlas():
    labels = np.zeros((6, 7, 8), np.int32)
    labels[0:2, 0:3, 0:4] = 1
    labels[3:5, 4:6, 5:7] = 2
    labels[5, 6, :] = 3
    return labels


def test_regions_carry_the_value_at_their_centroid(atlas):
    score_fn, image = scorer((6, 7, 8, 1)), picture((6, 7, 8, 1))
    points = [tuple(np.argwhere(atlas == r).mean(0)) for r in (1, 2, 3)]
    _, f_l, f_s = glas_literally(score_fn, image, 1, points, 3.0, 2.0, 1.0)
    regions = functools.partial(
        saljax.glas_regions, num_regions=3, sigma_light=3.0, sigma_shadow=2.0
    )
    saliency = np.asarray(regions(score_fn, image, 1, labels=jnp.asarray(atlas)))
    assert (saliency[atlas == 0] == 0).all()
    for region in (1, 2, 3):
        np.testing.assert_allclose(saliency[atlas == region], (f_l * f_s)[region - 1], rtol=1e-4)

    order = np.asarray([0, 3, 1, 2])
    permuted = regions(score_fn, image, 1, labels=jnp.asarray(order[atlas]))
    np.testing.assert_allclose(permuted, saliency, rtol=1e-5)
    both = regions(score_fn, image, jnp.asarray([1, 0]), labels=jnp.asarray(atlas))
    assert both.shape == (2, 6, 7, 8)
    np.testing.assert_allclose(both[0], saliency, rtol=1e-5)


def test_an_atlas_that_does_not_fit_is_refused(atlas, as_users_run):
    score_fn, image = scorer((6, 7, 8, 1)), picture((6, 7, 8, 1))
    run = functools.partial(saljax.glas_regions, score_fn, image, 1)
    with pytest.raises(ValueError, match=r"`labels` must have .* \(6, 7, 8\); got \(6, 7, 7\)"):
        run(labels=jnp.asarray(atlas[..., :7]), num_regions=3)
    with pytest.raises(ValueError, match=r"1..2 \(`num_regions`\) for regions; got 0..3"):
        run(labels=jnp.asarray(atlas), num_regions=2)
    # Inside a compiled program nobody can look at the values: what is no region is background.
    coded = jax.jit(functools.partial(run, num_regions=3))(labels=jnp.where(atlas == 0, -1, atlas))
    plain = run(labels=jnp.asarray(atlas), num_regions=3)
    np.testing.assert_allclose(coded, plain, rtol=1e-5)
