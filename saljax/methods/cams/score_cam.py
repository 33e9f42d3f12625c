"""Score-CAM."""

import jax
import jax.numpy as jnp

from saljax.core import checks, chunks, scores, taps
from saljax.core.ask import ask
from saljax.core.layers import place
from saljax.core.names import Name
from saljax.core.spatial import ToSpatial, spatial
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.cams.grad_cam import finish
from saljax.ops import images, maps, perturb


def score_cam(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    channel_softmax: bool = False,
    baseline: Baseline = perturb.mean_color,
    chunk_size: int | None = None,
    resize: bool = True,
) -> Saliency:
    """Activations of a layer, weighted by the score of the image seen through each channel.

    S = relu(sum_k w_k A_k),    w_k = f_target(M_k I + (1 - M_k) B),    M_k = minmax(upsample(A_k))

    No gradient is asked: one pass a channel, 512 for a ResNet-18 and 2048 for a ResNet-50. A
    channel that is constant says nothing and has the weight 0.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities in the paper.
        image: I, (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        layer: see `grad_cam`.
        to_spatial: see `grad_cam`.
        channel_softmax: w_k the softmax over the channels of those scores, as in the paper's second
            version; its first version and the authors' code have none. They are not the same.
        baseline: B, shown where M_k is 0: anything that broadcasts to the image, or a function of
            it. The authors multiply the normalized image, where 0 is the mean color.
        chunk_size: masked images scored at a time; memory only, never the result.
            None: see `saljax.core.chunks.fitting`.
        resize: see `grad_cam`.

    Returns:
        (*spatial) map >= 0, or (T, *spatial).

    Raises:
        ValueError: as `grad_cam`.

    Source: Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu, "Score-CAM: Score-Weighted Visual
    Explanations for Convolutional Neural Networks", CVPR workshops 2020; arXiv versions 1
    (default) and 2. B is the mean color of the image, not of ImageNet. The score of the baseline,
    which version 2 subtracts, cancels in its softmax.
    """
    checks.count(chunk_size=chunk_size)
    images.check(image, one=True)
    name, to_spatial = place(score_fn, image, layer, to_spatial, sent_back=False)
    _, (activation,) = taps.activations(score_fn, jnp.asarray(image)[None], [name])
    seen = spatial(activation[0], image, name, to_spatial).astype(jnp.float32)
    channels = jnp.moveaxis(seen, -1, 0)
    nothing = perturb.baseline_image(image, baseline)

    def masked(channel):
        mask = maps.normalize(images.resize(channel, image.shape[:-1]))
        return perturb.blend(image, mask, nothing)

    def score(some):
        return scores.of_class(ask(score_fn, jax.vmap(masked)(some)), target)

    weights = chunks.map_over(score, channels, chunk_size)
    if channel_softmax:
        weights = jax.nn.softmax(weights, axis=0)
    space = tuple(range(1, channels.ndim))
    varies = channels.max(axis=space) > channels.min(axis=space)
    weights = jnp.where(varies.reshape(-1, *(1,) * (weights.ndim - 1)), weights, 0)
    weighted = jnp.tensordot(weights.T, channels, axes=1, precision="highest")
    if weights.ndim == 1:
        return finish(weighted, image, resize)
    return jax.vmap(lambda one: finish(one, image, resize))(weighted)
