"""Extremal perturbations: of all smooth masks of one area, the one that excites a class most."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, scores
from saljax.core.ask import ask
from saljax.core.optimize import minimize
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.optimization.mask_games import initial_mask
from saljax.ops import images as image_ops
from saljax.ops import perturb, sizes
from saljax.ops.regularizers import sorted_area
from saljax.ops.smooth_masks import first_node, grid_shape, inside, smooth_mask

Game = Literal["preserve", "delete", "dual"]
Perturbation = Literal["blur", "fade"]


class ExtremalPerturbation(NamedTuple):
    """What an extremal perturbation is made of.

    Attributes:
        saliency: (*spatial), the masks added up and smoothed.
        masks: (areas, *spatial) in [0, 1], 1 on what matters.
        losses: (num_steps,), of all masks together, before each step.
        nodes: (areas, *grid) in [0, 1], what the masks are made from; `initial` of a run that goes
            on from here.
    """

    saliency: Saliency
    masks: Float[Array, "areas *spatial"]
    losses: Float[Array, " num_steps"]
    nodes: Float[Array, "areas *grid"]


def defaults_for(spatial: Sequence[int]) -> dict[str, Any]:
    """What stands for None in an image of this shape, lengths as one number an axis."""
    return {
        "step": sizes.whole(7, spatial),
        "sigma": sizes.lengths(21, spatial),
        "max_blur": sizes.lengths(20, spatial),
        "flip": len(spatial) == 2,
    }


def extremal_perturbation(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    areas: tuple[float, ...] = (0.1,),
    game: Game = "preserve",
    perturbation: Perturbation = "blur",
    num_levels: int = 8,
    max_blur: float | tuple[float, ...] | None = None,
    baseline: Baseline = perturb.mean_color,
    step: int | tuple[int, ...] | None = None,
    sigma: float | tuple[float, ...] | None = None,
    nodes: Literal["centered", "corner"] = "centered",
    initial: Float[Array, "..."] | None = None,
    num_steps: int = 800,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
    area_weight: float = 300.0,
    area_growth: float = 1.0035,
    contrastive: bool = False,
    flip: bool | None = None,
    smoothing: float = 0.09,
    tolerance: float | None = None,
    details: bool = False,
) -> Saliency | ExtremalPerturbation:
    """Find, for each area, the smooth mask of that area that shows the class best.

    m_a = argmax_m  reward(m) - w_t |sort(M(m)) - r_a|^2 / n,    w_t = area_weight area_growth^t
    S   = blur(sum_a M(m_a))

    M(m) is the smooth maximum of nodes `step` pixels apart (`saljax.ops.smooth_masks`), r_a the
    sorted mask that is 1 on a share a of its n pixels and 0 elsewhere. All areas are optimized
    together, each on its own: a map costs num_steps passes forward and back of len(areas) images,
    twice as many in the game "dual".

        saljax.extremal_perturbation(score_fn, image, target, areas=(0.05, 0.1, 0.2))

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        areas: shares of the mask to be 1, each in (0, 1].
        game: "preserve": reward = score of the image where M keeps it; "delete": minus its score
            where M takes it away; "dual": both.
        perturbation: what M < 1 shows: "blur", the image blurred with sigma = max_blur (1 - M), or
            "fade", the image faded to the baseline.
        num_levels: blurred images between which M interpolates, the image itself among them.
        max_blur: standard deviation of what M = 0 shows, in pixels, or one number an axis; None is
            20 of 224 pixels of each axis.
        baseline: what lies around the image, for blur, and what the image fades to; in [0, 1].
        step: pixels from one node of the mask to the next, or one number an axis; None is 7 of 224
            pixels of each axis, at least 1.
        sigma: radius in pixels of what one node covers, or one number an axis; None is 21 of 224.
        nodes: "centered" has as much of the image before the first node as after the last, so that
            a mirrored image has the mirrored map; "corner" has the first on the first pixel, as the
            authors' code does.
        initial: nodes to start from, in [0, 1] (cut there), in place of 1: (*grid) as `details`
            returns them, or a mask (*spatial), 1 on what matters, of which the nodes take the
            values around them (linearly, averaged), so that M is wider than it by about sigma / 2;
            or one of them for each area, (areas, ...). The weight of the area starts anew.
        num_steps: of gradient descent.
        learning_rate: of gradient descent.
        momentum: of gradient descent, damped: see `damped_momentum`.
        area_weight: w_0.
        area_growth: of the weight at each step.
        contrastive: the score is that of the class minus the best other class.
        flip: mirror the perturbed image, along its last spatial axis, at every other step; None
            mirrors pictures and nothing else: a signal would run backwards, and left and right of a
            volume are not taken to be alike.
        smoothing: standard deviation of the blur of S, as a share of the image's shortest side; 0
            leaves the sum of the masks.
        tolerance: see `saljax.core.optimize.minimize`; None takes all steps. The loss rises with
            the weight of the area where the mask does not have it yet, so a tolerance ends early.
        details: return `ExtremalPerturbation`.

    Returns:
        (*spatial) map in [0, len(areas)]; larger is more important.

    Raises:
        ValueError: no area or one outside (0, 1], a size, number or rate that is not above 0,
            fewer than 2 levels, another number of lengths than axes, `initial` of another shape,
            several targets, an unknown choice, or `contrastive` with a single class.

    Source: Fong, Patrick, Vedaldi, ICCV 2019; settings as in the authors' code and its benchmark,
    which takes areas 0.025, 0.05, 0.1 and 0.2, adds the masks up and smooths by 0.09. One area
    unless told otherwise is our choice. Deviations: the baseline is the image's mean color where
    theirs is the training set's; the smoothing repeats the image's border; nodes see each other
    alike to both sides (`saljax.ops.smooth_masks`), and the grid is centered, 3 pixels from theirs
    in a 224 x 224 image. In images of other sizes all lengths keep their share of each axis.
    """
    checks.one_of(get_args(Game), game=game)
    checks.one_of(get_args(Perturbation), perturbation=perturbation)
    checks.one_of(("centered", "corner"), nodes=nodes)
    checks.count(num_steps=num_steps, num_levels=num_levels)
    checks.positive(learning_rate=learning_rate, area_growth=area_growth)
    checks.not_negative(momentum=momentum, area_weight=area_weight, smoothing=smoothing)
    checks.several(areas=areas)
    for area in areas:
        checks.positive(areas=area)
        if area > 1:
            raise ValueError(f"`areas` must be in (0, 1]; got {area}.")
    if num_levels < 2:
        raise ValueError(f"`num_levels` must be at least 2; got {num_levels}.")
    scores.one_class(target)
    spatial, color = image_ops.space(image), perturb.baseline_image(image, baseline)
    defaults = defaults_for(spatial)
    apart, radius, blurs = sizes.or_default(defaults, step=step, sigma=sigma, max_blur=max_blur)
    for axis in range(len(spatial)):
        checks.count(step=apart[axis])
        checks.positive(sigma=radius[axis], max_blur=blurs[axis])
    flip = defaults["flip"] if flip is None else flip
    cells = grid_shape(spatial, apart)
    ones = jnp.ones(cells, jnp.float32)
    start = ones if initial is None else initial_mask(initial, spatial, cells, len(areas))
    if perturbation == "blur":
        levels = perturb.blur_pyramid(image, num_levels, blurs, color)
    else:
        levels = jnp.stack([color, image])

    shares = jnp.asarray(areas, jnp.float32)
    first = first_node(spatial, apart) if nodes == "centered" else (0.0,) * len(spatial)

    def masks_of(nodes):
        full = jax.vmap(lambda n: smooth_mask(n, apart, radius, first))(nodes)
        return full, jax.vmap(lambda mask: inside(mask, spatial, apart, radius, first))(full)

    def rewards(masks, number):
        shown = jax.vmap(perturb.between, in_axes=(None, 0))(levels, masks)
        if flip:
            shown = jnp.where(number % 2 == 0, jnp.flip(shown, -2), shown)
        answers = ask(score_fn, shown)
        of_class = scores.of_class(answers, target)
        if not contrastive:
            return of_class
        if answers.shape[-1] < 2:
            raise ValueError("`contrastive` needs another class; `score_fn` has only one.")
        others = jnp.where(scores.pick(answers, target) == 0, answers, -jnp.inf)
        return of_class - others.max(axis=-1).astype(jnp.float32)

    def loss(nodes, number):
        full, masks = masks_of(nodes)
        weight = area_weight * jnp.power(area_growth, number.astype(jnp.float32))
        parts = {"preserve": [masks], "delete": [1 - masks], "dual": [masks, 1 - masks]}[game]
        signs = {"preserve": [1.0], "delete": [-1.0], "dual": [1.0, -1.0]}[game]
        reward = rewards(jnp.concatenate(parts), number) * jnp.repeat(jnp.array(signs), len(areas))
        return weight * jax.vmap(sorted_area)(full, shares).sum() - reward.sum()

    found = minimize(
        loss,
        jnp.broadcast_to(start, (len(areas), *cells)),
        optimizer=damped_momentum(learning_rate, momentum),
        num_steps=num_steps,
        project=lambda nodes: jnp.clip(nodes, 0, 1),
        tolerance=tolerance,
    )
    masks = masks_of(found.parameters)[1]
    saliency = masks.sum(axis=0)
    saliency = image_ops.blur(saliency[..., None], smoothing * min(spatial))[..., 0]
    if details:
        return ExtremalPerturbation(saliency, masks, found.losses, found.parameters)
    return saliency


def damped_momentum(learning_rate: float, momentum: float) -> Any:
    """Gradient descent along a moving average of the gradients that begins with the first.

    b_0 = g_0,    b_t = momentum b_{t-1} + (1 - momentum) g_t,    step_t = -learning_rate b_t

    PyTorch's SGD with a dampening as large as its momentum.

    Args:
        learning_rate: see above.
        momentum: see above; 0 is plain gradient descent.

    Returns:
        An `optax.GradientTransformation`.
    """
    import optax  # see `saljax.core.optimize.adam`

    def init(params):
        return False, jax.tree.map(jnp.zeros_like, params)

    def update(updates, state, params=None):
        begun, average = state
        average = jax.tree.map(
            lambda b, g: jnp.where(begun, momentum * b + (1 - momentum) * g, g), average, updates
        )
        return jax.tree.map(lambda b: -learning_rate * b, average), (True, average)

    return optax.GradientTransformation(init, update)
