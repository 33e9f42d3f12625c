"""VGG-16 and VGG-19 without batch norm, as torchvision builds them.

Simonyan, Zisserman, ICLR 2015, configurations D and E.

Tagged activations: each convolution after its ReLU under the paper's name (`conv1_1`, ...,
`conv5_3`, in VGG-19 `conv5_4`), `pool1` to `pool5`, and `fc6`, `fc7` after their ReLU. Parameters:
`conv1_1.kernel`, ..., `fc8.bias`.
"""

import jax
from flax import nnx

from saljax.core.taps import tag
from saljax.models.architectures.layers import (
    MEAN,
    STD,
    Conv,
    GridLinear,
    Images,
    Logits,
    max_pool,
    normalized,
    to_grid,
)

STAGES = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions of each stage; Simonyan and Zisserman, table 1."""

WIDTHS = (64, 128, 256, 512, 512)
SIDE = 7
"""Of the grid of features that the first linear layer takes."""


def convolutions(stages: tuple[int, ...]) -> list[list[str]]:
    """Return the names of the convolutions, stage by stage."""
    return [
        [f"conv{stage}_{index}" for index in range(1, count + 1)]
        for stage, count in enumerate(stages, start=1)
    ]


class VGG(nnx.Module):
    """Five stages of 3x3 convolutions, a maximum after each, and three linear layers.

    Args:
        stages: convolutions of each stage; see `STAGES`.
        num_classes: number of logits.
        hidden: units of each of the two hidden linear layers.
        rngs: where the random initial kernels come from.
    """

    def __init__(
        self,
        stages: tuple[int, ...],
        num_classes: int = 1000,
        hidden: int = 4096,
        *,
        rngs: nnx.Rngs,
    ):
        self.stages, inputs = stages, 3
        for names, width in zip(convolutions(stages), WIDTHS, strict=True):
            for name in names:
                setattr(self, name, Conv(inputs, width, 3, bias=True, rngs=rngs))
                inputs = width
        self.fc6 = GridLinear(SIDE, inputs, hidden, rngs=rngs)
        self.fc7 = nnx.Linear(hidden, hidden, rngs=rngs)
        self.fc8 = nnx.Linear(hidden, num_classes, rngs=rngs)

    def __call__(self, images: Images) -> Logits:
        """Map images (N, height, width, 3), RGB in [0, 1], to logits (N, num_classes).

        Raises:
            ValueError: the images have another number of channels, or a side below 32 pixels.
        """
        x = normalized(images, MEAN, STD, smallest=32)
        for stage, names in enumerate(convolutions(self.stages), start=1):
            for name in names:
                x = tag(jax.nn.relu(getattr(self, name)(x)), name)
            x = tag(max_pool(x, 2, 2), f"pool{stage}")
        x = tag(jax.nn.relu(self.fc6(to_grid(x, SIDE))), "fc6")
        x = tag(jax.nn.relu(self.fc7(x)), "fc7")
        return self.fc8(x)
