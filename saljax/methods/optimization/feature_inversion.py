"""Guided feature inversion: channels of a layer, weighted so that their sum masks the image."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, scores, taps
from saljax.core.ask import ask
from saljax.core.layers import after, place
from saljax.core.names import Name
from saljax.core.optimize import minimize
from saljax.core.spatial import ToSpatial, spatial
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.ops import images, maps, perturb, sizes


class FeatureInversion(NamedTuple):
    """What a feature inversion is made of.

    Attributes:
        saliency: (*spatial) in [0, 1].
        weights: (channels,), >= 0.
        inversion_losses: (num_inversion_steps,), before each step of the first stage.
        losses: (num_steps,), before each step of the second stage.
    """

    saliency: Saliency
    weights: Float[Array, " channels"]
    inversion_losses: Float[Array, " num_inversion_steps"]
    losses: Float[Array, " num_steps"]


def defaults_for(spatial: Sequence[int]) -> dict[str, Any]:
    """What stands for None in an image of this shape."""
    share = math.prod(sizes.lengths(1, spatial))
    return {"baseline": perturb.blurred(sizes.lengths(11, spatial)), "inversion_l1": 10 * share}


def feature_inversion(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    inversion_layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    baseline: Baseline | None = None,
    num_inversion_steps: int = 10,
    num_steps: int = 70,
    inversion_l1: float | None = None,
    l1: float = 1.0,
    background: float = 1.0,
    learning_rate: float = 0.01,
    relative: bool = False,
    details: bool = False,
) -> Saliency | FeatureInversion:
    """Weight the channels of a layer so that their sum is a mask that keeps a class.

    m = g(mm(sum_i w_i A_i)),    I_m = I m + B (1 - m),    I_bg = I (1 - m) + B m
    first:   min_w |F(I_m) - F(I)|^2 + inversion_l1 |w|_1
    then:    min_w -f(I_m) + background f(I_bg) + l1 |w|_1

    A is the activation of `layer`, F that of `inversion_layer`; mm is the min-max normalization, g
    upsamples linearly. w >= 0 starts at 0.1 and goes on from the first stage to the second, which
    is where the class comes in. The mask does not know the scale of w, so the L1 penalty never
    takes the last weights: where it would, those that it took last stay. A map costs
    num_inversion_steps passes of one image and num_steps of two, forward and back.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities in the paper.
        image: I, (*spatial, C), RGB in [0, 1].
        target: class index ().
        layer: whose channels make the mask: any name of it, see `saljax.layers`, which also says
            what None is. In the paper conv5_4 of VGG-19.
        inversion_layer: what the first stage restores, any name of it; None: what is tagged after
            `layer`, or without tags the one after it in `saljax.layers`; or `layer` itself where
            there is none. In the paper pool5 of VGG-19.
        to_spatial: a linear function that makes `layer` (*spatial, channels), such as
            `lambda a: jnp.moveaxis(a, 0, -1)` of channels first; None: as the trace says.
        baseline: B, what a mask of 0 shows, in [0, 1]; None is a blur of 11 of 224 pixels of each
            axis.
        num_inversion_steps: of the first stage.
        num_steps: of the second stage.
        inversion_l1: gamma, of the first stage; None is 10 in a 224 x 224 image, and in others as
            much less as they have fewer pixels, since the inversion error is a sum over the cells
            of a layer.
        l1: delta, of the second stage; the authors' benchmark on VOC has 10.
        background: lambda, of what the class has left in the background.
        learning_rate: of Adam; in the second stage it is halved every 10 steps.
        relative: divide the inversion error by |F(I)|^2, as in the authors' code; `inversion_l1`
            then means the same at every layer, and must be far smaller.
        details: return `FeatureInversion`.

    Returns:
        (*spatial) map m in [0, 1]; larger is more important.

    Raises:
        ValueError: a number of steps or `learning_rate` that is not above 0, a negative weight, no
            such layer, or a `layer` whose shape does not go with the image's without `to_spatial`;
            several targets.

    Source: Du, Liu, Song, Hu, KDD 2018, both stages. The authors' code differs from their
    paper: it restores the layer of the mask itself, penalizes squared weights, halves the rate in
    both stages and normalizes after upsampling; this is the paper, which gives no default layers
    for other networks: ours is the layer after the mask's. Our choice too: what becomes of the last
    weights, within one step of Adam of each other, and images of other sizes.
    """
    import optax  # see `saljax.core.optimize.adam`

    checks.count(num_inversion_steps=num_inversion_steps, num_steps=num_steps)
    checks.positive(learning_rate=learning_rate)
    checks.not_negative(inversion_l1=inversion_l1, l1=l1, background=background)
    scores.one_class(target)
    defaults = defaults_for(images.space(image))
    name, to_spatial = place(score_fn, image, layer, to_spatial, sent_back=False)
    _, inverted = layers(score_fn, image, name, inversion_layer)
    channels = spatial(taps.split(score_fn, image, name)[0], image, name, to_spatial)
    nothing = perturb.baseline_image(image, defaults["baseline"] if baseline is None else baseline)
    price = defaults["inversion_l1"] if inversion_l1 is None else inversion_l1

    def features(shown):
        return taps.split(score_fn, shown, inverted)[0].astype(jnp.float32)

    whole = features(image)
    norm = jnp.square(whole).sum()
    scale = jnp.where(norm > 0, norm, 1.0) if relative else 1.0

    def mask_of(weights):
        return channel_mask(channels, weights, image.shape[:-1])

    def inversion_loss(weights, step):
        missed = jnp.square(features(perturb.blend(image, mask_of(weights), nothing)) - whole)
        return missed.sum() / scale + price * jnp.abs(weights).sum()

    def loss(weights, step):
        mask = mask_of(weights)
        shown = [perturb.blend(image, m, nothing) for m in (mask, 1 - mask)]
        kept, left = scores.of_class(ask(score_fn, jnp.stack(shown)), target)
        return background * left - kept + l1 * jnp.abs(weights).sum()

    def not_all_zero(weights):
        highest = weights.max()
        return jnp.maximum(weights + jnp.where(highest > 0, 0.0, learning_rate - highest), 0)

    def learn(loss, start, rate, steps):
        return minimize(
            loss,
            start,
            optimizer=optax.adam(rate),
            num_steps=steps,
            project=not_all_zero,
        )

    start = jnp.full(channels.shape[-1], 0.1, jnp.float32)
    first = learn(inversion_loss, start, learning_rate, num_inversion_steps)
    halved = optax.exponential_decay(learning_rate, 10, 0.5, staircase=True)
    second = learn(loss, first.parameters, halved, num_steps)
    saliency = mask_of(second.parameters)
    if not details:
        return saliency
    return FeatureInversion(saliency, second.parameters, first.losses, second.losses)


def channel_mask(
    channels: Float[Array, "*cells channels"],
    weights: Float[Array, " channels"],
    spatial: tuple[int, ...],
) -> Float[Array, "*spatial"]:
    """Weighted sum of channels, brought to [0, 1] and to the size of the image."""
    summed = jnp.matmul(channels.astype(jnp.float32), weights, precision="highest")
    return images.resize(maps.normalize(summed), spatial)


def layers(
    score_fn: ScoreFn, image: Image, layer: Name | None, inversion_layer: Name | None
) -> tuple[str, str]:
    """The two layers, with what stands for None; see `feature_inversion`."""
    name = place(score_fn, image, layer, sent_back=False).name
    if inversion_layer is None:
        return name, after(score_fn, image, name)
    restored = place(score_fn, image, inversion_layer, called="inversion_layer", sent_back=False)
    return name, restored.name
