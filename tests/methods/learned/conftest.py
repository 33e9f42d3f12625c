"""A small classifier with three sizes, and what one pass of it says."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.methods.learned.explainer import fit_to, look

CLASSES = 4
LAYERS = ("coarse", "middle", "fine")


def logits(weights, images):
    """Strided means and pointwise products: cheap, three sizes, linear after the coarsest."""

    def half(x):
        return sum(x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4

    def point(x, kernel):
        return jax.nn.relu(jnp.einsum("nhwi,io->nhwo", x, kernel))

    x = saljax.tag(point(half(images), weights["fine"]), "fine")
    x = saljax.tag(point(half(x), weights["middle"]), "middle")
    x = saljax.tag(point(half(x), weights["coarse"]), "coarse")
    return jnp.einsum("nc,ck->nk", x.mean((1, 2)), weights["head"])


@pytest.fixture(scope="session")
def small():
    """Score function, weights, images and what it sees in them."""
    rng = np.random.default_rng(3)
    sizes = {"fine": (3, 5), "middle": (5, 6), "coarse": (6, 8), "head": (8, CLASSES)}
    weights = {name: jnp.asarray(rng.normal(size=s), jnp.float32) for name, s in sizes.items()}
    images = jnp.asarray(rng.uniform(size=(6, 16, 16, 3)), jnp.float32)
    score_fn = Partial(logits, weights)
    fit = fit_to(score_fn, images[0], LAYERS)
    seen = look(score_fn, images, LAYERS)
    return types.SimpleNamespace(
        score_fn=score_fn, weights=weights, images=images, fit=fit, seen=seen, layers=LAYERS
    )
