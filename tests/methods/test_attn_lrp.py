import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.core.override import evaluate
from saljax.core.program import trace
from saljax.methods.modified_backprop import rules

RNG = np.random.default_rng(0)
SHAPES = {
    "embed": (3, 4), "query": (4, 4), "key": (4, 4), "value": (4, 4), "out": (4, 4),
    "up": (4, 5), "down": (5, 4), "head": (4, 3),
}  # fmt: skip
WEIGHTS = {k: jnp.asarray(RNG.normal(size=s), jnp.float32) for k, s in SHAPES.items()}
IMAGE = jnp.asarray(RNG.uniform(size=(2, 2, 3)), jnp.float32)


def norm(x):
    centered = x - x.mean(-1, keepdims=True)
    return centered / jnp.sqrt((centered**2).mean(-1, keepdims=True) + 1e-3)


def transformer(w, images):
    """One block of one head, without biases."""
    x = images.reshape(len(images), -1, 3) @ w["embed"]
    y = norm(x)
    scores = (y @ w["query"]) @ jnp.swapaxes(y @ w["key"], 1, 2) / 2
    x = x + (jax.nn.softmax(scores) @ (y @ w["value"])) @ w["out"]
    x = x + jax.nn.gelu(norm(x) @ w["up"], approximate=False) @ w["down"]
    return x.mean(1) @ w["head"]


def dense_literally(x, w, relevance, gamma=0.0):
    """R_i = sum_j x_i v_ij R_j / sum_k x_k v_kj, v_ij = (1 + gamma) w_ij where x_i w_ij agrees."""
    below = np.zeros_like(x)
    for t in range(len(x)):
        for j in range(w.shape[1]):
            parts = x[t] * w[:, j]
            parts = parts * np.where(parts * parts.sum() > 0, 1 + gamma, 1)
            below[t] += parts / parts.sum() * relevance[t, j]
    return below


def product_literally(a, b, relevance):
    """Half of what each pair of factors contributes to each factor."""
    out, of_a, of_b = a @ b, np.zeros_like(a), np.zeros_like(b)
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                share = a[i, k] * b[k, j] / out[i, j] * relevance[i, j] / 2
                of_a[i, k] += share
                of_b[k, j] += share
    return of_a, of_b


def norm_literally(x, relevance):
    """The scale is a constant: x - mean shares in proportion to what each input adds to it."""
    size, below = x.shape[1], np.zeros_like(x)
    for t in range(len(x)):
        for j in range(size):
            parts = x[t] * ((np.arange(size) == j) - 1 / size)
            below[t] += parts / parts.sum() * relevance[t, j]
    return below


def by_hand(image, target, attention, gamma):
    w = {k: np.asarray(v, np.float64) for k, v in WEIGHTS.items()}

    def normed(x):
        centered = x - x.mean(-1, keepdims=True)
        return centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-3)

    pixels = np.asarray(image, np.float64).reshape(-1, 3)
    x = pixels @ w["embed"]
    y = normed(x)
    query, key, value = y @ w["query"], y @ w["key"], y @ w["value"]
    scores = query @ key.T / 2
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    mixed = weights @ value
    after = x + mixed @ w["out"]
    hidden = normed(after) @ w["up"]
    active = hidden * np.vectorize(math.erf)(hidden / 2**0.5) / 2 + hidden / 2
    last = after + active @ w["down"]

    dense = functools.partial(dense_literally, gamma=gamma)
    relevance = np.zeros((1, 3))
    relevance[0, target] = (last.mean(0) @ w["head"])[target]
    pooled = dense(last.mean(0)[None], w["head"], relevance)[0]
    relevance = last / last.sum(0) * pooled
    branch = dense(active, w["down"], active @ w["down"] / last * relevance)
    branch = norm_literally(after, dense(normed(after), w["up"], branch))  # GELU hands on all
    relevance = after / last * relevance + branch
    branch = dense(mixed, w["out"], mixed @ w["out"] / after * relevance)
    if attention == "cp":
        _, of_value = product_literally(weights, value, 2 * branch)
        inside = dense(y, w["value"], of_value)
    else:
        of_weights, of_value = product_literally(weights, value, branch)
        of_scores = scores * (of_weights - weights * of_weights.sum(-1, keepdims=True))
        of_query, of_key = product_literally(query, key.T, of_scores)
        inside = dense(y, w["value"], of_value) + dense(y, w["query"], of_query)
        inside = inside + dense(y, w["key"], of_key.T)
    relevance = x / after * relevance + norm_literally(x, inside)
    return dense(pixels, w["embed"], relevance).reshape(image.shape)


@pytest.mark.parametrize(("attention", "gamma"), [("cp", 0.25), ("attn", 0.0)])
def test_equals_the_papers_rules_operation_by_operation(attention, gamma):
    found = saljax.attn_lrp(
        Partial(transformer, WEIGHTS), IMAGE, 1, attention=attention, gamma_dense=gamma,
        epsilon=0.0, reduce=None,
    )  # fmt: skip
    expected = by_hand(IMAGE, 1, attention, gamma)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, atol=2e-4)
    if attention == "attn":  # which is what LRP does with attention
        lrp = saljax.lrp(Partial(transformer, WEIGHTS), IMAGE, 1, epsilon=0.0, reduce=None)
        np.testing.assert_allclose(lrp / scale, expected / scale, atol=2e-4)
    else:
        score = transformer(WEIGHTS, IMAGE[None])[0, 1]
        np.testing.assert_allclose(found.sum(), score, rtol=1e-3)  # it conserves


def relevance_of(fn, x, out_relevance, composite):
    """R of one operation: x times what is sent back of R / out."""
    x, out_relevance = jnp.asarray(x, jnp.float32), jnp.asarray(out_relevance, jnp.float32)
    out, back = jax.vjp(lambda x: evaluate(trace(fn, x), (x,), composite), x)
    return x * back(out_relevance / out)[0]


def test_numbers_worked_out_by_hand():
    composite = rules.relevance(0.0)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)
    close(relevance_of(jax.nn.softmax, [1.0, 0.0], [1.0, 0.0], composite), [0.2689, 0])
    both = relevance_of(lambda x: x[:2] @ x[2:], [0.5, 0.5, 2.0, 4.0], 6.0, composite)
    close(both, [1, 2, 1, 2])
    for function, slope in [(jax.nn.gelu, 0.8412), (jax.nn.silu, 0.7311)]:
        sent = jax.grad(lambda x, f=function: evaluate(trace(f, x), (x,), composite).sum())
        close(sent(jnp.ones(1)), [slope])  # f(x) / x, and not the derivative
    total = relevance_of(norm, [[1.0, 2.0, 6.0]], [[1.0, 2.0, 3.0]], composite).sum()
    close(total, 6)


def test_gamma_of_one_layer():
    """x = (1, 2), w = (3, -1), R = 10, no bias: v = (3 (1 + g), -1); z < 0 exchanges the signs."""
    composite = rules.attention_relevance(0.0, "cp", 0.25, 0.25)
    for w, expected in [((3.0, -1.0), (3.75, -2.0)), ((1.0, -1.0), (1.0, -2.5))]:

        def fn(x, w=w):
            return jax.nn.relu(x @ jnp.array(w)[:, None]) - jax.nn.relu(-x @ jnp.array(w)[:, None])

        found = relevance_of(fn, [[1.0, 2.0]], [[10.0]], composite)[0]
        np.testing.assert_allclose(found, 10 * np.array(expected) / sum(expected), rtol=1e-4)


def test_a_convolution_has_the_other_gamma(cnn):
    run = functools.partial(saljax.attn_lrp, cnn.score_fn, cnn.image, 1, reduce=None)
    plain = run(gamma_convolution=0.0, gamma_dense=0.0, epsilon=0.0)
    lrp = saljax.lrp(cnn.score_fn, cnn.image, 1, epsilon=0.0, reduce=None)
    np.testing.assert_allclose(plain, lrp, rtol=1e-4, atol=1e-6)
    for changed in ({"gamma_convolution": 0.5}, {"gamma_dense": 0.5}):
        other = run(**{"gamma_convolution": 0.0, "gamma_dense": 0.0, "epsilon": 0.0} | changed)
        assert float(jnp.abs(other - plain).max()) > 1e-3 * float(jnp.abs(plain).max())


@pytest.mark.usefixtures("as_users_run")
def test_wrong_hyperparameters(cnn):
    with pytest.raises(ValueError, match="`attention` must be 'cp' or 'attn'; got 'lrp'"):
        saljax.attn_lrp(cnn.score_fn, cnn.image, 1, attention="lrp")
    with pytest.raises(ValueError, match="`gamma_dense` must be at least 0; got -1"):
        saljax.attn_lrp(cnn.score_fn, cnn.image, 1, gamma_dense=-1)
