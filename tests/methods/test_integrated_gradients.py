import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax


@pytest.mark.parametrize("baseline", [0.0, 0.3])
def test_completeness(cnn, baseline):
    """The values sum to what the score gains on the way, METHODS section 15: within 1 %."""
    raw = jax.jit(saljax.integrated_gradients, static_argnames=("num_steps", "reduce"))(
        cnn.score_fn, cnn.image, 1, num_steps=200, baseline=baseline, reduce=None
    )
    both = cnn.score_fn(jnp.stack([cnn.image, jnp.full_like(cnn.image, baseline)]))[:, 1]
    gained = float(both[0] - both[1])
    assert abs(gained) > 1
    np.testing.assert_allclose(raw.sum(), gained, rtol=0.01)


def test_equals_the_midpoint_rule_one_step_at_a_time(cnn):
    start = cnn.image[::-1]
    raw = saljax.integrated_gradients(
        cnn.score_fn, cnn.image, 2, num_steps=5, baseline=start, reduce=None, chunk_size=2
    )
    gradient = jax.jit(jax.grad(lambda x: cnn.score_fn(x[None])[0, 2]))
    total = jnp.zeros_like(cnn.image)
    for step in range(5):
        total += gradient(start + (step + 0.5) / 5 * (cnn.image - start)) / 5
    np.testing.assert_allclose(raw, (cnn.image - start) * total, rtol=1e-3, atol=1e-4)


def test_of_a_linear_score_each_pixel_gets_its_own_term(linear):
    raw = saljax.integrated_gradients(
        linear.score_fn, linear.image, 1, num_steps=3, baseline=0.25, reduce=None
    )
    expected = linear.weights[..., 1] * (linear.image - 0.25)
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)
    saliency = saljax.integrated_gradients(
        linear.score_fn, linear.image, 1, num_steps=3, baseline=0.25
    )
    np.testing.assert_allclose(saliency, np.abs(expected).sum(-1), rtol=1e-4)


@pytest.mark.usefixtures("as_users_run")
def test_wrong_hyperparameters(linear):
    with pytest.raises(ValueError, match="`num_steps` must be greater than 0; got 0"):
        saljax.integrated_gradients(linear.score_fn, linear.image, 0, num_steps=0)
