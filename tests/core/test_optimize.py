import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from saljax.core.optimize import PATIENCE, minimize


def distance(goal):
    return lambda parameters, step: jnp.square(parameters - goal).sum()


def adam_by_hand(goal, start, rate, steps):
    x, mean, square, losses = start.copy(), 0.0, 0.0, []
    for t in range(1, steps + 1):
        losses.append(((x - goal) ** 2).sum())
        gradient = 2 * (x - goal)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        x = x - rate * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        x = np.clip(x, 0, 1)
    return x, losses


def test_projected_adam_step_by_step():
    goal, start = np.array([1.4, 0.6, -0.2]), np.full(3, 0.5)
    found = minimize(
        distance(jnp.asarray(goal, jnp.float32)),
        jnp.asarray(start, jnp.float32),
        optimizer=optax.adam(0.05),
        num_steps=30,
        project=lambda x: jnp.clip(x, 0, 1),
    )
    parameters, losses = adam_by_hand(goal, start, 0.05, 30)
    np.testing.assert_allclose(found.parameters, parameters, atol=1e-5)
    np.testing.assert_allclose(found.losses, losses, rtol=1e-4)


def test_a_loss_may_depend_on_the_step():
    found = minimize(
        lambda x, step: x * step.astype(jnp.float32),
        jnp.float32(0.0),
        optimizer=optax.sgd(1.0),
        num_steps=4,
    )
    assert float(found.parameters) == -(0 + 1 + 2 + 3)


def test_with_a_tolerance_each_image_stops_for_itself():
    def run(goal, tolerance):
        return minimize(
            distance(goal),
            jnp.zeros_like(goal),
            optimizer=optax.sgd(0.25),
            num_steps=60,
            tolerance=tolerance,
        )

    goals = jnp.asarray([[0.0], [1.0], [100.0]])
    together = jax.vmap(lambda goal: run(goal, 1e-3))(goals)
    taken = (~jnp.isnan(together.losses)).sum(axis=1).tolist()
    # The loss of goal g before step t is g^2 / 4^t, so the last step that lowers it by more than
    # the tolerance is known; then PATIENCE steps without progress follow. Step 0 lowers infinity.
    for goal, steps in zip(goals[:, 0].tolist(), taken, strict=True):
        losses = [goal**2 / 4**t for t in range(60)]
        lowest, last = np.inf, 0
        for t, value in enumerate(losses):
            if value < lowest - 1e-3:
                lowest, last = value, t
        assert steps == last + PATIENCE + 1
    assert taken[0] < taken[1] < taken[2] < 60
    for i, goal in enumerate(goals):
        alone = run(goal, 1e-3)
        np.testing.assert_array_equal(together.parameters[i], alone.parameters)
        np.testing.assert_array_equal(together.losses[i], alone.losses)
    assert float(run(goals[2], None).parameters[0]) == pytest.approx(100.0, abs=1e-4)


@pytest.mark.parametrize("tolerance", [None, 1e-3])
def test_where_jax_computes_in_float64(tolerance):
    def run():
        goal = jnp.asarray([1.0, 2.0])  # of float64 there
        return minimize(
            lambda x, step: jnp.square(x.astype(goal.dtype) - goal).sum(),
            jnp.zeros(2, jnp.float32),
            optimizer=optax.adam(0.1),
            num_steps=40,
            tolerance=tolerance,
        )

    plain = run()
    with jax.enable_x64(), jax.numpy_dtype_promotion("standard"):
        found = run()
    assert found.losses.dtype == found.parameters.dtype == jnp.float32
    np.testing.assert_allclose(found.parameters, plain.parameters, rtol=1e-4)


def test_steps_that_are_not_taken_are_no_nan_to_debug():
    with jax.debug_nans(True):
        found = minimize(
            distance(jnp.ones(3)),
            jnp.zeros(3),
            optimizer=optax.adam(0.1),
            num_steps=60,
            tolerance=1e-2,
        )
    assert np.isnan(found.losses[-1]) and np.isfinite(found.parameters).all()
