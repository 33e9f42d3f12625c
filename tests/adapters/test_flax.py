"""NNX and Linen models as people have them: in training, scanned over layers, with keywords."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import saljax

IMAGES = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 4, 4, 3)), jnp.float32)


class Net(nnx.Module):
    """Left in training, with a keyword that has no default."""

    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.last = nnx.Linear(3, 2, rngs=rngs)

    def __call__(self, x, *, rngs):
        return self.last(self.drop(self.norm(x), rngs=rngs).mean((1, 2)))


def by_hand(model, images=IMAGES):
    normed = images / np.sqrt(1 + 1e-5)
    return normed.mean((1, 2)) @ model.last.kernel[...]


def test_an_nnx_model_is_left_as_it_is():
    model = Net(nnx.Rngs(0))
    before = [np.asarray(x) for x in jax.tree.leaves(nnx.state(model, nnx.BatchStat))]
    score_fn = saljax.scores.from_nnx(model, rngs=None)
    np.testing.assert_allclose(score_fn(IMAGES), by_hand(model), rtol=1e-4, atol=1e-5)
    found = saljax.explain(saljax.gradient, score_fn, IMAGES, [0, 1])
    expected = np.abs(model.last.kernel[...].T).max(1) / 16 / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(found, np.broadcast_to(expected[:, None, None], (2, 4, 4)), 1e-4)
    assert not model.drop.deterministic and not model.norm.use_running_average
    after = jax.tree.leaves(nnx.state(model, nnx.BatchStat))
    for x, y in zip(before, after, strict=True):
        np.testing.assert_array_equal(x, y)
    model.last.kernel[...] = 2 * model.last.kernel[...]
    later = saljax.explain(saljax.gradient, score_fn, IMAGES, [0, 1])
    np.testing.assert_allclose(later, 2 * found, rtol=1e-5)


class Scanned(nnx.Module):
    """Over its layers with nnx.scan, as big networks are written."""

    def __init__(self):
        @nnx.split_rngs(splits=2)
        @nnx.vmap(in_axes=(0,))
        def layers(rngs):
            return nnx.Linear(3, 3, rngs=rngs)

        self.layers = layers(nnx.Rngs(0))

    def __call__(self, x):
        @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
        def forward(layer, x):
            return jnp.tanh(layer(x))

        return forward(self.layers, x).mean((1, 2))


def test_an_nnx_model_scanned_over_its_layers():
    model = Scanned()
    score_fn = saljax.scores.from_nnx(model)
    kernels, biases = model.layers.kernel[...], model.layers.bias[...]

    def plain(x):
        for kernel, bias in zip(kernels, biases, strict=True):
            x = jnp.tanh(x @ kernel + bias[None, None, None])
        return x.mean((1, 2))

    for method in (saljax.gradient, functools.partial(saljax.occlusion, window=2, stride=2)):
        found = saljax.explain(method, score_fn, IMAGES, [0, 2])
        expected = saljax.explain(method, plain, IMAGES, [0, 2])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="from_nnx"):
        saljax.explain(saljax.gradient, model, IMAGES, [0, 2])


class Counts(nnx.Module):
    def __init__(self):
        self.calls = nnx.Variable(jnp.int32(0))

    def __call__(self, x):
        self.calls[...] = self.calls[...] + 1
        return x.mean((1, 2))


def test_a_model_that_changes_all_the_same():
    model = Counts()
    with pytest.raises(ValueError, match=r"changes its own state.*from_nnx\(model, train=False\)"):
        saljax.explain(saljax.gradient, saljax.scores.from_nnx(model), IMAGES, [0, 1])
    assert model.calls[...] == 0


class Norm(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        x = linen.BatchNorm(use_running_average=not train)(x)
        return linen.Dense(2)(linen.Dropout(0.5, deterministic=not train)(x).mean((1, 2)))


def test_a_linen_module():
    module = Norm()
    variables = module.init(jax.random.key(0), IMAGES, train=False)
    score_fn = saljax.scores.from_linen(module, variables, train=False)
    expected = module.apply(variables, IMAGES, train=False)
    np.testing.assert_array_equal(score_fn(IMAGES), expected)
    bound = saljax.scores.from_linen(module.bind(variables), train=False)
    found = [saljax.explain(saljax.gradient, one, IMAGES, [0, 1]) for one in (score_fn, bound)]
    by_jax = jax.grad(lambda x: module.apply(variables, x, train=False)[0, 1])(IMAGES[1:])[0]
    np.testing.assert_allclose(found[0][1], jnp.abs(by_jax).max(-1), rtol=1e-5)
    np.testing.assert_array_equal(*found)
    assert len(jax.tree.leaves(score_fn)) == len(jax.tree.leaves(variables))


def test_a_linen_module_without_variables():
    with pytest.raises(ValueError, match=r"Norm has no variables: from_linen\(module, variables\)"):
        saljax.scores.from_linen(Norm())


class Pretrained:
    """As transformers has it: a Linen module that takes channels last, and its parameters."""

    def __init__(self, params):
        self.module, self.params = linen.Dense(2), params

    def __call__(self, pixels):
        raise AssertionError("it takes channels first")


def test_a_model_of_transformers():
    params = linen.Dense(2).init(jax.random.key(0), IMAGES)
    for given in (params, params["params"]):
        score_fn = saljax.scores.from_linen(Pretrained(given))
        np.testing.assert_array_equal(score_fn(IMAGES), linen.Dense(2).apply(params, IMAGES))
