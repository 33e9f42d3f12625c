"""Inception v3, as torchvision builds it.

Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016. The
auxiliary head is for training only and left out.

Images are scaled to [-1, 1]. Torchvision's published weights want this: its model is given
ImageNet's normalization and undoes it (`transform_input=True`). Weights trained in torchvision
with `transform_input=False` do not fit, which their names do not show.

Tagged activations: the first convolutions after their ReLU (`Conv2d_1a_3x3`, `Conv2d_2a_3x3`,
`Conv2d_2b_3x3`, `Conv2d_3b_1x1`, `Conv2d_4a_3x3`), `maxpool1`, `maxpool2`, the blocks `Mixed_5b` to
`Mixed_7c`, `avgpool`. Parameters have torchvision's module paths with Flax's leaf names:
`Mixed_5b.branch1x1.conv.kernel`, `Mixed_5b.branch1x1.bn.scale`, `fc.kernel`.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx

from saljax.core.taps import tag
from saljax.models.architectures.layers import (
    HALF,
    ConvNorm,
    Features,
    Images,
    Logits,
    average_pool,
    max_pool,
    normalized,
)

EPSILON = 1e-3


class Unit(NamedTuple):
    """A convolution with batch norm and ReLU; `padding` as of `layers.Conv`."""

    name: str
    outputs: int
    size: int | tuple[int, int] = 1
    stride: int = 1
    padding: int | None = None


class Branch(NamedTuple):
    """Perhaps a pooling, then convolutions one after the other, then `ends` beside each other."""

    units: tuple[Unit, ...] = ()
    ends: tuple[Unit, ...] = ()
    pool: Callable[[Features], Features] | None = None


def _average(x: Features) -> Features:
    return average_pool(x, 3)


def _maximum(x: Features) -> Features:
    return max_pool(x, 3, 2)


def _a(pooled: int) -> tuple[Branch, ...]:
    double = (Unit("branch3x3dbl_1", 64), Unit("branch3x3dbl_2", 96, 3))
    return (
        Branch((Unit("branch1x1", 64),)),
        Branch((Unit("branch5x5_1", 48), Unit("branch5x5_2", 64, 5))),
        Branch((*double, Unit("branch3x3dbl_3", 96, 3))),
        Branch((Unit("branch_pool", pooled),), pool=_average),
    )


def _b() -> tuple[Branch, ...]:
    double = (Unit("branch3x3dbl_1", 64), Unit("branch3x3dbl_2", 96, 3))
    return (
        Branch((Unit("branch3x3", 384, 3, 2, 0),)),
        Branch((*double, Unit("branch3x3dbl_3", 96, 3, 2, 0))),
        Branch(pool=_maximum),
    )


def _c(narrow: int) -> tuple[Branch, ...]:
    wide, tall = (1, 7), (7, 1)
    single = (Unit("branch7x7_1", narrow), Unit("branch7x7_2", narrow, wide))
    double = [Unit("branch7x7dbl_1", narrow)]
    for number, size in ((2, tall), (3, wide), (4, tall)):
        double.append(Unit(f"branch7x7dbl_{number}", narrow, size))
    return (
        Branch((Unit("branch1x1", 192),)),
        Branch((*single, Unit("branch7x7_3", 192, tall))),
        Branch((*double, Unit("branch7x7dbl_5", 192, wide))),
        Branch((Unit("branch_pool", 192),), pool=_average),
    )


def _d() -> tuple[Branch, ...]:
    seven = (
        Unit("branch7x7x3_1", 192),
        Unit("branch7x7x3_2", 192, (1, 7)),
        Unit("branch7x7x3_3", 192, (7, 1)),
    )
    return (
        Branch((Unit("branch3x3_1", 192), Unit("branch3x3_2", 320, 3, 2, 0))),
        Branch((*seven, Unit("branch7x7x3_4", 192, 3, 2, 0))),
        Branch(pool=_maximum),
    )


def _e() -> tuple[Branch, ...]:
    def ends(name: str) -> tuple[Unit, Unit]:
        return Unit(f"{name}a", 384, (1, 3)), Unit(f"{name}b", 384, (3, 1))

    double = (Unit("branch3x3dbl_1", 448), Unit("branch3x3dbl_2", 384, 3))
    return (
        Branch((Unit("branch1x1", 320),)),
        Branch((Unit("branch3x3_1", 384),), ends("branch3x3_2")),
        Branch(double, ends("branch3x3dbl_3")),
        Branch((Unit("branch_pool", 192),), pool=_average),
    )


STEM = (
    Unit("Conv2d_1a_3x3", 32, 3, 2, 0),
    Unit("Conv2d_2a_3x3", 32, 3, 1, 0),
    Unit("Conv2d_2b_3x3", 64, 3),
    Unit("Conv2d_3b_1x1", 80),
    Unit("Conv2d_4a_3x3", 192, 3, 1, 0),
)
POOL_AFTER = {"Conv2d_2b_3x3": "maxpool1", "Conv2d_4a_3x3": "maxpool2"}

BLOCKS = {
    **{"Mixed_5b": _a(32), "Mixed_5c": _a(64), "Mixed_5d": _a(64), "Mixed_6a": _b()},
    **{"Mixed_6b": _c(128), "Mixed_6c": _c(160), "Mixed_6d": _c(160), "Mixed_6e": _c(192)},
    **{"Mixed_7a": _d(), "Mixed_7b": _e(), "Mixed_7c": _e()},
}
"""The blocks from the image to the logits."""


class Mixed(nnx.Module):
    """Branches beside each other."""

    def __init__(self, inputs: int, branches: tuple[Branch, ...], *, rngs: nnx.Rngs):
        self.branches, self.outputs = branches, 0
        for units, ends, _ in branches:
            channels = inputs
            for unit in units:
                setattr(self, unit.name, _conv(channels, unit, rngs))
                channels = unit.outputs
            for unit in ends:
                setattr(self, unit.name, _conv(channels, unit, rngs))
            self.outputs += sum(unit.outputs for unit in ends) or channels

    def __call__(self, x: Features) -> Features:
        """Map (N, h, w, inputs) to (N, new h, new w, outputs) >= 0."""
        results = []
        for units, ends, pool in self.branches:
            y = x if pool is None else pool(x)
            for unit in units:
                y = getattr(self, unit.name)(y)
            results += [getattr(self, unit.name)(y) for unit in ends] or [y]
        return jnp.concatenate(results, axis=-1)


def _conv(inputs: int, unit: Unit, rngs: nnx.Rngs) -> ConvNorm:
    convolution = partial(ConvNorm, padding=unit.padding, epsilon=EPSILON, rngs=rngs)
    return convolution(inputs, unit.outputs, unit.size, unit.stride)


class InceptionV3(nnx.Module):
    """Five convolutions and eleven blocks.

    Args:
        num_classes: number of logits.
        rngs: where the random initial kernels come from.
    """

    def __init__(self, num_classes: int = 1000, *, rngs: nnx.Rngs):
        inputs = 3
        for unit in STEM:
            setattr(self, unit.name, _conv(inputs, unit, rngs))
            inputs = unit.outputs
        for name, branches in BLOCKS.items():
            block = Mixed(inputs, branches, rngs=rngs)
            setattr(self, name, block)
            inputs = block.outputs
        self.fc = nnx.Linear(inputs, num_classes, rngs=rngs)

    def __call__(self, images: Images) -> Logits:
        """Map images (N, height, width, 3), RGB in [0, 1], to logits (N, num_classes).

        Raises:
            ValueError: the images have another number of channels, or a side below 75 pixels.
        """
        x = normalized(images, HALF, HALF, smallest=75)
        for unit in STEM:
            x = tag(getattr(self, unit.name)(x), unit.name)
            if unit.name in POOL_AFTER:
                x = tag(max_pool(x, 3, 2), POOL_AFTER[unit.name])
        for name in BLOCKS:
            x = tag(getattr(self, name)(x), name)
        return self.fc(tag(x.mean(axis=(1, 2)), "avgpool"))
