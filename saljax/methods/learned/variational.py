"""Variational saliency maps: an encoder that says of each pixel how important, and how sure.

What is known of the paper here is its appendix; what that leaves open is our choice.
"""

import inspect
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Key

from saljax.core import checks
from saljax.core.scores import of_class
from saljax.core.types import Image, Images, Saliency, ScoreFn, Target
from saljax.methods.learned.explainer import Fit, Seen, Stage, frozen, look_as_trained
from saljax.ops import images as image_ops
from saljax.ops import perturb
from saljax.ops.kronecker import autoregressive_kl
from saljax.ops.soft_topk import soft_topk

PRINTED = (*(64,) * 4, *(32,) * 5, *(16,) * 6, 2)
"""Channels that go out of each convolution as the VSM paper prints them: 16 entries."""
SEVENTEEN = (64, *PRINTED)
"""The same with as many convolutions as the VSM paper's text counts."""

Unseen = Literal["blurred", "black", "mean_color"]
Maps = Float[Array, "batch *cells"]


class VariationalSaliency(NamedTuple):
    """What the encoder believes of an image.

    Attributes:
        saliency: the mean mu, (*spatial), or (T, *spatial) where T targets were asked.
        uncertainty: the variance nu, of the same shape; larger is less sure.
    """

    saliency: Saliency
    uncertainty: Saliency


class Encoder(nnx.Module):
    """Convolutions of 3 pixels a side and stride 1, without pooling: as many cells as come in.

    Each is followed by batch norm and ReLU but the last. The VSM paper's text has them there too,
    which would leave no mean below 0 and no variance below 1.

    Args:
        inputs: channels that come in.
        channels: that go out of each convolution; 2 of the last.
        rank: number of spatial axes.
        log_variance: at the start, nearly.
        rngs: where the random initial kernels come from.
    """

    def __init__(
        self,
        inputs: int,
        channels: Sequence[int],
        rank: int,
        log_variance: float,
        *,
        rngs: nnx.Rngs,
    ):
        *hidden, last = channels
        size, ins = (3,) * rank, (inputs, *hidden)
        he, small = jax.nn.initializers.he_normal(), jax.nn.initializers.normal(0.01)
        self.convolutions = nnx.List(
            nnx.Conv(i, o, size, use_bias=False, kernel_init=he, rngs=rngs)
            for i, o in zip(ins, hidden, strict=False)
        )
        self.norms = nnx.List(
            nnx.BatchNorm(o, use_running_average=True, momentum=0.9, epsilon=1e-5, rngs=rngs)
            for o in hidden
        )

        def start(key, shape, dtype=jnp.float32):
            return jnp.array([0.0, log_variance], dtype)

        self.last = nnx.Conv(ins[-1], last, size, kernel_init=small, bias_init=start, rngs=rngs)

    def __call__(self, images: Images) -> tuple[Maps, Maps]:
        """Map (N, *cells, C) to mean and log variance, (N, *cells) each."""
        x = images
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = jax.nn.relu(norm(convolution(x)))
        x = self.last(x)
        return x[..., 0], x[..., 1]


class Variational(nnx.Module):
    """An approximate posterior of the saliency map given the image, N(s; mu, diag(nu)).

    Trained so that the classifier says of the image with all but the k most salient pixels
    perturbed, psi, what it says of the image, and that the map is as the prior has it:

    min  E [ D(y(x), y(psi(x, soft_topk(s)))) ] + beta / (h w) KL[ N(mu, diag(nu)) || N(0, Sigma) ]
    s = mu + sqrt(nu) e,    e ~ N(0, 1),    D = -sum y(x) log y(psi)

    Calling it explains one image by one pass of the encoder. **The map does not depend on the class
    asked for**: the encoder sees the image alone and marks what the whole prediction lives on.

    Args:
        fit: the classifier it is for, with no layers.
        channels: that go out of each convolution; `PRINTED`, `SEVENTEEN`, or others that end in 2.
        reduction: pixels a side of a cell. The encoder sees the image reduced by it, so 4 gives
            maps of 56 x 56 for an image of 224 x 224; 1 is full resolution.
        share: k, as a share of the cells, between 0 and 1. On birdlets maps point at the part that
            decides the better, the nearer it is to the size of that part.
        epsilon: softness of the choice of k, see `saljax.soft_topk`; samples are brought to [0, 1]
            first, so it means the same whatever their spread.
        rho: correlation of neighbors in the prior, in [0, 1).
        beta: weight of the divergence a cell.
        baseline: what is shown in place of the pixels that are not chosen: the image blurred, black
            or its mean color.
        blur: standard deviation in pixels of the blurred image.
        rngs: where the initial weights come from.

    Raises:
        ValueError: a value outside its range, or channels that do not end in 2.

    Source: the VSM paper, appendix A (the loss), B (the prior) and C (encoder and
    training). Our choice, where it says nothing: the defaults of all hyperparameters but the
    channels, D, one sample an image, min-max before the choice of k, and the start, where the
    variance is the prior's of a pixel whose neighbors are known.
    """

    def __init__(
        self,
        fit: Fit,
        *,
        channels: Sequence[int] = PRINTED,
        reduction: int = 4,
        share: float = 0.1,
        epsilon: float = 0.1,
        rho: float = 0.9,
        beta: float = 0.01,
        baseline: Unseen = "blurred",
        blur: float = 10.0,
        rngs: nnx.Rngs,
    ):
        checks.several(channels=channels)
        checks.count(reduction=reduction, channels=min(channels))
        checks.positive(epsilon=epsilon)
        checks.not_negative(beta=beta, blur=blur, rho=rho)
        checks.one_of(get_args(Unseen), baseline=baseline)
        if channels[-1] != 2:
            raise ValueError(
                f"`channels` must end in 2, for mean and log variance; got {tuple(channels)}."
            )
        if not 0 < share < 1:
            raise ValueError(f"`share` must lie between 0 and 1, without them; got {share}.")
        if not rho < 1:
            raise ValueError(f"`rho` must be at least 0 and less than 1; got {rho}.")
        self.fit = fit
        self.channels, self.reduction = tuple(channels), reduction
        self.share, self.epsilon, self.rho, self.beta = share, epsilon, rho, beta
        self.baseline, self.blur = baseline, blur
        *spatial, inputs = fit.image_shape
        alone = -len(spatial) * math.log((1 + rho**2) / (1 - rho**2))
        self.encoder = Encoder(inputs, self.channels, len(spatial), alone, rngs=rngs)

    @property
    def settings(self) -> dict[str, Any]:
        """Keywords that make another of its kind, as JSON has them."""
        keywords = inspect.signature(type(self).__init__).parameters.values()
        names = [p.name for p in keywords if p.kind is p.KEYWORD_ONLY and p.name != "rngs"]
        return {name: getattr(self, name) for name in names}

    def __call__(
        self, score_fn: ScoreFn, image: Image, target: Target, *, details: bool = False
    ) -> Saliency | VariationalSaliency:
        """The mean of the posterior: where the pixels are that the prediction can live on.

        Args:
            score_fn: images (N, *spatial, C) -> scores (N, K), those it was trained for.
            image: (*spatial, C), RGB in [0, 1], of the shape it was trained on.
            target: class index (), or (T,) for T copies: **one map whatever class is asked**.
            details: return `VariationalSaliency`, with the variance.

        Returns:
            (*spatial), or (T, *spatial), float32, around 0; larger is more important. NaN for a
            class that does not exist.

        Raises:
            ValueError: other classes or another shape than it was trained for.

        Source: the VSM paper, appendix A and C.
        """
        seen = look_as_trained(self.fit, score_fn, image)
        exists = of_class(jnp.ones_like(seen.scores), target)[0]
        mean, log_variance = self.posterior(jnp.asarray(image)[None])

        def full(cells):
            there = image_ops.resize(cells[0], image.shape[:-1])
            return jnp.multiply.outer(exists, there)

        if details:
            return VariationalSaliency(full(mean), full(jnp.exp(log_variance)))
        return full(mean)

    def posterior(self, images: Images) -> tuple[Maps, Maps]:
        """Mean and log variance of each cell, (N, *cells), of images (N, *spatial, C)."""
        cells = [-(-n // self.reduction) for n in self.fit.image_shape[:-1]]
        small = jax.vmap(lambda image: image_ops.resize(image, cells))(images)
        return self.encoder(small.astype(jnp.float32))

    def mask(self, sample: Float[Array, "*cells"]) -> Float[Array, "*spatial"]:
        """The soft choice of the k most salient cells of a sample, as a mask of the image."""
        unit = (sample - sample.min()) / (sample.max() - sample.min())
        chosen = soft_topk(unit, self.share * sample.size, self.epsilon)
        return image_ops.resize(chosen, self.fit.image_shape[:-1])

    def perturbed(self, image: Image, mask: Float[Array, "*spatial"]) -> Image:
        """The image where the mask is 1, nothing where it is 0."""
        match self.baseline:
            case "blurred":
                nothing = perturb.blurred(self.blur)
            case "black":
                nothing = perturb.black
            case "mean_color":
                nothing = perturb.mean_color
        return perturb.perturb(image, mask, nothing)


def loss(
    explainer: Variational, score_fn: ScoreFn, images: Images, seen: Seen, key: Key[Array, ""]
) -> Float[Array, ""]:
    """The loss of `Variational`, the mean over a batch with one sample for each image.

    D is the cross-entropy of the perturbed prediction against the first, whose derivative is that
    of their KL divergence.

    Args:
        explainer: in training: its batch norms use and move to the statistics of this batch.
        score_fn: images (N, *spatial, C) -> logits (N, K); no derivative reaches its weights.
        images: x, (N, *spatial, C).
        seen: what the classifier says of them.
        key: of the samples.

    Source: the VSM paper, appendix A; the divergence, appendix D with its factor and constants.
    """
    mean, log_variance = explainer.posterior(images)
    samples = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape, mean.dtype)
    perturbed = jax.vmap(explainer.perturbed)(images, jax.vmap(explainer.mask)(samples))
    before = jax.nn.softmax(seen.scores.astype(jnp.float32))
    after = jax.nn.log_softmax(frozen(score_fn)(perturbed).astype(jnp.float32))
    divergence = jax.vmap(lambda m, v: autoregressive_kl(m, v, explainer.rho))(
        mean, jnp.exp(log_variance)
    )
    return (explainer.beta * divergence / mean[0].size - (before * after).sum(-1)).mean()


def stages(
    *, epochs: int = 10, learning_rate: float = 1e-4, weight_decay: float = 5e-4
) -> tuple[Stage, ...]:
    """How a `Variational` is trained: in one stage, as a whole. The VSM paper keeps the lowest
    loss.

    Args:
        epochs: the VSM paper has 10 of ImageNet, in batches of 128.
        learning_rate: of Adam, whose betas are 0.9 and 0.99.
        weight_decay: times the weights is added to their gradient, as torch's Adam does.

    Source: the VSM paper, appendix C.
    """

    def optimizer(_):
        return optax.chain(
            optax.add_decayed_weights(weight_decay), optax.adam(learning_rate, b1=0.9, b2=0.99)
        )

    return (Stage("posterior", loss, ("encoder",), epochs, optimizer),)
