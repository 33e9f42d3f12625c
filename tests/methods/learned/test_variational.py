import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.tree_util import Partial

from saljax.methods.learned import variational
from saljax.methods.learned.explainer import fit_to, look
from saljax.methods.learned.variational import Variational

SIZE, CLASSES = 12, 3


def linear(weights, images):
    return images.reshape(len(images), -1) @ weights


def score_fn(shape=(SIZE, SIZE, 3), seed=0):
    weights = np.random.default_rng(seed).normal(0, 0.2, (int(np.prod(shape)), CLASSES))
    return Partial(linear, jnp.asarray(weights, jnp.float32))


def some_images(number=2, shape=(SIZE, SIZE, 3), seed=1):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=(number, *shape)), jnp.float32)


def explainer(shape=(SIZE, SIZE, 3), seed=0, **settings):
    fit = fit_to(score_fn(shape), jnp.zeros(shape), ())
    settings = {"channels": (4, 2), "reduction": 3} | settings
    return Variational(fit, **settings, rngs=nnx.Rngs(seed))


@pytest.fixture(scope="module")
def small():
    """An untrained explainer whose last layer is large enough to see a map."""
    made = explainer()
    made.encoder.last.kernel[...] = made.encoder.last.kernel[...] * 30
    return made


# Literal twins, in float64 numpy.


def convolve(x, kernel, bias=0.0):
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    out = np.zeros((*x.shape[:3], kernel.shape[-1]))
    for n, i, j in np.ndindex(*x.shape[:3]):
        out[n, i, j] = np.tensordot(padded[n, i : i + 3, j : j + 3], kernel, 3)
    return out + bias


def encode(made, images, batch_statistics):
    """Convolution, batch norm, ReLU; convolution. Means and variances of the batch, or stored."""
    x, last = np.float64(images), made.encoder.last
    for convolution, norm in zip(made.encoder.convolutions, made.encoder.norms, strict=True):
        x = convolve(x, np.float64(convolution.kernel[...]))
        mean, variance = (np.float64(stored[...]) for stored in (norm.mean, norm.var))
        if batch_statistics:
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        scale, bias = (np.float64(learned[...]) for learned in (norm.scale, norm.bias))
        x = np.maximum((x - mean) / np.sqrt(variance + 1e-5) * scale + bias, 0)
    x = convolve(x, np.float64(last.kernel[...]), np.float64(last.bias[...]))
    return x[..., 0], x[..., 1]


def choose(sample, k, epsilon):
    """Sinkhorn with the anchors 1 and 0, as SOFT has it."""
    scores = (sample - sample.min()) / (sample.max() - sample.min())
    n, cost = scores.size, (scores.reshape(-1, 1) - np.array([1.0, 0.0])) ** 2
    kernel, right = np.exp(-cost / cost.max() / epsilon), np.ones(2)
    for _ in range(300):
        left = (1 / n) / (kernel @ right)
        right = np.array([k / n, 1 - k / n]) / (kernel.T @ left)
    return (n * left * kernel[:, 0] * right[0]).reshape(sample.shape)


def divergence(mean, variance, rho):
    """Equation 1 of S4 with the whole covariance."""
    kernels = [rho ** np.abs(np.subtract.outer(range(n), range(n))) for n in mean.shape]
    inverse = np.linalg.inv(np.kron(*kernels))
    logs = np.linalg.slogdet(np.kron(*kernels))[1] - np.log(variance).sum()
    mu, nu = mean.ravel(), variance.ravel()
    return (np.trace(inverse @ np.diag(nu)) + mu @ inverse @ mu - mu.size + logs) / 2


def resize(x, side):
    """Linear between centers, with a triangle as wide as a new pixel where that is larger."""
    for axis in (0, 1):
        n = x.shape[axis]
        wide = max(n / side, 1)
        away = (np.arange(side)[:, None] + 0.5) * n / side - np.arange(n) - 0.5
        weights = np.maximum(1 - np.abs(away) / wide, 0)
        weights /= weights.sum(axis=1, keepdims=True)
        x = np.moveaxis(np.tensordot(weights, x, (1, axis)), 0, axis)
    return x


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


@pytest.mark.parametrize(("reduction", "baseline"), [(1, "black"), (3, "mean_color")])
def test_the_loss_is_the_literal_one(reduction, baseline, key):
    settings = {"share": 0.2, "rho": 0.7, "beta": 0.3, "epsilon": 0.15}
    made = explainer(reduction=reduction, baseline=baseline, **settings)
    made.encoder.last.kernel[...] = made.encoder.last.kernel[...] * 30
    images, classifier = some_images(), score_fn()
    cells = SIZE // reduction
    noise = np.float64(jax.random.normal(key, (2, cells, cells)))

    small = np.stack([resize(np.float64(x), cells) for x in images])
    mean, log_variance = encode(made, small, batch_statistics=True)
    expected = []
    for x, mu, eta, e in zip(np.float64(images), mean, log_variance, noise, strict=True):
        mask = resize(choose(mu + np.exp(eta / 2) * e, 0.2 * mu.size, 0.15), SIZE)
        nothing = {"black": 0.0, "mean_color": x.mean((0, 1))}[baseline]
        seen = x * mask[..., None] + nothing * (1 - mask[..., None])
        before, after = (softmax(y.ravel() @ np.float64(classifier.args[0])) for y in (x, seen))
        distance = -(before * np.log(after)).sum()
        expected.append(distance + 0.3 * divergence(mu, np.exp(eta), 0.7) / mu.size)

    training = nnx.view(made, use_running_average=False)
    found = variational.loss(training, classifier, images, look(classifier, images, ()), key)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-4)
