"""Layers that the classifiers share, of features (N, height, width, channels)."""

import functools
import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
"""Mean and standard deviation of ImageNet's channels, as torchvision's weights expect them."""

HALF = np.full(3, 0.5, np.float32)

Images = Float[Array, "batch height width channels"]
Features = Float[Array, "batch _ _ _"]
Logits = Float[Array, "batch classes"]


def normalized(images: Images, mean: np.ndarray, std: np.ndarray, smallest: int = 1) -> Images:
    """Return (images - mean) / std, channel by channel, in the precision of the images.

    Args:
        images: (N, height, width, 3), RGB in [0, 1].
        mean: of each channel (3,).
        std: of each channel (3,).
        smallest: pixels a side below which no feature is left at the end of the network.

    Raises:
        ValueError: the images have another number of channels, or are too small.
    """
    if images.shape[-1] != 3:
        raise ValueError(
            f"the classifier takes RGB images (N, height, width, 3); got {images.shape}"
        )
    if min(images.shape[1:3]) < smallest:
        raise ValueError(
            f"the classifier takes images of {smallest} x {smallest} pixels or more; "
            f"got {images.shape}"
        )
    single = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    return ((single - mean.reshape(1, 1, 1, 3)) / std.reshape(1, 1, 1, 3)).astype(images.dtype)


class Conv(nnx.Module):
    """Convolution.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        size: of the kernel, a side or (height, width).
        stride: of both axes.
        padding: zeros on either side of both axes, or "SAME" as TensorFlow pads, which at stride 2
            is one-sided. None: half the kernel, so that stride 1 keeps the size.
        depthwise: a kernel of its own for each channel; as many go out as come in.
        bias: whether something is added to each output.
        rngs: where the random initial kernel comes from.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int | tuple[int, int],
        stride: int = 1,
        *,
        padding: int | str | None = None,
        depthwise: bool = False,
        bias: bool = False,
        rngs: nnx.Rngs,
    ):
        height, width = (size, size) if isinstance(size, int) else size
        init = jax.nn.initializers.he_normal()
        shape = (height, width, 1 if depthwise else inputs, outputs)
        self.kernel = nnx.Param(init(rngs.params(), shape, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32)) if bias else nnx.data(None)
        self.stride, self.depthwise = stride, depthwise
        if padding is None:
            self.padding = ((height // 2, height // 2), (width // 2, width // 2))
        else:
            self.padding = padding if isinstance(padding, str) else ((padding, padding),) * 2

    def __call__(self, x: Features) -> Features:
        """Map (N, h, w, inputs) to (N, new h, new w, outputs)."""
        kernel, stride = self.kernel[...], self.stride
        x = x.astype(kernel.dtype)
        if self.depthwise:
            y = _depthwise(x, kernel, stride, self.padding)
        elif kernel.shape[:2] == (1, 1):
            # A matrix product over channels: on CPU faster than XLA's convolution.
            if stride > 1:
                x = jax.lax.slice(x, (0, 0, 0, 0), x.shape, (1, stride, stride, 1))
            y = jnp.einsum("nhwi,io->nhwo", x, kernel[0, 0])
        else:
            layout = ("NHWC", "HWIO", "NHWC")
            y = jax.lax.conv_general_dilated(
                x, kernel, (stride, stride), self.padding, dimension_numbers=layout
            )
        return y if self.bias is None else y + self.bias[...][None, None, None]


def _depthwise(x: Features, kernel: Float[Array, "..."], stride: int, padding) -> Features:
    """Convolve each channel with its own kernel (h, w, 1, channels).

    A sum of shifted products: on CPU four times as fast as XLA's convolution of as many groups as
    channels, and three times backward (MobileNetV2, 16 images). Excitation backprop sees single
    products here and no weights of a unit; it wants activations >= 0, which MobileNetV2 lacks.
    """
    height, width = kernel.shape[:2]
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(x.shape[1:3], (height, width), (stride, stride), padding)
    x = jax.lax.pad(x, 0.0, ((0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)))
    batch, rows, columns, channels = x.shape
    down, right = (rows - height) // stride * stride + 1, (columns - width) // stride * stride + 1
    shifted = [
        jax.lax.slice(
            x, (0, i, j, 0), (batch, i + down, j + right, channels), (1, stride, stride, 1)
        )
        * kernel[i, j, 0][None, None, None]
        for i in range(height)
        for j in range(width)
    ]
    return functools.reduce(operator.add, shifted)


def batch_norm(channels: int, epsilon: float = 1e-5, *, rngs: nnx.Rngs) -> nnx.BatchNorm:
    """Return a batch norm that uses the stored statistics; in training, torch's momentum of 0.1."""
    return nnx.BatchNorm(
        channels, use_running_average=True, momentum=0.9, epsilon=epsilon, rngs=rngs
    )


def layer_norm(width: int, *, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Return a norm over the last axis, its variance computed as torch does."""
    return nnx.LayerNorm(width, epsilon=1e-6, use_fast_variance=False, rngs=rngs)


class Identity(nnx.Module):
    """What stands where a batch norm was folded."""

    def __call__(self, x: Features) -> Features:
        """Return `x`."""
        return x


class ConvNorm(nnx.Module):
    """Convolution, batch norm, activation.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        size: of the kernel.
        stride: of both axes.
        padding: as of `Conv`.
        depthwise: as of `Conv`.
        epsilon: added to the variance.
        folded: the batch norm is part of the convolution already, which has a bias then.
        activation: what comes last; None: nothing.
        rngs: where the random initial kernel comes from.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int | tuple[int, int],
        stride: int = 1,
        *,
        padding: int | str | None = None,
        depthwise: bool = False,
        epsilon: float = 1e-5,
        folded: bool = False,
        activation: Callable[[Features], Features] | None = jax.nn.relu,
        rngs: nnx.Rngs,
    ):
        self.conv = Conv(
            inputs,
            outputs,
            size,
            stride,
            padding=padding,
            depthwise=depthwise,
            bias=folded,
            rngs=rngs,
        )
        self.bn = Identity() if folded else batch_norm(outputs, epsilon, rngs=rngs)
        self.activation = activation

    def __call__(self, x: Features) -> Features:
        """Map (N, h, w, inputs) to (N, new h, new w, outputs)."""
        x = self.bn(self.conv(x))
        return x if self.activation is None else self.activation(x)


class GridLinear(nnx.Module):
    """Linear layer on a grid of features of one fixed size; its kernel is (h, w, in, out)."""

    def __init__(self, side: int, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        init = jax.nn.initializers.he_normal()
        self.kernel = nnx.Param(init(rngs.params(), (side, side, inputs, outputs), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))

    def __call__(self, x: Features) -> Float[Array, "batch outputs"]:
        """Map (N, side, side, inputs) to (N, outputs)."""
        return jnp.einsum("nhwi,hwio->no", x, self.kernel[...]) + self.bias[...][None]


def max_pool(
    x: Features, size: int, stride: int, *, padding: int = 0, ceil: bool = False
) -> Features:
    """Return the largest of each window of `size` x `size`.

    Args:
        x: (N, h, w, channels).
        size: of the window, at least `stride`.
        stride: from window to window.
        padding: places of minus infinity on either side.
        ceil: whether a window may go over the end, so that every place is in one, as Caffe pools.
    """
    over = [-(length + 2 * padding - size) % stride if ceil else 0 for length in x.shape[1:3]]
    sides = ((0, 0), *((padding, padding + more) for more in over), (0, 0))
    window, strides = (1, size, size, 1), (1, stride, stride, 1)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, sides)


def average_pool(x: Features, size: int) -> Features:
    """Return the mean of the `size` x `size` window around each place; outside are zeros."""
    sides, window = ((0, 0), *((size // 2, size // 2),) * 2, (0, 0)), (1, size, size, 1)
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, window, (1, 1, 1, 1), sides) / size**2


def to_grid(x: Features, side: int) -> Features:
    """Average features (N, h, w, channels) to (N, side, side, channels).

    Cell i of an axis of length n is the mean of the places floor(i n / side) to
    ceil((i + 1) n / side) - 1, as torch's adaptive average pooling has it.
    """
    for axis, equation in ((1, "nhwc,gh->ngwc"), (2, "nhwc,gw->nhgc")):
        length = x.shape[axis]
        if length != side:
            cells = np.zeros((side, length), np.float32)
            for cell in range(side):
                first, end = cell * length // side, -(-(cell + 1) * length // side)
                cells[cell, first:end] = 1 / (end - first)
            x = jnp.einsum(equation, x, cells)
    return x
