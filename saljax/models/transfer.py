"""A classifier for other classes: its start, which of its weights learn, its answer in training."""

import os
from collections.abc import Mapping
from typing import Literal

import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from saljax.models.architectures import squeezenet
from saljax.models.constructors import BUILD, OWN, abstract
from saljax.models.from_torchvision import sizes_of
from saljax.models.tables import HEADS
from saljax.models.weights import Tensors, assign, parameters
from saljax.models.zoo import load

Weights = dict[str, Float[Array, "..."]]
Part = Literal["all", "head"]

HEAD_STD = 0.01
"""Standard deviation of a new head's kernel; its bias is 0. Our choice, for all architectures
what torchvision has for SqueezeNet's: zeros, after whose ReLU nothing would learn, do not do."""


def start(
    name: str,
    num_classes: int,
    *,
    seed: int = 0,
    init: str | os.PathLike | None = None,
) -> nnx.Module:
    """Return a classifier of `num_classes` classes to be trained.

    Args:
        name: one of `models.names()`.
        num_classes: of its new logits.
        seed: of what is drawn at random.
        init: weights as `models.load` takes them, with any number of classes. Where that number is
            another, the head is drawn anew: a kernel of N(0, `HEAD_STD`^2), a bias of 0. Where it
            is the same, the head stays. None: everything is drawn at random.

    Raises:
        OSError: the weights cannot be read.
        ValueError: no such model, or weights of another.
    """
    if init is None:
        return (BUILD | OWN)[name](num_classes=num_classes, rngs=nnx.Rngs(seed))
    tensors, head = parameters(load(name, init)), HEADS[name]
    shape = (*tensors[f"{head}.kernel"].shape[:-1], num_classes)
    if shape != tensors[f"{head}.kernel"].shape:
        drawn = np.random.default_rng(seed).normal(0, HEAD_STD, shape)
        tensors[f"{head}.kernel"] = drawn.astype(np.float32)
        tensors[f"{head}.bias"] = np.zeros(num_classes, np.float32)
    return assign(abstract(name, **sizes_of(tensors, name)), tensors)


def ends_in_head(name: str) -> bool:
    """Whether a classifier is one of ours whose logits are just what its last layer gives.

    Those of a SqueezeNet are means behind a ReLU.
    """
    return name in HEADS and name not in squeezenet.ARCHITECTURES


def sides(name: str, model: nnx.Module) -> nnx.Module:
    """Return a classifier with one logit z as one with two, -z and z.

    The other side is one of the last layer, with the negative of its weights, so that methods that
    send a signal back through weights of one sign find it as they find any class.

    Args:
        name: of the classifier, which ends in its head.
        model: the classifier.
    """
    tensors = parameters(model)
    for key in (f"{HEADS[name]}.kernel", f"{HEADS[name]}.bias"):
        tensors[key] = np.concatenate([-tensors[key], tensors[key]], axis=-1)
    return assign(abstract(name, **sizes_of(tensors, name)), tensors)


def split(name: str, model: nnx.Module, part: Part) -> tuple[Tensors, Tensors]:
    """Part the weights of a classifier, by dotted name, in those that learn and those that do not.

    Args:
        name: of the classifier.
        model: the classifier.
        part: `"head"`: the layer that gives the logits learns; `"all"`: everything but the
            statistics of batch norms, which no gradient reaches.

    Returns:
        Those that learn, and the others.
    """
    tensors = parameters(model)
    kept = set(statistics(model))
    if part == "head":
        kept = {key for key in tensors if not key.startswith(f"{HEADS[name]}.")}
    learning = {key: value for key, value in tensors.items() if key not in kept}
    return learning, {key: value for key, value in tensors.items() if key in kept}


def blank(name: str, model: nnx.Module) -> nnx.Module:
    """Return a classifier as shapes alone, for `forward` and `weights.assign`."""
    return abstract(name, **sizes_of(parameters(model), name))


def statistics(model: nnx.Module) -> Weights:
    """Return means and variances of a model's batch norms, by dotted name."""
    flat = nnx.to_flat_state(nnx.state(model, nnx.BatchStat))
    return {".".join(map(str, path)): leaf.get_value() for path, leaf in flat}


def forward(
    blank: nnx.Module,
    tensors: Mapping[str, Float[Array, "..."]],
    images: Float[Array, "batch height width channels"],
    *,
    batch_statistics: bool,
) -> tuple[Float[Array, "batch classes"], Weights]:
    """Return the logits of images in training, and what became of the statistics of batch norms.

    There is no dropout, which torchvision has before the head of AlexNet, VGG, SqueezeNet,
    GoogLeNet, Inception v3 and MobileNetV2.

    Args:
        blank: the model as shapes alone.
        tensors: all its weights by dotted name.
        images: (N, height, width, channels), in [0, 1].
        batch_statistics: batch norms use mean and variance of these images, and move the stored
            ones by a tenth towards them. If not, the stored ones are used and stay, as when the
            classifier is explained.

    Returns:
        Logits (N, K), and the statistics that moved: all of them, or none.
    """
    model = assign(blank, tensors)
    if not batch_statistics or not statistics(model):
        return model(images), {}
    logits = nnx.view(model, use_running_average=False)(images)
    return logits, statistics(model)
