"""Models of other libraries in the place of a score function: one line, and nothing happens."""

import functools
import inspect
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from jax.tree_util import Partial

import saljax
from saljax.core import foreign
from saljax.methods.table import METHODS

IMAGES = jnp.full((2, 8, 8, 3), 0.5)


def of_library(module, *names):
    """An object whose type descends from those of a library, in which the last is the root."""
    kind = object
    for name in reversed(names):
        kind = type(name, (kind,), {"__module__": module, "__call__": fail, "predict": fail})
    return type("Own", (kind,), {"__module__": "user"})()


def fail(*args, **keywords):
    raise AssertionError("it must not be called")


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(2)(x.mean((1, 2)))


FOREIGN = {
    "keras": (of_library("keras.src.models.model", "Model", "Layer"), "from_keras"),
    "torch": (of_library("torch.nn.modules.module", "Module"), "from_torch"),
    "onnx": (of_library("onnxruntime.capi.session", "InferenceSession", "Session"), "from_onnx"),
    "sklearn": (of_library("sklearn.base", "SVC", "BaseEstimator"), "from_sklearn"),
    "transformers, torch": (
        of_library("transformers.modeling_utils", "PreTrainedModel"),
        r"from_torch\(model, num_classes, output='logits'",
    ),
    "transformers, flax": (
        of_library("transformers.modeling_flax_utils", "FlaxPreTrainedModel"),
        r"select\(saljax\.scores\.from_linen\(model\), 'logits'\)",
    ),
    "linen": (Net(), r"from_linen\(module, variables\)"),
    "path": ("net.onnx", r"scores\.from_onnx\(path\)"),
    "other path": (pathlib.Path("net.pth"), r"models\.load\(name, weights\)"),
    "a number": (3, "must be a function; got int"),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.usefixtures("as_users_run")
def test_each_is_named(name):
    model, message = FOREIGN[name]
    wrapped = [model, saljax.scores.probabilities(model), Partial(model)] if callable(model) else []
    for score_fn in wrapped or [model]:
        with pytest.raises(ValueError, match=message) as told:
            saljax.explain(saljax.gradient, score_fn, IMAGES, [0, 1])
        assert len(str(told.value).splitlines()) == 1
    if hasattr(model, "predict"):
        with pytest.raises(ValueError, match=message):
            saljax.explain(saljax.gradient, model.predict, IMAGES, [0, 1])


@pytest.mark.parametrize("name", [name for name in METHODS if not METHODS[name].learned])
@pytest.mark.usefixtures("as_users_run")
def test_every_method_says_it(name):
    method = METHODS[name].function
    parameters = inspect.signature(method).parameters
    given = {"key": jax.random.key(0)} if "key" in parameters else {}
    if "layer" in parameters and parameters["layer"].default is inspect.Parameter.empty:
        given["layer"] = "last"
    with pytest.raises(ValueError, match="from_keras"):
        jax.eval_shape(lambda x: method(FOREIGN["keras"][0], x, 0, **given), IMAGES[0])


def test_what_is_a_function_is_let_through():
    module = Net()
    variables = module.init(jax.random.key(0), IMAGES)
    for score_fn in (Partial(module.apply, variables), module.bind(variables)):
        foreign.refuse(score_fn)
    foreign.refuse(functools.partial(FOREIGN["keras"][0], training=False))


def test_normalized_pictures_are_told():
    """A mean of 0.5 and a deviation of 0.25 taken off; their maps would be of another picture."""
    pictures = jnp.linspace(-2.0, 2.0, 48).reshape(1, 4, 4, 3)

    def score_fn(x):
        return x.mean((1, 2))

    with pytest.warns(UserWarning, match=r"go from -2 to 2, as if normalized.*scores\.preprocess"):
        saljax.explain(saljax.gradient, score_fn, pictures, [0])
    saljax.explain(saljax.gradient, score_fn, pictures / 8, [0])
    jax.jit(lambda x: saljax.explain(saljax.gradient, score_fn, x, jnp.array([0])))(pictures)


def test_images_with_channels_first_are_named_where_it_fails():
    module = Net()
    score_fn = Partial(module.apply, module.init(jax.random.key(0), IMAGES))
    with pytest.raises(ValueError, match=r"look channels first: jnp\.moveaxis\(images, 1, -1\)"):
        saljax.explain(
            saljax.gradient, score_fn, jnp.moveaxis(jnp.zeros((2, 9, 8, 3)), -1, 1), [0, 1]
        )


@pytest.mark.parametrize("shape", [(2, 3, 9, 8), (2, 1, 5, 6, 7)])
def test_images_with_channels_first_are_named_where_it_works(shape):
    def score_fn(images):
        return images.mean(tuple(range(2, images.ndim)))

    images = jnp.zeros(shape)
    with pytest.warns(UserWarning, match=r"look channels first.*scores\.from_equinox") as told:
        saljax.explain(saljax.gradient, score_fn, images, [0, 0])
    (one,) = told
    assert f"the maps are {shape[1:-1]}" in str(one.message)


def test_the_hint_is_for_what_looks_like_it():
    for shape in [(3, 224, 224), (1, 32, 32, 32), (3, 16, 224, 224), (1, 28, 28), (3, 5, 6)]:
        assert foreign.channels_first(shape)
    for shape in [
        *[(224, 224, 3), (3, 224, 3), (3, 4, 2), (1, 5, 5, 1)],  # pictures, also small ones
        *[(64, 64), (3, 500), (1, 12), (7,)],  # signals, features
        *[(3, 64, 64, 8), (1, 64, 64, 3), (5, 32, 32)],  # volumes with few slices, other channels
    ]:
        assert not foreign.channels_first(shape)
    assert foreign.hint(np.mean, (2, 224, 224, 3)) == ""
