import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax.core.loops import SHRINK, while_loop

LENGTHS = [3, 40, 5, 5, 5, 2, 0, 9, 9, 9, 1, 1, 4, 4, 12, 3]


def halving(loop, sizes=None):
    """How often a number was halved and raised, with a body that may tell its batch size."""

    def tell(x):
        sizes.append(x.shape[0] if x.ndim else 1)
        return x

    def run(length, raised):
        def advance(state):
            count, x = state["count"], state["x"]
            if sizes is not None:
                shape = jax.ShapeDtypeStruct((), jnp.float32)
                x = jax.pure_callback(tell, shape, x, vmap_method="expand_dims")
            return {"count": count + 1, "x": x / 2 + raised}

        start = {"count": jnp.int32(0), "x": jnp.float32(0)}
        return loop(lambda state: state["count"] < length, advance, start)

    return run


@pytest.mark.parametrize("axes", [(0, None), (0, 0)])
def test_the_same_states_as_the_plain_loop(axes):
    lengths = jnp.asarray(LENGTHS)
    raised = jnp.float32(1) if axes[1] is None else jnp.arange(16.0)
    ours, plain = (
        jax.vmap(halving(loop), axes)(lengths, raised) for loop in (while_loop, jax.lax.while_loop)
    )
    jax.tree.map(np.testing.assert_array_equal, ours, plain)
    np.testing.assert_array_equal(ours["count"], lengths)


def test_alone_and_in_two_nested_vmaps():
    assert int(halving(while_loop)(jnp.int32(7), jnp.float32(1))["count"]) == 7
    lengths = jnp.asarray(LENGTHS).reshape(4, 4)
    nested = jax.vmap(jax.vmap(halving(while_loop), (0, None)))(lengths, jnp.arange(4.0))
    np.testing.assert_array_equal(nested["count"], lengths)


def passes(loop):
    sizes = []
    program = jax.jit(jax.vmap(halving(loop, sizes), (0, None)))
    jax.block_until_ready(program(jnp.asarray(LENGTHS), jnp.float32(1)))
    return sum(sizes)


def test_an_iteration_is_not_paid_for_images_that_have_finished():
    needed, ours = sum(LENGTHS), passes(while_loop)
    assert needed <= ours <= SHRINK * needed
    # The bound is worth having: the plain loop runs all sixteen forty times.
    assert passes(jax.lax.while_loop) == len(LENGTHS) * max(LENGTHS) > SHRINK * needed


def test_random_keys_go_along():
    def run(key, length):
        def advance(state):
            count, total = state
            return count + 1, total + jax.random.uniform(jax.random.fold_in(key, count))

        return while_loop(lambda s: s[0] < length, advance, (jnp.int32(0), jnp.float32(0)))[1]

    keys, lengths = jax.random.split(jax.random.key(0), 5), jnp.asarray([4, 1, 9, 2, 2])
    together = jax.vmap(run)(keys, lengths)
    for key, length, value in zip(keys, lengths, together, strict=True):
        np.testing.assert_allclose(run(key, length), value, rtol=1e-6)


def test_inside_a_scan_under_vmap():
    """A scan hands the loop's first state on as plain numbers."""

    def run(length):
        def look(total, _):
            start = (jnp.int32(0), total)
            end = while_loop(lambda s: s[0] < length, lambda s: (s[0] + 1, s[1] + 1), start)
            return end[1], None

        return jax.lax.scan(look, jnp.float32(0), length=2)[0]

    lengths = jnp.asarray([0, 3, 1])
    np.testing.assert_array_equal(jax.vmap(run)(lengths), 2 * lengths)
