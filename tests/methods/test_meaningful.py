import functools
import inspect
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from jax.tree_util import Partial

import saljax
from saljax.methods.optimization.meaningful import (
    DEFAULT,
    LOCALIZATION,
    meaningful_perturbation,
)
from saljax.methods.optimization.meaningful_at_layer import (
    LAYERS,
    UNCERTAIN,
    meaningful_perturbation_at_layer,
)
from saljax.ops import perturb

KEY = jax.random.key(3)
CLASSES = 4


def softmax_score(weights, images):
    return jax.nn.softmax(images.reshape(len(images), -1) @ weights)


def scorer(shape, seed=0, scale=0.4):
    weights = np.random.default_rng(seed).normal(0, scale, (math.prod(shape), CLASSES))
    return Partial(softmax_score, jnp.asarray(weights, jnp.float32))


def constant_score(images):
    return jnp.full((len(images), CLASSES), 0.25)


def picture(shape, seed=1):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=shape), jnp.float32)


def learn(score_fn, image, target, method=meaningful_perturbation, **settings):
    return jax.jit(functools.partial(method, **settings))(score_fn, image, target)


def probabilities(score_fn, image):
    """The same scorer in double precision, one image at a time."""
    logits = image.reshape(-1) @ np.asarray(score_fn.args[0], np.float64)
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def repetition(n, cells):
    """The cell in which a pixel's center lies, or half of both where it lies between two."""
    matrix = np.zeros((n, cells))
    for i in range(n):
        at = (2 * i + 1) * cells  # in halves of pixels, of which a cell has n / cells
        between = at % (2 * n) == 0
        matrix[i, at // (2 * n)] = 0.5 if between else 1
        if between:
            matrix[i, at // (2 * n) - 1] = 0.5
    return matrix


def blurring(n, sigma):
    reach = int(4 * sigma + 0.5)
    matrix = np.zeros((n, n))
    for i, away in itertools.product(range(n), range(-reach, reach + 1)):
        matrix[i, min(max(i + away, 0), n - 1)] += math.exp(-(away**2) / (2 * sigma**2))
    return matrix / matrix.sum(axis=1, keepdims=True)


def interpolation(n, pixels):
    """Linear, from pixel centers to more of them."""
    matrix = np.zeros((n, pixels))
    for i in range(n):
        at = min(max((i + 0.5) * pixels / n - 0.5, 0), pixels - 1)
        low = min(int(at), pixels - 2)
        matrix[i, low], matrix[i, low + 1] = low + 1 - at, at - low
    return matrix


def averaging(n, pixels):
    """Fewer pixels: each is a mean of those nearer than one of its own size, less the farther."""
    size = pixels / n
    away = ((np.arange(n) + 0.5) * size)[:, None] - (np.arange(pixels) + 0.5)[None]
    hats = np.maximum(1 - np.abs(away) / size, 0)
    return hats / hats.sum(axis=1, keepdims=True)


def along_axes(x, matrices):
    for axis, matrix in enumerate(matrices):
        x = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
    return x


def roughness(mask, beta, isotropic):
    """The mean over what may be next to a cell along each axis: the one after it, or before."""
    ways, total = list(itertools.product((1, -1), repeat=mask.ndim)), 0.0
    for way, cell in itertools.product(ways, np.ndindex(mask.shape)):
        steps = []
        for axis in range(mask.ndim):
            following = tuple(c + way[axis] * (a == axis) for a, c in enumerate(cell))
            inside = 0 <= following[axis] < mask.shape[axis]
            steps.append(mask[following] - mask[cell] if inside else 0.0)
        total += math.hypot(*steps) ** beta if isotropic else sum(abs(s) ** beta for s in steps)
    return total / len(ways)


def learned_literally(loss, start, steps, rate):
    """Adam with a gradient by central differences, and a clip."""
    mask, mean, square, losses = np.asarray(start, np.float64), 0.0, 0.0, []
    for t in range(1, steps + 1):
        losses.append(loss(mask, t - 1))
        gradient = np.zeros_like(mask)
        for cell in np.ndindex(mask.shape):
            ends = []
            for side in (1e-5, -1e-5):
                moved = mask.copy()
                moved[cell] += side
                ends.append(loss(moved, t - 1))
            gradient[cell] = (ends[0] - ends[1]) / 2e-5
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        mask = mask - rate * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        mask = np.clip(mask, 0, 1)
    return mask, losses


def price(mask, game, l1, tv, beta, isotropic):
    area = (1 - mask).sum() if game == "deletion" else mask.sum()  # the mask is in [0, 1]
    return l1 * area + tv * roughness(mask, beta, isotropic)


@pytest.mark.parametrize(
    ("shape", "sigma", "jitter", "settings"),
    [
        ((9, 10, 3), 1.2, 3, {"game": "deletion", "isotropic": True, "beta": 3.0}),
        ((14, 2), 1.0, 0, {"game": "preservation", "isotropic": True, "beta": 2.0, "top": 2}),
        ((4, 6, 5, 1), 0.7, 0, {"game": "preservation", "isotropic": False, "beta": 2.5}),
    ],
    ids=["picture", "signal", "volume"],
)
def test_equals_the_papers_equations(shape, sigma, jitter, settings):
    score_fn, image, cells, steps = scorer(shape), picture(shape), 3, 6
    spatial, weights = shape[:-1], {"l1": 0.03, "tv": 0.2}
    run = functools.partial(
        learn, score_fn, image, 1, key=KEY, num_steps=steps, mask_size=cells,
        mask_sigma=sigma, jitter=jitter, baseline=perturb.blurred(1.5), details=True,
    )  # fmt: skip
    found = run(init="uniform", learning_rate=0.2, **weights, **settings)

    larger = [interpolation(n + jitter, n) for n in spatial]
    around = along_axes(np.asarray(image, np.float64), larger)
    around_nothing = along_axes(around, [blurring(n + jitter, 1.5) for n in spatial])

    def crop(x, offset):
        return x[tuple(slice(o, o + n) for o, n in zip(offset, spatial, strict=True))]

    # Which offset a step has is seen in the score of the image as it is.
    offsets = [(0,) * len(spatial)] * steps
    if jitter:
        as_it_is = run(init="ones", learning_rate=1e-9, l1=0.0, tv=0.0).losses
        possible = list(itertools.product(range(jitter + 1), repeat=len(spatial)))
        seen = [probabilities(score_fn, crop(around, offset))[1] for offset in possible]
        offsets = [possible[np.abs(np.asarray(seen) - float(loss)).argmin()] for loss in as_it_is]
        assert len(set(offsets)) > 1

    classes = [1]
    if "top" in settings:
        classes = np.argsort(probabilities(score_fn, np.asarray(image, np.float64)))[-2:]
    enlarging = [blurring(n, sigma) @ repetition(n, cells) for n in spatial]
    play = {name: value for name, value in {**settings, **weights}.items() if name != "top"}

    def loss(mask, step):
        keep = along_axes(mask, enlarging)[..., None]
        shown, hidden = crop(around, offsets[step]), crop(around_nothing, offsets[step])
        score = probabilities(score_fn, keep * shown + (1 - keep) * hidden)[classes].sum()
        return price(mask, **play) + (score if settings["game"] == "deletion" else -score)

    mask, losses = learned_literally(loss, found.start, steps, 0.2)
    np.testing.assert_allclose(found.losses, losses, rtol=1e-3)
    np.testing.assert_allclose(found.mask, mask, atol=2e-3)
    assert float(found.mask.min()) >= 0 and float(found.mask.max()) <= 1
    assert np.abs(np.asarray(found.mask - found.start)).max() > 0.3
    kept = along_axes(mask, enlarging)
    heat = 1 - kept if settings["game"] == "deletion" else kept
    np.testing.assert_allclose(found.saliency, heat, atol=2e-3)


def test_a_whole_and_an_empty_mask():
    """m = 1 shows the image for nothing; m = 0 shows the blur and pays for all 144 cells."""
    score_fn, image = scorer((12, 12, 3)), picture((12, 12, 3))
    run = functools.partial(
        learn, score_fn, image, 2, key=KEY, num_steps=1, jitter=0, l1=0.01,
        baseline=perturb.blurred(2.0), details=True,
    )  # fmt: skip
    blurred = perturb.blurred(2.0)(image)
    assert float(run(init="ones").losses[0]) == pytest.approx(
        float(score_fn(image[None])[0, 2]), rel=1e-5
    )
    assert float(run(init="zeros").losses[0]) == pytest.approx(
        1.44 + float(score_fn(blurred[None])[0, 2]), rel=1e-5
    )


def test_a_score_that_never_changes_leaves_the_cheapest_mask():
    image = picture((8, 8, 3))
    run = functools.partial(
        learn, Partial(constant_score), image, 0, key=KEY, num_steps=30, mask_size=4, mask_sigma=1.0
    )
    deletion = run(details=True)
    assert float(deletion.start.max()) == 0  # no disc takes away 99 % of nothing
    np.testing.assert_allclose(deletion.saliency, np.zeros((8, 8)), atol=1e-6)
    np.testing.assert_allclose(run(init="half", game="preservation"), np.zeros((8, 8)), atol=1e-6)


def test_every_offset_is_drawn_and_image_and_baseline_move_together():
    shape, jitter, steps = (6, 7, 2), 3, 200
    score_fn, image = scorer(shape), picture(shape)
    baseline = picture(shape, seed=8)
    larger = [interpolation(n + jitter, n) for n in shape[:-1]]
    around = along_axes((np.asarray(image, np.float64) + np.asarray(baseline)) / 2, larger)
    possible = [
        probabilities(score_fn, around[i : i + 6, j : j + 7])[1]
        for i, j in itertools.product(range(jitter + 1), repeat=2)
    ]
    losses = learn(
        score_fn, image, 1, key=KEY, num_steps=steps, jitter=jitter, mask_size=3, init="half",
        learning_rate=1e-9, l1=0.0, tv=0.0, baseline=baseline, details=True,
    ).losses  # fmt: skip
    away = np.abs(np.asarray(losses)[:, None] - np.asarray(possible))
    assert away.min(axis=1).max() < 1e-5
    counts = np.bincount(away.argmin(axis=1), minlength=16)
    assert counts.min() > 200 / 16 / 3 and counts.max() < 200 / 16 * 2


def circle_literally(score, shape, game):
    """S2, section 2, radius by radius; pixels are those of an image of 224 x 224."""
    pixel = math.hypot(*shape) / math.hypot(224, 224)
    soft = [blurring(n, 10 * pixel) for n in shape]
    center = [(n - 1) / 2 for n in shape]
    whole, nothing = score(np.ones(shape)), score(np.zeros(shape))
    for radius in range(0, 176, 5):
        hard = np.zeros(shape)
        for place in np.ndindex(shape):
            hard[place] = math.dist(place, center) < radius * pixel
        disc = along_axes(hard, soft)
        keep = 1 - disc if game == "deletion" else disc
        share = (score(keep) - nothing) / (whole - nothing)
        if share < 0.01 if game == "deletion" else share >= 0.99:
            return keep, radius
    return np.zeros(shape), None


@pytest.mark.parametrize(("game", "top"), [("deletion", None), ("preservation", 2)])
def test_the_circle_is_the_smallest_that_does(game, top):
    size, cells = 20, 5
    weights = np.zeros((size, size, 3, CLASSES), np.float32)
    weights[6:15, 8:14, :, 1] = 0.15
    weights[9:11, 9:12, :, 2] = 0.3
    score_fn = Partial(softmax_score, jnp.asarray(weights.reshape(-1, CLASSES)))
    image = picture((size, size, 3))
    found = learn(
        score_fn, image, 1, key=KEY, num_steps=1, mask_size=cells, baseline=0.0, game=game, top=top,
        details=True,
    )  # fmt: skip

    picture_, classes = np.asarray(image, np.float64), [1, 2] if top else [1]

    def score(keep):
        return probabilities(score_fn, picture_ * keep[..., None])[classes].sum()

    keep, radius = circle_literally(score, (size, size), game)
    assert 20 < radius < 170
    np.testing.assert_allclose(
        found.start, along_axes(keep, [averaging(cells, size)] * 2), atol=1e-5
    )


def test_the_settings_of_the_supplement_are_configurations():
    assert LOCALIZATION == {"top": 5, "l1": 1e-3, "beta": 2.0}
    defaults = inspect.signature(meaningful_perturbation).parameters
    assert {name: defaults[name].default for name in DEFAULT} == DEFAULT
    assert DEFAULT == {"top": None, "l1": 1e-4, "beta": 3.0}
    run = functools.partial(meaningful_perturbation, **LOCALIZATION)
    image = jax.ShapeDtypeStruct((6, 6, 3), jnp.float32)
    weights = jnp.zeros((6 * 6 * 3, 5))
    assert jax.eval_shape(run, Partial(softmax_score, weights), image, 0, key=KEY).shape == (6, 6)
    with pytest.raises(ValueError, match="`top` must be at most the 4 classes; got 5"):
        jax.eval_shape(run, scorer((6, 6, 3)), image, 0, key=KEY)


@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_the_mask_finds_what_the_score_is_made_of(game):
    weights = np.zeros((16, 16, 3, 2), np.float32)
    weights[3:7, 8:12, :, 1] = 0.3
    score_fn = Partial(softmax_score, jnp.asarray(weights.reshape(-1, 2)))
    saliency = learn(
        score_fn, jnp.ones((16, 16, 3)), 1, key=KEY, game=game, mask_size=8, mask_sigma=1.0,
        num_steps=60, l1=2e-2, jitter=0, baseline=0.0,
    )  # fmt: skip
    evidence = np.zeros((16, 16), bool)
    evidence[3:7, 8:12] = True
    saliency = np.asarray(saliency)
    assert saliency[evidence].mean() > 3 * saliency[~evidence].mean()
    assert evidence.ravel()[saliency.argmax()]


def test_from_its_optimum_small_steps_stay_there():
    """m itself, and a mask of the image's size, which is brought to the cells."""
    shape = (9, 12, 3)
    run = functools.partial(
        learn, scorer(shape), picture(shape), 1, key=KEY, mask_size=(3, 4), jitter=0, l1=0.03,
        tv=0.2, details=True,
    )  # fmt: skip
    ended = run(num_steps=60, init="half")
    stays = run(num_steps=3, learning_rate=1e-6, initial=ended.mask)
    np.testing.assert_allclose(stays.saliency, ended.saliency, atol=1e-5)
    np.testing.assert_array_equal(stays.start, ended.mask)
    assert float(stays.losses[0]) <= float(ended.losses[-1]) + 1e-6
    mask = 2 * picture((*shape, 1))[:, :, 0, 0] - 0.5
    begun = run(num_steps=1, learning_rate=1e-6, initial=mask).start
    means = along_axes(np.asarray(mask), [averaging(3, 9), averaging(4, 12)])
    np.testing.assert_allclose(begun, np.clip(means, 0, 1), atol=1e-5)
    with pytest.raises(ValueError, match=r"`initial` .* \(9, 12\), .* \(3, 4\) .*\(5, 4\)"):
        run(num_steps=1, initial=jnp.ones((5, 4)))


def bright(weights, images):
    """Whether it is bright where weights are, of any rank."""
    mean = jnp.tensordot(images, weights, images.ndim - 1)
    return jax.nn.softmax(jnp.stack([12 * (mean - 0.65), jnp.zeros_like(mean)], axis=-1))


def test_in_a_small_video_the_maximum_is_where_the_evidence_is():
    shape = (6, 24, 30)
    evidence = np.zeros(shape, bool)
    evidence[2:4, 4:9, 18:24] = True
    image = np.random.default_rng(0).uniform(0.2, 0.5, size=shape)
    image[evidence] = 1
    weights = jnp.asarray(evidence[..., None] / evidence.sum(), jnp.float32)
    image = jnp.asarray(image[..., None], jnp.float32)
    saliency = learn(Partial(bright, weights), image, 0, key=KEY, num_steps=60)
    assert evidence[np.unravel_index(saliency.argmax(), shape)]


def test_images_of_a_batch_do_not_know_each_other():
    """Each stops for itself; one by one, as one batch and on eight devices they are the same."""
    shape = (9, 9, 3)
    score_fn = scorer(shape, scale=0.1)
    images = jnp.stack([picture(shape, seed) for seed in range(8)])
    targets = np.arange(8) % CLASSES
    method = functools.partial(
        meaningful_perturbation, num_steps=60, mask_size=4, mask_sigma=1.0, tolerance=2e-3,
        details=True,
    )  # fmt: skip
    together = saljax.explain(method, score_fn, images, targets, key=KEY)
    taken = (~np.isnan(together.losses)).sum(axis=1)
    assert len(set(taken.tolist())) > 2 and taken.max() < 60
    mesh = jax.make_mesh((8,), ("data",))
    sharded = jax.device_put(images, NamedSharding(mesh, PartitionSpec("data")))
    on_eight = saljax.explain(method, score_fn, sharded, targets, key=KEY)
    assert len(on_eight.saliency.sharding.device_set) == 8
    np.testing.assert_array_equal((~np.isnan(on_eight.losses)).sum(axis=1), taken)
    np.testing.assert_allclose(on_eight.saliency, together.saliency, atol=1e-3)
    one = jax.jit(method)
    for i in (int(taken.argmin()), int(taken.argmax())):
        alone = one(score_fn, images[i], targets[i], key=jax.random.fold_in(KEY, i))
        assert (~np.isnan(alone.losses)).sum() == taken[i]
        np.testing.assert_allclose(together.saliency[i], alone.saliency, atol=1e-3)


def test_a_step_costs_one_pass_forward_and_back():
    """And the circle one chunk of passes forward; XLA counts the body of a loop once."""

    def network(weights, images):
        first, last = weights
        return jax.nn.softmax(jax.nn.relu(images.reshape(len(images), -1) @ first) @ last)

    score_fn = Partial(network, (jnp.ones((32 * 32 * 3, 3000)), jnp.ones((3000, CLASSES))))
    image = picture((32, 32, 3))

    def flops(fn, *args):
        return jax.jit(fn).lower(*args).compile().cost_analysis()["flops"]

    def step(f, x):
        return jax.value_and_grad(lambda x: f(x[None])[0, 1])(x)

    bare = flops(step, score_fn, image)
    run = functools.partial(meaningful_perturbation, key=KEY, jitter=4)
    whole = flops(lambda f, x: run(f, x, 1, init="ones"), score_fn, image)
    assert bare <= whole < 1.1 * bare


def test_wrong_hyperparameters():
    score_fn, image = scorer((6, 6, 3)), picture((6, 6, 3))
    for settings, message in [
        ({"num_steps": 0}, "`num_steps` must be greater than 0; got 0"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"beta": 0.0}, "beta"),
        ({"l1": -1.0}, "`l1` must be at least 0; got -1.0"),
        ({"tv": -1.0}, "tv"),
        ({"mask_size": 0}, "mask_size"),
        ({"mask_sigma": -1.0}, "mask_sigma"),
        ({"jitter": -1}, "jitter"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"top": 0}, "`top` must be greater than 0; got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            learn(score_fn, image, 1, key=KEY, **settings)
    with pytest.raises(ValueError, match="one class index"):
        learn(score_fn, image, jnp.asarray([0, 1]), key=KEY)


@pytest.mark.usefixtures("as_users_run")
def test_words_and_types_that_are_wrong():
    score_fn, image = scorer((6, 6, 3)), picture((6, 6, 3))
    with pytest.raises(ValueError, match="`jitter` must be a whole number; got 1.5"):
        learn(score_fn, image, 1, key=KEY, jitter=1.5)
    with pytest.raises(ValueError, match="`target` must be a class index; got float32"):
        learn(score_fn, image, 1.5, key=KEY)
    with pytest.raises(ValueError, match="`game` must be one of deletion, preservation; got 'win'"):
        learn(score_fn, image, 1, key=KEY, game="win")
    with pytest.raises(ValueError, match="`init` must be one of circle, uniform, half.*'ring'"):
        learn(score_fn, image, 1, key=KEY, init="ring")
    with pytest.raises(ValueError, match="`init` must be one of circle, half.*'uniform'"):
        learn(layered(), image, 1, meaningful_perturbation_at_layer, init="uniform")


def layers(weights, images):
    first, last = weights
    hidden = saljax.tag(jax.nn.relu(images @ first), "hidden")
    skip = images.mean((1, 2, 3))[:, None] * jnp.arange(CLASSES, dtype=jnp.float32)[None]
    return jax.nn.softmax(saljax.tag((hidden**2).mean((1, 2)), "pooled") @ last + skip)


def layered():
    rng = np.random.default_rng(5)
    weights = rng.normal(size=(3, 6)), rng.normal(size=(6, CLASSES)) * 3
    return Partial(layers, tuple(jnp.asarray(w, jnp.float32) for w in weights))


@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_a_mask_of_a_layer_equals_the_papers_equations(game):
    score_fn, image, steps = layered(), picture((6, 7, 3)), 6
    first, last = (np.asarray(w, np.float64) for w in score_fn.args[0])
    x = np.asarray(image, np.float64)
    activation = np.maximum(x @ first, 0)
    play = {"game": game, "l1": 0.01, "tv": 0.05, "beta": 3.0, "isotropic": True}

    def score(mask):
        logits = ((mask[..., None] * activation) ** 2).mean((0, 1)) @ last
        logits = logits + x.mean() * np.arange(CLASSES)
        return (np.exp(logits) / np.exp(logits).sum())[1]

    def loss(mask, step):
        return price(mask, **play) + (score(mask) if game == "deletion" else -score(mask))

    found = learn(
        score_fn, image, 1, meaningful_perturbation_at_layer, layer="hidden", num_steps=steps,
        learning_rate=0.05, resize=False, **play, details=True,
    )  # fmt: skip

    keep, _ = circle_literally(score, (6, 7), game)
    np.testing.assert_allclose(found.start, keep, atol=1e-5)
    mask, losses = learned_literally(loss, keep, steps, 0.05)
    np.testing.assert_allclose(found.losses, losses, rtol=1e-3)
    np.testing.assert_allclose(found.mask, mask, atol=2e-3)
    np.testing.assert_allclose(found.saliency, 1 - mask if game == "deletion" else mask, atol=2e-3)


def test_layers_without_places_are_refused():
    with pytest.raises(ValueError, match="'pooled' is .6,., .* needs 2 spatial axes"):
        meaningful_perturbation_at_layer(layered(), picture((6, 7, 3)), 1, layer="pooled")


def test_the_table_of_layers_is_the_printed_one():
    printed = """
        alexnet pool1 1e-4 1e-2, alexnet pool2 5e-3 1e-2, alexnet conv3 5e-3 1e-2,
        alexnet conv4 5e-3 1e-2, alexnet pool5 1e-2 1e-3, vgg16 pool1 5e-5 1e-2,
        vgg16 pool2 1e-4 1e-2, vgg16 pool3 1e-4 1e-2, vgg16 pool4 5e-3 1e-2, vgg16 pool5 1e-2 1e-3
    """
    rows = [row.split() for row in printed.split(",")]
    assert {(n, layer): {"l1": float(a), "tv": float(b)} for n, layer, a, b in rows} == LAYERS
    assert UNCERTAIN == {("vgg16", "pool1"): {"l1": 5e-6}, ("vgg16", "pool3"): {"l1": 1e-3}}


def test_a_mask_of_nothing_shows_the_baseline_and_costs_all_its_cells():
    """From 0 everywhere the first loss is the score of noise and 6 x 6 times the price."""
    noise = jax.random.uniform(KEY, (6, 6, 3))
    score_fn = scorer((6, 6, 3))
    found = learn(
        score_fn, picture((6, 6, 3)), 1, key=KEY, init="zeros", baseline=noise, jitter=0,
        num_steps=1, l1=1e-3, details=True,
    )  # fmt: skip
    np.testing.assert_allclose(found.losses[0], score_fn(noise[None])[0, 1] + 0.036, rtol=1e-5)


def test_the_table_of_layers_names_layers_of_the_sizes_that_are_printed():
    from saljax.core import taps
    from saljax.models.constructors import abstract

    sizes = {
        "alexnet": {"pool1": 27, "pool2": 13, "conv3": 13, "conv4": 13, "pool5": 6},
        "vgg16": {"pool1": 112, "pool2": 56, "pool3": 28, "pool4": 14, "pool5": 7},
    }
    assert (
        set(LAYERS) == {(name, layer) for name in sizes for layer in sizes[name]} > set(UNCERTAIN)
    )
    for name, layers_of in sizes.items():
        shapes = {}
        jax.eval_shape(
            lambda f, x, shapes=shapes: shapes.update(taps.tagged(f, x)),
            abstract(name, num_classes=1000),
            jnp.zeros((224, 224, 3)),
        )
        assert {layer: shapes[layer][:2] for layer in layers_of} == {
            layer: (side, side) for layer, side in layers_of.items()
        }
