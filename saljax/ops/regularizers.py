"""What a mask pays for: its roughness and its area."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def total_variation(
    mask: Float[Array, "*spatial"], beta: float = 2.0, *, isotropic: bool = True
) -> Float[Array, ""]:
    """Roughness of a mask, summed over its cells.

    isotropic:    sum |grad m|_2 ^ beta      anisotropic:   sum_axes sum |d_axis m| ^ beta

    The gradient is by forward differences, zero at the last cell of each axis.

    Args:
        mask: m, (*spatial).
        beta: power, above 0.
        isotropic: see above.

    Returns:
        (). Its derivative is 0 where the mask is flat, for any `beta`.

    Source: S2 and the code of Meaningful Perturbation, which is isotropic; the norm its paper
    prints reads anisotropic.
    """
    steps = jnp.stack(
        [
            jnp.diff(mask, axis=axis, append=jnp.take(mask, jnp.array([-1]), axis))
            for axis in range(mask.ndim)
        ]
    )
    squares = jnp.square(steps).sum(axis=0) if isotropic else jnp.square(steps)
    rough = squares > 0
    return jnp.where(rough, jnp.where(rough, squares, 1.0) ** (beta / 2), 0.0).sum()


def sorted_area(mask: Float[Array, "*spatial"], area: float | Float[Array, ""]) -> Float[Array, ""]:
    """How far a mask is from being 1 on a share `area` of its cells and 0 on the rest.

    R = mean (sort(m) - r)^2, r = floor(n (1 - area)) zeros, then ones

    Args:
        mask: m, (*spatial), n cells.
        area: in [0, 1].

    Returns:
        () in [0, 1] for a mask in [0, 1].

    Source: Extremal Perturbations (ICCV 2019), equation 2, and its code for the rounding.
    """
    ones = jnp.arange(mask.size, dtype=jnp.float32) >= jnp.floor(mask.size * (1 - area))
    return jnp.square(jnp.sort(mask.ravel()) - ones.astype(mask.dtype)).mean()
