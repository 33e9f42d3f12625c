"""Extremal perturbations against METHODS section 8, written out one tap and one step at a time."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.methods.optimization.extremal import damped_momentum
from saljax.ops import images, perturb

SPATIAL, CHANNELS, CLASSES = (6, 5), 2, 3
STEP, SIGMA = 2, 2.0
SMALL = {"step": STEP, "sigma": SIGMA, "num_levels": 4, "max_blur": 2.0}


def linear(weights, images):
    return jnp.einsum("nhwc,hwck->nk", images, weights)


@pytest.fixture
def scene():
    """A linear classifier, which is not the same for a mirrored image, and an image."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(*SPATIAL, CHANNELS, CLASSES)) * 5
    image = rng.uniform(size=(*SPATIAL, CHANNELS))
    return jnp.asarray(weights, jnp.float32), jnp.asarray(image, jnp.float32)


def taps():
    """For each pixel of the full mask, by its place in the image, the nodes it sees and weights."""
    reach = math.ceil(SIGMA / STEP)
    nodes = [range(math.ceil(n / STEP)) for n in SPATIAL]
    first = [(n - 1 - STEP * (len(of) - 1)) / 2 for n, of in zip(SPATIAL, nodes, strict=True)]
    pixels = [
        range(math.ceil(o - STEP * reach), math.floor(o + STEP * (len(of) - 1 + reach)) + 1)
        for o, of in zip(first, nodes, strict=True)
    ]
    near = range(-reach - 3, max(map(len, nodes)) + reach + 3)
    seen = {}
    for x in itertools.product(*pixels):
        away = [[p - o - STEP * i for i in near] for p, o in zip(x, first, strict=True)]
        around = [
            [i for i, d in zip(near, along, strict=True) if abs(d) < STEP * (reach + 1.5)]
            for along in away
        ]
        seen[x] = []
        for node in itertools.product(*around):
            d = math.dist(x, [o + STEP * i for o, i in zip(first, node, strict=True)]) / SIGMA
            seen[x].append((node, math.exp(-2 * max(0, d - 0.5) ** 2)))
    return seen


def mask_by_hand(seen, parameters):
    """The full mask, and the derivative of each of its pixels by each node."""
    mask, slopes = {}, {}
    for x, around in seen.items():
        values = [(node, k, k * parameters.get(node, 0.0)) for node, k in around]
        total = sum(math.exp(20 * v) for _, _, v in values)
        mask[x] = sum(v * math.exp(20 * v) for _, _, v in values) / total
        slopes[x] = [
            (node, k * math.exp(20 * v) / total * (1 + 20 * (v - mask[x])))
            for node, k, v in values
            if node in parameters
        ]
    return mask, slopes


def show_by_hand(levels, value, x):
    """A pixel of the perturbed image, and its derivative by the mask."""
    at = value * (len(levels) - 1)
    low = min(int(at), len(levels) - 2)
    a, b = levels[low][x], levels[low + 1][x]
    return a + (at - low) * (b - a), (len(levels) - 1) * (b - a)


def extremal_by_hand(
    weights, levels, target, area, *, game="preserve", contrastive=False, flip=True, num_steps,
    learning_rate, momentum=0.9, area_weight=300.0, area_growth=1.0035,
):  # fmt: skip
    """The mask on the image after the last step, and the losses before each."""
    weights, levels = np.asarray(weights, np.float64), np.asarray(levels, np.float64)
    seen, pixels = taps(), list(itertools.product(*map(range, SPATIAL)))
    grid = [range(math.ceil(n / STEP)) for n in SPATIAL]
    parameters = dict.fromkeys(itertools.product(*grid), 1.0)
    average, losses = None, []
    for number in range(num_steps):
        mask, slopes = mask_by_hand(seen, parameters)
        by_mask = dict.fromkeys(mask, 0.0)
        order = sorted(mask, key=mask.get)
        zeros = math.floor(len(order) * (1 - area))
        weight = area_weight * area_growth**number
        loss = 0.0
        across = mask[order[zeros]]  # cells as high as this one share what is 1 among them
        equal = [i for i, x in enumerate(order) if abs(mask[x] - across) < 1e-5]
        share = sum(i >= zeros for i in equal) / len(equal)
        for place, x in enumerate(order):
            loss += weight * (mask[x] - (place >= zeros)) ** 2 / len(order)
            wanted = share if place in equal else place >= zeros
            by_mask[x] += weight * 2 * (mask[x] - wanted) / len(order)
        mirrored = flip and number % 2 == 0
        seen_weights = weights[:, ::-1] if mirrored else weights
        for sign in {"preserve": (1,), "delete": (-1,), "dual": (1, -1)}[game]:
            shown = {
                x: show_by_hand(levels, mask[x] if sign > 0 else 1 - mask[x], x) for x in pixels
            }
            scores = sum(value @ seen_weights[x] for x, (value, _) in shown.items())
            wanted = np.eye(CLASSES)[target]
            if contrastive:
                others = [c for c in range(CLASSES) if c != target]
                wanted = wanted - np.eye(CLASSES)[max(others, key=lambda c: scores[c])]
            loss -= sign * wanted @ scores
            for x, (_, slope) in shown.items():
                # The mask turned around, and the reward with it: the signs cancel.
                by_mask[x] -= wanted @ (slope @ seen_weights[x])
        losses.append(loss)
        gradient = dict.fromkeys(parameters, 0.0)
        for x, by_node in slopes.items():
            for node, slope in by_node:
                gradient[node] += by_mask[x] * slope
        if average is None:
            average = gradient
        average = {n: momentum * average[n] + (1 - momentum) * gradient[n] for n in gradient}
        parameters = {
            n: min(1.0, max(0.0, p - learning_rate * average[n])) for n, p in parameters.items()
        }
    mask, _ = mask_by_hand(seen, parameters)
    return np.asarray([mask[x] for x in pixels]).reshape(SPATIAL), losses


def found(scene, areas, settings, target=1):
    weights, image = scene
    settings = {"smoothing": 0.0, **SMALL, **settings}
    method = functools.partial(saljax.extremal_perturbation, areas=areas, details=True, **settings)
    return jax.jit(method)(Partial(linear, weights), image, target)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"game": "delete", "perturbation": "fade", "flip": False},
        {"game": "dual", "contrastive": True},
    ],
    ids=["preserve", "delete", "dual"],
)
def test_equals_the_papers_equations(scene, settings):
    areas, steps = (0.4, 0.75), {"num_steps": 7, "learning_rate": 0.02}
    result = found(scene, areas, settings | steps)
    weights, image = scene
    color = perturb.mean_color(image)
    levels = perturb.blur_pyramid(image, 4, 2.0, color)
    if settings.pop("perturbation", "blur") == "fade":
        levels = jnp.stack([color, image])
    hand = [extremal_by_hand(weights, levels, 1, a, **settings, **steps) for a in areas]
    for mask, (expected, _) in zip(result.masks, hand, strict=True):
        assert expected.max() - expected.min() > 0.1
        np.testing.assert_allclose(mask, expected, atol=2e-4)
    np.testing.assert_allclose(result.losses, sum(np.asarray(h[1]) for h in hand), rtol=1e-4)
    np.testing.assert_allclose(result.saliency, sum(h[0] for h in hand), atol=4e-4)


def test_areas_together_are_areas_alone_and_their_sum_is_smoothed(scene):
    settings = {"num_steps": 7, "learning_rate": 0.02}
    together = found(scene, (0.4, 0.75), settings | {"smoothing": 0.3})
    for mask, area in zip(together.masks, (0.4, 0.75), strict=True):
        np.testing.assert_allclose(mask, found(scene, (area,), settings).saliency, atol=1e-5)
    smoothed = images.blur(together.masks.sum(0)[..., None], 0.3 * 5)[..., 0]
    np.testing.assert_allclose(together.saliency, smoothed, atol=1e-6)


@pytest.mark.parametrize("game", ["preserve", "delete", "dual"])
def test_finds_the_patch_that_is_looked_at(game):
    """16 of 144 pixels count; a mask of 0.15 of 19 x 19 pixels has room for them and its slopes."""
    weights = np.zeros((12, 12, 1, 2), np.float32)
    weights[7:11, 2:6, :, 0] = 1
    method = functools.partial(
        saljax.extremal_perturbation, areas=(0.15,), perturbation="fade", baseline=0.0, step=2,
        sigma=4.0, num_steps=200, smoothing=0.0, game=game, flip=False, learning_rate=0.02,
    )  # fmt: skip
    mask = jax.jit(method)(Partial(linear, jnp.asarray(weights)), jnp.ones((12, 12, 1)), 0)
    assert float(mask[7:11, 2:6].min()) > 0.8
    # What a node covers has fallen to exp(-2) at one and a half sigma, 6 pixels.
    assert float(mask.at[2:, :11].set(0).max()) < 0.2


def test_a_tolerance_ends_early(scene):
    result = found(scene, (0.4,), {"num_steps": 30, "tolerance": 1e9})
    assert jnp.isfinite(result.losses[:11]).all() and jnp.isnan(result.losses[11:]).all()


def test_memory_does_not_grow_with_the_number_of_steps(scene):
    weights, image = scene

    def temporary_bytes(num_steps):
        run = jax.jit(functools.partial(saljax.extremal_perturbation, num_steps=num_steps, **SMALL))
        compiled = run.lower(Partial(linear, weights), image, 1).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary_bytes(800) - temporary_bytes(8) <= 800 * 4


GRADIENTS = (1.0, 2.0, -1.0, 0.5)


def test_damped_momentum_step_by_step():
    """b = 1; .9 + .2 = 1.1; .99 - .1 = .89; .801 + .05 = .851."""
    optimizer = damped_momentum(0.1, 0.9)
    state = optimizer.init(jnp.zeros(()))
    for gradient, expected in zip(GRADIENTS, (1.0, 1.1, 0.89, 0.851), strict=True):
        update, state = optimizer.update(jnp.asarray(gradient), state)
        assert float(update) == pytest.approx(-0.1 * expected)


def test_damped_momentum_is_pytorchs():
    torch = pytest.importorskip("torch")
    theirs = torch.zeros((), requires_grad=True)
    sgd = torch.optim.SGD([theirs], lr=0.1, momentum=0.9, dampening=0.9)
    optimizer, ours = damped_momentum(0.1, 0.9), jnp.zeros(())
    state = optimizer.init(ours)
    for gradient in GRADIENTS:
        theirs.grad = torch.tensor(gradient)
        sgd.step()
        update, state = optimizer.update(jnp.asarray(gradient), state)
        ours = ours + update
        assert float(ours) == pytest.approx(theirs.item(), rel=1e-6)


def test_from_its_optimum_small_steps_stay_there(scene):
    """From nodes, one grid an area; and from one mask, which is resized to the grid, for all."""
    areas, still = (0.4, 0.75), {"num_steps": 3, "learning_rate": 1e-6}
    ended = found(scene, areas, {"num_steps": 60, "learning_rate": 0.02})
    stays = found(scene, areas, {**still, "initial": ended.nodes})
    np.testing.assert_allclose(stays.masks, ended.masks, atol=1e-4)
    assert float(stays.losses[0]) < float(ended.losses[0]) - 1
    of_pixels = found(scene, areas, {**still, "initial": ended.masks[0]})
    nodes = images.resize(ended.masks[0], ended.nodes.shape[1:])
    np.testing.assert_allclose(of_pixels.nodes, jnp.stack([nodes, nodes]), atol=1e-4)


def test_pictures_are_mirrored_and_signals_and_volumes_are_not():
    def mirrors(shape, **flip):
        score_fn = Partial(lambda images: images.reshape(len(images), -1)[:, :2])
        run = functools.partial(saljax.extremal_perturbation, num_steps=1, **flip)
        return "rev[" in str(jax.make_jaxpr(run)(score_fn, jnp.ones(shape), 0))

    assert mirrors((6, 5, 1)) and not mirrors((6, 5, 1), flip=False)
    assert not mirrors((6, 1)) and not mirrors((3, 4, 5, 1)) and mirrors((6, 1), flip=True)


def shapes(weights, images):
    """Logits: how well each of two shapes is seen where it is seen best."""
    seen = jax.lax.conv_general_dilated(
        images, weights, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return 8 * jax.nn.relu(seen).max((1, 2))


def test_of_two_shapes_in_28_by_28_pixels_the_right_one_is_found():
    """A plus, class 0, and the outline of a square, class 1, with all defaults but 300 steps."""
    plus, square = np.zeros((7, 7)), np.ones((7, 7))
    plus[3], plus[:, 3], square[1:-1, 1:-1] = 1, 1, 0
    image = np.zeros((28, 28, 1), np.float32)
    image[4:11, 4:11, 0], image[16:23, 17:24, 0] = plus, square
    kernels = np.stack([plus - plus.mean(), square - square.mean()], axis=-1)[:, :, None]
    kernels = jnp.asarray(2 * kernels / np.abs(kernels).sum((0, 1)), jnp.float32)
    run = jax.jit(functools.partial(saljax.extremal_perturbation, num_steps=300))
    for target, (own, other) in enumerate([(4, 16), (16, 4)]):
        saliency = run(Partial(shapes, kernels), jnp.asarray(image), target)
        on_own, on_other = (saliency[at : at + 7, at : at + 7].mean() for at in (own, other))
        assert float(on_own) > 3 * float(on_other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"areas": ()}, "`areas` must be a tuple of at least one number"),
        ({"areas": 0.1}, r"`areas` must be a tuple .* such as \(0.1,\); got 0.1"),
        ({"areas": (0.1, 10.0)}, r"`areas` must be in \(0, 1\]; got 10.0"),
        ({"areas": ("a",)}, "`areas` must be a number; got 'a'"),
        ({"area_growth": -1.0}, "`area_growth` must be greater than 0"),
        ({"game": "play"}, "`game` must be one of preserve, delete, dual; got 'play'"),
        ({"perturbation": "noise"}, "`perturbation` must be one of blur, fade"),
        ({"num_levels": 1}, "`num_levels` must be at least 2; got 1"),
        ({"step": 0}, "`step` must be greater than 0"),
        ({"sigma": 0.0}, "sigma"),
        ({"max_blur": -1.0}, "max_blur"),
        ({"sigma": (1.0, 2.0, 3.0)}, "`sigma` must be one number, or one for each of the 2 axes"),
        ({"nodes": "left"}, "`nodes` must be one of centered, corner"),
        ({"initial": np.ones((3, 4))}, r"`initial` .* \(6, 5\), alone or 1 of them.* \(3, 4\)"),
        ({"num_steps": 0}, "num_steps"),
        ({"smoothing": -0.1}, "`smoothing` must be at least 0"),
        ({"target": jnp.asarray([0, 1])}, "`target` must be one class index"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_wrong_hyperparameters(scene, settings, message):
    weights, image = scene
    with pytest.raises(ValueError, match=message):
        saljax.extremal_perturbation(Partial(linear, weights), image, **{"target": 0} | settings)


@pytest.mark.usefixtures("as_users_run")
def test_scores_in_a_tuple_are_refused(scene):
    weights, image = scene
    with pytest.raises(ValueError, match=r"must return scores \(N, K\), a row an image; got tuple"):
        saljax.extremal_perturbation(lambda images: (linear(weights, images),), image, 0)


def test_an_infinite_score_of_another_class_does_not_matter(scene):
    weights, image = scene
    run = jax.jit(functools.partial(saljax.extremal_perturbation, num_steps=3, **SMALL))

    def masked(weights, images):
        return linear(weights, images).at[:, 2].set(-jnp.inf)

    plain, other = (run(Partial(f, weights), image, 1) for f in (linear, masked))
    np.testing.assert_allclose(other, plain, rtol=1e-5)


def test_the_contrast_needs_another_class(scene):
    weights, image = scene
    with pytest.raises(ValueError, match="`contrastive` needs another class"):
        saljax.extremal_perturbation(
            Partial(linear, weights[..., :1]), image, 0, contrastive=True, num_steps=1, **SMALL
        )


def test_the_price_of_the_area_grows_as_printed():
    """300 x 1.0035^t: 4892 at t = 799, of a mask that does not move."""
    nothing = Partial(linear, jnp.zeros((*SPATIAL, CHANNELS, CLASSES)))
    run = functools.partial(saljax.extremal_perturbation, learning_rate=1e-12, details=True)
    image = jnp.ones((*SPATIAL, CHANNELS))
    losses = jax.jit(functools.partial(run, **SMALL))(nothing, image, 0).losses
    np.testing.assert_allclose(300 * losses[-1] / losses[0], 4892, rtol=1e-3)


def test_a_mesh_of_explicit_axes_may_be_set(cnn):
    run = functools.partial(saljax.extremal_perturbation, areas=(0.2,), num_steps=1)

    def explained():
        return saljax.explain(run, cnn.score_fn, cnn.image[None], [1], key=jax.random.key(0))

    expected = explained()
    explicit = (jax.sharding.AxisType.Explicit,)
    with jax.set_mesh(jax.make_mesh((8,), ("data",), axis_types=explicit)):
        found = explained()
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-5, atol=1e-6)
