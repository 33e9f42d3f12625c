"""Opti-CAM."""

import jax
import jax.numpy as jnp

from saljax.core import checks, scores, taps
from saljax.core.ask import ask
from saljax.core.layers import place
from saljax.core.names import Name
from saljax.core.optimize import adam, minimize
from saljax.core.spatial import ToSpatial, spatial
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.ops import images, maps, perturb


def opti_cam(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    num_steps: int = 50,
    learning_rate: float = 0.1,
    baseline: Baseline = 0.0,
) -> Saliency:
    """The weighted mean of a layer's channels through which the score is highest.

    max_w f_target(S I + (1 - S) B),    S = minmax(upsample(sum_k softmax(w)_k relu(A_k)))

    from equal weights, with Adam. A map costs num_steps passes forward and back, and one forward.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits.
        image: I, (*spatial, C), RGB in [0, 1].
        target: class index ().
        layer: see `saljax.grad_cam`.
        to_spatial: see `saljax.grad_cam`.
        num_steps: of Adam.
        learning_rate: of Adam.
        baseline: B, shown where the map is 0; black in the authors' code.

    Returns:
        (*spatial) map in [0, 1], 0 everywhere where it would be constant.

    Raises:
        ValueError: `num_steps` or `learning_rate` is not above 0, several targets, or the layer as
            in `saljax.grad_cam`.

    Source: Zhang, Torres, Sicre, Avrithis, Ayache, "Opti-CAM: Optimizing saliency maps for
    interpretability", CVIU 2024, equations 5 to 8, with the steps and rate of its scripts. They
    stop where the loss, looked at now and then, has risen; here all steps are taken.
    """
    checks.count(num_steps=num_steps)
    checks.positive(learning_rate=learning_rate)
    scores.one_class(target)
    images.space(image)
    name, to_spatial = place(score_fn, image, layer, to_spatial, sent_back=False)
    _, (activation,) = taps.activations(score_fn, jnp.asarray(image)[None], [name])
    channels = jax.nn.relu(spatial(activation[0], image, name, to_spatial)).astype(jnp.float32)
    nothing = perturb.baseline_image(image, baseline)

    def saliency_of(weights):
        mixed = jnp.matmul(channels, jax.nn.softmax(weights), precision="highest")
        return maps.normalize(images.resize(mixed, image.shape[:-1]))

    def loss(weights, step):
        shown = perturb.blend(image, saliency_of(weights), nothing)
        return -scores.of_class(ask(score_fn, shown[None]), target)[0]

    start = jnp.full(channels.shape[-1:], 0.5, jnp.float32)
    found = minimize(loss, start, optimizer=adam(learning_rate), num_steps=num_steps)
    return saliency_of(found.parameters)
