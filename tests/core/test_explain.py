import functools
import importlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import saljax

explain = importlib.import_module("saljax.core.explain")


def linear_softmax(weights, images):
    return jax.nn.softmax(images.reshape(len(images), -1) @ weights)


@pytest.fixture
def score_fn():
    weights = np.random.default_rng(1).normal(size=(12 * 12 * 3, 5)) * 0.2
    return jax.tree_util.Partial(linear_softmax, jnp.asarray(weights, jnp.float32))


@pytest.fixture
def images():
    return jnp.asarray(np.random.default_rng(2).uniform(size=(8, 12, 12, 3)), jnp.float32)


@pytest.fixture
def targets():
    return np.arange(8) % 5


def random_method(score_fn, image, target, *, key, scale=1.0):
    return score_fn(image[None])[0, target] + scale * jax.random.normal(key, image.shape[:-1])


COLLECTIVES = re.compile("all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter")
GLAS = functools.partial(saljax.glas, grid=4, chunk_size=8)
RGLAS = functools.partial(saljax.rglas, grid=4, max_iterations=3, t2=1.5)


def test_a_batch_equals_its_images_one_by_one(score_fn, images, targets):
    together = saljax.explain(GLAS, score_fn, images, targets)
    assert together.shape == (8, 12, 12)
    for image, target, saliency in zip(images, targets, together, strict=True):
        np.testing.assert_allclose(saliency, GLAS(score_fn, image, int(target)), rtol=1e-4)


def test_a_map_depends_on_its_id_and_not_on_its_neighbors(score_fn, images, targets, key):
    maps = saljax.explain(random_method, score_fn, images, targets, key=key)
    order = np.asarray([5, 0, 3])
    some = saljax.explain(
        random_method, score_fn, images[order], targets[order], key=key, ids=order
    )
    np.testing.assert_allclose(some, maps[order], atol=1e-6)
    others = saljax.explain(
        random_method, score_fn, images, targets, key=jax.random.fold_in(key, 1)
    )
    assert not np.allclose(others, maps)


@pytest.mark.parametrize("generator", ["rbg", "unsafe_rbg"])
def test_keys_of_any_generator(generator, score_fn, images, targets):
    key = jax.random.key(4, impl=generator)
    maps = saljax.explain(random_method, score_fn, images, targets, key=key)
    order = np.asarray([5, 0, 3])
    some = saljax.explain(
        random_method, score_fn, images[order], targets[order], key=key, ids=order
    )
    np.testing.assert_allclose(some, maps[order], atol=1e-6)
    assert len({float(saliency[0, 0]) for saliency in maps}) == len(maps)


def test_several_targets(score_fn, images):
    both = saljax.explain(GLAS, score_fn, images, np.tile([0, 3], (8, 1)))
    assert both.shape == (8, 2, 12, 12)
    only = saljax.explain(GLAS, score_fn, images, np.full(8, 3))
    np.testing.assert_allclose(both[:, 1], only, rtol=1e-4)


def test_compiled_once_for_equal_partials_and_for_other_weights(images, targets):
    traces = []

    def counted(weights, images):
        traces.append(1)
        return linear_softmax(weights, images)

    for seed in (1, 2):
        weights = jnp.asarray(np.random.default_rng(seed).normal(size=(432, 5)), jnp.float32)
        score_fn = jax.tree_util.Partial(counted, weights)
        method = functools.partial(saljax.glas, grid=4, points=jnp.full((3, 2), float(seed)))
        saljax.explain(method, score_fn, images, targets)
    assert len(traces) == 1


def test_weights_are_no_constants_of_the_program(images, targets):
    weights = jnp.zeros((432, 1000))
    score_fn = jax.tree_util.Partial(linear_softmax, weights)
    run = jax.jit(lambda score_fn: saljax.explain(GLAS, score_fn, images, targets))
    assert len(run.lower(score_fn).as_text()) < weights.nbytes / 4


@pytest.mark.parametrize("method", [GLAS, RGLAS])
def test_eight_devices_give_the_same_maps_without_talking(
    method, score_fn, images, targets, monkeypatch
):
    mesh = jax.make_mesh((8,), ("data",))
    sharded = jax.device_put(images, NamedSharding(mesh, PartitionSpec("data")))
    on_one = saljax.explain(method, score_fn, images, targets)
    on_eight = saljax.explain(method, score_fn, sharded, targets)
    assert len(on_eight.sharding.device_set) == 8
    np.testing.assert_allclose(on_eight, on_one, rtol=1e-4, atol=1e-4)

    programs = []
    compiled = explain._explain

    def spy(*args, **kwargs):
        programs.append(compiled.lower(*args, **kwargs).compile().as_text())
        return compiled(*args, **kwargs)

    monkeypatch.setattr(explain, "_explain", spy)
    saljax.explain(method, score_fn, sharded, targets)
    assert not COLLECTIVES.search(programs[0])
    assert COLLECTIVES.search(jax.jit(jnp.sum).lower(sharded).compile().as_text())


def test_a_mesh_of_one_device_is_a_mesh(score_fn, images, targets):
    mesh = jax.make_mesh((1,), ("data",), devices=jax.devices()[:1])
    sharded = jax.device_put(images, NamedSharding(mesh, PartitionSpec("data")))
    found = saljax.explain(saljax.gradient, score_fn, sharded, targets)
    np.testing.assert_allclose(
        found, saljax.explain(saljax.gradient, score_fn, images, targets), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("method", [saljax.gradient, RGLAS])
@pytest.mark.parametrize("spec", [("data",), ("data", "model")])
def test_sharded_images_inside_a_jit(method, spec, images, targets, score_fn):
    mesh = jax.make_mesh((4, 2), ("data", "model"))
    sharded = jax.device_put(images, NamedSharding(mesh, PartitionSpec(*spec)))
    run = jax.jit(lambda f, x, t: saljax.explain(method, f, x, t))
    found = run(score_fn, sharded, jnp.asarray(targets))
    assert len(found.sharding.device_set) == 8
    expected = saljax.explain(method, score_fn, images, targets)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_both_of_two_classes_may_be_asked(images):
    two = jax.tree_util.Partial(linear_softmax, jnp.ones((432, 2)))
    look = lambda f, image, targets: f(image[None])[0, targets] + image.mean()  # noqa: E731
    assert saljax.explain(look, two, images, np.tile([0, 1], (8, 1))).shape == (8, 2)
    with pytest.raises(ValueError, match="looks one-hot"):
        saljax.explain(look, two, images, np.eye(2, dtype=int)[np.arange(8) % 2])


def test_no_images_give_no_maps(score_fn):
    assert saljax.explain(GLAS, score_fn, np.zeros((0, 12, 12, 3)), []).shape == (0, 12, 12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": [0, 1]}, "`targets`.*8 of them"),
        ({"targets": np.eye(5, dtype=int)[np.arange(8) % 5]}, "looks one-hot.*argmax"),
        ({"targets": 1}, r"8 of them; got shape \(\). One image is images\[None\]"),
        ({"targets": None}, "`targets` must be whole numbers; got None"),
        ({"images": 255 * np.ones((8, 12, 12, 3))}, r"in \[0, 1\]; got colors up to 255"),
        ({"ids": np.arange(3)}, "`ids`.*8 of them"),
        ({"images": np.zeros((8, 12, 12, 3), np.uint8)}, "floating point.*uint8.*255"),
        ({"targets": np.ones(8)}, "`targets` must be whole numbers; got float64"),
        ({"targets": jnp.eye(8)}, "`targets` must be whole numbers; got float32"),
        ({"targets": np.ones((8, 1, 1), int)}, r"`targets`.*got shape \(8, 1, 1\)"),
        ({"key": 0}, r"`key` must be one key, such as jax.random.key\(0\); got 0"),
        ({"ids": np.ones(8)}, "`ids` must be whole numbers; got float64"),
        ({"ids": np.arange(8) + 2**32}, "`ids` must fit 32 bits; got 4294967296 to 4294967303"),
        ({"ids": np.zeros((8, 1), int)}, r"`ids`.*got shape \(8, 1\)"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_wrong_arguments(score_fn, images, targets, arguments, message):
    with pytest.raises(ValueError, match=message):
        saljax.explain(GLAS, score_fn, **({"images": images, "targets": targets} | arguments))


@pytest.mark.parametrize("method", [GLAS, RGLAS])
def test_a_class_that_does_not_exist_is_named_or_gives_nan(method, score_fn, images):
    """Not the last class: before the program is compiled, afterwards, and inside a jit."""
    for _ in range(2):
        with pytest.raises(ValueError, match=r"`targets` must be classes in 0..4; got 5"):
            saljax.explain(method, score_fn, images[:2], [4, 5])
    with pytest.raises(ValueError, match="got -1"):
        saljax.explain(method, score_fn, images[:2], [-1, 0])
    maps = jax.jit(lambda t: saljax.explain(method, score_fn, images[:2], t))(jnp.array([4, 5]))
    assert np.isfinite(maps[0]).all() and np.isnan(maps[1]).all()


def test_many_images_a_few_at_a_time(score_fn, images, targets):
    """The same maps, one program, and somebody who is told; numpy's are not copied at once."""
    method, told, rows = functools.partial(saljax.rise, num_masks=4), [], []

    class Images(np.ndarray):
        def __getitem__(self, taken):
            rows.append(np.shape(taken))
            return np.asarray(self)[taken]

    key = jax.random.key(3)
    few = np.asarray(images).view(Images)
    found = saljax.explain(
        method, score_fn, few, targets, key=key, batch_size=3, progress=lambda *of: told.append(of)
    )
    assert told == [(3, 8), (6, 8), (8, 8)] and rows == [(3,)] * 3
    programs = explain._explain._cache_size()
    assert saljax.explain(method, score_fn, images[:3], targets[:3], key=key).shape == (3, 12, 12)
    assert explain._explain._cache_size() == programs
    expected = saljax.explain(method, score_fn, images, targets, key=key)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    none = saljax.explain(method, score_fn, images[:0], [], batch_size=3)
    assert none.shape == (0, 12, 12)


def test_what_is_wrong_with_batches_and_hyperparameters(score_fn, images, targets):
    with pytest.raises(ValueError, match="`batch_size` must be"):
        saljax.explain(GLAS, score_fn, images, targets, batch_size=0)
    with pytest.raises(ValueError, match="`progress` goes with `batch_size`"):
        saljax.explain(GLAS, score_fn, images, targets, progress=print)
    with pytest.raises(ValueError, match="a loop on the host"):
        jax.jit(lambda x: saljax.explain(GLAS, score_fn, x, targets, batch_size=2))(images)
    wrong = functools.partial(saljax.glas, sigma=3.0)
    with pytest.raises(ValueError, match="glas has no `sigma`; it has grid, sigma_light, "):
        saljax.explain(wrong, score_fn, images, targets)


@pytest.mark.usefixtures("as_users_run")
def test_what_is_no_method_and_where_hyperparameters_go(score_fn, images, targets):
    with pytest.raises(
        ValueError, match=r"`explain` has no `grid`.*functools.partial\(glas, grid="
    ):
        saljax.explain(saljax.glas, score_fn, images, targets, grid=3)
    for first, second, got in [
        ("glas", score_fn, "'glas'"),
        (lambda x: x, saljax.glas, "function"),
    ]:
        with pytest.raises(ValueError, match=f"comes before the classifier; got {got}"):
            saljax.explain(first, second, images, targets)


@pytest.mark.usefixtures("as_users_run")
def test_images_of_numpy_in_double_precision(score_fn, images):
    image = np.asarray(images[0], np.float64)
    np.testing.assert_allclose(GLAS.func(score_fn, image, 1), saljax.glas(score_fn, images[0], 1))


def test_the_key_is_that_of_explain(score_fn, images):
    method = functools.partial(saljax.rise, key=jax.random.key(5), num_masks=4)
    with pytest.raises(ValueError, match="give `key` to `explain`"):
        saljax.explain(method, score_fn, images, np.zeros(8, int))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_images_in_half_precision_are_explained_in_float32(score_fn, images, dtype):
    low = images[:2].astype(dtype)
    method = functools.partial(saljax.rglas, grid=2, max_iterations=2)
    found = saljax.explain(method, score_fn, low, [0, 1])
    assert found.dtype == jnp.float32
    expected = saljax.explain(method, score_fn, low.astype(jnp.float32), [0, 1])
    np.testing.assert_array_equal(found, expected)
    with jax.numpy_dtype_promotion("standard"):  # as users have it
        alone = method(score_fn, low[0], 0)
    assert alone.dtype == jnp.float32 and np.isfinite(alone).all()
