"""The step against a twin, the loop wherever it begins, and what is kept on disk."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial

from saljax.training import checkpoints, classifier, steps

RATE = 0.5


def linear_loss(weights, kept, batch, key):
    """Softmax regression; counts what it has seen, as batch norms do."""
    features, labels = batch
    logits = features @ weights["kernel"] + weights["bias"][None]
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    return loss, {"seen": kept["seen"] + len(features)}


def data(number=11):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, number).astype(np.int32)
    return rng.normal(size=(number, 4)).astype(np.float32), labels


def begun(optimizer):
    weights = {"kernel": jnp.zeros((4, 3)), "bias": jnp.zeros(3)}
    return steps.begin(weights, {"seen": jnp.float32(0), "fixed": jnp.ones(2)}, optimizer)


def test_step_is_gradient_descent_on_the_loss():
    features, labels = data()
    optimizer = optax.sgd(RATE)
    state = begun(optimizer)
    kernel, bias, total = np.zeros((4, 3)), np.zeros(3), 0.0
    for _ in range(3):
        state = steps.step(linear_loss, optimizer, state, (features, labels), None)
        logits = features @ kernel + bias
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        total -= np.log(p[np.arange(11), labels]).mean()
        p[np.arange(11), labels] -= 1
        kernel, bias = kernel - RATE * features.T @ p / 11, bias - RATE * p.mean(axis=0)
    np.testing.assert_allclose(state.weights["kernel"], kernel, atol=1e-5)
    np.testing.assert_allclose(state.weights["bias"], bias, atol=1e-5)
    np.testing.assert_allclose(state.loss, total, rtol=1e-5)
    assert int(state.step) == 3
    assert float(state.kept["seen"]) == 33 and (np.asarray(state.kept["fixed"]) == 1).all()


def test_order_is_a_permutation_an_epoch_and_depends_on_seed_and_step_alone():
    rows = steps.order(0, 10, 3)
    epochs = [np.concatenate([rows(3 * e + i) for i in range(3)]) for e in range(50)]
    assert all(len(set(epoch)) == 9 and set(epoch) <= set(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 50
    assert set(np.concatenate(epochs)) == set(range(10))  # what is left over changes
    np.testing.assert_array_equal(steps.order(0, 10, 3)(100), rows(100))
    assert not np.array_equal(steps.order(1, 10, 3)(0), rows(0))


@pytest.mark.parametrize("batch_size", [3, 8])
def test_a_run_goes_on_from_any_step_bit_for_bit(key, batch_size):
    features, labels = data(24)
    optimizer = optax.adam(0.1)
    rows = steps.order(0, 24, batch_size)

    def noisy_loss(weights, kept, batch, key):
        noise = jax.random.normal(key, batch[0].shape)
        return linear_loss(weights, kept, (batch[0] + noise, batch[1]), key)

    def run(state, until=9):
        batches = lambda step: (features[rows(step)], labels[rows(step)])  # noqa: E731
        return list(steps.run(noisy_loss, optimizer, state, batches, key, until, 3))

    whole = run(begun(optimizer))
    assert [int(state.step) for state in whole] == list(range(1, 10))
    for done in (1, 3, 7):
        left = jax.tree.map(np.asarray, whole[done - 1])  # as a checkpoint gives it back
        jax.tree.map(np.testing.assert_array_equal, run(left)[-1], whole[-1])
    first, second = float(whole[2].loss), float(whole[3].loss)
    assert second < first  # the sum begins anew with the epoch
    kernels = [np.asarray(state.weights["kernel"]) for state in run(begun(optimizer), 2)]
    assert not np.array_equal(*kernels)


def test_hits_counts_every_picture_once():
    images, labels = data(11)
    score_fn = Partial(lambda x: x[:, :3])
    expected = images[:, :3].argmax(axis=1) == labels
    for batch_size in (4, 8, 100):
        found = steps.hits(score_fn, images, labels, batch_size)
        np.testing.assert_array_equal(found, expected)


def test_checkpoints_keep_the_newest_and_every_bit(tmp_path):
    tree = {"a.b": np.float32([np.pi, -0.0, 1e-42]), "n": (np.int32(7), {})}
    with checkpoints.opened(tmp_path / "c") as saved:
        assert saved.latest is None
        saved.save(3, tree)
        saved.save(5, jax.tree.map(lambda x: x * 2, tree))
        saved.save(5, tree)  # once a step
        assert saved.latest == 5
    with checkpoints.opened(tmp_path / "c") as saved:
        found = saved.restore(tree)
    assert jax.tree.structure(found) == jax.tree.structure(tree)
    assert found["a.b"].tobytes() == (tree["a.b"] * 2).tobytes() and int(found["n"][0]) == 14
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["5"]


def test_without_orbax_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    with (
        pytest.raises(ValueError, match=r"pip install 'saljax\[train\]'"),
        checkpoints.opened(tmp_path),
    ):
        pass


def test_the_optimizer_is_adamw_with_a_warm_up_and_a_cosine_and_decays_kernels_only():
    """Where the gradient is 1 throughout, Adam's step is the learning rate."""
    recipe = classifier.Recipe(learning_rate=0.1, weight_decay=0.5)
    optimizer = classifier._optimizer(recipe, (40,))
    weights = {"kernel": jnp.full((1, 1), 2.0), "bias": jnp.full(1, 2.0)}
    ones, memory = jax.tree.map(jnp.ones_like, weights), optimizer.init(weights)
    with jax.numpy_dtype_promotion("standard"):
        update = jax.jit(optimizer.update).lower(ones, memory, weights).compile()
    for count in range(41):
        rate = 0.1 * (count / 2 if count < 2 else (1 + np.cos(np.pi * (count - 2) / 38)) / 2)
        updates, memory = update(ones, memory, weights)
        np.testing.assert_allclose(updates["bias"], [-rate], atol=1e-6)
        np.testing.assert_allclose(updates["kernel"], [[-rate - rate * 0.5 * 2]], atol=1e-6)


def test_steps_of_a_recipe():
    recipe = classifier.Recipe(batch_size=32)
    assert recipe.steps(100) == (32, 3) and recipe.steps(20) == (20, 1)
