"""KernelSHAP, Sobol, HSIC, expected gradients, SquareGrad: values by hand, closed forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.methods.perturbation.hsic import dependence
from saljax.methods.perturbation.kernel_shap import drawn, shapley

KEY = jax.random.key(0)


def signal(function):
    """A classifier of a signal of ones, whose pixels are the cells that are shown."""
    return lambda images: jnp.stack([function(images[..., 0]), -function(images[..., 0])], axis=1)


def shap(function, cells, **keywords):
    image = jnp.ones((cells, 1))
    return saljax.kernel_shap(
        signal(function), image, 0, key=KEY, grid=cells, baseline=0.0, **keywords
    )


def test_shapley_values_by_hand():
    found = shap(lambda z: 1 + 2 * z[:, 0] + 3 * z[:, 0] * z[:, 1], 3)
    np.testing.assert_allclose(found, [3.5, 1.5, 0], atol=1e-5)
    np.testing.assert_allclose(shap(lambda z: z.prod(axis=1), 3), [1 / 3] * 3, atol=1e-5)
    np.testing.assert_allclose(shap(lambda z: 4 + z[:, 0], 1), [1], atol=1e-6)


def test_shapley_values_are_the_mean_over_orders():
    """The definition: what a segment adds, in the mean over all orders of 4."""
    table = np.random.default_rng(0).normal(size=(2,) * 4).astype(np.float32)

    def v(z):
        return jnp.asarray(table)[tuple(z.astype(int).T)]

    expected = np.zeros(4)
    for order in itertools.permutations(range(4)):
        z = np.zeros(4, int)
        for segment in order:
            before = table[tuple(z)]
            z[segment] = 1
            expected[segment] += (table[tuple(z)] - before) / 24
    np.testing.assert_allclose(shap(v, 4), expected, atol=1e-4)


@pytest.mark.parametrize("num_samples", [40, 41])
def test_an_additive_score_is_exact_from_a_sample_and_values_add_up(num_samples):
    weights = jnp.asarray(np.random.default_rng(0).normal(size=9), jnp.float32)
    found = shap(lambda z: 2 + z @ weights, 9, num_samples=num_samples)
    np.testing.assert_allclose(found, weights, atol=1e-4)
    product = shap(lambda z: 2 + 3 * z.prod(axis=1) + z[:, 0], 9, num_samples=num_samples)
    assert float(product.sum()) == pytest.approx(4, abs=1e-4)


def test_few_samples_give_the_smallest_values():
    subsets, weights = drawn(KEY, 9, 4)
    found = shapley(subsets, weights, subsets.sum(axis=1, keepdims=True), jnp.asarray([9.0]))
    assert bool(jnp.isfinite(found).all()) and float(found.sum()) == pytest.approx(9, abs=1e-4)


def test_sizes_are_drawn_as_the_kernel_has_them_and_complements_come_in_pairs():
    keys = jax.random.split(KEY, 600)
    subsets = jax.jit(jax.vmap(lambda key: drawn(key, 4, 12)[0]))(keys)
    sizes = np.asarray(subsets.sum(axis=-1)).ravel().astype(int)
    share = np.bincount(sizes, minlength=5)[1:4] / sizes.size
    np.testing.assert_allclose(share, [0.3636, 0.2727, 0.3636], atol=0.02)
    np.testing.assert_array_equal(subsets[:, ::2] + subsets[:, 1::2], 1)


def test_segments_of_a_picture(cnn):
    labels = np.repeat(np.arange(8) // 4, 8).reshape(8, 8)
    both = jnp.asarray([0, 2])
    found = saljax.kernel_shap(cnn.score_fn, cnn.image, both, key=KEY, segments=labels)
    image = np.asarray(cnn.image)
    unseen = np.stack([image[labels == k].mean(axis=0) for k in (0, 1)])[labels]

    def v(*shown):
        mask = np.asarray(shown, np.float32)[labels][..., None]
        return np.asarray(cnn.score_fn(jnp.asarray(mask * image + (1 - mask) * unseen)[None]))[0]

    none, first, second, every = v(0, 0), v(1, 0), v(0, 1), v(1, 1)
    expected = [(first - none + every - second) / 2, (second - none + every - first) / 2]
    for row, target in zip(found, (0, 2), strict=True):
        for k in (0, 1):
            np.testing.assert_allclose(row[labels == k], expected[k][target], rtol=1e-3, atol=1e-5)


def sobol(function, cells, **keywords):
    return saljax.sobol(signal(function), jnp.ones((cells, 1)), 0, grid=cells, **keywords)


@pytest.mark.parametrize(("number", "expected"), [(4096, (0.3599, 0.6398)), (32, (0.339, 0.610))])
def test_sobol_of_a_sum(number, expected):
    found = sobol(lambda m: 3 * m[:, 0] + 4 * m[:, 1], 2, num_designs=number, chunk_size=4096)
    np.testing.assert_allclose(found, expected, atol=6e-4)


def test_sobol_of_a_product_of_nothing_and_of_a_scaled_score():
    product = sobol(lambda m: m[:, 0] * m[:, 1], 3, num_designs=1024, chunk_size=1024)
    np.testing.assert_allclose(product[:2], 4 / 7, atol=0.02)
    assert product[2] == 0
    scaled = sobol(lambda m: 5 - 2 * m[:, 0] * m[:, 1], 3, num_designs=1024, chunk_size=1024)
    np.testing.assert_allclose(scaled, product, atol=1e-4)
    np.testing.assert_array_equal(sobol(lambda m: 0 * m[:, 0] + 1, 2), 0)


def test_sobol_says_what_is_wrong():
    with pytest.raises(ValueError, match="`num_designs` must be a power of two; got 12"):
        sobol(lambda m: m[:, 0], 2, num_designs=12)
    with pytest.raises(ValueError, match="give a smaller `grid`"):
        saljax.sobol(signal(lambda m: m[:, 0]), jnp.ones((12000, 1)), 0, grid=12000)


def test_hsic_of_all_masks_of_two_cells():
    shown = jnp.asarray([[0, 0], [0, 1], [1, 0], [1, 1]], jnp.float32)
    found = dependence(shown, shown[:, 0], "outputs")
    np.testing.assert_allclose(found, [1 - np.exp(-2), 0], atol=1e-4)


@pytest.mark.parametrize("bandwidth", ["outputs", "distances"])
def test_hsic_is_the_trace_it_stands_for(bandwidth):
    rng, n = np.random.default_rng(0), 64
    shown, y = rng.integers(2, size=(n, 5)).astype(np.float64), rng.uniform(size=n)
    pairs = [abs(y[i] - y[j]) for i in range(n) for j in range(i)]
    width = np.median(y if bandwidth == "outputs" else pairs)
    h = np.eye(n) - 1 / n
    likeness = np.exp(-((y[:, None] - y[None]) ** 2) / (2 * width**2))
    expected = [np.trace((1 - (m[:, None] - m[None]) ** 2) @ h @ likeness @ h) / n for m in shown.T]
    found = dependence(jnp.asarray(shown, jnp.float32), jnp.asarray(y, jnp.float32), bandwidth)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_hsic_finds_the_cell_and_is_zero_where_nothing_changes():
    def hsic(function, **keywords):
        return saljax.hsic(signal(function), jnp.ones((4, 1)), 0, grid=4, num_masks=64, **keywords)

    found = hsic(lambda m: 1 - m[:, 2])
    assert int(found.argmax()) == 2 and float(found[2]) > 20 * float(jnp.delete(found, 2).max())
    np.testing.assert_array_equal(hsic(lambda m: 0 * m[:, 0] + 3), 0)


@pytest.mark.usefixtures("as_users_run")
def test_unknown_choices_are_said():
    with pytest.raises(ValueError, match="`bandwidth` must be"):
        saljax.hsic(signal(lambda m: m[:, 0]), jnp.ones((4, 1)), 0, bandwidth="wide")
    with pytest.raises(ValueError, match="`statistic` must be"):
        saljax.smoothgrad(square, jnp.ones((2, 1)), 0, key=KEY, statistic="median")


def linear(weights, images):
    scores = (images * weights[None]).sum(axis=(1, 2))
    return jnp.stack([scores, -scores], axis=1)


def test_expected_gradients_of_a_linear_score():
    rng = np.random.default_rng(0)
    weights, image, baselines = (
        jnp.asarray(rng.uniform(size=shape), jnp.float32) for shape in ((3, 2), (3, 2), (5, 3, 2))
    )
    found = saljax.expected_gradients(
        Partial(linear, weights), image, 0, key=KEY, baselines=baselines, num_samples=10,
        reduce=None,
    )  # fmt: skip
    expected = weights * (image - baselines.mean(axis=0))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def product(images):
    scores = images[:, 0, 0] * images[:, 1, 0]
    return jnp.stack([scores, -scores], axis=1)


@pytest.mark.parametrize("stratified", [True, False])
def test_expected_gradients_of_a_product(stratified):
    image = jnp.asarray([[2.0], [3.0]]) / 4
    found = saljax.expected_gradients(
        product, image, 0, key=KEY, num_samples=4000, stratified=stratified, reduce=None,
        chunk_size=4000,
    )  # fmt: skip
    tolerance = 1e-3 if stratified else 0.05
    np.testing.assert_allclose(16 * found[:, 0], [3, 3], rtol=tolerance)
    whole = saljax.integrated_gradients(product, image, 0, reduce=None)
    np.testing.assert_allclose(found, whole, rtol=tolerance)


def test_expected_gradients_refuse_baselines_of_another_shape():
    with pytest.raises(ValueError, match=r"`baselines` must be images .*\(B, 2, 1\); got \(4, 1\)"):
        saljax.expected_gradients(product, jnp.ones((2, 1)), 0, key=KEY, baselines=jnp.ones((4, 1)))


def square(images):
    scores = (jnp.asarray([[2.0, 1.0]]) * images[..., 0] ** 2).sum(axis=1) / 2
    return jnp.stack([scores, -scores], axis=1)


def test_square_grad_and_var_grad():
    """f = sum c x^2 / 2: SmoothGrad c x, SquareGrad c^2 (x^2 + s^2), VarGrad c^2 s^2."""
    image = jnp.asarray([[1.5], [0.5]])

    def smooth(statistic, **keywords):
        keywords = {"num_samples": 4000, "chunk_size": 4000, "reduce": None} | keywords
        return saljax.smoothgrad(
            square, image, 0, key=KEY, noise=0.3, statistic=statistic, **keywords
        )[0, 0]

    mean, squares, variance = (smooth(kind) for kind in ("mean", "square", "variance"))
    np.testing.assert_allclose([mean, squares, variance], [3, 9.36, 0.36], rtol=0.03)
    assert float(squares) == pytest.approx(float(variance * 3999 / 4000 + mean**2), rel=1e-4)
    with pytest.raises(ValueError, match="2 samples or more; got 1"):
        smooth("variance", num_samples=1)
