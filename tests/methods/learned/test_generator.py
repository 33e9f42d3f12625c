"""The mask generator against its parts, written out place by place."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from saljax.methods.learned import generator
from saljax.methods.learned.dre import DRE
from saljax.methods.learned.generator import MaskGenerator, head_rows, pixel_shuffle


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 2)])
def test_pixel_shuffle_puts_a_places_channels_on_its_pixels(shape):
    rank, channels = len(shape), 2
    x = jnp.arange(np.prod(shape) * 2**rank * channels, dtype=jnp.float32)
    x = x.reshape(1, *shape, 2**rank * channels)
    out = pixel_shuffle(x)
    assert out.shape == (1, *(2 * n for n in shape), channels)
    for place in np.ndindex(shape):
        for number, corner in enumerate(itertools.product((0, 1), repeat=rank)):
            at = tuple(2 * p + c for p, c in zip(place, corner, strict=True))
            mine = x[(0, *place)][number * channels :][:channels]
            np.testing.assert_array_equal(out[(0, *at)], mine)


def test_the_filter_is_equation_3(small):
    model = MaskGenerator(small.fit, (4, 4), "shuffle", rngs=nnx.Rngs(0))
    features, target = small.seen.activations[0], jnp.arange(6, dtype=jnp.int32) % 4
    similar = model.similarity(features, target)
    table = np.asarray(model.embedding[...])
    for n, i, j in np.ndindex(6, 2, 2):
        expected = np.asarray(features[n, i, j]) @ table[target[n]]
        np.testing.assert_allclose(similar[n, i, j], expected, rtol=1e-5)
    alone = MaskGenerator(  # no cells: what comes out is the filtered activation itself
        small.fit.__class__(("coarse",), (small.fit.shapes[0],), 4, (16, 16, 3), ""),
        (),
        "shuffle",
        rngs=nnx.Rngs(0),
    )
    out = alone([features], target, confidence=6.0)
    similar = alone.similarity(features, target)
    np.testing.assert_allclose(
        out, features / (1 + jnp.exp(6.0 - similar))[..., None], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("up", ["shuffle", "transposed"])
def test_it_ends_at_the_finest_layer(small, up):
    model = MaskGenerator(small.fit, (4, 7), up, rngs=nnx.Rngs(0))
    out = jax.eval_shape(model, list(small.seen.activations), jnp.zeros(6, jnp.int32))
    assert out.shape == (6, 8, 8, 7)


def test_sizes_that_do_not_double_and_other_ranks():
    from saljax.methods.learned.explainer import Fit

    fit = Fit(("a", "b"), ((6, 5), (13, 3)), 2, (50, 1), "")
    model = MaskGenerator(fit, (4,), "shuffle", rngs=nnx.Rngs(0))
    x = [jnp.ones((2, 6, 5)), jnp.ones((2, 13, 3))]
    assert model(x, jnp.zeros(2, jnp.int32)).shape == (2, 13, 4)
    fit = Fit(("a", "b"), ((2, 2, 2, 5), (4, 4, 4, 3)), 2, (8, 8, 8, 1), "")
    model = MaskGenerator(fit, (4,), "transposed", rngs=nnx.Rngs(0))
    x = [jnp.ones((2, 2, 2, 2, 5)), jnp.ones((2, 4, 4, 4, 3))]
    out = jax.eval_shape(model, x, jnp.zeros(2, jnp.int32))
    assert out.shape == (2, 4, 4, 4, 4)


def test_an_unknown_way_up_is_refused(small, as_users_run):
    with pytest.raises(ValueError, match="`up` must be one of shuffle, transposed; got 'bilinear'"):
        MaskGenerator(small.fit, (4, 4), "bilinear", rngs=nnx.Rngs(0))


def test_rows_of_the_last_layer(small):
    rows = head_rows(small.score_fn, small.images[0], "coarse", 4)
    weights = np.asarray(small.weights["head"]).T
    np.testing.assert_allclose(rows, weights - weights.mean(axis=0), rtol=1e-4, atol=1e-5)
    assert head_rows(small.score_fn, small.images[0], "middle", 4) is None  # a ReLU comes after


def test_embeddings_start_from_the_head_or_at_random(small):
    for start, same in (("head", True), ("random", False)):
        drawn = DRE(small.fit, channels=(4, 4), embedding=start, rngs=nnx.Rngs(0))
        begun = generator.begin(drawn, small.score_fn, small.images[0])
        rows = head_rows(small.score_fn, small.images[0], "coarse", 4)
        assert np.allclose(begun.generator.embedding[...], rows) == same
        np.testing.assert_array_equal(begun.head.kernel[...], drawn.head.kernel[...])
        assert not np.allclose(drawn.generator.embedding[...], rows)


def test_channels_are_a_share_of_what_a_cell_meets(small):
    assert generator.channels_for(small.fit) == (32, 32)  # half of 6 and 5, but not fewer than 32
