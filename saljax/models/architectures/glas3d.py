"""The small 3-D network of the GLAS paper."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from saljax.core.taps import tag

SIZE = 32
"""Voxels a side. The paper gives none; our choice."""

DROPOUT_STD = 2.0
"""Keras's GaussianDropout at the paper's rate 0.8: noise N(1, rate / (1 - rate))."""


class Glas3D(nnx.Module):
    """Three times [3x3x3 convolution, 10 filters, ReLU, 2x2x2 max-pooling], then 32, 16, classes.

    Gaussian dropout between the convolutions in training, SELU after the dense layers. Tagged
    activations: `block1`, `block2`, `block3` (after pooling), `fc1`, `fc2`.

    Source: GLAS, appendix A. The input size and padding (the size is kept) are our choice.
    """

    def __init__(self, num_classes: int = 2, *, rngs: nnx.Rngs):
        init = jax.nn.initializers.he_normal()
        shapes = [(3, 3, 3, 1, 10), (3, 3, 3, 10, 10), (3, 3, 3, 10, 10)]
        self.kernels = nnx.List([nnx.Param(init(rngs.params(), s, jnp.float32)) for s in shapes])
        self.biases = nnx.List([nnx.Param(jnp.zeros(10, jnp.float32)) for _ in shapes])
        self.fc1 = nnx.Linear(10 * (SIZE // 8) ** 3, 32, rngs=rngs)
        self.fc2 = nnx.Linear(32, 16, rngs=rngs)
        self.fc3 = nnx.Linear(16, num_classes, rngs=rngs)

    def __call__(
        self, volumes: Float[Array, "batch 32 32 32 1"], key: Key[Array, ""] | None = None
    ) -> Float[Array, "batch classes"]:
        """Return logits (N, num_classes) of volumes in [0, 1]; with a key, as in training."""
        x = volumes * 4 - 2
        for i, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            if key is not None and i:
                # Drawn flat: XLA takes 20 times as long to compile the same numbers in five axes.
                noise = jax.random.normal(jax.random.fold_in(key, i), (x.size,)).reshape(x.shape)
                x = x * (1 + DROPOUT_STD * noise)
            x = jax.nn.relu(_convolve(x, kernel[...]) + bias[...][None, None, None, None])
            x = tag(_max_pool(x), f"block{i + 1}")
        x = tag(jax.nn.selu(self.fc1(x.reshape(len(x), -1))), "fc1")
        x = tag(jax.nn.selu(self.fc2(x)), "fc2")
        return self.fc3(x)


def _convolve(x: Float[Array, "n d h w i"], kernel: Float[Array, "3 3 3 i o"]):
    # Three slices at a time as channels of a 2-D convolution, which XLA on CPU runs 8 times as
    # fast as the 3-D one.
    n, d, h, w, _ = x.shape
    padded = jnp.pad(x.astype(kernel.dtype), ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
    slices = jnp.concatenate([padded[:, i : i + d] for i in range(3)], axis=-1)
    y = jax.lax.conv_general_dilated(
        slices.reshape(n * d, h, w, -1),
        kernel.transpose(1, 2, 0, 3, 4).reshape(3, 3, slices.shape[-1], -1),
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return y.reshape(n, d, h, w, -1)


def _max_pool(x: Float[Array, "n d h w c"]):
    n, d, h, w, c = x.shape
    return x.reshape(n, d // 2, 2, h // 2, 2, w // 2, 2, c).max(axis=(2, 4, 6))
