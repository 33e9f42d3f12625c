"""Infidelity, sensitivity and the sanity checks, on tiny classifiers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.tree_util import Partial

import saljax
from saljax import metrics, models
from saljax.evaluation.references import center, random
from saljax.metrics.robustness import parameters
from saljax.metrics.robustness.shuffled import shuffled
from saljax.ops import maps

SHAPE = (6, 8)
RNG = np.random.default_rng(0)
IMAGE = jnp.asarray(RNG.uniform(size=(*SHAPE, 3)), jnp.float32)
MEAN = np.broadcast_to(np.asarray(IMAGE).mean((0, 1)), IMAGE.shape)
MAP = jnp.asarray(RNG.normal(size=SHAPE), jnp.float32)


def linear(weights, images):
    return jnp.matmul(images.reshape(len(images), -1), weights, precision="highest")


def network(weights, images):
    """Its layers in another order than their names have."""
    x = jax.nn.tanh(linear(weights["stem"]["kernel"], images) + weights["stem"]["bias"][None])
    x = jax.nn.tanh(linear(weights["middle"]["kernel"], x))
    return linear(weights["head"]["kernel"], x)


def normal(*shape):
    return jnp.asarray(RNG.normal(0, 0.3, shape), jnp.float32)


LINEAR = Partial(linear, normal(144, 3))
NETWORK = Partial(
    network,
    {
        "head": {"kernel": normal(5, 4)},
        "middle": {"kernel": normal(7, 5)},
        "stem": {"kernel": normal(144, 7), "bias": normal(7)},
    },
)
SIGNED = functools.partial(saljax.gradient, reduce=maps.total)


def compiled(metric, *functions, **settings):
    return jax.jit(lambda *arrays: metric(*functions, *arrays, **settings))


def first_weights(target):
    return LINEAR.args[0][:, target].reshape(IMAGE.shape)


def test_infidelity_of_contributions_is_zero_whatever_their_scale(key):
    contributions = ((IMAGE - MEAN) * first_weights(1)).sum(-1)
    found = compiled(metrics.infidelity, LINEAR, IMAGE, 1, key=key, num_samples=60, chunk_size=7)
    scale = found(jnp.zeros(SHAPE))  # E[d^2]
    assert scale > 1e-3
    for factor in (1, 3, -1e-12):
        assert found(factor * contributions) < 1e-5 * scale
    plain = compiled(metrics.infidelity, LINEAR, IMAGE, 1, key=key, num_samples=60, normalize=False)
    assert plain(contributions) < 1e-5 * scale
    # f(x) - f(x - I) is d, and the map says 3 d.
    np.testing.assert_allclose(plain(3 * contributions), 4 * scale, rtol=1e-3)
    np.testing.assert_allclose(plain(jnp.zeros(SHAPE)), scale, rtol=1e-5)
    assert 0 < found(MAP) < scale


def test_infidelity_of_a_constant_score_is_what_the_map_says(key):
    flat = Partial(linear, jnp.zeros((144, 3)))
    settings = {"key": key, "num_samples": 40, "max_side": 1}
    raw = compiled(metrics.infidelity, flat, IMAGE, 0, normalize=False, **settings)
    assert raw(jnp.ones(SHAPE)) == 1  # squares of one pixel
    assert compiled(metrics.infidelity, flat, IMAGE, 0, **settings)(MAP) == 0


def test_every_square_is_drawn_and_none_reaches_outside(key):
    """A map of powers tells where a square was, a score of them too."""
    places = jnp.asarray(2.0 ** np.arange(12).reshape(3, 4))

    def score_fn(images):
        gone = (1 - images[..., 0]) * places[None]
        return -gone.sum((1, 2))[:, None]

    found = compiled(
        metrics.infidelity, score_fn, jnp.ones((3, 4, 1)), 0, key=key, num_samples=300, max_side=2,
        normalize=False, baseline=0.0,
    )  # fmt: skip
    assert found(places) < 1e-6
    from_map = jnp.zeros((3, 4)).at[0, 0].set(1)
    # The corner is in 1 of 12 single pixels and 1 of 6 squares: E = (1/12 + 1/6) / 2 of them.
    alone = compiled(
        metrics.infidelity, Partial(linear, jnp.zeros((12, 1))), jnp.ones((3, 4, 1)), 0, key=key,
        num_samples=2000, max_side=2, normalize=False,
    )  # fmt: skip
    np.testing.assert_allclose(alone(from_map), (1 / 12 + 1 / 6) / 2, atol=0.02)


def test_gaussian_infidelity_of_the_gradient(key):
    settings = {"key": key, "num_samples": 50, "perturbation": "gaussian", "normalize": False}
    found = compiled(metrics.infidelity, LINEAR, IMAGE, 1, **settings)
    raw = first_weights(1)
    assert found(raw) < 1e-6 < 1e-3 < found(2 * raw)
    with pytest.raises(ValueError, match="must be raw, with the image's shape"):
        found(MAP)


def test_sensitivity(key):
    one = functools.partial(metrics.sensitivity, key=key, num_samples=30)
    of_linear = jax.jit(lambda image: one(saljax.gradient, LINEAR, image, 1))(IMAGE)
    assert of_linear == (0, 0)  # the gradient of a linear score is the same everywhere

    def times_input(score_fn, image, target):
        return (image * jnp.asarray([[3.0], [4.0]])).sum(-1)

    settings = {"key": key, "num_samples": 300}
    image = jnp.ones((2, 1))
    found = jax.jit(lambda x: metrics.sensitivity(times_input, LINEAR, x, 0, **settings))(image)
    literal = []
    for index in range(1, 301):
        d = jax.random.uniform(jax.random.fold_in(key, index), (2, 1), minval=-1, maxval=1)
        literal.append(float(jnp.linalg.norm(0.02 * d[:, 0] * jnp.asarray([3.0, 4]))) / 5)
    np.testing.assert_allclose(found, [max(literal), np.mean(literal)], rtol=1e-3)
    assert 0.018 < found.largest <= 0.02  # r |w| / |w x|

    @jax.jit
    def others(image):
        given = LINEAR, image, 0
        return (
            metrics.max_sensitivity(times_input, *given, **settings),
            metrics.sensitivity(times_input, *given, key=key, radius=0.0),
            metrics.sensitivity(lambda *_: jnp.zeros(2), *given, key=key),
        )

    largest, still, of_zeros = others(image)
    assert largest == found.largest and still == (0, 0) and np.isnan(of_zeros).all()


def test_random_methods_draw_the_same_for_all_maps(key):
    """`random` does not look at the image: all that could move its map is its key."""
    for method in (random, functools.partial(random, key=jax.random.key(3))):
        assert compiled(metrics.sensitivity, method, LINEAR, key=key)(IMAGE, 0) == (0, 0)


def test_layers_in_order_of_use():
    found = parameters.layers(NETWORK, IMAGE)
    names = ["['stem']", "['middle']", "['head']"]
    assert [layer.name for layer in found] == names and len(found[0].leaves) == 2
    birdlets = models.load("birdlets")
    inside = saljax.scores.preprocess(birdlets, [0.1, 0.2, 0.3], [1.0, 1.0, 1.0])
    image = jnp.zeros(models.info("birdlets").input_shape)
    found = [one.name for one in parameters.layers(saljax.scores.probabilities(inside), image)]
    blocks = ["block1", "block2", "block3", "block4[0]", "block4[1]"]
    assert found == ["stem", *blocks, "head"]


@pytest.mark.parametrize("name", [".norm.mean.value", "['batch_stats']['x']", ".bn.running_var"])
def test_statistics_are_no_parameters(name):
    assert not parameters.is_parameter(name, jnp.ones(3))
    assert parameters.is_parameter(".mean_head.kernel", jnp.ones((3, 3)))


def test_shuffled_values_are_the_same_in_another_order(key, monkeypatch):
    """No more alike, and neighbors no nearer, than chance has it; each place as likely."""
    monkeypatch.setattr("saljax.metrics.robustness.shuffled.BLOCK", 1500)
    sizes = [2049, 7, 3000]  # a power of two and one more is sent on most often
    arrays = [jnp.arange(size, dtype=jnp.float32).reshape(1, -1) for size in sizes]
    many = jax.jit(jax.vmap(lambda own: shuffled(arrays, jax.random.split(own, 3))))
    every = many(jax.random.split(key, 40))
    for size, values, found in zip(sizes, arrays, every, strict=True):
        found = np.asarray(found)[:, 0]
        assert (np.sort(found, axis=1) == np.asarray(values)).all()
        if size == 7:
            continue
        alike = np.corrcoef(np.concatenate([found, values]))[~np.eye(41, dtype=bool)]
        assert abs(alike).max() < 5 / np.sqrt(size) and abs(alike.std() * np.sqrt(size) - 1) < 0.1
        near = (abs(np.diff(found, axis=1)) < 5).mean()
        np.testing.assert_allclose(near, 8 / size, rtol=0.2)
        quarters = [np.histogram(one[: size // 4], 4, (0, size))[0] for one in found]
        np.testing.assert_allclose(sum(quarters), 40 * size / 16, rtol=0.05)


def test_randomization_equals_its_definition(key):
    leaves, structure = jax.tree.flatten(NETWORK)
    layers = [layer.leaves for layer in parameters.layers(NETWORK, IMAGE)]
    orders = {
        "top-down": [layers[2], layers[2] + layers[1], sum(layers, ())],
        "bottom-up": [layers[0], layers[0] + layers[1], sum(layers, ())],
        "independent": layers[::-1],
    }
    explain = jax.jit(lambda score_fn: jnp.abs(SIGNED(score_fn, IMAGE, 2)))
    alike = jax.jit(lambda *m: metrics.ssim(*map(maps.normalize, m), data_range=1.0))
    clean, changed = (
        explain(NETWORK),
        [
            jax.random.permutation(jax.random.fold_in(key, i), leaf.ravel()).reshape(leaf.shape)
            for i, leaf in enumerate(leaves)
        ],
    )
    for order, steps in orders.items():
        one = functools.partial(metrics.randomization, SIGNED, key=key, order=order)
        found = jax.jit(lambda f, x, one=one: one(f, x, 2))(NETWORK, IMAGE)
        for i, random_ones in enumerate(steps):
            other = [changed[j] if j in random_ones else leaf for j, leaf in enumerate(leaves)]
            map_ = explain(jax.tree.unflatten(structure, other))
            pair = np.ravel(clean), np.ravel(map_)
            expected = [
                scipy.stats.spearmanr(*pair).statistic, np.corrcoef(*pair)[0, 1], alike(clean, map_)
            ]  # fmt: skip
            np.testing.assert_allclose([x[i] for x in found], expected, atol=1e-4)
        assert len(found.pearson) == 3 and max(map(float, found.pearson)) < 0.99


def test_smooth_randomization_equals_its_definition(key):
    """Of a method without a kernel: its map moves with the noise, which all classifiers share."""

    def channels(score_fn, image, target):
        kernel = score_fn.args[0]["stem"]["kernel"]
        return (jnp.square(image) * kernel[:, 0].reshape(image.shape)).sum(-1)

    image = 0.4 * IMAGE  # the noise is a share of its range
    settings = {"num_samples": 3, "noise": 0.2, "values": "signed", "chunk_size": 2}
    one = functools.partial(metrics.smooth_randomization, channels, key=key, **settings)
    found = jax.jit(lambda f, x: one(f, x, 2))(NETWORK, image)
    of_layers, of_noise = jax.random.split(key)
    spread = 0.2 * float(image.max() - image.min())
    copies = [
        np.asarray(image + spread * jax.random.normal(jax.random.fold_in(of_noise, i), image.shape))
        for i in range(3)
    ]
    number = [leaf.shape for leaf in jax.tree.leaves(NETWORK)].index((144, 7))
    kernel = NETWORK.args[0]["stem"]["kernel"]
    own = jax.random.fold_in(of_layers, number)
    other = jax.random.permutation(own, kernel.ravel()).reshape(144, 7)
    clean, changed = (
        np.mean([(c**2 * np.asarray(k)[:, 0].reshape(c.shape)).sum(-1) for c in copies], axis=0)
        for k in (kernel, other)
    )
    expected = np.corrcoef(clean.ravel(), changed.ravel())[0, 1]
    np.testing.assert_allclose(found.pearson, 3 * [expected], atol=1e-4)
    assert abs(expected) < 0.9
    np.testing.assert_allclose(
        found.spearman[0],
        scipy.stats.spearmanr(clean.ravel(), changed.ravel()).statistic,
        atol=1e-4,
    )


def test_the_same_weights_again_and_a_map_that_ignores_them(key):
    @jax.jit
    def several(score_fn):
        given, again = (score_fn, IMAGE, 2), {"key": key, "init": score_fn}
        return (
            metrics.randomization(SIGNED, *given, **again),
            metrics.randomization(center, *given, key=key),
            metrics.randomization(random, *given, key=key),
            metrics.efficient_randomization(SIGNED, *given, **again),
        )

    *alike, efficient = several(NETWORK)
    np.testing.assert_allclose(alike, 1, atol=1e-5)
    assert efficient == 0


def test_efficient_randomization_compares_entropies(key):
    """Of a method whose map is an entropy of ln 48 or of ln 2, by the sign of a weight."""
    spread = jnp.arange(48.0).reshape(SHAPE)

    def by_sign(score_fn, image, target):
        return jnp.where(score_fn.args[0][0, 0] > 0, spread, (spread > 23).astype(jnp.float32))

    plus, minus = Partial(linear, jnp.ones((144, 2))), Partial(linear, -jnp.ones((144, 2)))
    found = metrics.efficient_randomization(by_sign, minus, IMAGE, 0, key=key, init=plus)
    np.testing.assert_allclose(found, (np.log(48) - np.log(2)) / np.log(2), rtol=1e-4)
    constant = metrics.efficient_randomization(
        lambda f, x, t: jnp.ones(SHAPE), minus, IMAGE, 0, key=key, init=plus
    )
    assert np.isnan(constant)


def test_random_logit(key):
    weights = normal(144, 1)
    opposite = Partial(linear, jnp.concatenate([weights, -weights], axis=1))

    @jax.jit
    def several(score_fn):
        given = score_fn, IMAGE, 0
        return [
            metrics.random_logit(method, *given, key=key, values=values)
            for method, values in [(SIGNED, "signed"), (SIGNED, "absolute"), (center, "absolute")]
        ]

    signed, absolute, blind = several(opposite)
    np.testing.assert_allclose(signed[:2], -1, rtol=1e-4)
    np.testing.assert_allclose([absolute, blind], 1, rtol=1e-4)


def test_the_other_class_is_any_of_the_others(key):
    def of_class(score_fn, image, target):
        return jnp.where(jnp.arange(48).reshape(SHAPE) == target, 1.0, 0.0)

    @jax.jit
    def several(keys):
        def one(key):
            return metrics.random_logit(of_class, NETWORK, IMAGE, 1, key=key)

        return jax.vmap(one)(keys)

    assert (several(jax.random.split(key, 30)).pearson < 0.1).all()  # never the same class


@pytest.mark.parametrize(
    "score_fn",
    [lambda images: LINEAR(images), saljax.scores.from_callback(np.zeros, 3), Partial(LINEAR.func)],
)
def test_what_cannot_be_randomized(score_fn, key):
    with pytest.raises(ValueError, match="no parameters that can be seen: a lambda, .* the host"):
        metrics.randomization(center, score_fn, IMAGE, 0, key=key)


@pytest.mark.usefixtures("as_users_run")
def test_wrong_input(key):
    with pytest.raises(ValueError, match="`order` must be one of top-down, bottom-up, independent"):
        metrics.randomization(center, LINEAR, IMAGE, 0, key=key, order="upwards")
    with pytest.raises(ValueError, match="`init` must be the same pytree"):
        metrics.randomization(center, LINEAR, IMAGE, 0, key=key, init=NETWORK)
    with pytest.raises(ValueError, match="there is one class only"):
        metrics.random_logit(center, Partial(linear, normal(144, 1)), IMAGE, 0, key=key)
    with pytest.raises(ValueError, match="`max_side` must be at most 6"):
        metrics.infidelity(LINEAR, IMAGE, 0, MAP, key=key, max_side=7)
    with pytest.raises(ValueError, match="`radius` must be at least 0"):
        metrics.max_sensitivity(center, LINEAR, IMAGE, 0, key=key, radius=-1.0)
    with pytest.raises(ValueError, match=r"spatial shape, \(6, 8\); got \(6, 8, 3\)"):
        raw = functools.partial(saljax.gradient, reduce=None)
        metrics.max_sensitivity(raw, LINEAR, IMAGE, 0, key=key)
