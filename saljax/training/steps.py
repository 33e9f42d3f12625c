"""Training of a score function: one pure step, and the host loop around it."""

import functools
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from saljax.core.types import ScoreFn
from saljax.runs import devices
from saljax.runs.loop import score, wait

Weights = dict[str, Float[Array, "..."]]
Loss = Callable[..., tuple[Float[Array, ""], Weights]]
"""Weights that learn, weights that do not, a batch, a key, and what is beside them -> the loss, and
what has moved all the same of the weights that do not learn, such as statistics of batch norms."""


class State(NamedTuple):
    """Everything that a training run has become after some steps.

    Attributes:
        step: how many.
        weights: those that learn, by name.
        kept: those that do not.
        memory: of the optimizer.
        loss: sum over the steps of this epoch.
    """

    step: Int[Array, ""]
    weights: Weights
    kept: Weights
    memory: optax.OptState
    loss: Float[Array, ""]


def begin(
    weights: Mapping[str, Any], kept: Mapping[str, Any], optimizer: optax.GradientTransformation
) -> State:
    """Return the state after no step, of arrays by name."""
    learning = {name: jnp.asarray(value) for name, value in weights.items()}
    others = {name: jnp.asarray(value) for name, value in kept.items()}
    return State(jnp.int32(0), learning, others, optimizer.init(learning), jnp.float32(0))


@functools.partial(jax.jit, static_argnums=(0, 1))
def step(
    loss_fn: Loss,
    optimizer: optax.GradientTransformation,
    state: State,
    batch: Any,
    key: Any,
    beside: tuple[Any, ...] = (),
) -> State:
    """Go one step down the gradient of the loss.

    A pure function, compiled once for each `loss_fn` and `optimizer`. The old state is not given
    up to make room for the new: whoever is interrupted still holds one that is whole.

    Args:
        loss_fn: the loss of a batch.
        optimizer: of optax.
        state: before.
        batch: whatever `loss_fn` takes.
        key: likewise.
        beside: pytrees that `loss_fn` takes after them, which no step changes and no derivative
            is formed for, such as a classifier that is explained.

    Returns:
        The state after.
    """
    graded = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, moved), gradient = graded(state.weights, state.kept, batch, key, *beside)
    with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats and step counts
        updates, memory = optimizer.update(gradient, state.memory, state.weights)
    weights: Any = optax.apply_updates(state.weights, updates)
    return State(state.step + 1, weights, {**state.kept, **moved}, memory, state.loss + loss)


def run(
    loss_fn: Loss,
    optimizer: optax.GradientTransformation,
    state: State,
    batch_of: Callable[[int], Any],
    key: Key[Array, ""],
    num_steps: int,
    per_epoch: int,
    beside: tuple[Any, ...] = (),
) -> Iterator[State]:
    """Go on from a state, wherever it was left.

    Nothing depends on what was done before but through the state: the batch of step i is
    `batch_of(i)` and its key is folded from i. So a run that was killed and goes on from its last
    state ends with the same weights, bit by bit, as one that was not, on the same devices and
    versions. (On GPUs only where their sums have one order: `XLA_FLAGS=
    --xla_gpu_deterministic_ops=true`.) A batch goes to all devices when it divides, and the next
    one is read while the devices compute.

    Args:
        loss_fn: as of `step`.
        optimizer: as of `step`.
        state: where to go on.
        batch_of: step -> its batch, arrays with one leading axis.
        key: of the run.
        num_steps: of the whole run.
        per_epoch: steps after which the sum of the losses begins anew.
        beside: as of `step`.

    Yields:
        The state after each step.
    """
    first = int(state.step)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(batch_of, first)
        size = len(jax.tree.leaves(coming.result())[0])
        state, beside = devices.replicate((state, beside), size)
        for index in range(first, num_steps):
            batch = devices.shard(jax.tree.map(jnp.asarray, coming.result()))
            if index + 1 < num_steps:
                coming = reader.submit(batch_of, index + 1)
            if index % per_epoch == 0:
                state = state._replace(loss=jnp.zeros_like(state.loss))
            own = jax.random.fold_in(key, index)
            state = step(loss_fn, optimizer, state, batch, own, beside)
            wait(state.loss)
            yield state


def order(seed: int, number: int, batch_size: int) -> Callable[[int], Int[np.ndarray, " batch"]]:
    """Return which rows of a data set make up the batch of a step.

    Each epoch has an order of its own, drawn from the seed and the epoch. What is left over when
    the data do not divide into batches is left out of that epoch.

    Args:
        seed: of the run.
        number: rows of the data set.
        batch_size: at most `number`.
    """
    per_epoch = number // batch_size

    def rows(step: int) -> Int[np.ndarray, " batch"]:
        epoch, place = divmod(step, per_epoch)
        shuffled = np.random.default_rng((seed, epoch)).permutation(number)
        return shuffled[place * batch_size :][:batch_size]

    return rows


def predicted(
    score_fn: ScoreFn, images: Any, number: int, batch_size: int
) -> Int[np.ndarray, " images"]:
    """Return the class of the highest score of each image.

    Args:
        score_fn: a pytree, compiled once for all batches.
        images: an array, or what gives some of them by `images[rows]`.
        number: of images.
        batch_size: images scored at a time; the last batch is filled up with the first images.
    """
    size, found = min(batch_size, number), []
    score_fn = devices.replicate(score_fn, size)
    for first in range(0, number, size):
        rows = np.arange(first, first + size) % number
        batch = devices.shard(jnp.asarray(images[rows]))
        found.append(np.asarray(wait(score(score_fn, batch))).argmax(axis=-1))
    return np.concatenate(found)[:number]


def hits(
    score_fn: ScoreFn, images: Any, labels: Int[np.ndarray, " images"], batch_size: int
) -> Bool[np.ndarray, " images"]:
    """Return for which images the class of the highest score is the right one, see `predicted`."""
    return predicted(score_fn, images, len(labels), batch_size) == labels
