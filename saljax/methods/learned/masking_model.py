"""The masking model: a network that draws the smallest mask that keeps a class, in one pass."""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from saljax.core.scores import of_class
from saljax.core.types import Image, Saliency, ScoreFn, Scores, Target
from saljax.methods.learned import backgrounds
from saljax.methods.learned.explainer import Fit, Seen, Stage, look_as_trained
from saljax.methods.learned.generator import MaskGenerator, Start, Up, channels_for
from saljax.ops import images as image_ops
from saljax.ops.regularizers import total_variation

Masks = Float[Array, "batch *spatial"]
Classes = Int[Array, " batch"]


class MaskingModel(nnx.Module):
    """Mask |c0| / (|c0| + |c1|), of two channels that the mask generator ends in.

    Args:
        fit: the classifier it is for.
        channels: of the generator's cells; those of the DRE paper if not given, see `channels_for`.
        up: how the cells double the size, see `MaskGenerator`.
        embedding: where the class embeddings start from, see `generator.begin`.
        confidence: taken from the class filter's argument when the model explains; in training
            nothing is.
        rngs: where what is random at the start comes from.

    Source: Dabkowski & Gal, "Real Time Image Saliency for Black Box Classifiers" (NeurIPS 2017),
    and its code. Deviations: the classifier is fed once; labels are its own predictions, as in the
    DRE paper.
    """

    def __init__(
        self,
        fit: Fit,
        *,
        channels: tuple[int, ...] | None = None,
        up: Up = "shuffle",
        embedding: Start = "head",
        confidence: float = 6.0,
        rngs: nnx.Rngs,
    ):
        channels = tuple(channels or channels_for(fit))
        self.fit = fit
        self.settings = {
            "channels": channels, "up": up, "embedding": embedding, "confidence": confidence,
        }  # fmt: skip
        self.generator = MaskGenerator(fit, channels, up, rngs=rngs)
        self.head = nnx.Linear(self.generator.outputs, 2, rngs=rngs)

    def masks(self, seen: Seen, target: Classes, confidence: float = 0.0) -> Masks:
        """Masks at the size of the finest layer, in [0, 1], for one class an image."""
        pair = jnp.abs(self.head(self.generator(seen.activations, target, confidence)))
        total = pair.sum(axis=-1)
        return jnp.where(total > 0, pair[..., 0] / jnp.where(total > 0, total, 1.0), 0.5)

    def __call__(self, score_fn: ScoreFn, image: Image, target: Target) -> Saliency:
        """Explain one image, for one class or several from the same pass of the classifier.

        Args:
            score_fn: the classifier it was trained for.
            image: (*spatial, C) in [0, 1].
            target: class index (), or (T,).

        Returns:
            (*spatial) in [0, 1], or (T, *spatial).

        Raises:
            ValueError: another classifier, see `look_as_trained`.
        """
        seen = look_as_trained(self.fit, score_fn, image)
        confidence = self.settings["confidence"]
        return of_classes(lambda t: self.masks(seen, t, confidence)[0], seen, image, target)


def of_classes(mask_of, seen: Seen, image: Image, target: Target) -> Saliency:
    """Masks at the image's size of one class, or of several: `mask_of` takes one in a batch.

    NaN for a class that does not exist.
    """

    def full_size(t):
        mask = image_ops.resize(mask_of(t[None]), image.shape[:-1]).astype(jnp.float32)
        return mask * of_class(jnp.ones_like(seen.scores), t)[0]

    target = jnp.asarray(target)
    return jax.vmap(full_size)(target) if target.ndim else full_size(target)


def selector_loss(model, score_fn, images, seen, key):
    """Cross-entropy of "is this class there?", of its label or, for half of the images, a fake one.

    e = mean over places of <F, V_k>;  -ln sigmoid(e) for the label, -ln sigmoid(-e) for a fake.
    """
    of_coin, of_fake = jax.random.split(key)
    label, fake = labels(seen.scores, of_fake)
    is_fake = jax.random.bernoulli(of_coin, 0.5, label.shape)
    similarity = model.generator.similarity(seen.activations[0], jnp.where(is_fake, fake, label))
    evidence = similarity.mean(axis=tuple(range(1, similarity.ndim)))
    return jax.nn.softplus(jnp.where(is_fake, evidence, -evidence)).mean()


def labels(scores: Scores, key) -> tuple[Classes, Classes]:
    """The predicted class, and another one, each of them as likely."""
    number, classes = scores.shape
    label = scores.argmax(axis=-1).astype(jnp.int32)
    away = jax.random.randint(key, (number,), 1, max(classes, 2), jnp.int32)
    return label, (label + away) % classes


def margin(logits: Scores, target: Classes) -> Float[Array, " batch"]:
    """z_t - max over k != t of z_k."""
    asked = jax.nn.one_hot(target, logits.shape[-1], dtype=jnp.bool_)
    others = jnp.where(asked, -jnp.inf, logits).max(axis=-1)
    return jnp.where(asked, logits, 0.0).sum(axis=-1) - others


def code_loss(
    preserved: Scores,
    destroyed: Scores,
    label: Classes,
    is_fake: Array,
    masks: Masks,
    weights: Sequence[float],
) -> Float[Array, ""]:
    """The loss of the released code: margins of logits, area, smoothness.

    preserve  relu(1 - adv(psi(I, M))),      fake  relu(1 + adv)
    destroy   relu(5 + adv(psi(I, 1 - M))),  fake  relu(1 - adv)
    area      mean (M + 0.0005)^0.3
    smooth    (sum of squared differences of neighbors + 0.3 sum of squared border values) / 2 N

    adv = z_t - max over k != t of z_k, with t always the true label: the mask of a fake class must
    not hold the object. weights: of destroy, area, smooth, preserve.
    """
    kept, left = margin(preserved, label), margin(destroyed, label)
    preserve = jax.nn.relu(1 + jnp.where(is_fake, kept, -kept)).mean()
    destroy = jax.nn.relu(jnp.where(is_fake, 1 - left, 5 + left)).mean()
    area = ((masks + 0.0005) ** 0.3).mean()
    terms = jnp.stack([destroy, area, smoothness(masks), preserve])
    return (jnp.asarray(weights, terms.dtype) * terms).sum()


def smoothness(masks: Masks) -> Float[Array, ""]:
    """See `code_loss`."""
    total = jnp.zeros((), masks.dtype)
    for axis in range(1, masks.ndim):
        total += jnp.square(jnp.diff(masks, axis=axis)).sum()
        total += 0.3 * jnp.square(jnp.take(masks, jnp.array([0, -1]), axis)).sum()
    return total / (2 * len(masks))


def paper_loss(
    preserved: Scores,
    destroyed: Scores,
    label: Classes,
    masks: Masks,
    weights: Sequence[float],
) -> Float[Array, ""]:
    """The loss of the paper: 10 TV(M) + 1e-3 AV(M) - ln f_t(psi(I, M)) + 5 f_t(psi(I, 1 - M))^0.3.

    TV sums squared differences of neighbors, AV the mask; both an image, then the mean over images.
    weights: of the background term, area, smoothness, and of what is preserved: 5, 1e-3, 10, 1.
    """
    kept = jnp.take_along_axis(jax.nn.log_softmax(preserved), label[:, None], axis=1)[:, 0]
    left = jnp.take_along_axis(jax.nn.log_softmax(destroyed), label[:, None], axis=1)[:, 0]
    area = masks.sum(axis=tuple(range(1, masks.ndim)))
    rough = jax.vmap(lambda mask: total_variation(mask, isotropic=False))(masks)
    terms = jnp.stack([jnp.exp(0.3 * left), area, rough, -kept]).mean(axis=1)
    return (jnp.asarray(weights, terms.dtype) * terms).sum()


def stages(
    *,
    selector_epochs: int = 10,
    epochs: int = 10,
    loss: Literal["code", "paper"] = "code",
    destroy: float | None = None,
    area: float | None = None,
    smooth: float | None = None,
    preserve: float | None = None,
    fake_share: float = 0.3,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
) -> tuple[Stage, ...]:
    """How a masking model is trained: first the class selector alone, then everything else.

    Args:
        selector_epochs: of the first stage. The code takes 8500 steps of 128 images of ImageNet;
            epochs, and their numbers, are our choice.
        epochs: of the second; the code takes 3000 steps of 64.
        loss: of the released code or of the paper, see `code_loss` and `paper_loss`.
        destroy: weight of the term on what is left without the mask; 1 in the code, 5 in the paper.
        area: of the mask's area; 8, a mean, or 1e-3, a sum.
        smooth: of its smoothness; 0.005 or 10.
        preserve: of the term on what the mask keeps; 0.3 or 1.
        fake_share: share of images with a fake class in the second stage of the code's loss.
        learning_rate: of Adam; in the first stage a tenth of it after every 4000 steps.
        weight_decay: added to the gradient, as torch's Adam has it.

    Returns:
        Two stages.

    Raises:
        ValueError: no such loss.

    Source: the code of Dabkowski & Gal, NeurIPS 2017; the paper's loss has equation 3's weights.
    """
    usual = {"code": (1.0, 8.0, 0.005, 0.3), "paper": (5.0, 1e-3, 10.0, 1.0)}
    if loss not in usual:
        raise ValueError(f"`loss` must be one of code, paper; got {loss!r}.")
    given = (destroy, area, smooth, preserve)
    weights = tuple(u if g is None else g for g, u in zip(given, usual[loss], strict=True))

    def mask_loss(model, score_fn, images, seen, key):
        of_fake, of_coin, of_kept, of_left, of_noise = jax.random.split(key, 5)
        label, fake = labels(seen.scores, of_fake)
        share = fake_share if loss == "code" else 0.0
        is_fake = jax.random.bernoulli(of_coin, share, label.shape)
        coarse = model.masks(seen, jnp.where(is_fake, fake, label))
        masks = jax.vmap(lambda mask: image_ops.resize(mask, images.shape[1:-1]))(coarse)
        noise = backgrounds.ON_TOP * jax.random.normal(of_noise, images.shape, images.dtype)
        kept = backgrounds.blend(images, masks, backgrounds.random_backgrounds(images, of_kept))
        left = backgrounds.blend(images, 1 - masks, backgrounds.random_backgrounds(images, of_left))
        logits = score_fn(jnp.concatenate([kept + noise, left])).astype(jnp.float32)
        preserved, destroyed = jnp.split(logits, 2)
        if loss == "paper":
            return paper_loss(preserved, destroyed, label, coarse, weights)
        return code_loss(preserved, destroyed, label, is_fake, coarse, weights)

    def adam(rate):
        return optax.chain(optax.add_decayed_weights(weight_decay), optax.adam(rate))

    falling = optax.exponential_decay(learning_rate, 4000, 0.1, staircase=True)
    parts = ("generator.cells", "head")
    return (
        Stage("selector", selector_loss, ("generator.embedding",), selector_epochs,
              lambda steps: adam(falling)),
        Stage("masks", mask_loss, parts, epochs, lambda steps: adam(learning_rate)),
    )  # fmt: skip
