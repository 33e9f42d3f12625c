"""Rectifiers, norms and softmaxes are found by what they do, whoever wrote them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from jax.tree_util import Partial

import saljax
from saljax.core import program

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4, 8)), jnp.float32)


def kinds(fn, x=X):
    return [o.kind for o in program.operations(program.trace(fn, x), x)]


def of_linen(module):
    return Partial(module.apply, module.init(jax.random.key(0), X))


def layer_norm_by_hand(x):
    centered = x - x.mean(-1, keepdims=True)
    return centered / jnp.sqrt((centered**2).mean(-1, keepdims=True) + 1e-5)


def softmax_by_hand(x):
    e = jnp.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def channels_first(module):
    return lambda x: jax.vmap(module)(jnp.moveaxis(x, -1, 1))


ONE = {
    "silu": [jax.nn.silu, linen.swish, lambda x: x / (1 + jnp.exp(-x)), jax.jit(jax.nn.silu)],
    "gelu": [
        jax.nn.gelu,
        lambda x: jax.nn.gelu(x, approximate=False),
        lambda x: 0.5 * x * (1 + jax.lax.erf(x / jnp.sqrt(2.0))),
        lambda x: 0.5 * x * (1 + jnp.tanh(0.7978845608 * (x + 0.044715 * x**3))),
        lambda x: x * jax.nn.sigmoid(1.702 * x),
    ],
    "elu": [jax.nn.elu, lambda x: jax.nn.elu(x, 0.5), jax.nn.celu],
    "selu": [jax.nn.selu],
    "softplus": [jax.nn.softplus, lambda x: jnp.log1p(jnp.exp(x))],
    "mish": [jax.nn.mish],
    "leaky_relu": [jax.nn.leaky_relu, lambda x: jnp.maximum(x, 0.2 * x)],
    "hard_swish": [jax.nn.hard_swish, lambda x: x * jnp.clip(x + 3, 0, 6) / 6],
    "hard_sigmoid": [jax.nn.hard_sigmoid, lambda x: jnp.clip(x / 6 + 0.5, 0, 1)],
    "logistic": [jax.nn.sigmoid, lambda x: 1 / (1 + jnp.exp(-x))],
    "relu": [jax.nn.relu, lambda x: jnp.where(x > 0, x, 0)],
    "softmax": [jax.nn.softmax, softmax_by_hand, lambda x: jax.nn.softmax(x, 1)],
    "norm": [
        layer_norm_by_hand,
        jax.nn.standardize,
        lambda x: x / jnp.linalg.norm(x, axis=-1, keepdims=True),
        nnx.RMSNorm(8, rngs=nnx.Rngs(0)),
        of_linen(linen.RMSNorm()),
    ],
}
CASES = [(kind, fn) for kind, written in ONE.items() for fn in written]


@pytest.mark.parametrize(("kind", "fn"), CASES, ids=[kind for kind, _ in CASES])
def test_one_operation_however_it_is_written(kind, fn):
    found = [k for k in kinds(fn) if k not in ("mul", "div", "sub", "reduce_sum")]
    assert found[-1] == kind
    assert set(found) <= {kind, "broadcast_in_dim"}  # linear ones may lie before
    np.testing.assert_allclose(
        saljax.override(fn, {kind: lambda operation, *x: operation(*x)})(X), fn(X), rtol=1e-5
    )


@pytest.mark.parametrize("name", ["silu", "gelu", "hard_swish"])
def test_in_half_precision_too(name):
    assert kinds(getattr(jax.nn, name), X.astype(jnp.bfloat16))[-1] == name


NORMS = {
    "nnx layer": nnx.LayerNorm(8, rngs=nnx.Rngs(0)),
    "nnx layer, slow": nnx.LayerNorm(8, use_fast_variance=False, rngs=nnx.Rngs(0)),
    "nnx group": nnx.GroupNorm(8, num_groups=2, rngs=nnx.Rngs(0)),
    "linen layer": of_linen(linen.LayerNorm()),
    "linen group": of_linen(linen.GroupNorm(2)),
    "linen instance": of_linen(linen.InstanceNorm()),
    "equinox layer": channels_first(eqx.nn.LayerNorm((8, 3, 4))),
    "equinox group": channels_first(eqx.nn.GroupNorm(2, 8)),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_is_one_operation_and_has_no_relu(name):
    found = kinds(NORMS[name])
    assert found.count("norm") == 1
    assert set(found) <= {"norm", "reshape", "transpose", "mul", "add"}

    def network(x, relu=jax.nn.relu):
        return relu(NORMS[name](relu(x)))

    @jax.custom_vjp
    def twice(x):
        return jax.nn.relu(x)

    twice.defvjp(lambda x: (twice(x), x), lambda x, g: (jnp.where(x > 0, 2 * g, 0),))
    rules = {"relu": lambda operation, x: twice(x), "norm": None}
    found = jax.grad(lambda x: (saljax.override(network, rules)(x) ** 2).sum())(X)
    expected = jax.grad(lambda x: (network(x, twice) ** 2).sum())(X)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_norm_can_be_taken_apart():
    """As the docstring has it: the scale has no derivative, so it is linear for the gradient."""

    def fixed(part, inputs):
        outputs = part(*inputs)
        return jax.lax.stop_gradient(outputs) if part.kind in ("rsqrt", "sqrt") else outputs

    rules = {"norm": lambda operation, *inputs: operation.apart(fixed)(*inputs)}
    x, norm = X[:, 0, 0], nnx.LayerNorm(8, rngs=nnx.Rngs(0))
    found = jax.jacobian(lambda x: saljax.override(norm, rules)(x[None])[0])(x[0])
    expected = (jnp.eye(8) - 1 / 8) / jnp.sqrt(x[0].var() + 1e-6)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_what_is_read_elsewhere_or_has_no_name_stays_what_it_is():
    def shared(x):
        gate = jax.nn.sigmoid(x)
        return x * gate + jnp.sin(gate)

    assert kinds(shared) == ["logistic", "product", "sin", "add"]
    assert kinds(lambda x: x * jax.nn.sigmoid(x[..., ::-1])) == ["rev", "logistic", "product"]
    assert kinds(lambda x: x * jnp.sqrt((x**2).sum(-1, keepdims=True)))[-1] == "product"
    assert kinds(jax.nn.relu6) == ["relu", "min"]

    def with_variance(x):  # the norm and its variance are returned
        variance = jnp.maximum(x.var(-1, keepdims=True), 0)
        return x * jax.lax.rsqrt(variance + 1e-3), jax.lax.rsqrt(variance)

    assert "maximum" in kinds(with_variance) and "relu" not in kinds(with_variance)
