import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import saljax
from saljax.core import closures

ARRAY = jnp.ones(3)


def plain(x):
    return jax.nn.softmax(x.mean(0) * 2)


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def reaches_array(x):
    return helper(x)


def helper(x):
    return x @ ARRAY


def make(held):
    return lambda x: x * held


class Box:
    kernel = np.ones(3)

    def score(self, x):
        return x @ self.kernel


@jax.custom_jvp
def derived(x):
    return x @ ARRAY


KNOWN = {
    "a function": plain,
    "two that call each other": even,
    "of settings": make(2.0),
    "of functions": make(make((1, "same"))),
    "a partial": functools.partial(plain, 3),
    "of numpy": np.add,
    "of jax": jnp.add,
    "a jit": jax.jit(plain),
    "a Linen module": linen.Dense(3).apply,
    "a method of saljax": saljax.glas,
    "a setting": np.float32(2.0),
}
UNKNOWN = {
    "an array": ARRAY,
    "numpy": np.ones(3),
    "a function that has one": make(ARRAY),
    "in a list": make([1.0]),
    "two calls away": reaches_array,
    "a jit of it": jax.jit(reaches_array),
    "a derivative of its own": derived,
    "a vmap": jax.vmap(make(ARRAY)),
    "a partial": functools.partial(plain, ARRAY),
    "an object": Box(),
    "its method": Box().score,
    "of a model": make(nnx.Linear(2, 2, rngs=nnx.Rngs(0))),
    "a default": lambda x, y=ARRAY: x @ y,  # noqa: B008
}


@pytest.mark.parametrize("value", KNOWN.values(), ids=KNOWN)
def test_what_reaches_settings_alone_has_a_key(value):
    assert closures.key(value) == closures.key(value)
    hash(closures.key(value))


@pytest.mark.parametrize("value", UNKNOWN.values(), ids=UNKNOWN)
def test_what_may_reach_an_array_has_none(value):
    with pytest.raises(closures.UnknownError):
        closures.key(value)


def test_the_same_code_and_settings_have_the_same_key():
    assert closures.key(make(1.0)) == closures.key(make(1.0))
    assert len({closures.key(make(held)) for held in (1, 1.0, True, "1", (1,), plain, even)}) == 7


def test_logs_and_counts_are_no_settings():
    log, number = [], 0

    def counted(x):
        nonlocal number
        log.append(x.shape)
        number += 1

    before = closures.key(counted)
    counted(ARRAY)
    assert closures.key(counted) == before
