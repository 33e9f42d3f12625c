"""Rollout, generic attention and LeGrad against literal twins on a tiny transformer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.methods.attention import tokens

WIDTH, HEADS, CLASSES = 8, 2, 3
IMAGE = jnp.asarray(np.random.default_rng(1).uniform(size=(4, 6, 3)), jnp.float32)
METHODS = {
    "attention_rollout": saljax.attention_rollout,
    "generic_attention": saljax.generic_attention,
    "le_grad": saljax.le_grad,
}


def weights(seed=0, blocks=3):
    rng = np.random.default_rng(seed)

    def drawn(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    block = [
        {"qkv": drawn(WIDTH, 3, HEADS, 4), "out": drawn(HEADS, 4, WIDTH)} for _ in range(blocks)
    ]
    return {
        "patch": drawn(2, 2, 3, WIDTH), "class": drawn(1, 1, WIDTH), "blocks": block,
        "head": drawn(WIDTH, CLASSES),
    }  # fmt: skip


def start(w, images):
    cells = images.reshape(len(images), 2, 2, 3, 2, 3)  # patches of 2 x 2: a grid of 2 x 3
    patches = jnp.einsum("nhiwjc,ijcd->nhwd", cells, w["patch"]).reshape(len(images), 6, WIDTH)
    return jnp.concatenate([jnp.repeat(w["class"], len(images), 0), patches], axis=1)


def parts(block, x):
    q, k, v = jnp.einsum("ntd,dshe->snhte", x, block["qkv"])
    return jax.nn.softmax(0.5 * jnp.einsum("nhqe,nhke->nhqk", q, k)), v


def mixed(block, x, attention, v):
    return x + 0.3 * jnp.einsum("nhqk,nhke,hed->nqd", attention, v, block["out"])


def head(w, x):
    return jnp.tanh(x[:, 0]) @ w["head"]


def network(w, images):
    x = start(w, images)
    for index, block in enumerate(w["blocks"]):
        attention, v = parts(block, x)
        attention = saljax.tag(attention, f"block{index}.attention")
        x = saljax.tag(mixed(block, x, attention, v), f"block{index}.tokens")
    return head(w, x)


def of_all(w, image):
    """What goes into each block and its attention, one after the other."""
    x, found = start(w, image[None]), []
    for block in w["blocks"]:
        attention, v = parts(block, x)
        found.append((x, attention, v))
        x = mixed(block, x, attention, v)
    return found


W = weights()
SCORE_FN = Partial(network, W)


def constant(*matrices):
    """A score function with given attention of one head, whatever the image; its score is 1."""

    def score_fn(images):
        zero = 0 * images.mean()
        for index, matrix in enumerate(matrices):
            a = jnp.broadcast_to(jnp.asarray(matrix, jnp.float32) + zero, (len(images), 1, 2, 2))
            saljax.tag(a, f"block{index}.attention")
            zero = zero + 0 * a.sum()
        return jnp.ones((len(images), 2)) + zero

    return score_fn


def one(method, score_fn, **settings):
    """The map of an image of one patch, behind a class token."""
    return float(method(score_fn, jnp.ones((2, 2, 3)) / 2, 0, resize=False, **settings)[0, 0])


A1, A2 = [[0.5, 0.5], [0, 1]], [[1, 0], [0.5, 0.5]]


def test_rollout_by_hand():
    """B1 = [[.75, .25], [0, 1]], B2 = [[1, 0], [.25, .75]]; the other order would give .1875."""
    assert one(saljax.attention_rollout, constant(A1, A2)) == pytest.approx(0.25)
    assert one(saljax.attention_rollout, constant(A2, A1)) == pytest.approx(0.1875)
    assert one(saljax.attention_rollout, constant(np.eye(2), np.eye(2))) == 0
    assert one(saljax.attention_rollout, constant(A2, A1), raw=True) == pytest.approx(0.5)
    assert one(saljax.attention_rollout, constant(np.full((2, 2), 0.5))) == pytest.approx(1 / 4)


@pytest.mark.parametrize("heads", ["mean", "max", "min"])
@pytest.mark.parametrize("discard", [0.0, 0.4])
def test_rollout_is_its_literal_twin(heads, discard):
    found = saljax.attention_rollout(SCORE_FN, IMAGE, 1, heads=heads, discard=discard, resize=False)
    rolled = np.eye(7)
    for _, attention, _ in of_all(W, IMAGE):
        fused = getattr(np, heads)(np.asarray(attention[0], np.float64), axis=0)
        lowest = sorted(fused.ravel())[: int(discard * 49)]
        fused = np.where(np.isin(fused, lowest), 0, fused) + np.eye(7)
        rolled = fused / fused.sum(axis=1, keepdims=True) @ rolled
    np.testing.assert_allclose(rolled.sum(axis=1), 1)
    np.testing.assert_allclose(found, rolled[0, 1:].reshape(2, 3), rtol=1e-5)
    other = saljax.attention_rollout(SCORE_FN, IMAGE, 2, heads=heads, discard=discard, resize=False)
    np.testing.assert_array_equal(found, other)


def of_products(*evidence, factor=1.0):
    """Attention of ones, whose derivative is given."""

    def score_fn(images):
        score = jnp.zeros(())
        for index, derivative in enumerate(evidence):
            ones = jnp.ones((len(images), 1, 2, 2)) + 0 * images.mean()
            a = saljax.tag(ones, f"block{index}.attention")
            score = score + (a * jnp.asarray(derivative, jnp.float32)[None, None]).sum()
        return jnp.full((len(images), 2), 1.0) * score * factor

    return score_fn


E1, E2 = np.array([[0, 0.2], [0.1, 0]]), np.array([[0, 0.5], [0.3, 0]])


def test_generic_attention_by_hand():
    assert one(saljax.generic_attention, of_products(E1, E2)) == pytest.approx(0.7)
    product = (np.eye(2) + 3 * E2) @ (np.eye(2) + 3 * E1)
    scaled = one(saljax.generic_attention, of_products(E1, E2, factor=3.0))
    assert scaled == pytest.approx(product[0, 1])
    assert one(saljax.generic_attention, of_products(-E1, -E2)) == 0


def test_generic_attention_is_its_literal_twin():
    found = saljax.generic_attention(SCORE_FN, IMAGE, 1, resize=False)
    seen = [attention for _, attention, _ in of_all(W, IMAGE)]

    def score(added):
        x = start(W, IMAGE[None])
        for block, more in zip(W["blocks"], added, strict=True):
            attention, v = parts(block, x)
            x = mixed(block, x, attention + more, v)
        return head(W, x)[0, 1]

    gradients = jax.grad(score)([jnp.zeros_like(a) for a in seen])
    gathered = np.eye(7)
    for attention, gradient in zip(seen, gradients, strict=True):
        product = np.maximum(np.asarray(attention[0] * gradient[0], np.float64), 0)
        gathered = gathered + product.mean(axis=0) @ gathered
    assert gathered[0, 1:].max() > 0
    np.testing.assert_allclose(found, gathered[0, 1:].reshape(2, 3), rtol=1e-4, atol=1e-7)


def test_le_grad_by_hand():
    """One head, A V, a score that is linear in the mean: relu(u . V_j) / T for token j."""
    rng = np.random.default_rng(3)
    values, u = rng.normal(size=(5, 4)), rng.normal(size=4)

    def score_fn(images):
        a = jnp.full((len(images), 1, 5, 5), 0.2) + 0 * images.mean()
        a = saljax.tag(a, "attention")
        out = jnp.einsum("nhqk,kd->nqd", a, jnp.asarray(values, jnp.float32))
        return (saljax.tag(out, "tokens").mean(1) @ jnp.asarray(u, jnp.float32))[:, None]

    found = saljax.le_grad(score_fn, jnp.ones((4, 4, 3)) / 2, 0, resize=False)
    expected = np.maximum(values @ u, 0) / 5
    np.testing.assert_allclose(found.ravel(), expected[1:], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("of", [None, ("block1.attention", "block2.attention")])
def test_le_grad_is_its_literal_twin(of):
    found = saljax.le_grad(SCORE_FN, IMAGE, 1, layers=of, resize=False)
    each = []
    for block, (x, attention, v) in zip(W["blocks"], of_all(W, IMAGE), strict=True):

        def score(attention, block=block, x=x, v=v):
            mean = mixed(block, x, attention, v).mean(axis=1, keepdims=True)
            return head(W, mean)[0, 1]

        gradient = np.maximum(jax.grad(score)(attention)[0], 0)
        each.append(gradient.mean(axis=(0, 1))[1:].reshape(2, 3))
    expected = np.mean(each if of is None else each[1:], axis=0)
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_le_grad_of_what_does_not_change_is_zero():
    still = Partial(network, W | {"head": jnp.zeros((WIDTH, CLASSES))})
    assert float(jnp.abs(saljax.le_grad(still, IMAGE, 1)).max()) == 0


@pytest.mark.parametrize("name", METHODS)
def test_maps_are_as_large_as_the_image_and_the_grid_only_shapes_them(name):
    method = METHODS[name]
    assert method(SCORE_FN, IMAGE, 1).shape == (4, 6)
    small = method(SCORE_FN, IMAGE, 1, resize=False)
    np.testing.assert_allclose(method(SCORE_FN, IMAGE, 1, resize=False, patches=(2, 3)), small)
    column = method(SCORE_FN, IMAGE, 1, resize=False, patches=(6, 1))
    np.testing.assert_allclose(column.ravel(), small.ravel())


def test_without_a_class_token_the_mean_of_all_rows_is_read():
    matrix = jnp.arange(16.0).reshape(4, 4)
    np.testing.assert_allclose(tokens.row_of(matrix, 4, None), [6, 7, 8, 9])
    np.testing.assert_allclose(tokens.row_of(matrix, 3, None), [1, 2, 3])
    np.testing.assert_allclose(tokens.row_of(matrix, 3, "mean"), [9, 10, 11])
    np.testing.assert_allclose(tokens.row_of(matrix, 2, "class"), [2, 3])


@pytest.mark.parametrize(
    ("number", "space", "grid"),
    [
        (197, (224, 224), (14, 14)),
        (196, (224, 224), (14, 14)),
        (198, (224, 224), (14, 14)),
        (1374, (518, 518), (37, 37)),
        (49, (96, 128), (6, 8)),
        (65, (32, 32, 32), (4, 4, 4)),
    ],
)
def test_the_grid_is_read_from_the_number_of_tokens(number, space, grid):
    image = jnp.zeros((*space, 3))
    assert tokens.grid_of(number, image, None) == grid


def test_a_grid_that_does_not_fit_is_told():
    image = jnp.zeros((96, 100, 3))
    with pytest.raises(ValueError, match=r"145 tokens are no grid in the proportions .*`patches`"):
        tokens.grid_of(145, image, None)
    with pytest.raises(ValueError, match=r"9 tokens of a signal .*`patches`"):
        tokens.grid_of(9, jnp.zeros((16, 3)), None)
    assert tokens.grid_of(9, jnp.zeros((16, 3)), (8,)) == (8,)
    for wrong in [(12,), (13, 12)]:
        with pytest.raises(ValueError, match=r"`patches` must .* for each of 2 axes.*145 tokens"):
            tokens.grid_of(145, image, wrong)


@pytest.mark.parametrize("method", METHODS.values())
def test_what_is_not_tagged_is_told(method):
    def score_fn(images):
        return saljax.tag(images, "features").mean((1, 2))

    with pytest.raises(ValueError, match=r"tags no attention.*\(it tags features\).*give `layers`"):
        method(score_fn, IMAGE, 1)
    with pytest.raises(
        ValueError, match=r"attention is \(heads, T, T\).*'features' is \(4, 6, 3\)"
    ):
        method(score_fn, IMAGE, 1, layers=["features"])
    with pytest.raises(ValueError, match="`layers` must be one of"):
        method(score_fn, IMAGE, 1, layers=["nowhere"])


def test_le_grad_says_which_tokens_it_misses():
    with pytest.raises(ValueError, match=r"got 'block0\.tokens'"):
        saljax.le_grad(constant(A1), jnp.ones((2, 2, 3)) / 2, 0)


@pytest.mark.usefixtures("as_users_run")
def test_settings_out_of_range_are_told():
    with pytest.raises(ValueError, match=r"`discard` must be a share in \[0, 1\); got 1"):
        saljax.attention_rollout(SCORE_FN, IMAGE, 1, discard=1.0)
    with pytest.raises(ValueError, match=r"`heads` must be 'mean', 'max' or 'min'; got 'sum'"):
        saljax.attention_rollout(SCORE_FN, IMAGE, 1, heads="sum")
    with pytest.raises(ValueError, match=r"`pooling` must be 'class', 'mean' or None; got 'max'"):
        tokens.row_of(jnp.eye(3), 2, "max")
