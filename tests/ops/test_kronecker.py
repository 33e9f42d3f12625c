import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax.ops.kronecker import (
    autoregressive_kernel,
    autoregressive_kl,
    autoregressive_sample,
    kronecker_kl,
    kronecker_sample,
)

general, quick = jax.jit(saljax.kronecker_kl), jax.jit(autoregressive_kl)


def dense_kl(mean, variance, kernel_h, kernel_w):
    """Equation 1 of S4 with the complete covariance; pixels row by row."""
    prior = np.kron(kernel_h, kernel_w)
    mu, nu = mean.ravel(), variance.ravel()
    inverse = np.linalg.inv(prior)
    logs = np.linalg.slogdet(prior)[1] - np.log(nu).sum()
    return (np.trace(inverse @ np.diag(nu)) + mu @ inverse @ mu - len(mu) + logs) / 2


def kernel(n, rho):
    """The autoregressive kernel in float64."""
    return rho ** np.abs(np.subtract.outer(range(n), range(n)))


def maps(shape=(4, 5), seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=shape), random.uniform(0.2, 2, shape)


def test_it_is_the_dense_divergence():
    mean, variance = maps()
    kernels = kernel(4, 0.7), kernel(5, 0.5)
    expected = dense_kl(mean, variance, *kernels)
    with jax.enable_x64():
        found = general(*map(jnp.asarray, (mean, variance, *kernels)))
        assert float(found) == pytest.approx(expected, rel=1e-12)
    single = general(*(jnp.asarray(x, jnp.float32) for x in (mean, variance, *kernels)))
    assert float(single) == pytest.approx(expected, rel=1e-5)


def test_any_positive_definite_kernels():
    mean, variance = maps(seed=3)
    random = np.random.default_rng(4)
    kernels = [(lambda a: a @ a.T + np.eye(n))(random.normal(size=(n, n))) for n in (4, 5)]
    found = general(*(jnp.asarray(x, jnp.float32) for x in (mean, variance, *kernels)))
    assert float(found) == pytest.approx(dense_kl(mean, variance, *kernels), rel=1e-4)


def test_without_correlation_it_is_pixel_by_pixel():
    mean, variance = (jnp.asarray(x, jnp.float32) for x in maps())
    kernels = autoregressive_kernel(4, 0.0), autoregressive_kernel(5, 0.0)
    expected = (variance + mean**2 - 1 - jnp.log(variance)).sum() / 2
    assert float(general(mean, variance, *kernels)) == pytest.approx(float(expected), rel=1e-5)
    zero = general(jnp.zeros((4, 5)), jnp.ones((4, 5)), *kernels)
    assert float(zero) == pytest.approx(0, abs=1e-6)


def test_the_best_variance_is_one_over_the_diagonal_of_the_inverse():
    with jax.enable_x64():
        kernels = [jnp.asarray(np.float64(autoregressive_kernel(n, 0.6))) for n in (4, 5)]
        mean = jnp.asarray(maps()[0])
        best = jnp.asarray(1 / np.diag(np.linalg.inv(np.kron(*kernels))).reshape(4, 5))
        slope = jax.grad(general, argnums=1)(mean, best, *kernels)
        np.testing.assert_allclose(slope, 0, atol=1e-10)
        here = general(mean, best, *kernels)
        assert float(general(mean, best * 1.1, *kernels)) > float(here) > 0


def test_a_picture_turned_over_has_the_same_divergence():
    mean, variance = (jnp.asarray(x, jnp.float32) for x in maps())
    kernels = autoregressive_kernel(4, 0.7), autoregressive_kernel(5, 0.5)
    turned = general(mean.T, variance.T, kernels[1], kernels[0])
    assert float(turned) == pytest.approx(float(general(mean, variance, *kernels)), rel=1e-5)


def test_the_kernel_is_a_soft_total_variation():
    n, rho = 6, 0.8
    made = np.float64(autoregressive_kernel(n, rho))
    inverse = np.linalg.inv(made)
    expected = np.diag([1, *[1 + rho**2] * (n - 2), 1]) - rho * (np.eye(n, k=1) + np.eye(n, k=-1))
    np.testing.assert_allclose(inverse, expected / (1 - rho**2), atol=1e-5)
    assert np.linalg.slogdet(made)[1] == pytest.approx((n - 1) * np.log(1 - rho**2), rel=1e-5)
    x = np.random.default_rng(0).normal(size=n)
    steps = ((x[1:] - rho * x[:-1]) ** 2).sum() / (1 - rho**2)
    assert x @ inverse @ x == pytest.approx(x[0] ** 2 + steps, rel=1e-4)
    assert np.linalg.cond(np.float64(autoregressive_kernel(224, 0.9))) == pytest.approx(356, abs=1)


def test_at_full_size_float32_holds():
    mean, variance = maps((56, 56))
    kappa = kernel(56, 0.9)
    with jax.enable_x64():
        exact = float(general(*map(jnp.asarray, (mean, variance, kappa, kappa))))
    single = [jnp.asarray(x, jnp.float32) for x in (mean, variance, kappa, kappa)]
    assert float(general(*single)) == pytest.approx(exact, rel=1e-4)
    assert float(autoregressive_kl(*single[:2], 0.9)) == pytest.approx(exact, rel=1e-6)


def test_three_diagonals_give_the_dense_divergence_and_its_derivatives():
    rhos = {(4, 5): (0.7, 0.5), (5, 4): (0.0, 0.9), (1, 6): (0.8, 0.3), (7,): (0.6,),
            (2, 3, 4): (0.6, 0.2, 0.9)}  # fmt: skip
    given = {shape: maps(shape) for shape in rhos}
    with jax.enable_x64():
        found = jax.jit(
            lambda given, rhos: {
                shape: jax.value_and_grad(autoregressive_kl, (0, 1))(*given[shape], rhos[shape])
                for shape in given
            }
        )(given, rhos)
    for shape, (mean, variance) in given.items():
        kernels = [kernel(n, rho) for n, rho in zip(shape, rhos[shape], strict=True)]
        prior = functools.reduce(np.kron, kernels)
        value, (by_mean, by_variance) = found[shape]
        assert float(value) == pytest.approx(dense_kl(mean, variance, prior, np.eye(1)), rel=1e-12)
        inverse = np.linalg.inv(prior)
        np.testing.assert_allclose(by_mean.ravel(), inverse @ mean.ravel(), atol=1e-11)
        expected = (np.diag(inverse) - 1 / variance.ravel()) / 2
        np.testing.assert_allclose(by_variance.ravel(), expected, atol=1e-11)


@pytest.mark.parametrize("by_axis", [False, True])
def test_samples_have_the_covariance_of_the_prior(by_axis):
    kernels = autoregressive_kernel(3, 0.7), autoregressive_kernel(2, 0.4)
    keys = jax.random.split(jax.random.key(0), 20000)

    def draw(key):
        if by_axis:
            return autoregressive_sample(key, (3, 2), (0.7, 0.4))
        return kronecker_sample(key, *kernels)

    drawn = np.asarray(jax.jit(jax.vmap(draw))(keys)).reshape(-1, 6)
    np.testing.assert_allclose(np.cov(drawn.T), np.kron(*kernels), atol=0.04)


@pytest.mark.usefixtures("as_users_run")
def test_wrong_input():
    with pytest.raises(ValueError, match="`rho` must be at least 0 and less than 1"):
        autoregressive_kernel(4, 1.0)
    with pytest.raises(ValueError, match=r"must have shapes \(4, 5\), \(4, 4\) and \(5, 5\)"):
        kronecker_kl(jnp.zeros((4, 5)), jnp.ones((4, 5)), jnp.eye(5), jnp.eye(4))
    with pytest.raises(ValueError, match=r"shape of the mean, \(4, 5\); got \(5, 4\)"):
        autoregressive_kl(jnp.zeros((4, 5)), jnp.ones((5, 4)), 0.5)
    with pytest.raises(ValueError, match=r"one for each of 2 axes; got \(0.5,\)"):
        autoregressive_kl(jnp.zeros((4, 5)), jnp.ones((4, 5)), (0.5,))
    with pytest.raises(ValueError, match="less than 1; got 1.5"):
        autoregressive_sample(jax.random.key(0), (4, 5), (0.5, 1.5))
