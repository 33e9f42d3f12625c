"""Dynamic masks against S0's algorithms written out, and against closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.methods.optimization.dynamic_masks import by_maximum


def saturating(weights, images):
    """Two classes: a smooth probability of a linear evidence, and its complement."""
    first = jax.nn.sigmoid(images.reshape(len(images), -1) @ weights - 0.5)
    return jnp.stack([first, 1 - first], axis=1)


def saturating_by_hand(weights, image):
    return 1 / (1 + np.exp(0.5 - (image.ravel() * weights).sum()))


def adds_up(weights, images):
    return images.reshape(len(images), -1) @ weights[:, None]


def compiled(method, score_fn, image, **settings):
    return jax.jit(functools.partial(method, target=0, **settings))(score_fn, image)


@pytest.fixture
def picture():
    rng = np.random.default_rng(3)
    return rng.uniform(size=(6, 5, 2)), rng.normal(0.05, 0.15, size=60)


def upsampled(cells, shape):
    """Linear interpolation between cell centers, the outermost repeated outside, point by point."""
    for axis, n in enumerate(shape):
        rows = []
        for i in range(n):
            at = (i + 0.5) * cells.shape[axis] / n - 0.5
            low = int(np.floor(at))
            share = at - low
            a, b = (np.clip(j, 0, cells.shape[axis] - 1) for j in (low, low + 1))
            rows.append((1 - share) * cells.take(a, axis) + share * cells.take(b, axis))
        cells = np.stack(rows, axis)
    return cells


def slope(loss, x, tiny=1e-6):
    out = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[i], down[i] = x[i] + tiny, x[i] - tiny
        out[i] = (loss(up) - loss(down)) / (2 * tiny)
    return out


def adam(loss, x, rate, steps):
    mean, square = np.zeros_like(x), np.zeros_like(x)
    for t in range(1, steps + 1):
        g = slope(loss, x)
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        x = x - rate * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
    return x


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def algorithm_1(f, image, sizes, chains, steps, rate, weight, threshold):
    """S0, algorithm 1, line by line; lambda is weight / number of cells."""
    spatial = image.shape[:2]
    black = np.zeros(image.shape)

    def score(mask):
        return f(image * mask[..., None] + black * (1 - mask[..., None]))

    whole, maps = score(np.ones(spatial)), []
    for size in sizes:

        def first(theta):
            d = sigmoid(theta)
            return (whole - score(upsampled(d, spatial))) ** 2 + weight * d.mean()

        d = sigmoid(adam(first, np.zeros((size, size)), rate, steps))
        for chain in chains:
            below, goal = d, score(upsampled(d, spatial))
            maps.append(upsampled(d, spatial))
            for larger in chain:

                def finer(c, below=below):
                    return upsampled(c * upsampled(below, c.shape), spatial)

                def loss(theta, goal=goal, finer=finer):
                    c = sigmoid(theta)
                    return (goal - score(finer(c))) ** 2 + weight * c.mean()

                c = sigmoid(adam(loss, np.zeros((larger, larger)), rate, steps))
                goal, below = score(finer(c)), c
                maps.append(upsampled(c, spatial))
    together = np.maximum(np.mean(maps, axis=0) - threshold, 0)
    return together / together.max(), maps


def test_algorithm_1_line_by_line(picture):
    image, weights = picture
    expected, maps = algorithm_1(
        functools.partial(saturating_by_hand, weights),
        image, sizes=(2, 3), chains=((4,), (3, 5)), steps=6, rate=0.3, weight=0.1, threshold=0.2,
    )  # fmt: skip
    found = compiled(
        saljax.dynamic_masks,
        Partial(saturating, jnp.asarray(weights, jnp.float32)),
        jnp.asarray(image, jnp.float32),
        sizes=(2, 3),
        auxiliary=((4,), (3, 5)),
        num_steps=6,
        learning_rate=0.3,
        threshold=0.2,
        baseline=0.0,
        details=True,
    )
    # The library goes level by level, the algorithm vector by vector and chain by chain.
    by_level = [maps[i] for i in (0, 2, 5, 7, 1, 3, 6, 8, 4, 9)]
    np.testing.assert_allclose(found.masks, by_level, atol=2e-4)
    np.testing.assert_allclose(found.saliency, expected, atol=1e-3)
    assert found.losses.shape == (3, 6)


def of_four(lam, contributions, **settings):
    """A signal of four pixels, each adding its own to the score."""
    return compiled(
        saljax.dynamic_masks,
        Partial(adds_up, jnp.asarray(contributions, jnp.float32)),
        jnp.ones((4, 1)),
        sizes=(4,),
        auxiliary=(),
        area_weight=4 * lam,
        parameters="clip",
        baseline=0.0,
        details=True,
        **settings,
    )


def test_a_linear_score_orders_the_mask():
    found = of_four(0.1, [0.4, 0.3, 0.2, 0.1], num_steps=800, learning_rate=0.01)
    np.testing.assert_allclose(found.masks[0], [1, 1, 0.25, 0], atol=5e-3)
    np.testing.assert_allclose(found.saliency, [1, 1, 0.25, 0], atol=5e-3)


def test_equal_contributions_have_a_closed_form():
    found = of_four(0.1, [0.25] * 4, num_steps=500, learning_rate=0.01)
    np.testing.assert_allclose(found.masks[0], 1 - 0.1 / (2 * 4 * 0.25**2), atol=2e-3)


def test_the_first_mask_is_one_half_and_without_a_price_the_best_is_one():
    found = of_four(0.0, [0.4, 0.3, 0.2, 0.1], num_steps=300, learning_rate=0.05)
    assert float(found.losses[0, 0]) == pytest.approx((1 - 0.5) ** 2)
    assert float(found.losses[0, -1]) == pytest.approx(0, abs=1e-6)


def test_a_threshold_above_everything_gives_zeros():
    found = of_four(0.1, [0.4, 0.3, 0.2, 0.1], num_steps=3, threshold=0.99)
    assert (found.saliency == 0).all()


def test_by_maximum():
    np.testing.assert_array_equal(by_maximum(jnp.full((2, 2), 0.3)), jnp.ones((2, 2)))
    np.testing.assert_array_equal(by_maximum(jnp.zeros((2, 2))), jnp.zeros((2, 2)))


def hierarchy(picture, **settings):
    image, weights = picture
    score_fn = Partial(saturating, jnp.asarray(weights, jnp.float32))
    image = jnp.asarray(image, jnp.float32)
    few = dict(sizes=(2, 3), auxiliary=((4,),), num_steps=5, learning_rate=0.5, baseline=0.0)
    found = compiled(
        saljax.hierarchical_dynamic_masks, score_fn, image, **{**few, **settings}, details=True
    )
    masks_of = jax.jit(lambda x: saljax.dynamic_masks(score_fn, x, 0, **few))
    return found, masks_of, image


def test_each_stage_explains_what_the_ones_before_left(picture):
    found, masks_of, image = hierarchy(picture, num_stages=3)
    left = image
    for i, stage in enumerate(found.stages):
        np.testing.assert_allclose(stage, masks_of(left), atol=1e-4)
        erased = found.stages[: i + 1].sum(axis=0)
        left = (1 - erased / erased.max())[..., None] * image


@pytest.mark.parametrize("literal", [False, True])
def test_algorithm_2_weights_line_by_line(picture, literal):
    found, _, _ = hierarchy(picture, num_weight_steps=7, literal_weights=literal)
    image, weights = picture
    stages = np.asarray(found.stages, np.float64)

    def mixed(v):
        total, summed = 0.0, np.zeros(image.shape[:2])
        for i in range(3):
            w = 0.0
            for j in range(i, 3):
                w += v[i] ** 2 if literal else v[j] ** 2
            total, summed = total + w, summed + w * stages[i]
        return summed / total

    def loss(v):
        kept = saturating_by_hand(weights, mixed(v)[..., None] * image)
        return (saturating_by_hand(weights, image) - kept) ** 2 + 0.1 * mixed(v).mean()

    v = adam(loss, np.ones(3), 0.05, 7)
    np.testing.assert_allclose(found.saliency, mixed(v), atol=1e-3)
    assert float(found.weights.sum()) == pytest.approx(1)
    if not literal:
        assert found.weights[0] >= found.weights[1] >= found.weights[2]


@pytest.mark.parametrize("literal", [False, True])
def test_equal_v_gives_falling_weights_and_one_stage_is_dynamic_masks(picture, literal):
    found, masks_of, image = hierarchy(
        picture, num_stages=4, weight_learning_rate=1e-9, literal_weights=literal
    )
    np.testing.assert_allclose(found.weights, [0.4, 0.3, 0.2, 0.1], atol=1e-5)
    assert (found.saliency <= found.stages.max(axis=0) + 1e-6).all()
    assert (found.saliency >= found.stages.min(axis=0) - 1e-6).all()
    one, _, _ = hierarchy(picture, num_stages=1)
    np.testing.assert_allclose(one.saliency, masks_of(image), atol=1e-5)


def test_wrong_settings_are_said_in_one_line(picture, as_users_run):
    image, weights = picture
    score_fn = Partial(saturating, jnp.asarray(weights, jnp.float32))
    image = jnp.asarray(image, jnp.float32)
    for settings, said in [
        (dict(sizes=()), "`sizes` must be a tuple of at least one number"),
        (dict(sizes=5), "`sizes` must be a tuple .* got 5"),
        (dict(auxiliary=(28,)), r"`auxiliary\[0\]` must be a tuple .* got 28"),
        (dict(threshold=1.0), "`threshold` must be less than 1; got 1.0"),
        (dict(sizes=(0,)), "`sizes` must be greater than 0"),
        (dict(auxiliary=((2.5,),)), r"`auxiliary\[0\]` must be a whole number; got 2.5"),
        (dict(auxiliary=None), r"`auxiliary` must be a tuple of chains, \(\) for none; got None"),
        (dict(threshold=np.float32(1.5)), "`threshold` must be less than 1; got 1.5"),
        (dict(tolerance=-1.0), "`tolerance` must be at least 0"),
        (dict(num_steps=0), "`num_steps`"),
        (dict(parameters="tanh"), "`parameters` must be one of sigmoid, clip"),
    ]:
        with pytest.raises(ValueError, match=said):
            saljax.dynamic_masks(score_fn, image, 0, **settings)
    with pytest.raises(ValueError, match="one class index"):
        saljax.dynamic_masks(score_fn, image, jnp.array([0, 1]))


@pytest.mark.parametrize("method", ["dynamic_masks", "hierarchical_dynamic_masks"])
def test_a_tolerance_stops_each_image_for_itself(picture, method):
    image, weights = picture
    score_fn = Partial(saturating, jnp.asarray(weights, jnp.float32))
    run = functools.partial(
        getattr(saljax, method), sizes=(2,), auxiliary=((3,),), num_steps=40, learning_rate=0.5,
        tolerance=1e-3, details=True,
    )  # fmt: skip
    images = jnp.stack([jnp.asarray(image, jnp.float32) * scale for scale in (1.0, 0.2, 0.0)])
    found = saljax.explain(run, score_fn, images, [0, 0, 1])
    for i, target in enumerate([0, 0, 1]):
        alone = saljax.explain(run, score_fn, images[i : i + 1], [target])
        np.testing.assert_allclose(found.saliency[i], alone.saliency[0], atol=1e-4)
    if method == "dynamic_masks":
        assert np.isnan(found.losses[:, 0]).any(axis=1).all()  # ended before 40 steps


def test_after_a_stage_that_is_one_everywhere_nothing_is_left():
    """A single cell that costs nothing keeps the whole image: the next stage sees the baseline."""
    image, score_fn = jnp.ones((3, 3, 1)), Partial(adds_up, jnp.full(9, 1 / 9))
    run = functools.partial(
        saljax.hierarchical_dynamic_masks, sizes=(1,), auxiliary=(), num_steps=3, baseline=0.25,
        num_stages=2, num_weight_steps=1, details=True,
    )  # fmt: skip
    found = jax.jit(run)(score_fn, image, 0)
    np.testing.assert_allclose(found.stages[0], 1, rtol=1e-6)
    of_nothing = saljax.dynamic_masks(
        score_fn, jnp.full((3, 3, 1), 0.25), 0, sizes=(1,), auxiliary=(), num_steps=3, baseline=0.25
    )
    np.testing.assert_allclose(found.stages[1], of_nothing, rtol=1e-5)


def test_the_rate_of_clipped_masks_is_half_of_the_others():
    image, score_fn = jnp.ones((3, 3, 1)), Partial(adds_up, jnp.full(9, 1 / 9))
    run = functools.partial(
        saljax.dynamic_masks, score_fn, image, 0, sizes=(1,), auxiliary=(), num_steps=1,
        area_weight=0.0, details=True,
    )  # fmt: skip
    # The first step of Adam is the rate, whatever the gradient.
    clipped = run(parameters="clip", baseline=0.0).masks[0, 0, 0]
    free = run(parameters="sigmoid", baseline=0.0).masks[0, 0, 0]
    np.testing.assert_allclose([clipped, free], [0.55, 1 / (1 + np.exp(-0.1))], rtol=1e-4)


@pytest.mark.parametrize("method", ["dynamic_masks", "hierarchical_dynamic_masks"])
def test_images_in_half_precision_have_masks_in_single(picture, method):
    """Adam's epsilon, 1e-8, is 0 in half precision."""
    image, weights = picture

    def score(weights, images):
        return saturating(weights, images.astype(jnp.float32))

    score_fn = Partial(score, jnp.asarray(weights, jnp.float32))
    run = functools.partial(
        compiled, getattr(saljax, method), score_fn, sizes=(2,), auxiliary=((3,),), num_steps=20
    )
    half = jnp.asarray(image, jnp.float16)
    np.testing.assert_allclose(run(half), run(half.astype(jnp.float32)), atol=5e-3)
