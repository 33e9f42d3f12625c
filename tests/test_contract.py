"""What every method promises, whatever its paper."""

import functools
import inspect
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax


class Case(NamedTuple):
    method: functools.partial
    image: tuple[int, ...] = (9, 9, 3)
    traces: int = 1
    """How often `score_fn` may be traced."""

    @property
    def parameters(self):
        return inspect.signature(self.method.func).parameters


ATLAS = jnp.asarray(np.arange(4 * 4 * 4).reshape(4, 4, 4) // 16, jnp.int32)
CASES = {
    "glas": Case(functools.partial(saljax.glas, grid=3)),
    "glas of a signal": Case(functools.partial(saljax.glas, grid=4), image=(16, 2)),
    "glas of a gray volume": Case(functools.partial(saljax.glas, grid=2), image=(4, 5, 6, 1)),
    "rglas": Case(functools.partial(saljax.rglas, grid=3, max_iterations=2), traces=2),
    "glas_regions": Case(
        functools.partial(saljax.glas_regions, labels=ATLAS, num_regions=3), image=(4, 4, 4, 1)
    ),
}
CLASSES = 4


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def softmax_score(weights, images):
    return jax.nn.softmax(images.reshape(len(images), -1) @ weights)


@pytest.fixture
def score_fn(case):
    weights = np.random.default_rng(0).normal(size=(int(np.prod(case.image)), CLASSES)) * 0.3
    return jax.tree_util.Partial(softmax_score, jnp.asarray(weights, jnp.float32))


@pytest.fixture
def images(case):
    return jnp.asarray(np.random.default_rng(1).uniform(size=(3, *case.image)), jnp.float32)


def close(actual, expected):
    scale = float(jnp.abs(expected).max())
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3 * scale)


def test_every_public_method_is_here():
    public = {
        value
        for value in vars(saljax).values()
        if inspect.isfunction(value)
        and list(inspect.signature(value).parameters)[:3] == ["score_fn", "image", "target"]
    }
    assert public == {case.method.func for case in CASES.values()}


def test_signature_and_docstring(case):
    parameters = list(case.parameters.values())
    assert [p.name for p in parameters[:3]] == ["score_fn", "image", "target"]
    assert all(p.kind == p.KEYWORD_ONLY for p in parameters[3:])
    documentation = case.method.func.__doc__
    for section in ("Args:", "Returns:", "Raises:", "Source:"):
        assert section in documentation
    for name in case.parameters:
        assert f"\n        {name}:" in documentation


def test_map_jit_vmap_and_batches(case, score_fn, images):
    one = case.method(score_fn, images[0], 1)
    assert one.shape == case.image[:-1] and one.dtype == jnp.float32 and jnp.isfinite(one).all()
    assert float(one.max()) > float(one.min())
    close(jax.jit(case.method)(score_fn, images[0], 1), one)
    close(saljax.explain(case.method, score_fn, images, [1, 1, 1])[0], one)


def test_chunk_size_is_memory_only(case, score_fn, images):
    close(
        case.method(score_fn, images[0], 1, chunk_size=2),
        case.method(score_fn, images[0], 1, chunk_size=64),
    )


def test_permuting_classes_changes_nothing(case, score_fn, images):
    order = np.asarray([2, 0, 3, 1])
    permuted = jax.tree_util.Partial(softmax_score, score_fn.args[0][:, order])
    close(case.method(permuted, images[0], 0), case.method(score_fn, images[0], 2))


def test_score_fn_is_traced_few_times(case, score_fn, images):
    traces = []

    def counted(weights, images):
        traces.append(1)
        return softmax_score(weights, images)

    jax.jit(case.method)(jax.tree_util.Partial(counted, *score_fn.args), images[0], 1)
    assert len(traces) == case.traces
