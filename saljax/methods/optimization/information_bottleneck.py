"""Information bottleneck attribution: how many bits of a layer the classifier needs, and where."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from saljax.core import checks, keys, scores, taps
from saljax.core.layers import place
from saljax.core.names import Name
from saljax.core.optimize import adam, minimize
from saljax.core.spatial import ToSpatial, spatial
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.ops import images

LOWEST = 0.01
"""Smallest standard deviation that is believed, as in the authors' code."""
START = 5.0
"""Of the parameters: their sigmoid is 0.993, so all passes at first; the authors'."""
OPEN = 1 - 1e-6
"""Largest share that passes, so that its logarithm is a number. Our choice."""


def information_bottleneck(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    statistics: tuple,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    beta: float = 10.0,
    num_steps: int = 10,
    learning_rate: float = 1.0,
    num_samples: int = 10,
    sigma: float = 1.0,
    rectified: bool = False,
    resize: bool = True,
) -> Saliency:
    """Replace a layer by noise wherever the class survives it; what is left is told in bits.

    min_a  -log p_target(Z) + beta mean(I),    Z = l R + (1 - l) e,    l = blur(sigmoid(a))
    I = -1/2 (1 + ln (1 - l)^2 - (l r)^2 - (1 - l)^2),    r = (R - mean) / std

    R is the layer, e noise with its mean and deviation over many images, both of each unit by
    itself, and I >= 0 how much Z tells of R, at most, in nats. The score is the mean over
    `num_samples` draws of e, new ones in each step. A map costs num_steps x num_samples passes
    forward and back from the layer on.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        key: of the noise.
        statistics: `saljax.activation_statistics` of this layer, or (mean, std), each of the shape
            of the layer, without the axis of images, or what broadcasts to it. Units that are
            hardly ever active are 0 in Z and tell nothing.
        layer: see `saljax.grad_cam`; the authors read one in the middle.
        to_spatial: see `saljax.grad_cam`. What it leaves out, such as the class token, passes.
        beta: >= 0, the price of information.
        num_steps: of Adam.
        learning_rate: of Adam.
        num_samples: draws of the noise a step.
        sigma: >= 0, of the blur, in cells of the layer; it ends at twice this and is mirrored at
            the border.
        rectified: cut Z at 0, for a layer right behind a ReLU; as in the authors' code it is not.
        resize: to the image's size, linearly, where a pixel has its share of the cell's bits;
            False: bits a cell.

    Returns:
        (*spatial) map >= 0, bits a pixel: its sum is what passes in all.

    Raises:
        ValueError: `num_steps`, `learning_rate` or `num_samples` is not above 0, `beta` or `sigma`
            is negative, statistics are not of the layer's shape, several targets, or the layer as
            in `saljax.grad_cam`.

    Source: Schulz, Sixt, Tombari, Landgraf, ICLR 2020, the per-sample bottleneck, equations 5 to 7,
    with the settings of the authors' code, which takes the map before the last step, not after it.
    """
    checks.count(num_steps=num_steps, num_samples=num_samples)
    checks.positive(learning_rate=learning_rate)
    checks.not_negative(beta=beta, sigma=sigma)
    scores.one_class(target)
    images.space(image)
    name, to_spatial = place(score_fn, image, layer, to_spatial)
    activation, scores_of = taps.split(score_fn, image, name)
    feature = activation.astype(jnp.float32)
    mean, std, active = _of_layer(statistics, feature, name)
    key = keys.own(key)

    def to_places(x):
        return spatial(x, image, name, to_spatial)

    cells, from_places = jax.vjp(to_places, feature)
    covered = from_places(jnp.ones_like(cells))[0] > 0
    counts, r = active & covered, (feature - mean) / std

    def passing(free):
        share = _blurred(jax.nn.sigmoid(free), sigma)
        return jnp.where(covered, jnp.minimum(from_places(share)[0], OPEN), 1)

    def information(share):
        return jnp.where(counts, capacity(jnp.where(counts, share, 0), r), 0)

    def loss(free, step):
        share = passing(free)[None]
        drawn = jax.random.normal(
            jax.random.fold_in(key, step), (num_samples, *feature.shape), jnp.float32
        )
        z = share * feature[None] + (1 - share) * (mean[None] + std[None] * drawn)
        z = jnp.where(active[None], jax.nn.relu(z) if rectified else z, 0)
        logits = jax.vmap(scores_of)(z.astype(activation.dtype)).astype(jnp.float32)
        missed = -scores.of_class(jax.nn.log_softmax(logits), target).mean()
        return missed + beta * information(share[0]).mean()

    start = jnp.full(cells.shape, START, jnp.float32)
    found = minimize(loss, start, optimizer=adam(learning_rate), num_steps=num_steps)
    bits = to_places(information(passing(found.parameters))).sum(axis=-1) / math.log(2)
    if not resize:
        return bits
    shape = image.shape[:-1]
    return images.resize(bits, shape) * (math.prod(bits.shape) / math.prod(shape))


def capacity(share: Float[Array, "..."], r: Float[Array, "..."]) -> Float[Array, "..."]:
    """KL of N(share r, (1 - share)^2) from N(0, 1), in nats."""
    rest = jnp.square(1 - share)
    return -(1 + jnp.log(rest) - jnp.square(share * r) - rest) / 2


def _of_layer(statistics, feature, name):
    """Mean, deviation and what is active, all units where nothing is said of that."""
    mean, std, *rest = (jnp.asarray(x) for x in statistics)
    found = []
    for what in (mean, std, rest[0] if rest else jnp.asarray(True)):
        try:
            found.append(jnp.broadcast_to(what, feature.shape))
        except ValueError:
            raise ValueError(
                f"`statistics` must be (mean, std) of {name!r}, {feature.shape} each, such as "
                f"saljax.activation_statistics(score_fn, batches, {name!r}); got {what.shape}."
            ) from None
    mean, std, active = found
    return mean.astype(jnp.float32), jnp.maximum(std.astype(jnp.float32), LOWEST), active


def _blurred(x, sigma):
    """(*spatial, C), each channel by itself, mirrored at the border."""
    reach = round(2 * sigma)
    if reach == 0:
        return x
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    for axis, length in enumerate(x.shape[:-1]):
        mirrored = np.pad(np.eye(length), ((reach, reach), (0, 0)), mode="reflect")
        matrix = sum(k * mirrored[i : i + length] for i, k in enumerate(kernel))
        blur = jnp.asarray(matrix, jnp.float32)
        x = jnp.moveaxis(jnp.tensordot(blur, x, axes=(1, axis), precision="highest"), 0, axis)
    return x
