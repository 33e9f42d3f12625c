import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax.methods.perturbation import lime as lime_file


def linear_score(weights, images):
    return images.reshape(len(images), -1) @ weights


def softmax_score(weights, images):
    return jax.nn.softmax(linear_score(weights, images))


def scorer(shape, score=softmax_score):
    weights = np.random.default_rng(0).normal(0, 0.3, (math.prod(shape), 3))
    return jax.tree_util.Partial(score, jnp.asarray(weights, jnp.float32))


def explained(score_fn, image, target, **settings):
    """As one program: compiling every operation by itself takes several times as long."""
    return jax.jit(functools.partial(saljax.lime, **settings))(score_fn, image, target)


def picture(shape, seed=1):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=shape), jnp.float32)


def stripes(shape):
    """Labels 0..4 that follow no axis."""
    return np.indices(shape).sum(axis=0) % 5


def samples_literally(key, number, segments):
    draw = jax.jit(lambda i: jax.random.bernoulli(jax.random.fold_in(key, i), 0.5, (segments,)))
    rows = [draw(i) for i in range(number)]
    shown = np.asarray(rows, np.float64)
    shown[0] = 1
    return shown


def lime_literally(score_fn, image, target, labels, shown, alpha, width, color=None):
    """github.com/marcotcr/lime, one sample at a time; ridge by its normal equations."""
    image = np.asarray(image, np.float64)
    unseen = image.copy()
    for segment in range(shown.shape[1]):
        mean = image[labels == segment].mean(axis=0)
        unseen[labels == segment] = mean if color is None else color
    answers, weights = [], []
    for z in shown:
        perturbed = np.where((z[labels] == 1)[..., None], image, unseen)
        answers.append(float(score_fn(jnp.asarray(perturbed[None], jnp.float32))[0, target]))
        norm = np.linalg.norm(z)
        cosine = z.sum() / (norm * math.sqrt(len(z))) if norm else 0.0
        weights.append(math.sqrt(math.exp(-((1 - cosine) ** 2) / width**2)))
    # The intercept is one more column, without a penalty.
    x = np.concatenate([shown, np.ones((len(shown), 1))], axis=1)
    w, y = np.diag(weights), np.asarray(answers)
    penalty = alpha * np.diag([1.0] * shown.shape[1] + [0.0])
    solution = np.linalg.solve(x.T @ w @ x + penalty, x.T @ w @ y)
    mean = np.average(y, weights=weights)
    rest, all_of_it = (
        np.average(np.square(v), weights=weights) for v in (y - x @ solution, y - mean)
    )
    return solution[:-1], solution[-1], 1 - rest / all_of_it


@pytest.mark.parametrize(
    ("shape", "alpha", "color"),
    [((20, 1), 1.0, None), ((8, 9, 3), 0.3, None), ((4, 5, 6, 1), 1.0, 0.2)],
)
def test_equals_the_papers_algorithm_at_any_rank(key, shape, alpha, color):
    score_fn, image, labels = scorer(shape), picture(shape), stripes(shape[:-1])
    shown = samples_literally(key, 40, 5)
    expected, intercept, r2 = lime_literally(score_fn, image, 1, labels, shown, alpha, 0.25, color)
    found = explained(
        score_fn, image, jnp.asarray([0, 1, 9]), key=key, num_samples=40, segments=labels,
        alpha=alpha, baseline=color, chunk_size=16, details=True,
    )  # fmt: skip
    np.testing.assert_allclose(found.coefficients[1], expected, atol=1e-5)
    np.testing.assert_allclose(found.saliency[1], expected[labels], atol=1e-5)
    np.testing.assert_allclose(found.intercept[1], intercept, atol=1e-5)
    np.testing.assert_allclose(found.r2[1], r2, atol=1e-4)
    assert jnp.isnan(found.saliency[2]).all() and not jnp.isnan(found.saliency[:2]).any()


def test_the_default_segments_are_a_regular_grid(key):
    shape = (8, 12, 3)
    score_fn, image = scorer(shape), picture(shape)
    rows, columns = np.indices((8, 12))
    settings = dict(key=key, num_samples=30)
    np.testing.assert_allclose(
        explained(score_fn, image, 2, grid=4, **settings),
        explained(score_fn, image, 2, segments=rows // 2 * 4 + columns // 3, **settings),
        atol=1e-6,
    )


def test_weights_fall_from_one_with_the_distance_from_the_whole_image():
    weights = lime_file.proximity(jnp.asarray([1.0, 0.25, 0.0]), 0.5)
    np.testing.assert_allclose(weights, [1.0, math.exp(-0.5), math.exp(-2.0)], rtol=1e-6)


def test_coefficients_of_an_additive_scorer_are_recovered(key):
    """METHODS section 17: exactly without a penalty; with one, shrunk but in proportion."""
    shape = (6, 6, 3)
    score_fn, image, labels = scorer(shape, linear_score), picture(shape), stripes((6, 6))
    contributions = np.asarray((score_fn.args[0][:, 1].reshape(shape) * image).sum(axis=-1))
    exact = [contributions[labels == segment].sum() for segment in range(5)]
    settings = dict(key=key, segments=labels, baseline=0.0, num_samples=200, details=True)
    found = explained(score_fn, image, 1, alpha=0.0, **settings)
    np.testing.assert_allclose(found.coefficients, exact, atol=1e-4)
    np.testing.assert_allclose(found.intercept, 0.0, atol=1e-4)
    np.testing.assert_allclose(found.r2, 1.0, atol=1e-5)
    shrunk = explained(score_fn, image, 1, alpha=1.0, **settings)
    assert 0.9 < np.linalg.norm(shrunk.coefficients) / np.linalg.norm(exact) < 1
    np.testing.assert_allclose(shrunk.coefficients, exact, atol=0.1 * np.abs(exact).max())


def test_segments_of_each_image_in_a_batch(key):
    """As the docstring shows; labels that an image does not have change nothing for it."""
    shape = (8, 8, 3)
    score_fn = scorer(shape)
    images = jnp.stack([picture(shape, seed) for seed in (1, 2)])
    segments = np.stack([stripes((8, 8)), np.indices((8, 8))[0] // 3])
    keys = jax.random.split(key, 2)
    method = functools.partial(saljax.lime, num_samples=25, num_segments=5)
    many = jax.jit(jax.vmap(method, in_axes=(None, 0, 0)))
    maps = many(score_fn, images, jnp.asarray([1, 2]), key=keys, segments=segments)
    for i, target in enumerate((1, 2)):
        alone = explained(
            score_fn, images[i], target, key=keys[i], segments=segments[i], num_samples=25
        )
        np.testing.assert_allclose(maps[i], alone, atol=1e-5)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"segments": np.zeros((9, 8), int)}, r"`segments` .* \(9, 9\); got \(9, 8\)"),
        ({"segments": np.full((9, 9), -1)}, r"labels 0\.\..*; got -1"),
        ({"segments": np.full((9, 9), 4), "num_segments": 4}, r"labels 0\.\.3; got 4"),
        ({"segments": np.zeros((9, 9))}, "labels, whole numbers; got float64"),
        ({"num_segments": 4}, "give them, or `grid`"),
        ({"alpha": -1.0}, "`alpha` must be at least 0"),
        ({"kernel_width": 0.0}, "`kernel_width`"),
    ],
)
def test_wrong_settings_say_what_is_wrong(key, settings, message):
    with pytest.raises(ValueError, match=message):
        saljax.lime(scorer((9, 9, 3)), picture((9, 9, 3)), 0, key=key, **settings)


def test_the_number_of_segments_must_be_known_inside_jit(key):
    shape = (9, 9, 3)
    method = jax.jit(functools.partial(saljax.lime, scorer(shape)))
    with pytest.raises(ValueError, match="`num_segments` must be given"):
        method(picture(shape), 0, key=key, segments=stripes((9, 9)))


def test_labels_that_do_not_occur_change_nothing_even_without_a_penalty(key):
    image, labels = picture((6, 7, 3)), stripes((6, 7)) % 3
    run = functools.partial(
        explained, scorer((6, 7, 3)), image, 1, key=key, segments=labels, num_samples=40, alpha=0.0,
        details=True,
    )  # fmt: skip
    more = run(num_segments=5)
    assert np.isfinite(more.saliency).all()
    np.testing.assert_allclose(more.coefficients[3:], 0, atol=1e-6)
