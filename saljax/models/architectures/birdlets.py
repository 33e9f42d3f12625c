"""A small network for the birdlets."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from saljax.core.taps import tag

NUM_SPECIES = 14

Features = Float[Array, "batch height width channels"]
Filtered = Float[Array, "batch new_height new_width outputs"]


class Conv(nnx.Module):
    """Convolution with a bias, padded so that stride 1 keeps the size."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, *, rngs: nnx.Rngs):
        init = jax.nn.initializers.he_normal()
        self.kernel = nnx.Param(init(rngs.params(), (size, size, inputs, outputs), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))
        self.stride = stride

    def __call__(self, x: Features) -> Filtered:
        """Return (N, H / stride, W / stride, outputs)."""
        kernel, bias = self.kernel[...], self.bias[...]
        x = x.astype(kernel.dtype)
        if kernel.shape[0] == 1:
            # A matrix product over channels; XLA on CPU runs it much faster than a convolution.
            y = jnp.einsum("nhwi,io->nhwo", x, kernel[0, 0])
        else:
            strides = (self.stride, self.stride)
            y = jax.lax.conv_general_dilated(
                x, kernel, strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        return y + bias[None, None, None]


class Trunk(nnx.Module):
    """Patches of 4 x 4 pixels, then four blocks.

    Tagged activations: `stem`, `block1` (stride 4), `block2`, `block3`, `block4` (stride 8).
    """

    def __init__(self, *, rngs: nnx.Rngs):
        self.stem = Conv(3, 64, 4, 4, rngs=rngs)
        self.block1 = Conv(64, 32, 1, rngs=rngs)
        self.block2 = Conv(32, 64, 3, 2, rngs=rngs)
        self.block3 = Conv(64, 64, 3, rngs=rngs)
        self.block4 = nnx.List([Conv(64, 64, 3, rngs=rngs), Conv(64, 128, 1, rngs=rngs)])

    def features(
        self, images: Float[Array, "batch height width 3"]
    ) -> Float[Array, "batch new_height new_width 128"]:
        """Return features >= 0 of RGB images in [0, 1]."""
        x = tag(jax.nn.relu(self.stem(images * 4 - 2)), "stem")
        x = tag(jax.nn.relu(self.block1(x)), "block1")
        x = tag(jax.nn.relu(self.block2(x)), "block2")
        x = tag(x + jax.nn.relu(self.block3(x)), "block3")
        x = x + jax.nn.relu(self.block4[0](x))
        return tag(jax.nn.relu(self.block4[1](x)), "block4")


class Birdlets(Trunk):
    """The trunk, and each feature's maximum over the picture.

    Every layer looks at a neighborhood only, so pictures of any size go through; it was trained
    on 96 x 96 and recognizes 64 x 64 to 128 x 128 as well, of 192 x 192 two thirds. The evidence
    fills one or two of 144 places: features averaged over them had learned little after the four
    epochs in which their maxima learned nearly everything.

    Tagged activations: those of the trunk, and `pool`. Our own design, for two slow cores.
    """

    def __init__(self, num_classes: int = NUM_SPECIES, *, rngs: nnx.Rngs):
        super().__init__(rngs=rngs)
        small = jax.nn.initializers.normal(0.005)
        self.head = nnx.Linear(128, num_classes, kernel_init=small, rngs=rngs)

    def __call__(
        self, images: Float[Array, "batch height width 3"]
    ) -> Float[Array, "batch species"]:
        """Return logits (N, species) of RGB images in [0, 1]."""
        return self.head(tag(self.features(images).max(axis=(1, 2)), "pool"))
