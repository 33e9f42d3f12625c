import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import saljax


@pytest.fixture
def images():
    return jnp.asarray(np.random.default_rng(0).uniform(size=(4, 5, 5, 3)), jnp.float32)


def linear(weights, images):
    return images.reshape(len(images), -1) @ weights


@pytest.fixture
def weights():
    return jnp.asarray(np.random.default_rng(1).normal(size=(75, 6)), jnp.float32)


def test_probabilities_are_the_softmax(images, weights):
    score_fn = saljax.scores.probabilities(jax.tree_util.Partial(linear, weights))
    logits = np.asarray(images).reshape(4, -1) @ np.asarray(weights)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(score_fn(images), expected, rtol=1e-4)


def test_in_half_precision_the_classifier_rounds_and_the_map_does_not(images, weights):
    half = saljax.scores.in_precision(jax.tree_util.Partial(linear, weights))
    rounded = weights.astype(jnp.bfloat16)
    found = half(images)
    assert found.dtype == jnp.float32
    expected = linear(rounded, images.astype(jnp.bfloat16)).astype(jnp.float32)
    np.testing.assert_array_equal(found, expected)
    assert float(jnp.abs(found - linear(weights, images)).max()) > 1e-3

    (saliency,) = saljax.explain(saljax.gradient, half, images[:1], [2])
    assert saliency.dtype == jnp.float32
    of_pixels = np.abs(np.asarray(rounded, np.float32)[:, 2]).reshape(5, 5, 3).max(-1)
    np.testing.assert_array_equal(saliency, of_pixels)
    with pytest.raises(ValueError, match="`dtype` must be floating; got int8"):
        saljax.scores.in_precision(half, jnp.int8)


def test_one_logit_has_a_sigmoid_and_no_softmax(images, weights):
    one = jax.tree_util.Partial(linear, weights[:, :1])
    expected = 1 / (1 + np.exp(-np.asarray(linear(weights[:, :1], images))))
    np.testing.assert_allclose(saljax.scores.sigmoid(one)(images), expected, rtol=1e-4)
    with pytest.raises(ValueError, match=r"over one class is 1 .* saljax\.scores\.sigmoid"):
        saljax.explain(saljax.glas, saljax.scores.probabilities(one), images, [0] * 4)


@pytest.mark.parametrize("around", [saljax.scores.probabilities, saljax.scores.sigmoid])
@pytest.mark.usefixtures("as_users_run")
def test_outputs_that_are_no_scores_are_named_through_what_is_around(around, images):
    for found, name in [((images[:, 0, 0], 0), "0"), ({"logits": images[:, 0, 0]}, "'logits'")]:
        with pytest.raises(ValueError, match=rf"scores\.select\(score_fn, {name}\)"):
            around(lambda x, found=found: found)(images)


def test_preprocess_normalizes_before_the_classifier(images, weights):
    mean, std = (0.4, 0.5, 0.6), (0.1, 0.2, 0.3)
    score_fn = saljax.scores.preprocess(jax.tree_util.Partial(linear, weights), mean, std)
    normalized = (np.asarray(images) - np.float32(mean)) / np.float32(std)
    np.testing.assert_allclose(score_fn(images), linear(weights, normalized), rtol=1e-4, atol=1e-4)


def test_class_sums(images, weights):
    score_fn = saljax.scores.class_sums(jax.tree_util.Partial(linear, weights), [[0, 2, 5], [1]], 6)
    scores = np.asarray(linear(weights, images))
    expected = np.stack([scores[:, [0, 2, 5]].sum(1), scores[:, 1]], 1)
    np.testing.assert_allclose(score_fn(images), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"group 1 has \[6\]"):
        saljax.scores.class_sums(score_fn, [[0], [6]], 6)


def test_weights_stay_arguments_and_plain_functions_pass_through_jit(images, weights):
    wrapped = saljax.scores.probabilities(
        saljax.scores.preprocess(jax.tree_util.Partial(linear, weights), (0.5,) * 3, (0.2,) * 3)
    )
    assert any(leaf is weights for leaf in jax.tree.leaves(wrapped))
    plain = saljax.scores.probabilities(lambda images: linear(weights, images))
    run = jax.jit(lambda score_fn, images: score_fn(images))
    np.testing.assert_allclose(
        run(plain, images), saljax.scores.probabilities(plain.args[0])(images), rtol=1e-5
    )


def test_callback_is_called_with_whole_batches(images, weights):
    batches = []

    def black_box(batch):
        batches.append(batch.shape)
        return linear(np.asarray(weights), batch)

    score_fn = saljax.scores.from_callback(black_box, 6)
    np.testing.assert_allclose(
        jax.jit(score_fn)(images), linear(weights, images), rtol=1e-4, atol=1e-5
    )
    of_jax = saljax.explain(
        saljax.glas, jax.tree_util.Partial(linear, weights), images, [1, 2, 3, 0]
    )
    batches.clear()
    of_box = saljax.explain(saljax.glas, score_fn, images, [1, 2, 3, 0])
    np.testing.assert_allclose(of_box, of_jax, rtol=1e-3, atol=1e-4)
    # 15 x 15 lights, as many shadows and the clean image of 4 images, at most 32 of each at a time.
    assert {shape[1:] for shape in batches} == {(5, 5, 3)}
    assert len(batches) <= 451 / 16 and sum(shape[0] for shape in batches) <= 4 * 451 * 1.05


def test_callback_with_a_wrong_shape_is_told(images):
    score_fn = saljax.scores.from_callback(lambda batch: np.zeros((len(batch), 5)), 6)
    with pytest.raises(
        jax.errors.JaxRuntimeError, match=r"shape \(4, 6\), one row an image; got \(4, 5\)"
    ):
        jax.block_until_ready(score_fn(images))


def test_pick_is_one_hot_and_nan_where_there_is_no_such_class():
    values = jnp.asarray([[3.0, -1.0, 2.0]])
    assert saljax.scores.pick(values, 2).tolist() == [[0, 0, 1]]
    assert jnp.isnan(saljax.scores.pick(values, 3)).all()
    with pytest.raises(ValueError, match=r"one class index .* got shape \(2,\)"):
        saljax.scores.pick(values, jnp.asarray([0, 1]))


@pytest.mark.parametrize("missing", [-1, 6])
def test_a_class_that_does_not_exist_has_no_score(images, weights, missing):
    answers = linear(weights, images)
    assert np.isnan(saljax.scores.of_class(answers, missing)).all()
    several = saljax.scores.of_class(answers, jnp.asarray([2, missing]))
    np.testing.assert_array_equal(several[:, 0], answers[:, 2])
    assert np.isnan(several[:, 1]).all()
    assert np.isnan(saljax.scores.pick(answers, missing)).all()


def test_a_single_array_of_numpy_among_the_weights(images, weights):
    wrapped = saljax.scores.probabilities(jax.tree_util.Partial(linear, np.asarray(weights)))
    plain = saljax.scores.probabilities(jax.tree_util.Partial(linear, weights))
    np.testing.assert_allclose(wrapped(images), plain(images), rtol=1e-6)


def test_probabilities_of_a_classifier_in_half_precision(images, weights):
    half = jax.tree_util.Partial(
        lambda w, x: linear(w, x.astype(w.dtype)), weights.astype("bfloat16")
    )
    found = saljax.scores.probabilities(half)(images)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_a_function_on_the_host_has_no_derivative(images):
    score_fn = saljax.scores.from_callback(lambda x: x.mean((1, 2)), 3)
    with pytest.raises(TypeError, match="has no derivative; use a method that only asks"):
        saljax.explain(saljax.gradient, score_fn, images, [0, 1, 2, 0])


@pytest.mark.parametrize(
    ("score_fn", "got"),
    [(lambda x: x.sum((1, 2, 3)), r"shape \(1,\)"), (lambda x: (x.mean((1, 2)), 0), "tuple")],
)
@pytest.mark.parametrize("method", [saljax.gradient, saljax.glas])
@pytest.mark.usefixtures("as_users_run")
def test_scores_of_another_shape_are_refused(method, score_fn, got, images):
    if method is saljax.glas and got != "tuple":
        got = r"shape \(\d+,\)"
    with pytest.raises(ValueError, match=rf"must return scores \(N, K\).*{got}.*scores\[:, None\]"):
        method(score_fn, images[0], 0)


@pytest.mark.usefixtures("as_users_run")
def test_targets_of_other_kinds(images, weights):
    answers = linear(weights, images)
    assert saljax.scores.of_class(answers, np.int8(3)).tolist() == answers[:, 3].tolist()
    assert saljax.scores.of_class(answers, [1, 2]).shape == (4, 2)
    with pytest.raises(ValueError, match="must be a class index; got float32"):
        saljax.scores.of_class(answers, 1.5)
    for method in (saljax.gradient, saljax.glas):
        with pytest.raises(ValueError, match="`target` must be a class index; got None"):
            method(jax.tree_util.Partial(linear, weights), images[0], None)


def test_a_method_of_a_model_takes_its_weights_along(images):
    class Model(nnx.Module):
        def __init__(self):
            self.weights = nnx.Param(jnp.ones((75, 2)))

        def logits(self, x):
            return x.reshape(len(x), -1) @ self.weights[...]

    model = Model()
    before = saljax.explain(saljax.gradient, model.logits, images, [0] * 4)
    model.weights[...] = 10 * model.weights[...]
    after = saljax.explain(saljax.gradient, model.logits, images, [0] * 4)
    np.testing.assert_allclose(after, 10 * before, rtol=1e-5)
