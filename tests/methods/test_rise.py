import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax.ops import masks


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


@pytest.mark.parametrize("divide_by", ["expectation", "coverage"])
def test_the_standard_error_is_the_spread_over_keys(divide_by):
    shape = (6, 6, 1)
    score_fn, image = scorer(shape), picture(shape)
    method = functools.partial(
        saljax.rise, num_masks=100, grid=2, divide_by=divide_by, chunk_size=100, details=True
    )
    repeated = jnp.broadcast_to(image, (300, *shape))
    found = saljax.explain(method, score_fn, repeated, jnp.ones(300, jnp.int32))
    assert found.standard_error.shape == (300, 6, 6)
    spread, claimed = found.saliency.std(axis=0), found.standard_error.mean(axis=0)
    # A standard deviation of 300 values is known to 4 %.
    np.testing.assert_allclose(claimed, spread, rtol=0.16)


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
