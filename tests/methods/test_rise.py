import functools
import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax.ops import masks

rise_module = sys.modules[saljax.rise.__module__]


def softmax_score(weights, images):
    return jax.nn.softmax(images.reshape(len(images), -1) @ weights)


def scorer(shape):
    weights = np.random.default_rng(0).normal(0, 0.3, (math.prod(shape), 3))
    return jax.tree_util.Partial(softmax_score, jnp.asarray(weights, jnp.float32))


def explained(score_fn, image, target, **settings):
    """As one program: compiling every operation by itself takes several times as long."""
    return jax.jit(functools.partial(saljax.rise, **settings))(score_fn, image, target)


def picture(shape):
    return jnp.asarray(np.random.default_rng(1).uniform(size=shape), jnp.float32)


def terms_literally(score_fn, image, target, baseline, key, number, grid, p):
    """f(I * m_i) and m_i, one mask at a time."""
    draw = jax.jit(
        functools.partial(masks.random_grid, shape=image.shape[:-1], grid=grid, probability=p)
    )
    image = np.asarray(image, np.float64)
    drawn, answers = [], []
    for i in range(number):
        mask = np.asarray(draw(jax.random.fold_in(key, i)), np.float64)
        masked = image * mask[..., None] + baseline * (1 - mask[..., None])
        drawn.append(mask)
        answers.append(float(score_fn(jnp.asarray(masked[None], jnp.float32))[0, target]))
    return np.asarray(answers), np.asarray(drawn)


def rise_literally(answers, drawn, p):
    """Equation 6 and the standard error of its mean."""
    summands = [f * m / p for f, m in zip(answers, drawn, strict=True)]
    return np.mean(summands, axis=0), np.std(summands, axis=0, ddof=1) / math.sqrt(len(summands))


def ratio_literally(answers, drawn):
    """Weighted mean of the scores, and its standard error by linearization."""
    f = answers.reshape(-1, *(1,) * (drawn.ndim - 1))
    mean = (f * drawn).sum(0) / drawn.sum(0)
    squares = (np.square(drawn * (f - mean))).sum(0) * len(f) / (len(f) - 1)
    return mean, np.sqrt(squares) / drawn.sum(0)


@pytest.mark.parametrize(
    ("shape", "grid", "p", "divide_by"),
    [
        ((20, 1), 4, 0.5, "expectation"),
        ((9, 10, 3), 3, 0.3, "expectation"),
        ((9, 10, 3), 3, 0.3, "coverage"),
        ((4, 5, 6, 1), 2, 0.5, "coverage"),
    ],
)
def test_equals_equation_6_at_any_rank(key, shape, grid, p, divide_by):
    score_fn, image, number = scorer(shape), picture(shape), 25
    answers, drawn = terms_literally(score_fn, image, 1, 0.0, key, number, grid, p)
    expected, error = {
        "expectation": rise_literally(answers, drawn, p),
        "coverage": ratio_literally(answers, drawn),
    }[divide_by]
    found = explained(
        score_fn, image, jnp.asarray([0, 1]), key=key, num_masks=number, grid=grid, probability=p,
        divide_by=divide_by, baseline=0.0, chunk_size=8, details=True,
    )  # fmt: skip
    np.testing.assert_allclose(found.saliency[1], expected, rtol=1e-4)
    np.testing.assert_allclose(found.standard_error[1], error, rtol=1e-3, atol=1e-6)


def test_baseline_is_what_masked_pixels_show(key):
    shape, color = (9, 9, 3), np.asarray([0.485, 0.456, 0.406])
    score_fn, image = scorer(shape), picture(shape)
    answers, drawn = terms_literally(score_fn, image, 1, color, key, 12, 3, 0.5)
    saliency = explained(
        score_fn, image, 1, key=key, num_masks=12, grid=3, baseline=jnp.asarray(color, jnp.float32)
    )
    np.testing.assert_allclose(saliency, rise_literally(answers, drawn, 0.5)[0], rtol=1e-4)


def constant_score(images):
    return jnp.full((len(images), 2), 0.7)


def test_a_constant_scorer_gives_the_constant(key):
    """METHODS section 18: in expectation; divided by the coverage, exactly."""
    score_fn, image = jax.tree_util.Partial(constant_score), picture((12, 12, 3))
    settings = dict(key=key, num_masks=2000, grid=4, chunk_size=500, details=True)
    found = explained(score_fn, image, 0, **settings)
    assert 0 < float(found.standard_error.max()) < 0.7 / math.sqrt(2000)
    np.testing.assert_array_less(jnp.abs(found.saliency - 0.7), 5 * found.standard_error)
    exact = explained(score_fn, image, 0, divide_by="coverage", **settings)
    np.testing.assert_allclose(exact.saliency, 0.7, rtol=1e-6)
    assert float(exact.standard_error.max()) < 1e-6


@pytest.mark.parametrize(
    ("divide_by", "sampling", "num_masks"),
    [
        ("expectation", "independent", 100),
        ("coverage", "independent", 100),
        ("expectation", "stratified", 320),
        ("coverage", "stratified", 320),
    ],
)
def test_the_standard_error_is_the_spread_over_keys(divide_by, sampling, num_masks):
    shape = (6, 6, 1)
    score_fn, image = scorer(shape), picture(shape)
    method = functools.partial(
        saljax.rise, num_masks=num_masks, grid=2, divide_by=divide_by, chunk_size=100,
        sampling=sampling, details=True,
    )  # fmt: skip
    repeated = jnp.broadcast_to(image, (300, *shape))
    found = saljax.explain(method, score_fn, repeated, jnp.ones(300, jnp.int32))
    assert found.standard_error.shape == (300, 6, 6)
    spread, claimed = found.saliency.std(axis=0), found.standard_error.mean(axis=0)
    # A standard deviation of 300 values is known to 4 %.
    np.testing.assert_allclose(claimed, spread, rtol=0.16)


def test_stratified_masks_have_the_mean_of_all_masks(key):
    """A signal of 4 with 2 cells has 2^2 grids times 2 shifts: the expectation is known."""
    shape = (4, 1)
    score_fn, image = scorer(shape), picture(shape)
    every = [
        np.asarray(masks.grid_of(jnp.asarray([s, a, b], jnp.float32), (4,), 2, 0.5))
        for s in (0.25, 0.75)
        for a in (0.25, 0.75)
        for b in (0.25, 0.75)
    ]
    answers = [float(score_fn((image * m[:, None])[None])[0, 1]) for m in every]
    expected = np.mean([f * m / 0.5 for f, m in zip(answers, every, strict=True)], axis=0)
    method = functools.partial(
        saljax.rise, num_masks=32, grid=2, baseline=0.0, sampling="stratified", chunk_size=32
    )
    repeated = jnp.broadcast_to(image, (200, *shape))
    found = saljax.explain(method, score_fn, repeated, jnp.ones(200, jnp.int32), key=key)
    error = np.std(found, axis=0) / math.sqrt(200)
    np.testing.assert_array_less(np.abs(np.mean(found, axis=0) - expected), 4 * error)
    summands = np.std([f * m / 0.5 for f, m in zip(answers, every, strict=True)], axis=0)
    assert (np.std(found, axis=0) < 0.6 * summands / math.sqrt(32)).all()  # independent: 1


def test_a_tolerance_ends_each_image_by_itself(monkeypatch, key):
    monkeypatch.setattr(rise_module, "TURN", 64)
    shape = (9, 9, 3)
    image = picture(shape)
    images = jnp.stack([image, image * jnp.linspace(0, 1, 9)[:, None, None]])

    def explain(**more):
        method = functools.partial(
            saljax.rise, grid=2, baseline=0.0, sampling="stratified", details=True, **more
        )
        return saljax.explain(method, scorer(shape), images, [1, 1], key=key)

    stopped = explain(num_masks=992, tolerance=0.3, chunk_size=64)
    first, second = map(int, stopped.num_masks)
    assert first % 64 == second % 64 == 0 and first != second and max(first, second) < 992
    for place, number in enumerate((first, second)):
        alone = explain(num_masks=number)
        for part in (0, 1):
            np.testing.assert_allclose(stopped[part][place], alone[part][place], atol=1e-5)
        error, found = alone.standard_error[place], alone.saliency[place]
        # The error of what differs from pixel to pixel is below that of the pixels.
        assert float(found.std()) * 0.3 < float(jnp.sqrt(jnp.square(error).mean()))


def test_a_tolerance_ends_where_its_formula_holds(monkeypatch, key):
    monkeypatch.setattr(rise_module, "TURN", 32)
    shape, tolerance = (9, 9, 3), 0.4
    score_fn, image = scorer(shape), picture(shape)
    found = explained(
        score_fn, image, 1, key=key, num_masks=640, grid=2, baseline=0.0, tolerance=tolerance,
        details=True,
    )  # fmt: skip
    draw = jax.vmap(lambda i: masks.random_grid(jax.random.fold_in(key, i), shape[:2], 2, 0.5))
    drawn = np.asarray(draw(jnp.arange(640)), np.float64)
    scores = np.asarray(score_fn(jnp.asarray(drawn, jnp.float32)[..., None] * image[None]))[:, 1]
    summands = scores[:, None, None] * drawn / 0.5

    def holds(number):
        error = summands[:number].std(axis=0, ddof=1) / np.sqrt(number)
        of_mean = summands[:number].mean(axis=(1, 2)).std(ddof=1) / np.sqrt(number)
        differs = np.sqrt((error**2).mean() - of_mean**2)
        return differs <= tolerance * summands[:number].mean(axis=0).std()

    assert int(found.num_masks) == next(n for n in range(32, 641, 32) if holds(n))
    assert 64 < int(found.num_masks) < 640


def test_a_tolerance_out_of_reach_takes_all_masks(monkeypatch, key):
    monkeypatch.setattr(rise_module, "TURN", 64)
    shape = (9, 9, 3)
    settings = dict(key=key, num_masks=96, grid=2, divide_by="coverage", details=True)
    full = explained(scorer(shape), picture(shape), jnp.asarray([0, 1]), **settings)
    found = explained(
        scorer(shape), picture(shape), jnp.asarray([0, 1]), tolerance=1e-9, **settings
    )  # one turn and a half
    assert int(found.num_masks) == 96
    np.testing.assert_allclose(found.saliency, full.saliency, rtol=1e-4)
    np.testing.assert_allclose(found.standard_error, full.standard_error, rtol=1e-3)


def far_score(weights, images):
    return 1000 + softmax_score(weights, images)


def test_scores_far_from_zero_keep_the_error_of_their_ratio(key):
    """In float32 the sum of squares about 1000 would swallow differences of 0.1."""
    shape = (9, 9, 3)
    score_fn, image = scorer(shape), picture(shape)
    far = jax.tree_util.Partial(far_score, *score_fn.args)
    settings = dict(key=key, num_masks=50, grid=3, divide_by="coverage", details=True)
    near = explained(score_fn, image, 1, **settings)
    found = explained(far, image, 1, **settings)
    np.testing.assert_allclose(found.saliency - 1000, near.saliency, atol=2e-4)
    np.testing.assert_allclose(found.standard_error, near.standard_error, rtol=2e-3)


def convolutional(kernel, images):
    hidden = jax.lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return jax.nn.relu(hidden).mean((1, 2))


def peak_bytes(fn, *args):
    memory = jax.jit(fn).lower(*args).compile().memory_analysis()
    return memory.argument_size_in_bytes + memory.temp_size_in_bytes + memory.output_size_in_bytes


def test_memory_is_that_of_one_chunk_whatever_the_number_of_masks(key):
    score_fn = jax.tree_util.Partial(convolutional, jnp.ones((3, 3, 3, 32)))
    image, chunk = jnp.zeros((64, 64, 3)), 32
    plain = peak_bytes(lambda f, images: f(images), score_fn, jnp.zeros((chunk, 64, 64, 3)))

    rise = functools.partial(saljax.rise, key=key, num_masks=8000, chunk_size=chunk)
    assert peak_bytes(rise, score_fn, image, 1) < 1.15 * plain


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_masks": 0}, "`num_masks` must be greater than 0; got 0"),
        ({"grid": 0}, "`grid`"),
        ({"probability": 0.0}, "`probability` must be greater than 0"),
        ({"probability": 1.5}, "`probability` must be at most 1; got 1.5"),
        ({"probability": np.float32(1.5)}, "`probability` must be at most 1; got 1.5"),
        ({"divide_by": "area"}, "expectation, coverage; got 'area'"),
        ({"sampling": "lattice"}, "independent, stratified; got 'lattice'"),
        ({"sampling": "stratified", "num_masks": 50}, "a multiple of 32 .*; got 50"),
        ({"tolerance": 0.0}, "`tolerance` must be greater than 0"),
    ],
)
def test_wrong_settings_say_what_is_wrong(key, settings, message):
    with pytest.raises(ValueError, match=message):
        saljax.rise(constant_score, picture((9, 9, 3)), 0, key=key, **settings)


def test_a_pixel_that_no_mask_shows_has_an_unknown_error(key):
    run = functools.partial(explained, scorer((6, 6, 3)), picture((6, 6, 3)), 1, key=key)
    found = run(num_masks=3, probability=0.1, divide_by="coverage", details=True)
    drawn = [masks.random_grid(jax.random.fold_in(key, i), (6, 6), 7, 0.1) for i in range(3)]
    hidden = np.sum(drawn, axis=0) == 0
    assert hidden.any() and not hidden.all()
    np.testing.assert_array_equal(np.isnan(found.standard_error), hidden)
    assert np.isfinite(found.saliency).all()
