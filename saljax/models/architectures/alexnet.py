"""AlexNet, as torchvision builds it.

Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014: one tower,
no local response normalization.

Tagged activations: `conv1` to `conv5` after their ReLU, `pool1`, `pool2`, `pool5`, and `fc6`, `fc7`
after their ReLU. Parameters: `conv1.kernel`, ..., `fc8.bias`.
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

SIDE = 6
"""Of the grid of features that the first linear layer takes."""


class AlexNet(nnx.Module):
    """Five convolutions and three linear layers.

    Args:
        num_classes: number of logits.
        hidden: units of each of the two hidden linear layers.
        rngs: where the random initial kernels come from.
    """

    def __init__(self, num_classes: int = 1000, hidden: int = 4096, *, rngs: nnx.Rngs):
        self.conv1 = Conv(3, 64, 11, 4, padding=2, bias=True, rngs=rngs)
        self.conv2 = Conv(64, 192, 5, bias=True, rngs=rngs)
        self.conv3 = Conv(192, 384, 3, bias=True, rngs=rngs)
        self.conv4 = Conv(384, 256, 3, bias=True, rngs=rngs)
        self.conv5 = Conv(256, 256, 3, bias=True, rngs=rngs)
        self.fc6 = GridLinear(SIDE, 256, hidden, rngs=rngs)
        self.fc7 = nnx.Linear(hidden, hidden, rngs=rngs)
        self.fc8 = nnx.Linear(hidden, num_classes, rngs=rngs)

    def __call__(self, images: Images) -> Logits:
        """Map images (N, height, width, 3), RGB in [0, 1], to logits (N, num_classes).

        Raises:
            ValueError: the images have another number of channels, or a side below 63 pixels.
        """
        x = normalized(images, MEAN, STD, smallest=63)
        x = tag(jax.nn.relu(self.conv1(x)), "conv1")
        x = tag(max_pool(x, 3, 2), "pool1")
        x = tag(jax.nn.relu(self.conv2(x)), "conv2")
        x = tag(max_pool(x, 3, 2), "pool2")
        x = tag(jax.nn.relu(self.conv3(x)), "conv3")
        x = tag(jax.nn.relu(self.conv4(x)), "conv4")
        x = tag(jax.nn.relu(self.conv5(x)), "conv5")
        x = tag(max_pool(x, 3, 2), "pool5")
        x = tag(jax.nn.relu(self.fc6(to_grid(x, SIDE))), "fc6")
        x = tag(jax.nn.relu(self.fc7(x)), "fc7")
        return self.fc8(x)
