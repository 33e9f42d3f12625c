import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import saljax
from saljax.metrics import skewness
from saljax.ops.skew import skew_controller, skew_density

PUBLISHED = [  # eta, h, mean, median, std, Pearson's skewness of z for normal scores: METHODS
    (0.5, 2.5, 0.1952, 0.1768, 0.1089, 0.508),
    (1.5, 2.5, 0.2727, 0.1768, 0.2700, 1.066),
    (1.5, 1.5, 0.3941, 0.3536, 0.2821, 0.431),
    (2.5, 2.5, 0.3318, 0.1768, 0.3506, 1.327),
    (1.5, 0.5, 0.6737, 0.7071, 0.2148, -0.467),
]
QUANTILES = (np.arange(20000) + 0.5) / 20000


def scores_of(distribution):
    """Scores that have a distribution exactly, without chance."""
    return jnp.asarray(distribution.ppf(QUANTILES), jnp.float32)


def mixture(share, mean):
    """share N(0, 1) + (1 - share) N(mean, 1), by its quantiles."""
    x = np.linspace(-6, mean + 6, 200001)
    below = share * stats.norm.cdf(x) + (1 - share) * stats.norm.cdf(x, mean)
    return jnp.asarray(np.interp(QUANTILES, below, x), jnp.float32)


def test_it_is_its_formula():
    x = np.random.default_rng(0).normal(3, 2, (5, 7))
    y = (x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + 1e-5)
    expected = (1 / (1 + np.exp(-1.5 * y))) ** 2.5
    found = saljax.skew_controller(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.parametrize(("eta", "h", "mean", "median", "std", "skew"), PUBLISHED)
def test_of_normal_scores_it_makes_the_distribution_of_the_paper(eta, h, mean, median, std, skew):
    z = skew_controller(scores_of(stats.norm), eta, h)
    assert float(z.mean()) == pytest.approx(mean, abs=2e-4)
    assert float(jnp.median(z)) == pytest.approx(median, abs=2e-4)
    assert float(z.std()) == pytest.approx(std, abs=3e-4)
    assert float(skewness(z)) == pytest.approx(skew, abs=3e-3)


@pytest.mark.parametrize(("eta", "h"), [row[:2] for row in PUBLISHED])
def test_the_density_is_of_that_distribution(eta, h):
    z = jnp.linspace(0, 1, 200001)[1:-1]
    p = np.asarray(skew_density(z, eta, h), np.float64)
    literal = (
        1 / (np.sqrt(2 * np.pi) * h * eta) / (z * (1 - z ** (1 / h)))
        * np.exp(-(np.log(z ** (-1 / h) - 1) ** 2) / (2 * eta**2))
    )  # fmt: skip
    np.testing.assert_allclose(p[100:-100], literal[100:-100], rtol=1e-3, atol=1e-6)
    y = -np.log(np.asarray(z, np.float64) ** (-1 / h) - 1) / eta
    grown = np.cumsum((p[1:] + p[:-1]) / 2 * np.diff(z))
    np.testing.assert_allclose(grown + stats.norm.cdf(y[0]), stats.norm.cdf(y[1:]), atol=2e-3)


def test_the_density_for_uniform_scores_has_its_support():
    ends = [(np.exp(sign * np.sqrt(3) * 1.5) + 1) ** -2.5 for sign in (1, -1)]
    assert ends == pytest.approx([0.00126, 0.8357], abs=1e-4)

    def uniform(y):
        return jnp.where(jnp.abs(y) <= np.sqrt(3), 1 / (2 * np.sqrt(3)), 0.0)

    z = jnp.linspace(0, 1, 100001)[1:-1]
    p = skew_density(z, density=uniform)
    assert float(p.sum() * 1e-5) == pytest.approx(1, abs=5e-3)
    assert np.asarray(z)[np.asarray(p) > 0][[0, -1]] == pytest.approx(ends, abs=2e-5)
    made = skew_controller(scores_of(stats.uniform))
    assert [float(made.min()), float(made.max())] == pytest.approx(ends, abs=1e-3)


def test_it_keeps_the_order_and_forgets_scale_and_place():
    x = jnp.asarray(np.random.default_rng(1).exponential(size=(6, 6)), jnp.float32)
    z = skew_controller(x)
    np.testing.assert_array_equal(np.argsort(x.ravel()), np.argsort(z.ravel()))
    np.testing.assert_allclose(skew_controller(40 * x - 7), z, atol=1e-4)
    np.testing.assert_allclose(skew_controller(jnp.full((3, 3), 2.0)), 0.5**2.5, rtol=1e-6)


FAMILIES = {
    **{f"skew normal {a}": lambda a=a: scores_of(stats.skewnorm(a)) for a in (-20, -5, 0, 5, 20)},
    **{f"mixture {r} {m}": lambda r=r, m=m: mixture(r, m)
       for r in (0.1, 0.3, 0.5, 0.9) for m in (2, 4, 8, 16)},
    "uniform": lambda: scores_of(stats.uniform),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_it_always_adds_skewness_on_the_families_of_the_paper(family):
    x = FAMILIES[family]()
    before, after = float(skewness(x)), float(skewness(skew_controller(x)))
    assert after > before
    if not family.endswith((" 8", " 16")):
        assert after > 0


def test_skewness_measured_before_and_after():
    for distribution, before, after in (
        (stats.uniform, 0, 1.163), (stats.skewnorm(-20), -0.608, 0.483), (stats.expon, 0.921, 1.479)
    ):  # fmt: skip
        x = scores_of(distribution)
        assert float(skewness(x)) == pytest.approx(before, abs=5e-3)
        assert float(skewness(skew_controller(x))) == pytest.approx(after, abs=5e-3)
    assert float(skewness(skew_controller(-scores_of(stats.expon)))) == pytest.approx(
        -0.131, abs=5e-3
    )
    assert float(skewness(skew_controller(mixture(0.3, 8)))) < 0  # a promise it does not make


def test_it_has_a_derivative_and_a_batch_is_controlled_image_by_image():
    maps = jnp.asarray(np.random.default_rng(2).normal(size=(3, 4, 4)), jnp.float32)
    found = jax.vmap(skew_controller)(maps)
    np.testing.assert_allclose(found[2], skew_controller(maps[2]), rtol=1e-6)
    slope = jax.grad(lambda x: skew_controller(x)[0, 0])(jnp.zeros((4, 4)))
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", ["eta", "h"])
def test_wrong_input(name):
    with pytest.raises(ValueError, match=f"`{name}` must be greater than 0"):
        skew_controller(jnp.zeros((3, 3)), **{name: 0.0})
