"""DRE against S3 and METHODS section 11."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import saljax
from saljax.methods.learned import backgrounds, dre
from saljax.methods.learned.dre import DRE
from saljax.methods.learned.self_tuning import remaining, self_tuned


@pytest.fixture(scope="module")
def model(small):
    return DRE(small.fit, channels=(4, 4), rngs=nnx.Rngs(1))


def test_a_mask_is_the_controlled_channel_at_the_images_size(small, model):
    label = jnp.array([0, 1, 2, 3, 0, 1])
    x = model.head(model.generator(small.seen.activations, label))[..., 0]
    x = np.asarray(x, np.float64)
    y = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
    z = (1 / (1 + np.exp(-1.5 * y))) ** 2.5
    full = jax.image.resize(jnp.asarray(z, jnp.float32), (6, 16, 16), "linear")
    saliency = saljax.explain(model, small.score_fn, small.images, label)
    np.testing.assert_allclose(saliency, full, atol=1e-4)
    both = model(small.score_fn, small.images[0], jnp.array([0, 2]))
    np.testing.assert_allclose(both[0], saliency[0], atol=1e-4)
    assert both.shape == (2, 16, 16)


def test_the_embedding_loss_is_equation_4(small, model, key):
    found = dre.embedding_loss(model, small.score_fn, small.images, small.seen, key)
    label, fake = dre.labels(small.seen.scores, key)
    table, total = np.asarray(model.generator.embedding[...], np.float64), 0.0
    for n, i, j in np.ndindex(6, 2, 2):
        place = np.asarray(small.seen.activations[0][n, i, j], np.float64)
        own, other = (1 / (1 + np.exp(-place @ table[int(k[n])])) for k in (label, fake))
        total += other - own
    assert float(found) == pytest.approx(total / 24, rel=1e-5)


def test_the_loss_of_equations_2_and_9():
    rng = np.random.default_rng(0)
    kept, left = rng.normal(size=(2, 3, 4))
    label, masks = rng.integers(4, size=3), rng.uniform(size=(3, 5, 6))
    plain = full = 0.0
    for n in range(3):
        f = [np.exp(z[n]) / np.exp(z[n]).sum() for z in (kept, left)]
        plain -= np.log(f[0][label[n]]) / 3
        steps = (np.diff(masks[n], axis=0) ** 2).sum() + (np.diff(masks[n], axis=1) ** 2).sum()
        full += (0.5 * f[1][label[n]] + 2.0 * masks[n].mean() + 3.0 * steps / 30) / 3
    given = [jnp.asarray(x, jnp.float32) for x in (kept, left)]
    rest = jnp.asarray(label), jnp.asarray(masks, jnp.float32)
    found = dre.relevance_loss(given[0], None, *rest)
    assert float(found) == pytest.approx(plain, rel=1e-5)
    terms = {"background": 0.5, "area": 2.0, "smooth": 3.0}
    found = dre.relevance_loss(*given, *rest, **terms)
    assert float(found) == pytest.approx(plain + full, rel=1e-5)


def test_backgrounds_are_half_blurred_half_colored(key):
    images = jnp.asarray(np.random.default_rng(0).uniform(size=(400, 8, 8, 3)), jnp.float32)
    drawn = backgrounds.random_backgrounds(images, key)
    blurred = np.asarray(backgrounds.blurred(images))
    is_blurred = np.abs(np.asarray(drawn) - blurred).max((1, 2, 3)) < 1e-6
    assert 160 < is_blurred.sum() < 240
    colored = np.asarray(drawn)[~is_blurred]
    means = colored.mean((1, 2))
    assert 0.3 < means.min() < 0.36 and 0.64 < means.max() < 0.7  # 0.5 -+ 0.165
    assert colored.std((1, 2)).mean() == pytest.approx(0.055, abs=0.003)


def test_self_tuning_is_its_formula(small):
    """W_k = Q_max - Q_k, Q the running maximum, linear between its places."""
    rng = np.random.default_rng(4)
    image = small.images[0]
    saliency = jnp.asarray(rng.permutation(256).reshape(16, 16) / 256, jnp.float32)
    probabilities = saljax.scores.probabilities(small.score_fn)
    blurred = saljax.ops.images.blur(image, 2.0, 4)
    order, m = np.argsort(-np.asarray(saliency).ravel()), 8
    q = []
    for i in range(m + 1):
        shown = np.zeros(256, bool)
        shown[order[: i * 32]] = True
        mixed = jnp.where(shown.reshape(16, 16, 1), image, blurred)
        q.append(float(probabilities(mixed[None])[0, 1]))
    best = np.maximum.accumulate(q)
    for normalize in (False, True):
        expected = np.zeros(256)
        for rank, pixel in enumerate(order):
            reached = np.interp(rank + 1, 32 * np.arange(m + 1), best)
            w = best.max() - reached
            w = w / (best.max() - min(q)) if normalize else w
            expected[pixel] = float(saliency.ravel()[pixel]) * w
        found = self_tuned(
            small.score_fn, image, 1, saliency, num_steps=m, sigma=2.0, kernel=9,
            normalize=normalize,
        )  # fmt: skip
        np.testing.assert_allclose(found.ravel(), expected, atol=1e-5)


def test_weights_in_training_fall_with_the_rank_and_have_no_derivative(small):
    masks = jnp.asarray(np.random.default_rng(5).uniform(size=(6, 16, 16)), jnp.float32)
    label = jnp.array([0, 1, 2, 3, 0, 1])
    weights = jax.jit(remaining)(small.score_fn, small.images, label, masks)
    for mask, weight in zip(np.asarray(masks), np.asarray(weights), strict=True):
        by_rank = weight.ravel()[np.argsort(-mask.ravel(), kind="stable")]
        assert np.all(np.diff(by_rank) <= 1e-6) and by_rank[-1] == pytest.approx(0, abs=1e-6)
    slope = jax.grad(lambda m: remaining(small.score_fn, small.images, label, m).sum())(masks)
    assert not np.any(slope)


@pytest.mark.parametrize(
    ("settings", "options"),
    [({}, {}), ({"predicts_weights": True}, {"tuned": True, "background": 0.5})],
)
def test_a_step_downhill_lowers_the_loss(small, key, settings, options):
    model = DRE(small.fit, channels=(4, 4), **settings, rngs=nnx.Rngs(1))
    loss = dre.stages(**options)[1].loss
    graph, state = nnx.split(model)

    def total(state):
        return loss(nnx.merge(graph, state), small.score_fn, small.images, small.seen, key)

    value, gradient = jax.jit(jax.value_and_grad(total))(state)
    moved = jax.tree.map(lambda x, g: x - 1e-3 * g, state, gradient)
    assert float(jax.jit(total)(moved)) < float(value)


def test_learning_rate_is_halved_every_three_epochs():
    stage = dre.stages(weight_decay=0.0)[1]
    optimizer = stage.optimizer(10)
    parameters = {"x": jnp.zeros(())}
    state, sizes = optimizer.init(parameters), []
    for _ in range(61):
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimizer.update({"x": jnp.ones(())}, state, parameters)
        sizes.append(float(-updates["x"]))
    assert sizes[29] == pytest.approx(1e-2, rel=1e-3)
    assert sizes[30] == pytest.approx(5e-3, rel=1e-3)
    assert sizes[60] == pytest.approx(2.5e-3, rel=1e-3)
