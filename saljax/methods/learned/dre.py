"""DRE, the differentiated relevance estimator: masks whose scores have a long tail on the right."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float

from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.learned import backgrounds
from saljax.methods.learned.explainer import Fit, Seen, Stage, look_as_trained
from saljax.methods.learned.generator import MaskGenerator, Start, Up, channels_for
from saljax.methods.learned.masking_model import Classes, Masks, labels, of_classes
from saljax.methods.learned.self_tuning import remaining
from saljax.ops import images as image_ops
from saljax.ops.regularizers import total_variation
from saljax.ops.skew import skew_controller


class DRE(nnx.Module):
    """Mask generator, one channel X, distribution controller, and the mask at the image's size.

    X = conv3x3(G(E(I), t)),    Z = sigmoid(eta (X - mean X) / std X)^h,    M = upsample(Z)

    Args:
        fit: the classifier it is for.
        channels: of the generator's cells; those of the DRE paper if not given, see `channels_for`.
        up: how the cells double the size, see `MaskGenerator`.
        embedding: where the class embeddings start from, see `generator.begin`.
        eta: of the controller, see `saljax.skew_controller`.
        h: of the controller.
        predicts_weights: a second channel learns the weights of self-based tuning, and the mask is
            multiplied by them (the DRE paper, appendix C: the last of its variants).
        rngs: where what is random at the start comes from.

    Source: DRE ("Differentiated Explanation of Deep Neural Networks with Skewed
    Distributions", Fu et al., TPAMI 2021), equations 3, 5 to 7 and 9, and its code.
    """

    def __init__(
        self,
        fit: Fit,
        *,
        channels: tuple[int, ...] | None = None,
        up: Up = "shuffle",
        embedding: Start = "head",
        eta: float = 1.5,
        h: float = 2.5,
        predicts_weights: bool = False,
        rngs: nnx.Rngs,
    ):
        channels = tuple(channels or channels_for(fit))
        self.fit = fit
        self.settings = {
            "channels": channels, "up": up, "embedding": embedding, "eta": eta, "h": h,
            "predicts_weights": predicts_weights,
        }  # fmt: skip
        self.generator = MaskGenerator(fit, channels, up, rngs=rngs)
        rank, ends = len(fit.image_shape) - 1, 2 if predicts_weights else 1
        self.head = nnx.Conv(self.generator.outputs, ends, (3,) * rank, rngs=rngs)

    def masks(self, seen: Seen, target: Classes) -> tuple[Masks, Masks | None]:
        """Z, and the predicted weights if there are any, at the size of the finest layer."""
        x = self.head(self.generator(seen.activations, target))
        eta, h = self.settings["eta"], self.settings["h"]
        z = jax.vmap(lambda one: skew_controller(one, eta, h))(x[..., 0])
        return z, jax.nn.sigmoid(x[..., 1]) if self.settings["predicts_weights"] else None

    def __call__(self, score_fn: ScoreFn, image: Image, target: Target) -> Saliency:
        """Explain one image, for one class or several from the same pass of the classifier.

        Args:
            score_fn: the classifier it was trained for.
            image: (*spatial, C) in [0, 1].
            target: class index (), or (T,).

        Returns:
            (*spatial) in (0, 1), or (T, *spatial).

        Raises:
            ValueError: another classifier, see `look_as_trained`.
        """
        seen = look_as_trained(self.fit, score_fn, image)

        def mask_of(t):
            z, weight = self.masks(seen, t)
            return z[0] if weight is None else z[0] * weight[0]

        return of_classes(mask_of, seen, image, target)


def embedding_loss(model, score_fn, images, seen, key):
    """Similarity to the embedding of another class, less that to the embedding of one's own.

    mean sigmoid(<F, V_k>) - mean sigmoid(<F, V_t>), means over places; t predicted, k != t any.

    The DRE paper's equation 4 sums over places and takes the two in turn; the mean and both at once
    are our choice: the same direction, whatever the size, from one pass.
    """
    label, fake = labels(seen.scores, key)
    features = seen.activations[0]
    own = jax.nn.sigmoid(model.generator.similarity(features, label))
    other = jax.nn.sigmoid(model.generator.similarity(features, fake))
    return other.mean() - own.mean()


def relevance_loss(
    preserved: Float[Array, "batch classes"],
    destroyed: Float[Array, "batch classes"] | None,
    label: Classes,
    masks: Masks,
    *,
    background: float = 0.0,
    area: float = 0.0,
    smooth: float = 0.0,
) -> Float[Array, ""]:
    """Cross-entropy of what the mask keeps, and equation 2's terms where they have a weight.

    -ln f_t(psi(I, M)) + background f_t(psi(I, 1 - M)) + area mean M + smooth TV(M)

    TV is the mean over places of the squared differences of neighbors.
    """
    loss = optax.softmax_cross_entropy_with_integer_labels(preserved, label).mean()
    if destroyed is not None:
        left = jnp.take_along_axis(jax.nn.softmax(destroyed), label[:, None], axis=1)
        loss += background * left.mean()
    rough = jax.vmap(total_variation)(masks).mean() / masks[0].size
    return loss + area * masks.mean() + smooth * rough


def stages(
    *,
    filter_epochs: int = 10,
    epochs: int = 10,
    background: float = 0.0,
    area: float = 0.0,
    smooth: float = 0.0,
    tuned: bool = False,
    fit_weights: float = 1.0,
    filter_rate: float = 1e-3,
    learning_rate: float = 1e-2,
    weight_decay: float = 1e-4,
) -> tuple[Stage, ...]:
    """How DRE is trained: first the spatial filter alone, then everything else.

    The second stage has the classification loss only, unless a weight of equation 2 is given, as
    the DRE paper's ablation does. No label is used but the classifier's own prediction.

    Args:
        filter_epochs: of the first stage, whose length the DRE paper does not say; our choice.
        epochs: of the second.
        background: weight of f_t(psi(I, 1 - M)), see `relevance_loss`.
        area: weight of the mask's area.
        smooth: weight of its roughness.
        tuned: train with M' = M W, W the weights of self-based tuning, which have no derivative
            (the DRE paper, appendix C); costs `self_tuning.BINS` passes more an image.
        fit_weights: of the squared error between the weights a DRE predicts and W, where it
            predicts them. Our choice; the DRE paper names the term and no value.
        filter_rate: of Adam in the first stage, a tenth of it after every 4000 steps; not in the
            DRE paper, the masking model's.
        learning_rate: of Adam in the second, halved every 3 epochs.
        weight_decay: added to the gradient, as torch's Adam has it; not in the DRE
            paper, the masking model's.

    Returns:
        Two stages.

    Source: the DRE paper, sections 3.2.2, 3.5, 4.1 and 4.4.3.
    """

    def class_loss(model, score_fn, images, seen, key):
        of_kept, of_left = jax.random.split(key)
        label = seen.scores.argmax(axis=-1).astype(jnp.int32)
        coarse, predicted = model.masks(seen, label)
        masks = _enlarged(coarse, images)
        extra = 0.0
        if tuned or predicted is not None:
            weights = remaining(score_fn, images, label, masks)
            if predicted is not None:
                found = _enlarged(predicted, images)
                extra = fit_weights * jnp.square(found - weights).mean()
            masks = masks * (weights if tuned else 1.0)
        kept = backgrounds.blend(images, masks, backgrounds.random_backgrounds(images, of_kept))
        if not background:
            preserved, destroyed = score_fn(kept).astype(jnp.float32), None
        else:
            hidden = backgrounds.random_backgrounds(images, of_left)
            left = backgrounds.blend(images, 1 - masks, hidden)
            both = score_fn(jnp.concatenate([kept, left])).astype(jnp.float32)
            preserved, destroyed = jnp.split(both, 2)
        terms = {"background": background, "area": area, "smooth": smooth}
        return relevance_loss(preserved, destroyed, label, coarse, **terms) + extra

    def adam(rate):
        return optax.chain(optax.add_decayed_weights(weight_decay), optax.adam(rate))

    def halved(steps):
        return optax.exponential_decay(learning_rate, 3 * steps, 0.5, staircase=True)

    falling = optax.exponential_decay(filter_rate, 4000, 0.1, staircase=True)
    parts = ("generator.cells", "head")
    return (
        Stage("filter", embedding_loss, ("generator.embedding",), filter_epochs,
              lambda steps: adam(falling)),
        Stage("relevance", class_loss, parts, epochs, lambda steps: adam(halved(steps))),
    )  # fmt: skip


def _enlarged(masks, images):
    return jax.vmap(lambda mask: image_ops.resize(mask, images.shape[1:-1]))(masks)
