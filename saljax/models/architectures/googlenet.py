"""GoogLeNet (Inception v1) with batch norm, as torchvision builds it.

Szegedy et al., "Going deeper with convolutions", CVPR 2015. As in torchvision the paper's 5x5
convolutions are 3x3, and the two auxiliary heads are for training only and left out.

Images are scaled to [-1, 1]. Torchvision's published weights want this: its model is given
ImageNet's normalization and undoes it (`transform_input=True`). Weights trained in torchvision
with `transform_input=False` do not fit, which their names do not show.

Tagged activations: `conv1`, `conv2`, `conv3` after their ReLU, `maxpool1` to `maxpool4`, the blocks
`inception3a` to `inception5b`, `avgpool`. Parameters have torchvision's module paths with Flax's
leaf names: `conv1.conv.kernel`, `inception3a.branch2.0.bn.scale`, `fc.kernel`; only what follows
the maximum of a block is `branch4` and not `branch4.1`.
"""

from functools import partial

import jax.numpy as jnp
from flax import nnx

from saljax.core.taps import tag
from saljax.models.architectures.layers import (
    HALF,
    ConvNorm,
    Features,
    Images,
    Logits,
    max_pool,
    normalized,
)

EPSILON = 1e-3

BLOCKS = {
    "3a": (64, (96, 128), (16, 32), 32),
    "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64),
    "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128),
    "5b": (384, (192, 384), (48, 128), 128),
}
"""Channels of the four branches of each block; Szegedy et al., table 1."""

Widths = tuple[int, tuple[int, int], tuple[int, int], int]


class Inception(nnx.Module):
    """Four branches beside each other: 1x1; 1x1 and 3x3, twice; maximum and 1x1."""

    def __init__(self, inputs: int, widths: Widths, *, rngs: nnx.Rngs):
        conv = partial(ConvNorm, epsilon=EPSILON, rngs=rngs)
        one, (narrow2, wide2), (narrow3, wide3), pooled = widths
        self.branch1 = conv(inputs, one, 1)
        self.branch2 = nnx.List([conv(inputs, narrow2, 1), conv(narrow2, wide2, 3)])
        self.branch3 = nnx.List([conv(inputs, narrow3, 1), conv(narrow3, wide3, 3)])
        self.branch4 = conv(inputs, pooled, 1)

    def __call__(self, x: Features) -> Features:
        """Map (N, h, w, inputs) to (N, h, w, outputs) >= 0."""
        branches = (
            self.branch1(x),
            self.branch2[1](self.branch2[0](x)),
            self.branch3[1](self.branch3[0](x)),
            self.branch4(max_pool(x, 3, 1, padding=1)),
        )
        return jnp.concatenate(branches, axis=-1)


class GoogLeNet(nnx.Module):
    """Three convolutions and nine inception blocks.

    Args:
        num_classes: number of logits.
        rngs: where the random initial kernels come from.
    """

    def __init__(self, num_classes: int = 1000, *, rngs: nnx.Rngs):
        conv = partial(ConvNorm, epsilon=EPSILON, rngs=rngs)
        self.conv1 = conv(3, 64, 7, 2)
        self.conv2 = conv(64, 64, 1)
        self.conv3 = conv(64, 192, 3)
        inputs = 192
        for name, widths in BLOCKS.items():
            setattr(self, f"inception{name}", Inception(inputs, widths, rngs=rngs))
            inputs = widths[0] + widths[1][1] + widths[2][1] + widths[3]
        self.fc = nnx.Linear(inputs, num_classes, rngs=rngs)

    def __call__(self, images: Images) -> Logits:
        """Map images (N, height, width, 3), RGB in [0, 1], to logits (N, num_classes).

        Raises:
            ValueError: the images have another number of channels, or a side below 15 pixels.
        """
        x = normalized(images, HALF, HALF, smallest=15)
        x = tag(self.conv1(x), "conv1")
        x = tag(max_pool(x, 3, 2, ceil=True), "maxpool1")
        x = tag(self.conv2(x), "conv2")
        x = tag(self.conv3(x), "conv3")
        x = tag(max_pool(x, 3, 2, ceil=True), "maxpool2")
        for name in BLOCKS:
            if name == "4a":
                x = tag(max_pool(x, 3, 2, ceil=True), "maxpool3")
            elif name == "5a":
                x = tag(max_pool(x, 2, 2, ceil=True), "maxpool4")
            x = tag(getattr(self, f"inception{name}")(x), f"inception{name}")
        return self.fc(tag(x.mean(axis=(1, 2)), "avgpool"))
