"""Infidelity: does a map foretell what perturbations do to the score?"""

import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, chunks, keys, scores
from saljax.core.ask import ask
from saljax.core.types import Baseline, Image, ScoreFn, Target
from saljax.metrics import inputs
from saljax.metrics.faithfulness import removal
from saljax.ops import perturb

Perturbation = Literal["squares", "gaussian"]


def infidelity(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "..."],
    *,
    key: keys.RandomKey,
    perturbation: Perturbation = "squares",
    num_samples: int = 1000,
    max_side: int | None = None,
    std: float = 0.2,
    normalize: bool = True,
    baseline: Baseline = perturb.mean_color,
    chunk_size: int = 32,
) -> Float[Array, ""]:
    """Mean squared difference of what a map says of perturbations and what the score does.

    E[(b I . S - d)^2],    d = f(X) - f(X perturbed),    b = E[d I . S] / E[(I . S)^2]

    "squares": X shows the baseline in a square, and I is 1 there, 0 elsewhere. The side is uniform
    in 1..`max_side`, then the place among those inside. For maps of what pixels contribute.

    "gaussian": X - I = X + `std` N(0, 1), clipped to [0, 1], in every value. For maps in units of
    the gradient.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits here.
        image: X, (*spatial, C), in [0, 1].
        target: class index ().
        saliency: S, (*spatial), signed; or raw with its channels, (*spatial, C), which "gaussian"
            needs where there are several.
        key: for the perturbations; sample i has its own, folded from i.
        perturbation: "squares" or "gaussian".
        num_samples: of the expectations.
        max_side: of a square in pixels; None: 10/28 of the short side, rounded up, the paper's 10
            on MNIST.
        std: of the noise.
        normalize: with b; without it b = 1, which compares maps in the units of the score only.
        baseline: what a square shows: an image, anything that broadcasts to one, or a function of
            the image.
        chunk_size: images scored at a time; memory only, never the result.

    Returns:
        () >= 0 in squared units of the score; lower is better. With b it is at most E[d^2], that of
        a map of zeros. NaN for a map with a NaN or a class that does not exist.

    Raises:
        ValueError: shapes that do not go together, or a number out of its range.

    Source: Yeh et al., "On the (In)fidelity and Sensitivity of Explanations", NeurIPS 2019,
    definition 2.1, and its official code for the perturbations and b; there every square is taken
    once. The mean color is our choice, black of MNIST theirs. Captum's default has no b; Quantus
    perturbs tiles one on top of the other.
    """
    checks.one_of(get_args(Perturbation), perturbation=perturbation)
    checks.count(num_samples=num_samples, chunk_size=chunk_size)
    checks.not_negative(std=std)
    space, channels = image.shape[:-1], image.shape[-1]
    raw = jnp.shape(saliency) == image.shape
    of_pixels = jnp.sum(saliency, axis=-1) if raw else saliency
    of_pixels = inputs.map_of(image, of_pixels, target)
    unseen = perturb.baseline_image(image, baseline)
    side = math.ceil(10 / 28 * min(space)) if max_side is None else max_side
    checks.count(max_side=side)
    if side > min(space):
        raise ValueError(f"`max_side` must be at most {min(space)}, the short side; got {side}.")
    if perturbation == "gaussian" and channels > 1 and not raw:
        raise ValueError(
            "gaussian noise differs from channel to channel: `saliency` must be raw, with the "
            f"image's shape {image.shape}, as `reduce=None` gives it; got {jnp.shape(saliency)}."
        )
    of_values = inputs.any_map(saliency) if raw else of_pixels[..., None]
    key = keys.own(key)

    def square(own):
        of_side, of_place = jax.random.split(own)
        length = jax.random.randint(of_side, (), 1, side + 1, jnp.int32)
        room = jnp.asarray(space, jnp.int32) - length + 1
        first = jax.random.randint(of_place, (len(space),), 0, room, jnp.int32)
        inside = jnp.ones(space, bool)
        for axis, n in enumerate(space):
            place = jnp.arange(n, dtype=jnp.int32) - first[axis]
            along = (place >= 0) & (place < length)
            inside &= along.reshape([n if a == axis else 1 for a in range(len(space))])
        return inside.astype(jnp.float32)

    def perturbed(index):
        """The image, and what the map says that this changes; of index 0 nothing."""
        own = jax.random.fold_in(key, index)
        if perturbation == "squares":
            chosen = jnp.where(index > 0, square(own), 0.0)
            return perturb.blend(image, 1 - chosen, unseen), (chosen * of_pixels).sum()
        noise = std * jax.random.normal(own, image.shape, jnp.float32)
        noisy = jnp.clip(image.astype(jnp.float32) + noise, 0.0, 1.0)
        noisy = jnp.where(index > 0, noisy, image.astype(jnp.float32))
        change = image.astype(jnp.float32) - noisy
        return noisy.astype(image.dtype), (change * of_values).sum()

    def both(indices):
        images, said = jax.vmap(perturbed)(indices)
        return said, scores.of_class(ask(score_fn, images), target)

    said, answers = chunks.map_over(both, jnp.arange(num_samples + 1), chunk_size)
    distance = _distance(said[1:], answers[0] - answers[1:], normalize)
    return removal.nan_where_broken(of_pixels, distance)


def _distance(said, drops, normalize):
    if not normalize:
        return jnp.square(said - drops).mean()
    largest = jnp.abs(said).max()
    said = said / jnp.where(largest > 0, largest, 1.0)  # its square neither vanishes nor overflows
    power = jnp.square(said).mean()
    scale = (said * drops).mean() / jnp.where(power > 0, power, 1.0)
    return jnp.square(scale * said - drops).mean()
