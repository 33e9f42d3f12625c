"""Vision transformers, as torchvision, timm and Hugging Face build them.

Dosovitskiy et al., "An image is worth 16 x 16 words", ICLR 2021; the sizes Ti and S and the
distilled data's weights are of Touvron et al., "Training data-efficient image transformers",
ICML 2021 (without its distillation token). The norm is before the attention, the class token is
what the head reads. Our own small one has convolutions where the others cut patches, after Xiao et
al., "Early convolutions help transformers see better", NeurIPS 2021 (without its batch norms).

Tagged activations, per block l from 0: `block{l}.norm1` (T, width), what the attention reads;
`block{l}.attention` (heads, T, T), probabilities, a row a query; `block{l}.values` (heads, T, d);
`block{l}.tokens` (T, width), what goes out; `stem{i}` (rows, columns, channels), the rectified
convolutions. Token 0 is the class token, the others are the patches
row by row. `grid` (rows, columns, width) are the patches of the last block's `norm1` as a picture:
the layer for class activation maps, since of the last block's output only the class token is read
and the derivative at its patches is 0.

Parameters: `stem0.kernel` and so on, `patch.kernel` (a kernel of patch x patch, or 1 x 1 behind a
stem), `class_token`, `positions`,
`block0.norm1.scale`, `block0.qkv.kernel` (query, key and value side by side, each head by head),
`block0.out.kernel`, `block0.norm2.scale`, `block0.up.kernel`, `block0.down.kernel`, `norm.scale`,
`head.kernel`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from saljax.core.taps import tag
from saljax.models.architectures.layers import (
    HALF,
    MEAN,
    STD,
    Conv,
    Features,
    Images,
    Logits,
    layer_norm,
    normalized,
)

Tokens = Float[Array, "batch tokens width"]


class Architecture(NamedTuple):
    """Sizes of a transformer, and what is subtracted from its images and what divides them.

    Attributes:
        width: numbers a token.
        depth: blocks.
        heads: of each attention; they share the width.
        patch: pixels a side of a patch.
        side: pixels a side of an image.
        mean: (3,) of the channels.
        std: (3,) likewise.
        stem: convolutions before the tokens, each with a ReLU: kernel, stride, channels. Their
            strides multiply to `patch`.
    """

    width: int
    depth: int
    heads: int
    patch: int = 16
    side: int = 224
    mean: np.ndarray = HALF
    std: np.ndarray = HALF
    stem: tuple[tuple[int, int, int], ...] = ()


ARCHITECTURES = {
    "vit_tiny_patch16_224": Architecture(192, 12, 3),
    "vit_small_patch16_224": Architecture(384, 12, 6),
    "vit_base_patch16_224": Architecture(768, 12, 12),
    "deit_tiny_patch16_224": Architecture(192, 12, 3, mean=MEAN, std=STD),
    "deit_small_patch16_224": Architecture(384, 12, 6, mean=MEAN, std=STD),
    "deit_base_patch16_224": Architecture(768, 12, 12, mean=MEAN, std=STD),
    "vit_b_16": Architecture(768, 12, 12, mean=MEAN, std=STD),
}
"""Names of timm, and of torchvision (`vit_b_16`); the same networks but for their images."""

BIRDLETS = Architecture(64, 3, 2, patch=8, side=96, stem=((4, 4, 64), (3, 2, 64), (3, 1, 64)))
"""Our own, for the birdlets: each token sees 28 x 28 pixels before the first attention."""


class Block(nnx.Module):
    """Attention among the tokens, then two linear layers on each; both beside a shortcut."""

    def __init__(self, width: int, heads: int, *, rngs: nnx.Rngs):
        self.norm1, self.norm2 = layer_norm(width, rngs=rngs), layer_norm(width, rngs=rngs)
        self.qkv = nnx.Linear(width, 3 * width, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs)
        self.up = nnx.Linear(width, 4 * width, rngs=rngs)
        self.down = nnx.Linear(4 * width, width, rngs=rngs)
        self.heads = heads

    def __call__(self, x: Tokens, name: str, rows: int | None = None) -> Tokens:
        """Map tokens to tokens.

        Args:
            x: (N, T, width).
            name: of the block.
            rows: of patches; given in the block whose normalized patches are tagged as `grid`.
        """
        y = tag(self.norm1(x), f"{name}.norm1")
        if rows is not None:
            prefix, patches = y[:, :1], y[:, 1:]
            grid = tag(patches.reshape(len(x), rows, -1, x.shape[-1]), "grid")
            y = jnp.concatenate([prefix, grid.reshape(patches.shape)], axis=1)
        x = x + self.attend(y, name)
        x = x + self.down(jax.nn.gelu(self.up(self.norm2(x)), approximate=False))
        return tag(x, f"{name}.tokens")

    def attend(self, x: Tokens, name: str) -> Tokens:
        """Mix the values of all tokens, for each token by its attention."""
        batch, number, width = x.shape
        parts = self.qkv(x).reshape(batch, number, 3, self.heads, -1)
        query, key, value = jnp.moveaxis(parts, (2, 3), (0, 2))  # each (N, heads, T, d)
        similar = jnp.einsum("nhqd,nhkd->nhqk", query * query.shape[-1] ** -0.5, key)
        attention = tag(jax.nn.softmax(similar), f"{name}.attention")
        mixed = jnp.einsum("nhqk,nhkd->nqhd", attention, tag(value, f"{name}.values"))
        return self.out(mixed.reshape(batch, number, width))


class ViT(nnx.Module):
    """A vision transformer with a class token: a score function of images that gives logits.

    Args:
        architecture: see `ARCHITECTURES`.
        num_classes: number of logits.
        depth: blocks, where there shall be fewer than the architecture has.
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
        width, small = architecture.width, jax.nn.initializers.normal(0.02)
        self.rows = architecture.side // architecture.patch
        tokens = 1 + self.rows**2
        self.stem, channels, size = len(architecture.stem), 3, architecture.patch
        for index, (kernel, stride, outputs) in enumerate(architecture.stem):
            padding = 0 if kernel == stride else None
            layer = Conv(channels, outputs, kernel, stride, padding=padding, bias=True, rngs=rngs)
            setattr(self, f"stem{index}", layer)
            channels, size = outputs, 1
        self.patch = Conv(channels, width, size, size, padding=0, bias=True, rngs=rngs)
        self.class_token = nnx.Param(small(rngs.params(), (1, 1, width), jnp.float32))
        self.positions = nnx.Param(small(rngs.params(), (1, tokens, width), jnp.float32))
        self.depth, self.side = depth or architecture.depth, architecture.side
        for index in range(self.depth):
            setattr(self, f"block{index}", Block(width, architecture.heads, rngs=rngs))
        self.norm = layer_norm(width, rngs=rngs)
        self.head = nnx.Linear(width, num_classes, kernel_init=small, rngs=rngs)
        scales = architecture.mean, architecture.std
        self.mean, self.std = (tuple(map(float, a)) for a in scales)

    def __call__(self, images: Images) -> Logits:
        """Map images (N, side, side, 3), RGB in [0, 1], to logits (N, num_classes).

        Raises:
            ValueError: the images have another size, or number of channels.
        """
        if images.shape[1:3] != (self.side, self.side):
            raise ValueError(
                f"the classifier takes images of {self.side} x {self.side} pixels, for which it "
                f"has positions; got {images.shape}"
            )
        x = self.tokens(self.patches(images))
        for index in range(self.depth):
            rows = self.rows if index == self.depth - 1 else None
            x = getattr(self, f"block{index}")(x, f"block{index}", rows)
        return self.head(self.norm(x[:, 0]))

    def patches(self, images: Images) -> Features:
        """The patches (N, rows, columns, width) before their positions are added."""
        mean, std = (np.asarray(value, np.float32) for value in (self.mean, self.std))
        x = normalized(images, mean, std)
        for index in range(self.stem):
            x = tag(jax.nn.relu(getattr(self, f"stem{index}")(x)), f"stem{index}")
        return self.patch(x)

    def tokens(self, patches: Features) -> Tokens:
        """The class token and the patches in rows, each with its position added."""
        first = jnp.broadcast_to(self.class_token[...], (len(patches), 1, patches.shape[-1]))
        rows = patches.reshape(len(patches), -1, patches.shape[-1])
        return jnp.concatenate([first, rows], axis=1) + self.positions[...]
