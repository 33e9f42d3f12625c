"""Meaningful perturbation of a layer's activation.

From the supplement of "Interpretable Explanations of Black Boxes by Meaningful Perturbation" (Fong
and Vedaldi, ICCV 2017).
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import taps
from saljax.core.layers import place
from saljax.core.names import Name
from saljax.core.spatial import ToSpatial, spatial
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.optimization.mask_games import MeaningfulPerturbation, Rules, answer, play
from saljax.ops import images

LAYERS = {
    ("alexnet", "pool1"): {"l1": 1e-4, "tv": 1e-2},
    ("alexnet", "pool2"): {"l1": 5e-3, "tv": 1e-2},
    ("alexnet", "conv3"): {"l1": 5e-3, "tv": 1e-2},
    ("alexnet", "conv4"): {"l1": 5e-3, "tv": 1e-2},
    ("alexnet", "pool5"): {"l1": 1e-2, "tv": 1e-3},
    ("vgg16", "pool1"): {"l1": 5e-5, "tv": 1e-2},
    ("vgg16", "pool2"): {"l1": 1e-4, "tv": 1e-2},
    ("vgg16", "pool3"): {"l1": 1e-4, "tv": 1e-2},
    ("vgg16", "pool4"): {"l1": 5e-3, "tv": 1e-2},
    ("vgg16", "pool5"): {"l1": 1e-2, "tv": 1e-3},
}
"""What Fong and Vedaldi's supplement section 6.4 sets for (classifier, layer), in the names of
`saljax.models`: `conv3` and `conv4` of AlexNet are its relu3 and relu4."""

UNCERTAIN = {("vgg16", "pool1"): {"l1": 5e-6}, ("vgg16", "pool3"): {"l1": 1e-3}}
"""Two exponents are damaged in Fong and Vedaldi's supplement; these are the other readings.
`LAYERS` has for pool3 what a mask of 28 x 28 cells has everywhere else."""


def meaningful_perturbation_at_layer(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    game: Literal["deletion", "preservation"] = "deletion",
    num_steps: int = 300,
    learning_rate: float = 0.1,
    l1: float = 1e-2,
    tv: float = 1e-3,
    beta: float = 3.0,
    isotropic: bool = True,
    top: int | None = None,
    init: Literal["circle", "half", "ones", "zeros"] = "circle",
    initial: Float[Array, "..."] | None = None,
    resize: bool = True,
    tolerance: float | None = None,
    chunk_size: int = 8,
    details: bool = False,
) -> Saliency | MeaningfulPerturbation:
    """Learn the smallest mask of a layer's activation that takes the score of a class away.

    deletion:      min_m  l1 |1 - m|_1 + tv TV_beta(m) + f(m A)
    preservation:  min_m  l1 |m|_1     + tv TV_beta(m) - f(m A)

    over m in [0, 1]^(spatial shape of A), the same for all channels. A is the layer's activation
    and f(m A) the score that follows from it. There is no upsampling, blur or jitter; a step costs
    one pass forward and back through what comes after the layer.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities in the paper.
        image: (*spatial, C), RGB in [0, 1].
        target: class index (); not looked at where `top` is given.
        layer: any name of it, see `saljax.layers`, which also says what None is.
        to_spatial: a function that picks the entries of the layer that are places and puts them as
            (*spatial, channels), such as `lambda a: jnp.moveaxis(a, 0, -1)` of channels first or
            `lambda tokens: tokens[1:].reshape(14, 14, -1)`; what it does not pick stays. None: as
            the trace says.
        game: see `meaningful_perturbation`.
        num_steps: see `meaningful_perturbation`.
        learning_rate: of Adam.
        l1: see `meaningful_perturbation`. The default and that of `tv` are Fong and Vedaldi's
            supplement's for the last layers of AlexNet and VGG-16; `LAYERS` has those of other
            layers: larger activations need less of `l1` and more of `tv`.
        tv: see `meaningful_perturbation`.
        beta: see `meaningful_perturbation`.
        isotropic: see `meaningful_perturbation`.
        top: see `meaningful_perturbation`.
        init: see `meaningful_perturbation`; the discs are those of a 224 x 224 image in proportion.
        initial: see `meaningful_perturbation`; at the size of the layer or of the image.
        resize: bring the map to the size of the image, linearly; False: the layer's own size.
        tolerance: see `meaningful_perturbation`.
        chunk_size: see `meaningful_perturbation`.
        details: return `MeaningfulPerturbation`.

    Returns:
        (*spatial) map in [0, 1], 1 - m for deletion and m for preservation; larger is more
        important.

    Raises:
        ValueError: as `meaningful_perturbation`; or there is no such layer, or one whose
            shape does not go with the image's without `to_spatial`.

    Source: Fong and Vedaldi's supplement, section 6.4. The circular start is that of its section 2;
    the section on layers does not say where the masks start.
    """
    places = images.space(image)
    name, to_spatial = place(score_fn, image, layer, to_spatial)
    activation, scores_of = taps.split(score_fn, image, name)
    seen, back = jax.vjp(lambda x: spatial(x, image, name, to_spatial), activation)
    cells = seen.shape[:-1]

    def score(mask):
        taken = jnp.broadcast_to(1 - mask[..., None], seen.shape).astype(seen.dtype)
        return scores_of((1 - back(taken)[0]) * activation)

    rules = Rules(
        game=game, num_steps=num_steps, learning_rate=learning_rate, l1=l1, tv=tv, beta=beta,
        isotropic=isotropic, top=top, init=init, initial=initial, tolerance=tolerance,
        chunk_size=chunk_size,
    )  # fmt: skip
    played = play(
        jax.vmap(score), lambda mask, step: score(mask)[None], cells, cells, target, rules
    )
    kept = images.resize(played.mask, places) if resize else played.mask
    return answer(played, kept, game, details)
