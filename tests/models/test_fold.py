"""The same logits with fewer operations."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from saljax.models import fold_batch_norm
from saljax.models.architectures import layers
from saljax.models.constructors import abstract
from saljax.models.from_torchvision import convert
from saljax.models.weights import assign, parameters

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
reference = runpy.run_path(str(EXPERIMENTS / "torchvision_logits.py"))
forward = jax.jit(lambda score_fn, images: score_fn(images))


def operations(jaxpr):
    """The number of equations at any depth."""
    inner = [p.jaxpr for e in jaxpr.eqns for p in e.params.values() if hasattr(p, "jaxpr")]
    return len(jaxpr.eqns) + sum(operations(getattr(j, "jaxpr", j)) for j in inner)


@pytest.mark.parametrize(
    ("name", "norms"),
    [("resnet18", 20), ("resnet50", 53), ("googlenet", 57), ("inception_v3", 94)]
    + [("mobilenet_v2", 52)],
)
def test_same_logits_and_fewer_operations(name, norms):
    sizes, images = reference["sizes"](name), reference["images_for"](name)
    weights = convert(reference["seeded_weights"](name), name)
    model = assign(abstract(name, **sizes), weights)
    folded = fold_batch_norm(model)
    with np.load(Path(__file__).parent / "golden" / "torchvision_logits.npz") as stored:
        logits = stored[name]  # what the model itself gives, which test_classifiers.py checks
    scale = np.abs(logits).max()
    np.testing.assert_allclose(forward(folded, images) / scale, logits / scale, atol=2e-5)
    before, after = (jax.make_jaxpr(lambda f, x: f(x))(f, images).jaxpr for f in (model, folded))
    assert operations(before) - operations(after) >= 4 * norms
    names = [n for n in weights if n.endswith(".var")]
    assert len(names) == norms
    assert len(parameters(folded)) == len(weights) - 3 * norms  # a kernel and a bias are left
    jax.tree.map(np.testing.assert_array_equal, parameters(model), weights)


def test_folded_convolution_against_the_formula():
    block = layers.ConvNorm(2, 3, 3, 2, epsilon=0.1, activation=None, rngs=nnx.Rngs(0))
    keys = jax.random.split(jax.random.key(1), 5)
    for key, name in zip(keys, ("scale", "bias", "mean", "var"), strict=False):
        getattr(block.bn, name)[...] = jax.random.uniform(key, (3,), minval=0.5)
    folded = fold_batch_norm(block)
    x = jax.random.normal(keys[4], (1, 5, 5, 2))
    norm = block.bn
    expected = norm.bias[...] + norm.scale[...] * (block.conv(x)[0, 1, 1] - norm.mean[...]) / (
        jnp.sqrt(norm.var[...] + 0.1)
    )
    np.testing.assert_allclose(folded(x)[0, 1, 1], expected, rtol=1e-5)
    np.testing.assert_allclose(folded(x), block(x), rtol=1e-4, atol=1e-5)
    twice = fold_batch_norm(folded)
    np.testing.assert_array_equal(twice(x), folded(x))


class NormFirst(nnx.Module):
    def __init__(self):
        self.layers = nnx.List([layers.batch_norm(3, rngs=nnx.Rngs(0))])


def test_batch_norm_without_a_convolution():
    with pytest.raises(ValueError, match=r"batch norm 'layers\.0' of NormFirst") as caught:
        fold_batch_norm(NormFirst())
    assert "\n" not in str(caught.value)
