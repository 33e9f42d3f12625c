"""SqueezeNet 1.0 and 1.1, as torchvision builds them.

Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016. The last
convolution has one channel a class; a logit is the mean of that channel after its ReLU, hence
never negative.

Tagged activations: `conv1` after its ReLU, `fire2` to `fire9`, `conv10` after its ReLU, and before
the fire modules of `Architecture.pools` the maxima `pool2`, ... under that module's number.
Parameters: `conv1.kernel`, `fire2.squeeze.kernel`, `fire2.expand1x1.kernel`, ..., `conv10.bias`.
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
    max_pool,
    normalized,
)


class Architecture(NamedTuple):
    """Channels and kernel of the first convolution; the fire modules that a maximum precedes."""

    channels: int
    size: int
    pools: tuple[int, int, int]
    smallest: int


ARCHITECTURES = {
    "squeezenet1_0": Architecture(96, 7, (2, 5, 9), smallest=21),
    "squeezenet1_1": Architecture(64, 3, (2, 4, 6), smallest=17),
}
"""Iandola et al., table 1, and their repository for 1.1; smallest images as torchvision has it."""

SQUEEZED = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
"""Channels that a fire module squeezes to; either half expands to four times as many."""


class Fire(nnx.Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 convolutions beside each other."""

    def __init__(self, inputs: int, squeezed: int, *, rngs: nnx.Rngs):
        self.squeeze = Conv(inputs, squeezed, 1, bias=True, rngs=rngs)
        self.expand1x1 = Conv(squeezed, 4 * squeezed, 1, bias=True, rngs=rngs)
        self.expand3x3 = Conv(squeezed, 4 * squeezed, 3, bias=True, rngs=rngs)

    def __call__(self, x: Features) -> Features:
        """Map (N, h, w, inputs) to (N, h, w, 8 * squeezed) >= 0."""
        x = jax.nn.relu(self.squeeze(x))
        halves = (jax.nn.relu(self.expand1x1(x)), jax.nn.relu(self.expand3x3(x)))
        return jnp.concatenate(halves, axis=-1)


class SqueezeNet(nnx.Module):
    """A convolution, eight fire modules, and a convolution to the classes.

    Args:
        architecture: see `ARCHITECTURES`.
        num_classes: number of logits.
        rngs: where the random initial kernels come from.
    """

    def __init__(self, architecture: Architecture, num_classes: int = 1000, *, rngs: nnx.Rngs):
        inputs, self.architecture = architecture.channels, architecture
        self.conv1 = Conv(3, inputs, architecture.size, 2, padding=0, bias=True, rngs=rngs)
        for number, squeezed in SQUEEZED.items():
            setattr(self, f"fire{number}", Fire(inputs, squeezed, rngs=rngs))
            inputs = 8 * squeezed
        self.conv10 = Conv(inputs, num_classes, 1, bias=True, rngs=rngs)

    def __call__(self, images: Images) -> Logits:
        """Map images (N, height, width, 3), RGB in [0, 1], to logits (N, num_classes) >= 0.

        Raises:
            ValueError: the images have another number of channels, or are too small.
        """
        x = normalized(images, MEAN, STD, self.architecture.smallest)
        x = tag(jax.nn.relu(self.conv1(x)), "conv1")
        for number in SQUEEZED:
            if number in self.architecture.pools:
                x = tag(max_pool(x, 3, 2, ceil=True), f"pool{number}")
            x = tag(getattr(self, f"fire{number}")(x), f"fire{number}")
        x = tag(jax.nn.relu(self.conv10(x)), "conv10")
        return x.mean(axis=(1, 2))
