"""One class rather than others, a box, a text: formulas beside loops, and numbers by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax import scores

RNG = np.random.default_rng(3)
IMAGES = jnp.asarray(RNG.uniform(size=(3, 2, 2, 4)), jnp.float32)
LOGITS = RNG.normal(size=(3, 9))


def giving(rows):
    return lambda images: jnp.asarray(rows, jnp.float32)[: len(images)]


def contrasted(logits, references, num, gamma, weights):
    """The formula in loops."""
    found = np.zeros_like(logits)
    for n, y in enumerate(logits):
        for c in range(len(y)):
            others = [d for d in (references or range(len(y))) if d != c]
            if references is None:
                others = sorted(others, key=lambda d: abs(y[d] - y[c]))[:num]
            w = [1.0 if weights == "mean" else math.exp(y[d]) for d in others]
            mean = sum(a * y[d] for a, d in zip(w, others, strict=True)) / sum(w) if w else 0
            found[n, c] = y[c] - gamma * mean
    return found


@pytest.mark.parametrize("weights", ["mean", "softmax", "softmax, moving"])
@pytest.mark.parametrize(
    ("references", "num", "classes"), [(None, 3, 9), (None, 3, 3), (None, 2, 1), ((4, 0, 7), 3, 9)]
)
def test_contrast_is_its_formula(weights, references, num, classes):
    logits = LOGITS[:, :classes]
    asked = scores.contrast(giving(logits), references, num=num, gamma=0.7, weights=weights)
    expected = contrasted(logits, references, num, 0.7, weights)
    np.testing.assert_allclose(asked(IMAGES), expected, rtol=1e-4, atol=1e-5)


def test_contrast_by_hand():
    """METHODS: logits (3, 2, 1, 0), class 0."""
    y = jnp.asarray([[3.0, 2.0, 1.0, 0.0]])

    def value(gamma, weights):
        def of(y):
            one = scores.contrast(lambda x: y, gamma=gamma, weights=weights)
            return one(IMAGES[:1])[0, 0]

        return jax.value_and_grad(of)(y)

    assert value(0.6, "mean")[0] == pytest.approx(2.4)
    found, gradient = value(1.0, "softmax, moving")
    assert found == pytest.approx(1.4248, abs=2e-4)
    np.testing.assert_allclose(gradient[0], [1, -0.948, -0.104, 0.052], atol=1e-3)
    np.testing.assert_allclose(value(1.0, "softmax")[1][0], [1, -0.665, -0.245, -0.09], atol=1e-3)


def test_a_constant_in_all_logits_is_no_contrast():
    one, more = (
        scores.contrast(giving(LOGITS + c), (2,), gamma=1.0)(IMAGES[:, :1]) for c in (0, 5)
    )
    others = np.delete(np.arange(9), 2)
    np.testing.assert_allclose(one[:, others], more[:, others], atol=1e-5)


@pytest.mark.usefixtures("as_users_run")
def test_wrong_contrasts():
    with pytest.raises(ValueError, match="`num` must be greater than 0"):
        scores.contrast(giving(LOGITS), num=0)
    with pytest.raises(ValueError, match="`weights` must be one of mean, softmax"):
        scores.contrast(giving(LOGITS), weights="max")
    with pytest.raises(ValueError, match="must be class indices"):
        scores.contrast(giving(LOGITS), [-1])
    with pytest.raises(ValueError, match=r"classes in 0\.\.8; got \(9,\)"):
        scores.contrast(giving(LOGITS), [9])(IMAGES)


def detected(box, target, proposals):
    """The formula in loops."""
    best = 0.0
    for (x1, y1, x2, y2), p, objectness in proposals:
        width = max(0, min(box[2], x2) - max(box[0], x1))
        height = max(0, min(box[3], y2) - max(box[1], y1))
        own = (box[2] - box[0]) * (box[3] - box[1])
        iou = width * height / (own + (x2 - x1) * (y2 - y1) - width * height)
        lengths = np.linalg.norm(p) * np.linalg.norm(target)
        best = max(best, iou * (np.dot(p, target) / lengths if lengths else 0) * objectness)
    return best


def as_detector(proposals, objectness=True):
    boxes, classes, objects = (
        jnp.asarray([p[i] for p in proposals], jnp.float32)[None] for i in range(3)
    )
    return lambda images: (boxes, classes, objects) if objectness else (boxes, classes)


BY_HAND = [((0, 0, 2, 1), (0.6, 0.8), 0.8), ((1, 1, 3, 3), (1, 0), 1.0)]


def test_detection_by_hand():
    for proposals, expected in [(BY_HAND, 0.24), (BY_HAND[:1], 0.24), (BY_HAND[1:], 0.1429)]:
        asked = scores.detection(as_detector(proposals), (0, 0, 2, 2), (1, 0))
        np.testing.assert_allclose(asked(IMAGES[:1]), [[expected]], atol=1e-4)
        assert detected((0, 0, 2, 2), (1, 0), proposals) == pytest.approx(expected, abs=1e-4)


def test_detection_is_its_formula_for_several_objects():
    corners = RNG.uniform(0, 4, (6, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    proposals = [(tuple(b), RNG.uniform(size=3), RNG.uniform()) for b in boxes]
    proposals.append(((0, 0, 0, 0), np.zeros(3), 0.0))  # what fills up
    targets = [((0, 0, 2, 2), (1, 0, 0)), ((1, 1, 4, 3), (0.2, 0.3, 0.5)), ((0, 0, 1, 1), (0,) * 3)]
    asked = scores.detection(
        as_detector(proposals), [box for box, _ in targets], [p for _, p in targets]
    )
    expected = [detected(box, p, proposals) for box, p in targets]
    np.testing.assert_allclose(asked(IMAGES[:1])[0], expected, rtol=1e-4, atol=1e-6)
    same = scores.detection(as_detector([(*targets[0], 0.1)], objectness=False), *targets[0])
    np.testing.assert_allclose(same(IMAGES[:1]), [[1.0]], rtol=1e-5)


def test_a_detection_is_explained():
    def detector(images):
        """A box in the left half, as sure as it is bright."""
        bright = images[:, :, :1].mean((1, 2, 3))
        boxes = jnp.broadcast_to(jnp.asarray([[0.0, 0, 1, 2]]), (len(images), 1, 4))
        return boxes, jnp.ones((len(images), 1, 1)), bright[:, None]

    asked = scores.detection(detector, (0, 0, 1, 2), (1,))
    saliency = np.asarray(saljax.gradient(asked, IMAGES[0], 0))
    np.testing.assert_allclose(saliency, [[1 / 8, 0], [1 / 8, 0]], rtol=1e-5)


def test_wrong_detections():
    with pytest.raises(ValueError, match=r"must be \(4,\) or \(T, 4\).*\(1, 3\)"):
        scores.detection(as_detector(BY_HAND), (0, 0, 2), (1, 0))
    with pytest.raises(ValueError, match=r"boxes \(N, M, 4\).*got ArrayImpl"):
        scores.detection(lambda x: x, (0, 0, 2, 2), (1, 0))(IMAGES)


def encode(images):
    return images.reshape(len(images), -1)[:, :5] - 0.5


def cosine(a, b):
    lengths = math.sqrt(sum(a**2)) * math.sqrt(sum(b**2))
    return sum(a * b) / lengths if lengths else 0.0


def test_similarity_is_a_cosine():
    texts = RNG.normal(size=(3, 5)).astype("f")
    texts[2] = 0
    vectors = np.asarray(encode(IMAGES))
    expected = [[100 * cosine(v, t) for t in texts] for v in vectors]
    found = scores.similarity(encode, texts, scale=100.0)(IMAGES)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    scaled = scores.similarity(lambda x: 7 * encode(x), texts, scale=100.0)(IMAGES)
    np.testing.assert_allclose(found, scaled, rtol=1e-4, atol=1e-5)
    one = scores.similarity(encode, texts[0])(IMAGES)
    np.testing.assert_allclose(one[:, 0], found[:, 0] / 100, rtol=1e-4)


def test_the_gradient_is_orthogonal_to_the_vector():
    text = RNG.normal(size=5).astype("f")
    vectors = encode(IMAGES)
    asked = scores.similarity(lambda x: x, text)
    gradient = jax.grad(lambda v: asked(v).sum())(vectors)
    np.testing.assert_allclose((gradient * vectors).sum(1), 0, atol=1e-6)
    at_zero = jax.grad(lambda v: asked(v).sum())(jnp.zeros((1, 5)))
    assert jnp.isfinite(at_zero).all()


def test_several_prompts_of_a_class_are_their_mean_direction():
    prompts = RNG.normal(size=(2, 3, 5)).astype("f")
    found = scores.similarity(encode, prompts)(IMAGES)
    mean = [np.mean([p / np.linalg.norm(p) for p in one], 0) for one in prompts]
    expected = [[cosine(v, m) for m in mean] for v in np.asarray(encode(IMAGES))]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_vectors_that_do_not_fit():
    with pytest.raises(ValueError, match=r"vectors \(N, 4\).*got \(3, 5\)"):
        scores.similarity(encode, np.ones(4))(IMAGES)
