"""The mask generator: what of a classifier's features speaks for a class, from coarse to fine."""

import itertools
from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from saljax.core import checks, taps
from saljax.core.types import Image, ScoreFn
from saljax.methods.learned.explainer import Fit, coarsest_layers
from saljax.ops import images as image_ops

Features = Float[Array, "batch *spatial channels"]
Up = Literal["shuffle", "transposed"]
Start = Literal["head", "random"]

LAYERS = (
    ("layer4", "layer3", "layer2", "layer1"),  # ResNet
    ("pool5", "pool4", "pool3", "pool2"),  # VGG
    ("inception5b", "inception4e", "inception3b", "conv3"),  # GoogLeNet
    ("Mixed_7c", "Mixed_6e", "Mixed_5d", "Conv2d_4a_3x3"),  # Inception v3
    ("head", "block12", "block5", "block2"),  # MobileNetV2
    ("pool5", "conv5", "conv2", "conv1"),  # AlexNet
    ("fire9", "fire8", "fire4"),  # SqueezeNet 1.0
    ("fire9", "fire5", "fire3"),  # SqueezeNet 1.1
)
"""Layers the generator reads, the coarsest first. The DRE paper says how many channels they have in
ResNet-50, VGG-19 and GoogLeNet, from which these follow; those of the others are our choice: of
each size the last, a quarter of the picture's side being the finest."""

FEWEST = 32
"""Fewest channels of a cell. Our choice; the DRE paper's classifiers have more."""


def layers_for(score_fn: ScoreFn, image: Image) -> tuple[str, ...]:
    """The layers of `LAYERS` that a classifier has, or `coarsest_layers` of any other.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).

    Raises:
        ValueError: nothing with the axes of an image is tagged.
    """
    there = taps.tagged(score_fn, image)
    for layers in LAYERS:
        sizes = [there[layer][:-1] for layer in layers if layer in there]
        grow = all(a < b for a, b in itertools.pairwise(sizes))
        if len(sizes) == len(layers) and grow and len(sizes[0]) == image.ndim - 1:
            return layers
    return coarsest_layers(score_fn, image)


def channels_for(fit: Fit) -> tuple[int, ...]:
    """Channels of the cells, as DRE has them: half of what each meets, a quarter in ResNet-50."""
    share = 4 if fit.layers[0] == "layer4" and fit.shapes[0][-1] == 2048 else 2
    return tuple(max(FEWEST, shape[-1] // share) for shape in fit.shapes[1:])


class MaskGenerator(nnx.Module):
    """Class-conditioned features at the size of the finest layer.

    F^ = F sigmoid(<F, V_t> - confidence) at every place of the coarsest layer; then a cell for each
    finer layer doubles the size, meets the layer, and a bottleneck block reads both.

    Args:
        fit: which layers there are, the coarsest first.
        channels: of each cell; see `channels_for`.
        up: how a cell doubles the size: `"shuffle"`, a convolution and pixel shuffle, as the
            released code; `"transposed"`, a transposed convolution, as the DRE paper's text.
        rngs: where what is random at the start comes from.

    Source: Dabkowski & Gal, NeurIPS 2017, and its code; the DRE paper, section 3.2.2 and equation
    3.
    """

    def __init__(self, fit: Fit, channels: Sequence[int], up: Up, *, rngs: nnx.Rngs):
        coarse, *finer = fit.shapes
        spread = nnx.initializers.normal(coarse[-1] ** -0.5)
        shape = (fit.num_classes, coarse[-1])
        self.embedding = nnx.Param(spread(rngs.params(), shape, jnp.float32))
        widths = [coarse[-1], *channels]
        self.cells = nnx.List(
            UpCell(inputs, shape, outputs, up, rngs=rngs)
            for inputs, shape, outputs in zip(widths, finer, channels, strict=False)
        )
        self.outputs = widths[-1]

    def similarity(
        self, features: Features, target: Int[Array, " batch"]
    ) -> Float[Array, "batch *spatial"]:
        """<F, V_t> at every place of the coarsest layer."""
        chosen = self.embedding[...][target]
        return jnp.einsum("n...c,nc->n...", features, chosen, precision="highest")

    def __call__(
        self,
        activations: Sequence[Float[Array, "batch ..."]],
        target: Int[Array, " batch"],
        confidence: float = 0.0,
    ) -> Float[Array, "batch ..."]:
        """Features (N, *spatial of the finest layer, channels), for one class an image."""
        x, *finer = activations
        kept = jax.nn.sigmoid(self.similarity(x, target) - confidence)
        x = x * kept[..., None]
        for cell, skip in zip(self.cells, finer, strict=True):
            x = cell(x, skip)
        return x


class UpCell(nnx.Module):
    """Twice the size, beside the activation of that size, and a bottleneck block over both."""

    def __init__(self, inputs: int, skip: Sequence[int], outputs: int, up: Up, *, rngs: nnx.Rngs):
        rank = len(skip) - 1
        if up not in ("shuffle", "transposed"):
            raise ValueError(f"`up` must be one of shuffle, transposed; got {up!r}.")
        self.shuffles = up == "shuffle"
        if self.shuffles:
            wide = 2**rank * outputs
            self.up = nnx.Conv(inputs, wide, (3,) * rank, use_bias=False, rngs=rngs)
        else:
            wide = outputs
            self.up = nnx.ConvTranspose(
                inputs, wide, (4,) * rank, (2,) * rank, use_bias=False, rngs=rngs
            )
        self.norm = batch_norm(wide, rngs)
        self.block = Bottleneck(outputs + skip[-1], outputs, rank, rngs=rngs)

    def __call__(self, x: Features, skip: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        """Map (N, *small, inputs), (N, *large, C) to (N, *large, outputs)."""
        x = jax.nn.relu(self.norm(self.up(x)))
        x = pixel_shuffle(x) if self.shuffles else x
        if x.shape[1:-1] != skip.shape[1:-1]:  # of layers whose size does not double exactly
            x = jax.vmap(lambda one: image_ops.resize(one, skip.shape[1:-1]))(x)
        return self.block(jnp.concatenate([x, skip.astype(x.dtype)], axis=-1))


class Bottleneck(nnx.Module):
    """relu(x' + 1 x 1, 3 x 3, 1 x 1 with a quarter of the channels inside); x' a projection."""

    def __init__(self, inputs: int, outputs: int, rank: int, *, rngs: nnx.Rngs):
        inside = max(1, outputs // 4)
        # Linear layers are the 1 x 1 convolutions; XLA on CPU runs them much faster.
        self.reduce = nnx.Linear(inputs, inside, use_bias=False, rngs=rngs)
        self.norm1 = batch_norm(inside, rngs)
        self.conv = nnx.Conv(inside, inside, (3,) * rank, use_bias=False, rngs=rngs)
        self.norm2 = batch_norm(inside, rngs)
        self.expand = nnx.Linear(inside, outputs, use_bias=False, rngs=rngs)
        self.norm3 = batch_norm(outputs, rngs)
        self.project = nnx.Linear(inputs, outputs, rngs=rngs)

    def __call__(self, x: Features) -> Float[Array, "batch *spatial outputs"]:
        """Map (N, *spatial, inputs) to (N, *spatial, outputs)."""
        y = jax.nn.relu(self.norm1(self.reduce(x)))
        y = jax.nn.relu(self.norm2(self.conv(y)))
        return jax.nn.relu(self.norm3(self.expand(y)) + self.project(x))


def batch_norm(channels: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    """With torch's momentum and epsilon; in use unless it is put in training."""
    return nnx.BatchNorm(channels, use_running_average=True, momentum=0.9, epsilon=1e-5, rngs=rngs)


def pixel_shuffle(x: Features) -> Float[Array, "batch ..."]:
    """(N, *spatial, 2^rank C) -> (N, *(2 spatial), C): each place's channels become its pixels.

    Source: Shi et al., CVPR 2016.
    """
    batch, *space, wide = x.shape
    rank = len(space)
    x = x.reshape(batch, *space, *(2,) * rank, wide // 2**rank)
    pairs = [axis for i in range(rank) for axis in (1 + i, 1 + rank + i)]
    x = x.transpose(0, *pairs, 2 * rank + 1)
    return x.reshape(batch, *(2 * n for n in space), -1)


def begin(explainer: Any, score_fn: ScoreFn, image: Image) -> Any:
    """An explainer whose class embeddings start where its settings say.

    `"random"` are the normal numbers it was drawn with, as in the papers; `"head"` the rows of the
    classifier's own last layer, where it has them (our choice: with few images most classes are
    never seen, and these rows point where their class lies already).

    Args:
        explainer: with a `generator`, that has learned nothing yet.
        score_fn: images (N, *spatial, C) -> logits (N, K), the classifier it is for.
        image: (*spatial, C), any.
    """
    fit, start = explainer.fit, explainer.settings["embedding"]
    checks.one_of(get_args(Start), embedding=start)
    rows = None
    if start == "head":
        rows = head_rows(score_fn, image, fit.layers[0], fit.num_classes)
    if rows is None:
        return explainer
    started = nnx.clone(explainer)
    started.generator.embedding = nnx.Param(rows.astype(jnp.float32))
    return started


def head_rows(
    score_fn: ScoreFn, image: Image, layer: str, num_classes: int
) -> Float[Array, "classes features"] | None:
    """What each class adds to its logit at a place of a layer: rows of the classifier's last layer.

    V_k = sum over places of dz_k/dF, minus its mean over the classes. Where the logits are linear
    in the activation, as after a global mean, this is the classifier's own weight vector and
    <F, V_k> the class activation map (but for what all classes share); where they are not, the
    derivative is another one at noise in its place, and there are no such rows.

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, K).
        image: (*spatial, C), any.
        layer: name of the coarsest activation.
        num_classes: K.

    Returns:
        (K, channels); None where the logits are not linear in the activation.
    """
    activation, scores_of = taps.split(score_fn, image, layer)

    def rows(at):
        back = jax.vjp(scores_of, at)[1]
        return jax.lax.map(
            lambda one: back(one)[0].sum(tuple(range(at.ndim - 1))), jnp.eye(num_classes)
        )

    noise = activation.std() * jax.random.normal(jax.random.key(0), activation.shape)
    here, there = jax.jit(rows)(activation), jax.jit(rows)(noise.astype(activation.dtype))
    linear = jnp.abs(here - there).max() <= 1e-3 * jnp.abs(here).max()
    return here - here.mean(axis=0, keepdims=True) if bool(linear) else None
