"""The one loop that optimizes a mask."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from saljax.core import checks
from saljax.core.convolutions import in_order
from saljax.core.loops import while_loop

PATIENCE = 10
"""Steps without progress after which a loop with a tolerance ends. Our choice."""


class Optimized(NamedTuple):
    """Where an optimization ended, and how it went.

    Attributes:
        parameters: after the last step.
        losses: (num_steps,), before each step; NaN for steps that were not taken.
    """

    parameters: Any
    losses: Float[Array, " num_steps"]


def adam(learning_rate: float) -> Any:
    """`optax.adam`; optax is imported here, since it takes a quarter of the time JAX takes."""
    import optax

    return optax.adam(learning_rate)


def minimize(
    loss: Callable[[Any, Int[Array, ""]], Float[Array, ""]],
    start: Any,
    *,
    optimizer: Any,
    num_steps: int,
    project: Callable[[Any], Any] = lambda parameters: parameters,
    tolerance: float | None = None,
) -> Optimized:
    """Minimize a loss by gradient steps, inside the compiled program.

    Under vmap each image has its own loop and its own optimizer state. With a tolerance an image
    that has stopped keeps its parameters, and the others go on without it: see
    `saljax.core.loops.while_loop`.

    Args:
        loss: parameters, step () -> (). What is random in it folds its key with the step.
        start: parameters to start from, a pytree of float arrays.
        optimizer: an `optax.GradientTransformation`.
        num_steps: at most.
        project: applied after each step, such as a clip to [0, 1].
        tolerance: end when the lowest loss has not fallen by more than this for `PATIENCE` steps;
            None takes all steps.

    Returns:
        Parameters and losses. Where a loss is NaN, as for a class that does not exist, the
        parameters are too, although its derivative may be a number.

    Raises:
        ValueError: `tolerance` is negative.
    """
    checks.not_negative(tolerance=tolerance)

    def step(number, parameters, memory):
        value, gradient = in_order(jax.value_and_grad(loss))(parameters, number)
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats and step counts
            updates, memory = optimizer.update(gradient, memory, parameters)
            moved = jax.tree.map(lambda x, u: (x + u).astype(x.dtype), parameters, updates)
        lost = jnp.isnan(value)
        moved = jax.tree.map(lambda x: jnp.where(lost, jnp.nan, x), project(moved))
        return moved, memory, value.astype(jnp.float32)

    if tolerance is None:

        def scanned(state, number):
            *state, value = step(number, *state)
            return tuple(state), value

        state = (start, optimizer.init(start))
        (parameters, _), losses = jax.lax.scan(scanned, state, jnp.arange(num_steps))
        return Optimized(parameters, losses)

    def moving(state):
        number, _, _, _, _, since = state
        return (number < num_steps) & (since < PATIENCE)

    def advance(state):
        number, parameters, memory, losses, lowest, since = state
        parameters, memory, value = step(number, parameters, memory)
        falling = value < lowest - tolerance
        lowest, since = jnp.where(falling, value, lowest), jnp.where(falling, 0, since + 1)
        return number + 1, parameters, memory, losses.at[number].set(value), lowest, since

    with jax.debug_nans(False):  # of steps that are not taken, NaN is no mistake
        losses = jnp.full(num_steps, jnp.nan, jnp.float32)
        state = (0, start, optimizer.init(start), losses, jnp.float32(jnp.inf), 0)
        _, parameters, _, losses, _, _ = while_loop(moving, advance, state)
    return Optimized(parameters, losses)
