"""ConvNeXt, as torchvision, timm and Hugging Face build it.

Liu et al., "A ConvNet for the 2020s", CVPR 2022.

Tagged activations: `stem`, each block (`stage1.0`, ..., `stage4.2`), each stage (`stage1`, ...,
`stage4`; from the second on behind its downsampling) and `pool`, all but the last of them
(height, width, channels). Parameters: `stem.conv.kernel`, `stem.norm.scale`,
`stage1.0.depthwise.kernel`, with `norm`, `up`, `down` and `gamma` (the layer's scale) beside
`depthwise`; `shrink2.norm.scale`, `shrink2.conv.kernel` before the second stage; `norm.scale`,
`head.kernel`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from saljax.core.taps import tag
from saljax.models.architectures.layers import (
    MEAN,
    STD,
    Conv,
    Features,
    Images,
    Logits,
    layer_norm,
    normalized,
)


class Architecture(NamedTuple):
    """Blocks and channels of each stage."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]


ARCHITECTURES = {
    "convnext_tiny": Architecture((3, 3, 9, 3), (96, 192, 384, 768)),
    "convnext_small": Architecture((3, 3, 27, 3), (96, 192, 384, 768)),
    "convnext_base": Architecture((3, 3, 27, 3), (128, 256, 512, 1024)),
}
"""Liu et al., section 3."""


class Block(nnx.Module):
    """7x7 on each channel, a norm, two linear layers at each place, scaled, beside a shortcut."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.depthwise = Conv(width, width, 7, depthwise=True, bias=True, rngs=rngs)
        self.norm = layer_norm(width, rngs=rngs)
        self.up = nnx.Linear(width, 4 * width, rngs=rngs)
        self.down = nnx.Linear(4 * width, width, rngs=rngs)
        self.gamma = nnx.Param(jnp.full(width, 1e-6, jnp.float32))

    def __call__(self, x: Features) -> Features:
        """Map (N, h, w, width) to the same shape."""
        y = jax.nn.gelu(self.up(self.norm(self.depthwise(x))), approximate=False)
        return x + self.down(y) * self.gamma[...][None, None, None]


class Stem(nnx.Module):
    """4x4 patches, and a norm."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.conv = Conv(3, width, 4, 4, padding=0, bias=True, rngs=rngs)
        self.norm = layer_norm(width, rngs=rngs)

    def __call__(self, x: Features) -> Features:
        """Map (N, h, w, 3) to (N, h // 4, w // 4, width)."""
        return self.norm(self.conv(x))


class Shrink(nnx.Module):
    """A norm, and 2x2 patches."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        self.norm = layer_norm(inputs, rngs=rngs)
        self.conv = Conv(inputs, outputs, 2, 2, padding=0, bias=True, rngs=rngs)

    def __call__(self, x: Features) -> Features:
        """Map (N, h, w, inputs) to (N, h // 2, w // 2, outputs)."""
        return self.conv(self.norm(x))


class ConvNeXt(nnx.Module):
    """A stem, four stages, their mean over the picture: a score function that gives logits.

    Args:
        architecture: see `ARCHITECTURES`.
        num_classes: number of logits.
        depth: blocks of each stage, where there shall be fewer than the architecture has.
        rngs: where the random initial kernels come from.
    """

    def __init__(
        self,
        architecture: Architecture,
        num_classes: int = 1000,
        depth: int | None = None,
        *,
        rngs: nnx.Rngs,
    ):
        depths, widths = architecture
        self.stem = Stem(widths[0], rngs=rngs)
        for number, (blocks, width) in enumerate(zip(depths, widths, strict=True), start=1):
            if number > 1:
                setattr(self, f"shrink{number}", Shrink(widths[number - 2], width, rngs=rngs))
            stage = nnx.List([Block(width, rngs=rngs) for _ in range(depth or blocks)])
            setattr(self, f"stage{number}", stage)
        self.stages = len(depths)
        self.norm = layer_norm(widths[-1], rngs=rngs)
        self.head = nnx.Linear(widths[-1], num_classes, rngs=rngs)

    def __call__(self, images: Images) -> Logits:
        """Map images (N, height, width, 3), RGB in [0, 1], to logits (N, num_classes).

        Raises:
            ValueError: the images have another number of channels, or less than 32 pixels a side.
        """
        smallest = 4 * 2 ** (self.stages - 1)
        x = tag(self.stem(normalized(images, MEAN, STD, smallest)), "stem")
        for number in range(1, self.stages + 1):
            if number > 1:
                x = getattr(self, f"shrink{number}")(x)
            for index, block in enumerate(getattr(self, f"stage{number}")):
                x = tag(block(x), f"stage{number}.{index}")
            x = tag(x, f"stage{number}")
        return self.head(self.norm(tag(x.mean(axis=(1, 2)), "pool")))
