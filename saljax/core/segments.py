"""Segments of an image that somebody gave: a label 0..R-1 a pixel."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Int

Labels = Int[Array, "*spatial"] | Int[np.ndarray, "*spatial"]


def numbered(labels: Labels, number: int | None) -> tuple[Int[Array, "*spatial"], int]:
    """Labels as int32, and how many there are.

    Args:
        labels: (*spatial), 0..R-1.
        number: R, or None where the labels are known.

    Raises:
        ValueError: they are other labels than these, or R is not known.
    """
    if not isinstance(labels, Tracer):
        with jax.ensure_compile_time_eval():  # of labels that a traced function closes over
            low, high = int(labels.min()), int(labels.max())
        number = high + 1 if number is None else number
        if low < 0 or high >= number:
            raise ValueError(f"`segments` must be labels 0..{number - 1}; got {low}..{high}.")
    if number is None:
        raise ValueError(
            "`num_segments` must be given where `segments` is not known until the program runs: "
            "inside jit, vmap or explain."
        )
    return jnp.asarray(labels, jnp.int32), number
