"""MobileNetV2 of width 1, as torchvision builds it or as TensorFlow does.

Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.

Tagged activations: `stem`, the blocks `block0` to `block16`, `head` (the last convolution) and
`avgpool`. Parameters: `stem.conv.kernel`, `stem.bn.scale`, `block1.expand.conv.kernel`, with
`depthwise` and `project` beside `expand` (not in `block0`), `head.conv.kernel`, `logits.kernel`.
"""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from flax import nnx

from saljax.core.taps import tag
from saljax.models.architectures.layers import (
    MEAN,
    STD,
    ConvNorm,
    Features,
    Images,
    Logits,
    normalized,
)

BLOCKS = tuple(
    (expansion, channels, stride if index == 0 else 1)
    for expansion, channels, count, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    for index in range(count)
)
"""Expansion, output channels and stride of each block; Sandler et al., table 2."""


TENSORFLOW = np.full(3, 128 / 255, np.float32)
"""Mean and scale of TensorFlow Lite's files: (red of 255 - 128) / 128, and so on."""


class Block(nnx.Module):
    """1x1 to many channels, 3x3 on each channel, 1x1 to few, and a shortcut where shapes allow."""

    def __init__(
        self, inputs: int, expansion: int, outputs: int, stride: int, conv: Callable[..., ConvNorm]
    ):
        wide = inputs * expansion
        if expansion > 1:
            self.expand = conv(inputs, wide, 1)
        self.depthwise = conv(wide, wide, 3, stride, depthwise=True)
        self.project = conv(wide, outputs, 1, activation=None)
        self.expanded, self.shortcut = expansion > 1, stride == 1 and inputs == outputs

    def __call__(self, x: Features) -> Features:
        """Map (N, h, w, inputs) to (N, ceil(h / stride), ceil(w / stride), outputs)."""
        y = self.expand(x) if self.expanded else x
        y = self.project(self.depthwise(y))
        return x + y if self.shortcut else y


class MobileNetV2(nnx.Module):
    """A convolution, seventeen inverted residual blocks, and a convolution to 1280 channels.

    Args:
        num_classes: number of logits.
        tensorflow: as in TensorFlow Lite's files: images are scaled by `TENSORFLOW`, strides pad at
            the end, and batch norms are folded into the kernels.
        rngs: where the random initial kernels come from.
    """

    def __init__(self, num_classes: int = 1000, *, tensorflow: bool = False, rngs: nnx.Rngs):
        conv = partial(
            ConvNorm,
            padding="SAME" if tensorflow else None,
            folded=tensorflow,
            activation=jax.nn.relu6,
            rngs=rngs,
        )
        self.tensorflow = tensorflow
        self.stem, inputs = conv(3, 32, 3, 2), 32
        for index, (expansion, outputs, stride) in enumerate(BLOCKS):
            setattr(self, f"block{index}", Block(inputs, expansion, outputs, stride, conv))
            inputs = outputs
        self.head = conv(inputs, 1280, 1)
        self.logits = nnx.Linear(1280, num_classes, rngs=rngs)

    def __call__(self, images: Images) -> Logits:
        """Map images (N, height, width, 3), RGB in [0, 1], to logits (N, num_classes).

        Raises:
            ValueError: the images have another number of channels.
        """
        mean, std = (TENSORFLOW, TENSORFLOW) if self.tensorflow else (MEAN, STD)
        x = tag(self.stem(normalized(images, mean, std)), "stem")
        for index in range(len(BLOCKS)):
            x = tag(getattr(self, f"block{index}")(x), f"block{index}")
        x = tag(self.head(x), "head")
        return self.logits(tag(x.mean(axis=(1, 2)), "avgpool"))
