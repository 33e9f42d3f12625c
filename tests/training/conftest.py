"""A small explainer that trains in a moment, and a small classifier for it."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.tree_util import Partial

import saljax
from saljax.methods.learned import explainer as learned
from saljax.methods.learned.explainer import Stage
from saljax.training.shown import of_arrays

SIDE, CLASSES = 6, 3


class Glimpse(nnx.Module):
    """sigmoid(batch norm(pixel and layer) <layer, embedding of the class>), a value a pixel."""

    def __init__(self, fit, *, width: int = 4, rngs):
        self.fit, self.settings = fit, {"width": width}
        channels = fit.shapes[0][-1]
        self.embedding = nnx.Embed(fit.num_classes, channels, rngs=rngs)
        self.mix = nnx.Linear(channels + 3, width, use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(width, use_running_average=True, momentum=0.9, rngs=rngs)
        self.head = nnx.Linear(width, 1, rngs=rngs)

    def masks(self, images, seen, target):
        (features,) = seen.activations
        match = (features * self.embedding(target)[:, None, None]).sum(-1, keepdims=True)
        x = jnp.concatenate([features, images], -1)
        x = jax.nn.relu(self.norm(self.mix(x))) * jax.nn.sigmoid(match)
        return jax.nn.sigmoid(self.head(x))[..., 0]

    def __call__(self, score_fn, image, target):
        seen = learned.look_as_trained(self.fit, score_fn, image)
        return self.masks(image[None], seen, jnp.asarray(target)[None])[0]


def match(explainer, score_fn, images, seen, key):
    target = seen.scores.argmax(-1)
    features = seen.activations[0].mean((1, 2))
    return -jax.nn.sigmoid((features * explainer.embedding(target)).sum(-1)).mean()


def keep(explainer, score_fn, images, seen, key):
    target = seen.scores.argmax(-1)
    mask = explainer.masks(images, seen, target)[..., None]
    noise = jax.random.uniform(key, images.shape)
    logits = score_fn(images * mask + noise * (1 - mask))
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, target).mean()
    return loss + 0.5 * mask.mean()


def stages(*, match_epochs: int = 2, epochs: int = 3, learning_rate: float = 0.05):
    """As it is trained.

    Args:
        match_epochs: of the first.
        epochs: of the second.
        learning_rate: of Adam.
    """
    adam = lambda per_epoch: optax.adam(optax.exponential_decay(learning_rate, per_epoch, 0.8))  # noqa: E731
    rest = ("mix", "norm", "head")
    return (
        Stage("match", match, ("embedding",), match_epochs, adam),
        Stage("keep", keep, rest, epochs, adam),
    )


def logits(weights, images):
    hidden = saljax.tag(jax.nn.relu(images @ weights["first"]), "hidden")
    return hidden.mean((1, 2)) @ weights["last"]


@pytest.fixture(scope="session")
def glimpse():
    """The explainer that has learned nothing, its classifier, images, and what else is needed."""
    rng = np.random.default_rng(0)
    weights = {"first": rng.normal(size=(3, 5)), "last": 3 * rng.normal(size=(5, CLASSES))}
    weights = {name: jnp.asarray(value, jnp.float32) for name, value in weights.items()}
    images = rng.uniform(size=(30, SIDE, SIDE, 3)).astype(np.float32)
    score_fn = Partial(logits, weights)
    fit = learned.fit_to(score_fn, jnp.asarray(images[0]), ("hidden",))
    return types.SimpleNamespace(
        Glimpse=Glimpse,
        stages=stages(),
        logits=logits,
        weights=weights,
        score_fn=score_fn,
        images=images,
        fit=fit,
        explainer=Glimpse(fit, rngs=nnx.Rngs(jax.random.key(0))),
        shown=of_arrays(images, 0.2, 0),
    )
