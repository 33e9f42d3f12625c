import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax.ops.regularizers import sorted_area, total_variation


def variation_cell_by_cell(mask, beta, isotropic):
    """The mean over what may be next: the cell after, or the one before, along each axis."""
    totals = []
    for ways in itertools.product((1, -1), repeat=mask.ndim):
        total = 0.0
        for cell in itertools.product(*map(range, mask.shape)):
            squares = []
            for axis, n in enumerate(mask.shape):
                following = list(cell)
                following[axis] = min(max(cell[axis] + ways[axis], 0), n - 1)
                squares.append((mask[tuple(following)] - mask[cell]) ** 2)
            powers = [s ** (beta / 2) for s in squares]
            total += sum(squares) ** (beta / 2) if isotropic else sum(powers)
        totals.append(total)
    return np.mean(totals)


@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize("shape", [(7,), (5, 4), (3, 4, 2)])
def test_total_variation_is_its_formula(shape, isotropic):
    mask = np.random.default_rng(0).uniform(size=shape)
    for beta in (1.0, 2.0, 3.0):
        found = total_variation(jnp.asarray(mask, jnp.float32), beta, isotropic=isotropic)
        assert float(found) == pytest.approx(variation_cell_by_cell(mask, beta, isotropic), 1e-5)


def test_a_mirrored_mask_is_as_rough():
    mask = jnp.asarray(np.random.default_rng(0).uniform(size=(5, 6)), jnp.float32)
    rough = total_variation(mask, 3.0)
    for mirrored in (mask[::-1], mask[:, ::-1], mask[::-1, ::-1], mask.T):
        assert float(total_variation(mirrored, 3.0)) == pytest.approx(float(rough), 1e-5)


def test_total_variation_of_an_edge_and_of_a_dot():
    edge = jnp.zeros((6, 8)).at[:, 4:].set(1)
    dot = jnp.zeros((6, 8)).at[3, 3].set(1)
    for beta in (1.0, 2.0, 3.0):
        assert float(total_variation(edge, beta)) == pytest.approx(6)
        assert float(total_variation(dot, beta)) == pytest.approx(2 + 2 ** (beta / 2))
        assert float(total_variation(dot, beta, isotropic=False)) == pytest.approx(4)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_a_flat_mask_has_no_variation_and_a_finite_derivative(beta):
    value, derivative = jax.value_and_grad(total_variation)(jnp.full((4, 4), 0.3), beta)
    assert value == 0 and (derivative == 0).all()


def test_sorted_area_is_zero_where_the_mask_has_the_area():
    mask = jnp.zeros((4, 5)).at[1, :].set(1)
    assert float(sorted_area(mask, 0.25)) == 0
    assert float(sorted_area(mask, 0.5)) == pytest.approx(5 / 20)


def test_sorted_area_of_a_constant():
    value, area = 0.3, 0.2
    found = float(sorted_area(jnp.full((10, 10), value), area))
    assert found == pytest.approx((1 - area) * value**2 + area * (1 - value) ** 2)
