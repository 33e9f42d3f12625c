"""The map is that of the weights of now, and nothing is compiled for them again."""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jax.tree_util import Partial

import saljax
from saljax.core import compiled, loops

explain = importlib.import_module("saljax.core.explain")
IMAGES = jnp.asarray(np.random.default_rng(0).uniform(size=(8, 3, 4, 2)), jnp.float32)
TARGETS = np.arange(8) % 3


class Model(nnx.Module):
    def __init__(self):
        self.kernel = nnx.Param(jnp.asarray(np.random.default_rng(1).normal(size=(24, 3)), "f"))
        self.scale = nnx.Param(jnp.float32(2.0))

    def __call__(self, x, train=False):
        assert train is False
        hidden = jnp.maximum(x.reshape(len(x), -1), 0) * self.scale[...]
        return saljax.tag(hidden, "hidden") @ self.kernel[...]


class Layers:
    """As Keras has it: no pytree, its variables are changed in place."""

    def __init__(self):
        self.kernel = Model().kernel[...]

    def __call__(self, images):
        return images.reshape(len(images), -1) @ self.kernel


def look(score_fn, image, target):
    """A method that hardly needs compiling; `gradient` in small."""
    return score_fn(image[None])[0, target] * image.sum(-1)


def of_module():
    model = Model()

    def change():
        model.kernel[...] = model.kernel[...] * jnp.asarray([2.0, -1.0, 3.0])[None]
        model.scale[...] = jnp.float32(3.0)

    return model, change


def of(wrap):
    def make():
        model, change = of_module()
        return lambda: wrap(model), change

    return make


def of_layers():
    model = Layers()
    return lambda: model, lambda: setattr(model, "kernel", model.kernel * 2)


def of_numpy():
    weights = np.random.default_rng(2).normal(size=(24, 3)).astype("f")

    def change():
        weights[:] *= 2

    return lambda: lambda x: x.reshape(len(x), -1) @ weights, change


def called(model):
    return lambda x: model(x)


OPEN = {
    "lambda": of(called),
    "function of a lambda": of(lambda model: lambda x: called(model)(x) + 1),
    "functools.partial": of(lambda model: functools.partial(model, train=False)),
    "Partial": of(lambda model: Partial(model, train=False)),
    "jit": of(lambda model: jax.jit(called(model))),
    "probabilities": of(lambda model: saljax.scores.probabilities(called(model))),
    "preprocess": of(lambda model: saljax.scores.preprocess(called(model), (0.4,) * 2, (0.2,) * 2)),
    "a Partial of it": of(lambda model: Partial(lambda b, x: model(x) + b, jnp.ones((1, 3)))),
    "layers": of_layers,
    "numpy": of_numpy,
}


def one_by_one(method, score_fn):
    pairs = zip(IMAGES, TARGETS.tolist(), strict=True)
    return jnp.stack([method(score_fn, x, t) for x, t in pairs])


@pytest.mark.parametrize("make", OPEN.values(), ids=OPEN)
def test_what_it_closes_over_is_that_of_now(make):
    make_score, change = make()
    score_fn = make_score()
    before = saljax.explain(look, score_fn, IMAGES, TARGETS)
    np.testing.assert_allclose(before, one_by_one(look, score_fn), rtol=1e-4, atol=1e-5)
    programs = explain._explain._cache_size()
    scores = compiled.call(score_fn, IMAGES)
    change()
    after = saljax.explain(look, score_fn, IMAGES, TARGETS)
    plain = getattr(score_fn, "__wrapped__", score_fn)  # a jit itself would not see the change
    np.testing.assert_allclose(after, one_by_one(look, plain), rtol=1e-4, atol=1e-5)
    assert float(jnp.abs(after - before).max()) > 0.1
    new = saljax.explain(look, make_score(), IMAGES, TARGETS)
    np.testing.assert_array_equal(new, after)
    assert explain._explain._cache_size() == programs
    assert float(jnp.abs(compiled.call(score_fn, IMAGES) - scores).max()) > 0.1


def until_small(score_fn, image, target):
    """A method with a loop whose end depends on the image."""

    def halved(image):
        return image / 2 - 0 * score_fn(image[None])[0, target]

    return loops.while_loop(lambda image: image.max() > 0.3, halved, image)[..., 0]


@pytest.mark.parametrize("method", [saljax.gradient, until_small])
def test_derivatives_and_loops_are_compiled_once_too(method):
    model, change = of_module()
    saljax.explain(method, called(model), IMAGES, TARGETS)
    programs = explain._explain._cache_size()
    change()
    after = saljax.explain(method, called(model), IMAGES, TARGETS)
    assert explain._explain._cache_size() == programs
    np.testing.assert_allclose(after, saljax.explain(method, model, IMAGES, TARGETS), rtol=1e-5)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_what_a_method_and_a_baseline_close_over(kind):
    held = {"color": kind(np.float32([0.1, 0.2]))}
    method = functools.partial(
        saljax.integrated_gradients,
        num_steps=2,
        baseline=lambda image: jnp.broadcast_to(held["color"][None, None], image.shape),
    )
    ways = {
        "a baseline": method,
        "a method": lambda f, image, target: (
            look(f, image, target) + (image * held["color"][None, None]).sum(-1)
        ),
    }
    for name, way in ways.items():
        held["color"] = kind(np.float32([0.1, 0.2]))
        model = Model()
        before = saljax.explain(way, model, IMAGES, TARGETS)
        programs = explain._explain._cache_size()
        held["color"] = kind(np.float32([0.9, 0.5]))
        after = saljax.explain(way, model, IMAGES, TARGETS)
        assert explain._explain._cache_size() == programs, name
        assert float(jnp.abs(after - before).max()) > 0.01, name
        np.testing.assert_allclose(after, one_by_one(way, model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrap", [lambda w: lambda x: x @ w, lambda w: Partial(jnp.matmul, b=w)])
def test_arrays_of_numpy_may_change_while_the_program_runs(wrap):
    weights = np.ones((4, 3), "f")
    (array,), _ = compiled.closed(wrap(weights), jnp.ones((2, 4)))
    assert not np.shares_memory(array, weights)


def test_closed_over_arrays_are_no_constants_of_the_program(monkeypatch):
    weights = jnp.zeros((24, 5000))
    texts = []

    def spy(*args, **kwargs):
        texts.append(compiled_before.lower(*args, **kwargs).as_text())
        return compiled_before(*args, **kwargs)

    compiled_before = explain._explain
    monkeypatch.setattr(explain, "_explain", spy)
    for array in (weights, np.asarray(weights)):
        for wrap in (lambda score: score, jax.jit):
            score_fn = wrap(lambda x, w=array: x.reshape(len(x), -1) @ w)
            saljax.explain(look, score_fn, IMAGES, TARGETS)
    assert max(map(len, texts)) < weights.nbytes / 4


def test_pytrees_are_traced_once_and_what_counts_for_itself_too():
    traces, number = [], 0

    def counted(weights, images):
        nonlocal number
        traces.append(1)
        number += 1
        return images.reshape(len(images), -1) @ weights

    for seed in range(3):
        weights = jnp.asarray(np.random.default_rng(seed).normal(size=(24, 3)), jnp.float32)
        saljax.explain(look, Partial(counted, weights), IMAGES, TARGETS)
    assert len(traces) == number == 1


def test_functions_of_settings_alone_share_a_program_and_are_not_traced_again():
    traces = []

    def make(power):
        def score(images):
            traces.append(1)
            return images.mean((1, 2)) ** power

        return score

    found = [saljax.explain(look, make(p), IMAGES, TARGETS % 2) for p in (1.0, 2.0, 1.0)]
    assert len(traces) == 2
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_allclose(found[1], one_by_one_of(make(2.0)), rtol=1e-5)


def one_by_one_of(score_fn):
    return jnp.stack([look(score_fn, x, t % 2) for x, t in zip(IMAGES, TARGETS, strict=True)])


def test_settings_that_change_are_seen():
    held, named, power = [1.0], {"power": 1}, 1.0

    def helper(images):
        return images.mean((1, 2)) * power

    def of_list(images):
        return images.mean((1, 2)) * held[0]

    def of_dictionary(images):
        return images.mean((1, 2)) * named["power"]

    def of_helper(images):
        return helper(images)

    ways = (of_list, of_dictionary, helper, of_helper)
    before = [saljax.explain(look, f, IMAGES, TARGETS % 2) for f in ways]
    held[0] = named["power"] = power = 3
    after = [saljax.explain(look, f, IMAGES, TARGETS % 2) for f in ways]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new, 3 * old, rtol=1e-5)


@pytest.mark.parametrize("replicated", [False, True])
def test_on_eight_devices(replicated):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    images = jax.device_put(IMAGES, NamedSharding(mesh, PartitionSpec("data")))
    model, change = of_module()
    alone = jax.tree.map(lambda x: x, model)
    if replicated:
        model = jax.device_put(model, NamedSharding(mesh, PartitionSpec()))
    score_fn, programs = called(model), set()
    for factor in (1.0, 2.0):
        model.kernel[...], alone.kernel[...] = (
            factor * model.kernel[...],
            factor * alone.kernel[...],
        )
        found = saljax.explain(look, score_fn, images, TARGETS)
        programs.add(explain._explain._cache_size())
        assert len(found.sharding.device_set) == 8
        np.testing.assert_allclose(found, one_by_one(look, alone), rtol=1e-4, atol=1e-5)
    assert len(programs) == 1


def test_inside_a_jit_and_under_a_derivative():
    model, _ = of_module()

    def total(images):
        return saljax.explain(look, called(model), images, TARGETS).sum()

    images = IMAGES.at[:, 0].set(0.0)  # where the derivative of max(x, 0) is a half
    expected = jax.grad(lambda x: jnp.sum(jax.vmap(functools.partial(look, model))(x, TARGETS)))
    for derivative in (jax.grad(total), jax.jit(jax.grad(total))):
        np.testing.assert_allclose(derivative(images), expected(images), rtol=1e-4, atol=1e-5)
