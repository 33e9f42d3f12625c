"""One line for score functions that do not answer, under `explain` and without."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from jax.tree_util import Partial

import saljax
from saljax.core.ask import ask

IMAGES = jnp.ones((2, 4, 4, 3))


class Training(nnx.Module):
    def __init__(self, rngs):
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.last = nnx.Linear(3, 2, rngs=rngs)

    def __call__(self, x):
        return self.last(self.drop(self.norm(x)).mean((1, 2)))


class Norm(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.BatchNorm(use_running_average=False)(x).mean((1, 2))


class Dropout(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dropout(0.5, deterministic=False)(x).mean((1, 2))


class Tensors:
    """Refuses what is no tensor, as torch does."""

    def __call__(self, x):
        raise TypeError(f"conv2d(): argument 'input' must be Tensor, not {type(x).__name__}")


def applied(module):
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    return Partial(module.apply, module.init(keys, IMAGES))


def nested(x):
    return x.mean((1, 2))


WRONG = {
    "NNX in training": (lambda: Training(nnx.Rngs(0)), r"call model\.eval\(\), or take .*from_nnx"),
    "a lambda of it": (lambda: (lambda m: lambda x: m(x))(Training(nnx.Rngs(0))), "model.eval"),
    "Linen in training": (lambda: applied(Norm()), r"from_linen\(model, variables, train=False\)"),
    "Linen that drops": (lambda: applied(Dropout()), r"draws at random.*train=False"),
    "numpy": (lambda: lambda x: np.asarray(x).mean((1, 2)), "leaves JAX for numpy.*from_callback"),
    "a constant of numpy": (lambda: lambda x: np.ones((len(x), 3)), "leaves JAX for numpy"),
    "torch": (lambda: Tensors(), "does not take arrays of JAX.*from_callback.*from_torch"),
    "a value": (lambda: lambda x: nested(x) * float(x.mean()), "asks for the value.*jnp.where"),
    "a condition": (
        lambda: lambda x: nested(x) if x.mean() > 0 else -nested(x),
        "asks for the val",
    ),
    "other shapes": (
        lambda: lambda x: x.reshape(len(x), -1) @ jnp.ones((5, 2)),
        "does not take imag",
    ),
    "one score": (lambda: lambda x: x.mean((1, 2, 3)), r"got shape .*scores\[:, None\]"),
    "one row": (lambda: lambda x: nested(x)[0], r"got shape \(3,\) .*jax\.vmap\(score_fn\)"),
    "rows too few": (lambda: lambda x: nested(x)[:0], r"got shape \(0, 3\) of \d+ images"),
    "a tuple": (
        lambda: lambda x: (nested(x), 0),
        r"got tuple of 0, 1; saljax\.scores\.select\(score_fn, 0\)",
    ),
    "a dictionary": (
        lambda: lambda x: {"logits": nested(x)},
        r"got dict of 'logits'; saljax\.scores\.select\(score_fn, 'logits'\)",
    ),
    "None": (lambda: lambda x: None, r"got None; is there a return\?"),
    "whole numbers": (
        lambda: lambda x: (nested(x) > 0).astype(int),
        "to have a derivative.* int32",
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize(
    ("method", "how"),
    [
        (saljax.gradient, "one"),
        (saljax.gradient, "explain"),
        (saljax.guided_backprop, "one"),
        (saljax.occlusion, "one"),
        (saljax.occlusion, "explain"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_what_is_wrong_is_said_in_one_line(name, method, how):
    make, message = WRONG[name]
    if method is saljax.occlusion:
        method = functools.partial(saljax.occlusion, window=2, stride=2, chunk_size=2)
        if name == "whole numbers":
            return  # whose differences say enough
    if method is saljax.guided_backprop and name == "whole numbers":
        return  # which are not reached: it has no ReLU
    with pytest.raises(ValueError, match=message) as told:
        if how == "one":
            method(make(), IMAGES[0], 0)
        else:
            saljax.explain(method, make(), IMAGES, [0, 1])
    assert len(str(told.value).splitlines()) == 1


def test_other_errors_are_their_own():
    def broken(x):
        raise KeyError("weights")

    with pytest.raises(KeyError, match="weights"):
        ask(broken, IMAGES)
    with pytest.raises(TypeError, match="missing 1 required"):
        ask(lambda x, train: x, IMAGES)


def test_a_function_on_the_host_that_fails_says_why_first():
    def broken(x):
        raise RuntimeError("no such server")

    score_fn = saljax.scores.from_callback(broken, 3)
    method = functools.partial(saljax.occlusion, window=2, stride=2)
    with pytest.raises(jax.errors.JaxRuntimeError) as told:
        jax.block_until_ready(saljax.explain(method, score_fn, IMAGES, [0, 1]))
    first = str(told.value).splitlines()[0]
    assert first == "RuntimeError: no such server (in the function on the host)"
