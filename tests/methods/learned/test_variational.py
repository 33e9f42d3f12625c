import functools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.tree_util import Partial

import saljax
from saljax.methods.learned import variational
from saljax.methods.learned.explainer import Fit, fit_to, look
from saljax.methods.learned.variational import PRINTED, SEVENTEEN, Variational

SIZE, CLASSES = 12, 3


def linear(weights, images):
    return images.reshape(len(images), -1) @ weights


def some_classifier(shape=(SIZE, SIZE, 3)):
    weights = np.random.default_rng(0).normal(0, 0.2, (int(np.prod(shape)), CLASSES))
    return Partial(linear, jnp.asarray(weights, jnp.float32))


def some_images(number=2):
    pixels = np.random.default_rng(1).uniform(size=(number, SIZE, SIZE, 3))
    return jnp.asarray(pixels, jnp.float32)


def explainer(shape=(SIZE, SIZE, 3), scale=30.0, **settings: Any):
    """Not trained; its last convolution is enlarged, so that maps differ from place to place."""
    fit = Fit((), (), CLASSES, shape, "")
    made = Variational(fit, **{"channels": (4, 2)} | settings, rngs=nnx.Rngs(0))
    made.encoder.last.kernel[...] = made.encoder.last.kernel[...] * scale
    return made


def in_training(made):
    return nnx.view(made, use_running_average=False)


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


def kernel(n, rho):
    return rho ** np.abs(np.subtract.outer(range(n), range(n)))


def divergence(mean, variance, rho):
    """Equation 1 of S4 with the whole covariance."""
    kernels = [kernel(n, rho) for n in mean.shape]
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
    images, classifier = some_images(), some_classifier()
    cells = SIZE // reduction
    noise = np.float64(jax.random.normal(key, (2, cells, cells)))

    small = np.stack([resize(np.float64(x), cells) for x in images])
    posterior = encode(made, small, batch_statistics=True)
    expected = []
    for x, mu, eta, e in zip(np.float64(images), *posterior, noise, strict=True):
        mask = resize(choose(mu + np.exp(eta / 2) * e, 0.2 * mu.size, 0.15), SIZE)[..., None]
        nothing = {"black": 0.0, "mean_color": x.mean((0, 1))}[baseline]
        weights = np.float64(classifier.args[0])
        before, after = (softmax(y.ravel() @ weights) for y in (x, x * mask + nothing * (1 - mask)))
        distance = -(before * np.log(after)).sum()
        expected.append(distance + 0.3 * divergence(mu, np.exp(eta), 0.7) / mu.size)

    @jax.jit
    def found(made, classifier):
        seen = look(classifier, images, ())
        return variational.loss(in_training(made), classifier, images, seen, key)

    assert float(found(made, classifier)) == pytest.approx(np.mean(expected), rel=1e-4)


def test_the_map_is_the_mean_and_the_uncertainty_the_variance_whatever_class_is_asked():
    made, images = explainer(reduction=3), some_images()
    norm = made.encoder.norms[0]
    norm.mean[...], norm.var[...] = jnp.array([0.5, -0.2, 0.1, 0.0]), jnp.array([0.3, 1, 2, 0.5])
    small = np.stack([resize(np.float64(x), 4) for x in images])
    mean, log_variance = encode(made, small, batch_statistics=False)

    method = functools.partial(made, details=True)
    asked = jnp.array([[0, 2, CLASSES], [1, 1, 0]])  # a class too many, which a jit cannot refuse
    found = jax.jit(lambda t: saljax.explain(method, some_classifier(), images, t))(asked)
    for maps, cells in [(found.saliency, mean), (found.uncertainty, np.exp(log_variance))]:
        assert maps.shape == (2, 3, SIZE, SIZE) and maps.dtype == jnp.float32
        assert jnp.isnan(maps[0, 2]).all()
        expected = [resize(one, SIZE) for one in cells]
        np.testing.assert_allclose(maps[0, 1], expected[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(maps[1], [expected[1]] * 3, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        made(some_classifier(), images[0], 1),
        saljax.explain(made, some_classifier(), images, [1, 0])[0],
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize(("channels", "number"), [(PRINTED, 16), (SEVENTEEN, 17)])
def test_the_encoder_is_the_printed_one(channels, number):
    made = nnx.eval_shape(lambda: explainer(channels=channels))
    encoder = made.encoder
    kernels = [c.kernel.shape for c in (*encoder.convolutions, encoder.last)]
    assert len(kernels) == number and all(kernel[:2] == (3, 3) for kernel in kernels)
    outputs = [64] * (number - 12) + [32] * 5 + [16] * 6 + [2]
    assert [kernel[3] for kernel in kernels] == outputs
    assert [kernel[2] for kernel in kernels] == [3, *outputs[:-1]]
    assert [norm.scale.shape for norm in encoder.norms] == [(n,) for n in outputs[:-1]]


def test_signals_and_volumes(key):
    for shape, cells in [((17, 2), (5,)), ((8, 9, 10, 1), (2, 3, 3))]:
        images = jnp.zeros((3, *shape))

        def look_at(images, shape=shape):
            made, classifier = in_training(explainer(shape)), some_classifier(shape)
            saliency = explainer(shape)(classifier, images[0], 0)
            seen = look(classifier, images, ())
            loss = variational.loss(made, classifier, images, seen, key)
            return saliency, made.posterior(images)[0], loss

        saliency, mean, loss = jax.eval_shape(look_at, images)
        assert (saliency.shape, mean.shape, loss.shape) == (shape[:-1], (3, *cells), ())


def test_its_settings_make_another_of_its_kind():
    made = explainer(reduction=2, share=0.3, baseline="black", rho=0.5, beta=1.0, epsilon=0.2)
    settings = json.loads(json.dumps(made.settings))
    again = Variational(made.fit, **settings, rngs=nnx.Rngs(1))
    assert jax.tree.structure(again) == jax.tree.structure(made)
    assert settings["channels"] == [4, 2] and settings["reduction"] == 2


def test_the_start_is_what_the_prior_says_of_a_pixel_between_its_neighbors():
    made = explainer(scale=0.0, reduction=1, rho=0.7)
    mean, log_variance = made.posterior(some_images())
    between = 1 / np.linalg.inv(np.kron(*[kernel(5, 0.7)] * 2))[12, 12]  # the middle of 5 x 5
    np.testing.assert_allclose(jnp.exp(log_variance), between, rtol=1e-5)
    np.testing.assert_array_equal(mean, 0)


def test_its_optimizer_is_torch_s_adam():
    """Weight decay is part of the gradient, betas are 0.9 and 0.99."""
    (stage,) = variational.stages(learning_rate=0.1, weight_decay=0.3)
    optimizer = stage.optimizer(7)
    weight, first, second = 2.0, 0.0, 0.0
    weights = {"w": jnp.float32(weight)}
    memory = optimizer.init(weights)
    for step, slope in enumerate([0.5, -1.0, 2.0], 1):
        full = slope + 0.3 * weight
        first, second = 0.9 * first + 0.1 * full, 0.99 * second + 0.01 * full**2
        weight -= 0.1 * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        with jax.numpy_dtype_promotion("standard"):
            updates, memory = optimizer.update({"w": jnp.float32(slope)}, memory, weights)
        weights = optax.apply_updates(weights, updates)
        assert float(weights["w"]) == pytest.approx(weight, rel=1e-5)


def brightest(gain, images):
    """Two classes: how bright the brightest red and the brightest green pixel are."""
    return gain * images[..., :2].max((1, 2))


def test_training_finds_the_evidence_and_leaves_the_classifier_as_it_is(key):
    """A red or a green blob in dark noise decides; a blue one does not."""
    rng, size, number = np.random.default_rng(3), 16, 32
    pixels = rng.uniform(0, 0.3, (number, size, size, 3)).astype(np.float32)
    places = rng.integers(1, size // 2 - 1, (number, 2, 2)) * 2
    for image, (place, other) in zip(pixels, places, strict=True):
        for (y, x), channel in ((other, 2), (place, rng.integers(2))):
            image[y : y + 2, x : x + 2, channel] = 1
    images, classifier = jnp.asarray(pixels), Partial(brightest, jnp.float32(10))
    settings = {"channels": (8, 2), "reduction": 2, "share": 0.05, "baseline": "black"}
    made = Variational(fit_to(classifier, images[0], ()), **settings, rngs=nnx.Rngs(0))
    graph, start, others = nnx.split(made, nnx.Param, ...)
    optimizer = variational.stages(learning_rate=0.03)[0].optimizer(1)

    def step(state, key):
        weights, others, memory = state

        def loss(weights, classifier):
            made = in_training(nnx.merge(graph, weights, others, copy=True))
            seen = look(classifier, images, ())
            value = variational.loss(made, classifier, images, seen, key)
            return value, nnx.state(made, nnx.Not(nnx.Param))

        (value, others), slopes = jax.value_and_grad(loss, (0, 1), has_aux=True)(
            weights, classifier
        )
        with jax.numpy_dtype_promotion("standard"):
            updates, memory = optimizer.update(slopes[0], memory, weights)
        return (optax.apply_updates(weights, updates), others, memory), (value, slopes[1].args[0])

    @jax.jit
    def train(start, others, keys):
        return jax.lax.scan(step, (start, others, optimizer.init(start)), keys)

    (weights, others, _), (losses, of_gain) = train(start, others, jax.random.split(key, 60))
    assert (of_gain == 0).all()
    assert float(losses[-1]) < 0.3 * float(losses[0])
    mean, _ = nnx.merge(graph, weights, others).posterior(images)
    peaks = np.asarray(mean).reshape(number, -1).argmax(axis=1)
    found = np.stack(np.unravel_index(peaks, mean.shape[1:]), axis=-1) == places[:, 0] // 2
    assert found.all(axis=1).mean() > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"channels": (4, 3)},
            r"`channels` must end in 2, for mean and log var.*; got \(4, 3\)",
        ),
        ({"channels": ()}, "`channels` must be a tuple of at least one"),
        ({"channels": (0, 2)}, "`channels` must be greater than 0"),
        ({"reduction": 1.5}, "`reduction` must be a whole number"),
        ({"share": 1.0}, "`share` must lie between 0 and 1"),
        ({"epsilon": 0.0}, "`epsilon` must be greater than 0"),
        ({"rho": 1.0}, "`rho` must be at least 0 and less than 1"),
        ({"beta": -1.0}, "`beta` must be at least 0"),
        (
            {"baseline": "white"},
            "`baseline` must be one of blurred, black, mean_color;",
        ),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        explainer(**settings)


@pytest.mark.usefixtures("as_users_run")
def test_another_classifier_or_another_shape_is_refused():
    made = explainer()
    with pytest.raises(ValueError, match=r"shape \(12, 12, 3\); got \(9, 9, 3\)"):
        made(some_classifier((9, 9, 3)), jnp.zeros((9, 9, 3)), 0)
    two = Partial(linear, some_classifier().args[0][:, :2])
    with pytest.raises(ValueError, match="trained for 3 classes; this classifier has 2"):
        made(two, some_images()[0], 0)
