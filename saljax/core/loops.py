"""Loops whose end depends on the image, for many images at once."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from saljax.core.opened import opened

SHRINK = 4
"""The batch is cut to a quarter as often as it can be: a loop costs at most this many times what
its images need. A smaller number costs more programs, one for each size. Our choice."""


def while_loop(unfinished: Callable[[Any], Any], advance: Callable[[Any], Any], start: Any) -> Any:
    """`jax.lax.while_loop`, which under vmap leaves behind the images that have finished.

    `jax.vmap` of a plain loop runs all images until the last has finished. Here, once no more than
    a quarter of the batch is unfinished, those are gathered and go on as a batch of that size: an
    iteration is never paid for more than `SHRINK` times as many images as are unfinished. The body
    is compiled once for each size of the batch: N, N / 4, N / 16, ..., 1.

    Args:
        unfinished: state -> whether to go on, ().
        advance: state -> state.
        start: the first state, a pytree of arrays; dtypes as `advance` returns them.

    Returns:
        The first state that is not unfinished. Of two nested vmaps the inner one shrinks, and the
        outer one waits for its slowest.
    """
    leaves, structure = jax.tree.flatten(jax.tree.map(jnp.asarray, start))

    def turn(*leaves):
        state = advance(jax.tree.unflatten(structure, leaves))
        return jax.tree.leaves(state), unfinished(state)

    # What it closes over, the images among it, is batched too: it becomes an argument.
    closed_over, turn = opened(turn, *leaves)

    @custom_vmap
    def run(closed_over, state, active):
        return jax.lax.while_loop(
            lambda now: now[1], lambda now: turn(closed_over, *now[0]), (state, active)
        )

    @run.def_vmap
    def run_many(size, in_batched, closed_over, state, active):
        # The rule of a scan hands on its constants as plain numbers.
        closed_over, state, active = jax.tree.map(jnp.asarray, (closed_over, state, active))
        axes = [0 if is_batched else None for is_batched in in_batched[0]]
        state, active = (
            jax.tree.map(lambda x, b: x if b else jnp.broadcast_to(x, (size, *x.shape)), *pair)
            for pair in zip((state, active), in_batched[1:], strict=True)
        )
        turns = jax.vmap(lambda closed_over, state: turn(closed_over, *state), (axes, 0))
        batch = size
        while batch > 0:
            smaller = 0 if batch == 1 else -(-batch // SHRINK)
            places = jnp.argsort(~active, stable=True)[:batch]
            of_these = [
                x if axis is None else x[places] for x, axis in zip(closed_over, axes, strict=True)
            ]

            def advanced(now, of_these=of_these):
                state, active = now
                moved, goes_on = turns(of_these, state)
                return jax.tree.map(
                    functools.partial(_where, active), moved, state
                ), active & goes_on

            these, still = jax.lax.while_loop(
                lambda now, smaller=smaller: now[1].sum() > smaller,
                advanced,
                ([x[places] for x in state], active[places]),
            )
            state = [x.at[places].set(new) for x, new in zip(state, these, strict=True)]
            active, batch = active.at[places].set(still), smaller
        return (state, active), jax.tree.map(lambda _: True, (state, active))

    state, _ = run(closed_over, leaves, jnp.asarray(unfinished(start)))
    return jax.tree.unflatten(structure, state)


def _where(active, new, old):
    return jnp.where(active.reshape(-1, *[1] * (new.ndim - 1)), new, old)
