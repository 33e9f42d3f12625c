"""What a mask pays for: its roughness and its area."""

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

EQUAL = 1e-5
"""Cells that differ by less count as equal in `sorted_area`."""


def total_variation(
    mask: Float[Array, "*spatial"], beta: float = 2.0, *, isotropic: bool = True
) -> Float[Array, ""]:
    """Roughness of a mask, summed over its cells.

    isotropic:    sum |grad m|_2 ^ beta      anisotropic:   sum_axes sum |d_axis m| ^ beta

    A gradient is by differences to the next cell along each axis, zero where there is none; its
    length is not the same where "next" is the cell before, so the isotropic sum is the mean over
    both for every axis. A mirrored mask is as rough as the mask.

    Args:
        mask: m, (*spatial).
        beta: power, above 0.
        isotropic: see above.

    Returns:
        (). Its derivative is 0 where the mask is flat, for any `beta`.

    Source: Fong and Vedaldi's supplement and the code of Meaningful Perturbation, which is
    isotropic; the norm its paper prints reads anisotropic. The mean over both directions is our
    choice: the code has forward differences alone, which tell left from right.
    """
    steps = [jnp.square(jnp.diff(mask, axis=axis)) for axis in range(mask.ndim)]
    if not isotropic:
        return sum((_powers(step, beta) for step in steps), jnp.float32(0))

    def rough(ends):
        squares = [
            jnp.pad(step, [(end, 1 - end) if a == axis else (0, 0) for a in range(mask.ndim)])
            for axis, (step, end) in enumerate(zip(steps, ends, strict=True))
        ]
        return _powers(sum(squares), beta)

    # Where a step counts: at the cell after it, or at the one before, on each axis.
    each_way = [rough(ends) for ends in itertools.product((0, 1), repeat=mask.ndim)]
    return jnp.stack(each_way).mean()


def _powers(squares, beta):
    rough = squares > 0
    return jnp.where(rough, jnp.where(rough, squares, 1.0) ** (beta / 2), 0.0).sum()


def sorted_area(mask: Float[Array, "*spatial"], area: float | Float[Array, ""]) -> Float[Array, ""]:
    """How far a mask is from being 1 on a share `area` of its cells and 0 on the rest.

    R = mean (sort(m) - r)^2, r = floor(n (1 - area)) zeros, then ones

    Cells that are equal across the step of r, up to rounding, are drawn to its ends alike: none is
    taken for larger because it comes later in memory.

    Args:
        mask: m, (*spatial), n cells.
        area: in [0, 1].

    Returns:
        () in [0, 1] for a mask in [0, 1].

    Source: Extremal Perturbations (ICCV 2019), equation 2, and its code for the rounding. The code
    leaves it to the sorting which of equal cells becomes 1.
    """
    cells, zeros = mask.ravel(), jnp.floor(mask.size * (1 - jnp.float32(area)))
    last = jnp.minimum(zeros.astype(jnp.int32), mask.size - 1)
    away = jax.lax.stop_gradient(cells - jnp.sort(cells)[last])
    above, equal = away > EQUAL, jnp.abs(away) <= EQUAL
    share = (mask.size - zeros - above.sum(dtype=jnp.float32)) / equal.sum(dtype=jnp.float32)
    ones = jnp.where(equal, share, above.astype(jnp.float32))
    return (ones * jnp.square(1 - cells) + (1 - ones) * jnp.square(cells)).mean()
