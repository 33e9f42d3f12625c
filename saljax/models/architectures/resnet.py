"""ResNet-18, 34, 50 and 101, as torchvision builds them.

He, Zhang, Ren, Sun, CVPR 2016, in the variant known as v1.5: the bottleneck's stride is on its
3x3 convolution and not on its first 1x1. Torch pads strided convolutions symmetrically.

Parameters have torchvision's module paths with Flax's leaf names: `layer1.0.conv1.kernel`,
`layer1.0.bn1.scale`, `fc.kernel`. Tagged activations: `conv1`, `relu`, `maxpool`, each block
(`layer1.0`, ..., `layer4.2`), each stage (`layer1`, ..., `layer4`), `avgpool`.
"""

from typing import NamedTuple

import jax
from flax import nnx

from saljax.core.taps import tag
from saljax.models.architectures.layers import (
    MEAN,
    STD,
    Conv,
    Features,
    Images,
    Logits,
    batch_norm,
    max_pool,
    normalized,
)


class Architecture(NamedTuple):
    """Blocks per stage, and whether a block is a bottleneck (1x1, 3x3, 1x1) or a pair of 3x3."""

    blocks: tuple[int, int, int, int]
    bottleneck: bool


ARCHITECTURES = {
    "resnet18": Architecture((2, 2, 2, 2), bottleneck=False),
    "resnet34": Architecture((3, 4, 6, 3), bottleneck=False),
    "resnet50": Architecture((3, 4, 6, 3), bottleneck=True),
    "resnet101": Architecture((3, 4, 23, 3), bottleneck=True),
}
"""He et al., table 1."""


class Block(nnx.Module):
    """Two 3x3 convolutions, or a bottleneck of 1x1, 3x3 and 1x1, around a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool, *, rngs: nnx.Rngs):
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            self.conv1 = Conv(inputs, width, 1, rngs=rngs)
            self.conv2 = Conv(width, width, 3, stride, rngs=rngs)
            self.conv3 = Conv(width, outputs, 1, rngs=rngs)
            self.bn3 = batch_norm(outputs, rngs=rngs)
        else:
            self.conv1 = Conv(inputs, width, 3, stride, rngs=rngs)
            self.conv2 = Conv(width, width, 3, rngs=rngs)
        self.bn1, self.bn2 = batch_norm(width, rngs=rngs), batch_norm(width, rngs=rngs)
        self.downsample = nnx.List(
            [Conv(inputs, outputs, 1, stride, rngs=rngs), batch_norm(outputs, rngs=rngs)]
            if stride > 1 or inputs != outputs
            else []
        )
        self.bottleneck = bottleneck

    def __call__(self, x: Features) -> Features:
        """Map (N, h, w, inputs) to (N, ceil(h / stride), ceil(w / stride), outputs) >= 0."""
        shortcut = x
        for layer in self.downsample:
            shortcut = layer(shortcut)
        x = jax.nn.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        if self.bottleneck:
            x = self.bn3(self.conv3(jax.nn.relu(x)))
        return jax.nn.relu(x + shortcut)


class ResNet(nnx.Module):
    """A ResNet: a score function of images that gives logits.

    Args:
        architecture: blocks per stage and their kind; see `ARCHITECTURES`.
        num_classes: number of logits.
        rngs: where the random initial kernels come from.
    """

    def __init__(self, architecture: Architecture, num_classes: int = 1000, *, rngs: nnx.Rngs):
        self.conv1, self.bn1 = Conv(3, 64, 7, 2, rngs=rngs), batch_norm(64, rngs=rngs)
        bottleneck = architecture.bottleneck
        inputs, stages = 64, []
        for stage, count in enumerate(architecture.blocks):
            width, blocks = 64 * 2**stage, []
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(Block(inputs, width, stride, bottleneck, rngs=rngs))
                inputs = 4 * width if bottleneck else width
            stages.append(nnx.List(blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = nnx.Linear(inputs, num_classes, rngs=rngs)

    def __call__(self, images: Images) -> Logits:
        """Map images (N, height, width, 3), RGB in [0, 1], to logits (N, num_classes).

        Raises:
            ValueError: the images have another number of channels.
        """
        x = normalized(images, MEAN, STD)
        x = tag(self.conv1(x), "conv1")
        x = tag(jax.nn.relu(self.bn1(x)), "relu")
        x = tag(max_pool(x, 3, 2, padding=1), "maxpool")
        stages = (self.layer1, self.layer2, self.layer3, self.layer4)
        for number, blocks in enumerate(stages, start=1):
            for index, block in enumerate(blocks):
                x = tag(block(x), f"layer{number}.{index}")
            x = tag(x, f"layer{number}")
        x = tag(x.mean(axis=(1, 2)), "avgpool")
        return self.fc(x)
