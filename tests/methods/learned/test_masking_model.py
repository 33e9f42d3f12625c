"""The masking model's losses against METHODS section 10, written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import saljax
from saljax.methods.learned import masking_model
from saljax.methods.learned.masking_model import MaskingModel

WEIGHTS = (1.0, 8.0, 0.005, 0.3)


@pytest.fixture(scope="module")
def model(small):
    return MaskingModel(small.fit, channels=(4, 4), rngs=nnx.Rngs(1))


def smoothness(masks):
    total = 0.0
    for mask in np.asarray(masks, np.float64):
        for i, j in np.ndindex(mask.shape):
            total += (mask[i, j] - mask[i + 1, j]) ** 2 if i + 1 < mask.shape[0] else 0
            total += (mask[i, j] - mask[i, j + 1]) ** 2 if j + 1 < mask.shape[1] else 0
        for border in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
            total += 0.3 * (border**2).sum()
    return total / (2 * len(masks))


def test_numbers_of_the_released_code():
    """Logits (3, 1), real class 0: preserve relu(1 - 2) = 0, destroy relu(2 + 5) = 7."""
    logits, label, real = jnp.array([[3.0, 1.0]]), jnp.array([0]), jnp.array([False])
    nothing, all_ = jnp.zeros((1, 4, 4)), jnp.ones((1, 4, 4))

    def loss(masks, weights, is_fake=real):
        return float(masking_model.code_loss(logits, logits, label, is_fake, masks, weights))

    assert loss(nothing, (1.0, 0.0, 0.0, 0.0)) == 7.0
    assert loss(nothing, (0.0, 0.0, 0.0, 1.0)) == 0.0
    assert loss(nothing, (0.0, 0.0, 0.0, 1.0), ~real) == 3.0  # relu(1 + 2)
    assert loss(nothing, (1.0, 0.0, 0.0, 0.0), ~real) == 0.0  # relu(1 - 2)
    assert loss(nothing, (0.0, 1.0, 0.0, 0.0)) == pytest.approx(0.0005**0.3)
    assert loss(all_, (0.0, 1.0, 0.0, 0.0)) == pytest.approx(1.00015, abs=1e-5)
    constant = 0.7 * jnp.ones((1, 5, 9))
    assert loss(constant, (0.0, 0.0, 1.0, 0.0)) == pytest.approx(0.3 * 28 * 0.49 / 2)


def test_smoothness_is_the_sum_written_out():
    masks = jnp.asarray(np.random.default_rng(0).uniform(size=(3, 5, 7)), jnp.float32)
    assert float(masking_model.smoothness(masks)) == pytest.approx(smoothness(masks), rel=1e-5)


def test_code_loss_is_its_formula():
    rng = np.random.default_rng(1)
    kept, left = rng.normal(size=(2, 6, 4))
    label, fake = rng.integers(4, size=6), rng.uniform(size=6) < 0.5
    masks = rng.uniform(size=(6, 5, 5))
    preserve = destroy = 0.0
    for n in range(6):
        others = [k for k in range(4) if k != label[n]]
        keeps = kept[n, label[n]] - max(kept[n, k] for k in others)
        leaves = left[n, label[n]] - max(left[n, k] for k in others)
        preserve += max(0, 1 + keeps if fake[n] else 1 - keeps) / 6
        destroy += max(0, 1 - leaves if fake[n] else 5 + leaves) / 6
    area = np.mean((masks + 0.0005) ** 0.3)
    expected = destroy + 8 * area + 0.005 * smoothness(masks) + 0.3 * preserve
    given = [jnp.asarray(x, jnp.float32) for x in (kept, left)]
    found = masking_model.code_loss(
        *given, jnp.asarray(label), jnp.asarray(fake), jnp.asarray(masks, jnp.float32), WEIGHTS
    )
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_paper_loss_is_its_formula():
    rng = np.random.default_rng(2)
    kept, left = rng.normal(size=(2, 3, 4))
    label, masks = rng.integers(4, size=3), rng.uniform(size=(3, 5, 6))
    expected = 0.0
    for n in range(3):
        f = [np.exp(z[n]) / np.exp(z[n]).sum() for z in (kept, left)]
        variation = (np.diff(masks[n], axis=0) ** 2).sum() + (np.diff(masks[n], axis=1) ** 2).sum()
        expected += 10 * variation + 1e-3 * masks[n].sum() - np.log(f[0][label[n]])
        expected += 5 * f[1][label[n]] ** 0.3
    given = [jnp.asarray(x, jnp.float32) for x in (kept, left)]
    found = masking_model.paper_loss(
        *given, jnp.asarray(label), jnp.asarray(masks, jnp.float32), (5.0, 1e-3, 10.0, 1.0)
    )
    assert float(found) == pytest.approx(expected / 3, rel=1e-5)


def test_fake_labels_are_all_others_alike(key):
    scores = jax.nn.one_hot(jnp.full(3000, 2), 4)
    label, fake = masking_model.labels(scores, key)
    assert set(np.asarray(label)) == {2}
    counts = np.bincount(np.asarray(fake), minlength=4)
    assert counts[2] == 0 and counts[[0, 1, 3]].min() > 900


def test_equal_channels_are_a_half(small, model):
    equal = nnx.clone(model)
    kernel = equal.head.kernel[...]
    equal.head.kernel = nnx.Param(jnp.stack([kernel[:, 0], -kernel[:, 0]], axis=1))
    masks = equal.masks(small.seen, jnp.zeros(6, jnp.int32))
    np.testing.assert_allclose(masks, 0.5)
    equal.head.kernel = nnx.Param(jnp.zeros_like(kernel))
    np.testing.assert_allclose(equal.masks(small.seen, jnp.zeros(6, jnp.int32)), 0.5)


def test_the_selector_learns_by_cross_entropy(small, model, key):
    loss = masking_model.selector_loss(model, small.score_fn, small.images, small.seen, key)
    of_coin, of_fake = jax.random.split(key)
    label, fake = masking_model.labels(small.seen.scores, of_fake)
    is_fake = np.asarray(jax.random.bernoulli(of_coin, 0.5, label.shape))
    total = 0.0
    for n in range(6):
        asked = int(fake[n] if is_fake[n] else label[n])
        row = np.asarray(model.generator.embedding[...], np.float64)[asked]
        e = (np.asarray(small.seen.activations[0][n], np.float64) @ row).mean()
        pair = np.exp([-e / 2, e / 2])
        total -= np.log(pair[0 if is_fake[n] else 1] / pair.sum())
    assert float(loss) == pytest.approx(total / 6, rel=1e-5)


def test_it_explains_with_the_confidence_of_its_settings(small, model):
    saliency = saljax.explain(model, small.score_fn, small.images[:2], [1, 3])
    assert saliency.shape == (2, 16, 16)
    coarse = model.masks(small.seen, jnp.array([1, 3, 0, 0, 0, 0]), 6.0)
    full = jax.image.resize(coarse[:2], (2, 16, 16), "linear")
    np.testing.assert_allclose(saliency, full, atol=1e-5)
    both = saljax.explain(model, small.score_fn, small.images[:1], [[1, 3]])
    np.testing.assert_allclose(both[0, 0], saliency[0], atol=1e-5)


def test_stages_learn_one_part_after_the_other(as_users_run):
    first, second = masking_model.stages()
    assert first.learns == ("generator.embedding",)
    assert second.learns == ("generator.cells", "head")
    with pytest.raises(ValueError, match="`loss` must be one of code, paper; got 'mine'"):
        masking_model.stages(loss="mine")


@pytest.mark.parametrize("loss", ["code", "paper"])
def test_only_the_mask_carries_a_derivative(small, model, key, loss):
    """None through the classifier's weights; through cells and head."""
    second = masking_model.stages(loss=loss)[1]
    graph, state = nnx.split(model)

    def total(state, weights):
        score_fn = jax.tree_util.Partial(small.score_fn.func, jax.lax.stop_gradient(weights))
        return second.loss(nnx.merge(graph, state), score_fn, small.images, small.seen, key)

    gradient = jax.jit(jax.grad(total))(state, small.weights)
    largest = {
        ".".join(map(str, path)): float(jnp.abs(leaf.get_value()).max())
        for path, leaf in nnx.to_flat_state(gradient)
        if path[-1] == "kernel"
    }
    assert largest["head.kernel"] > 0 and largest["generator.cells.0.up.kernel"] > 0
