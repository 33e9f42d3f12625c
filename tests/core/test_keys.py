import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax.core import keys

GENERATORS = ("threefry2x32", "rbg", "unsafe_rbg")


def words(key):
    return jax.random.key_data(key).tolist()


def test_a_threefry_key_is_its_own(key):
    assert words(keys.own(key)) == words(key)
    assert words(keys.own(jax.random.PRNGKey(20))) == words(key)


@pytest.mark.parametrize("generator", GENERATORS)
def test_draws_depend_on_the_key_alone(generator):
    many = jax.random.split(jax.random.key(3, impl=generator), 4)

    def drawn(key):
        return jax.random.normal(keys.own(key), (5,), jnp.float32)

    together = jax.jit(jax.vmap(drawn))(many)
    np.testing.assert_array_equal(together, jnp.stack([drawn(key) for key in many]))
    assert len({words(keys.own(key))[0] for key in many}) == 4


@pytest.mark.parametrize("generator", GENERATORS[1:])
def test_every_word_of_a_key_counts(generator):
    data = np.arange(1, 5, dtype=np.uint32)
    found = []
    for place in range(4):
        other = data.copy()
        other[place] += 9
        found += [keys.own(jax.random.wrap_key_data(jnp.asarray(other), impl=generator))]
    assert len({tuple(words(key)) for key in found}) == 4
    with jax.default_prng_impl(generator):
        raw, typed = jax.random.PRNGKey(7), jax.random.key(7)
        assert raw.shape == (4,) and words(keys.own(raw)) == words(keys.own(typed))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (0, "got 0"),
        (None, "got None"),
        (np.float32([1, 2]), r"got float32 \(2,\)"),
        (jax.random.split(jax.random.key(0)), r"got key<fry> \(2,\)"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_what_is_no_key_is_told(wrong, message):
    with pytest.raises(ValueError, match=f"`key` must be one key, such as .*; {message}"):
        keys.own(wrong)
