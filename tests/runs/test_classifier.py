"""What a run knows of a classifier: scores, names of classes, both sides of one logit."""

import functools

import jax
import numpy as np
import pytest

import saljax
from saljax import models
from saljax.models import transfer, weights
from saljax.runs import classifier

IMAGES = jax.random.uniform(jax.random.key(0), (2, 96, 96, 3))


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    """The bundled network with a last layer of one logit."""
    path = tmp_path_factory.mktemp("binary") / "w.safetensors"
    tensors = weights.parameters(models.load("birdlets"))
    for name in ("head.kernel", "head.bias"):
        tensors[name] = np.ascontiguousarray(tensors[name][..., :1])
    weights.write(path, tensors)
    return path


def test_one_logit_has_two_sides(binary):
    found = classifier.load("birdlets", binary)
    assert found.one_logit and tuple(found.labels) == ("negative", "positive")
    assert found.record()["probabilities"] == "sigmoid of one logit"
    logits = np.asarray(models.load("birdlets", binary)(IMAGES))
    assert logits.shape == (2, 1)
    np.testing.assert_allclose(found.logits(IMAGES), logits * [[-1, 1]], rtol=1e-5)
    expected = 1 / (1 + np.exp(-logits * [[-1, 1]]))
    np.testing.assert_allclose(found.probabilities(IMAGES), expected, rtol=1e-5)


def test_the_other_side_is_a_class_like_any_other(binary):
    """Excitation backprop of it is that of negated weights; -z of z would send nothing."""
    negated = weights.parameters(models.load("birdlets", binary))
    negated |= {name: -negated[name] for name in ("head.kernel", "head.bias")}
    model = weights.assign(transfer.blank("birdlets", models.load("birdlets", binary)), negated)
    both = classifier.load("birdlets", binary).logits
    ebp = functools.partial(saljax.excitation_backprop, layer="block4")
    found, expected = (saljax.explain(ebp, one, IMAGES[:1], [0]) for one in (both, model))
    assert np.asarray(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-8)


def test_logits_that_are_not_those_of_a_last_layer():
    """Behind a ReLU the weights of the other side would not give -z."""
    assert [transfer.ends_in_head(n) for n in ("squeezenet1_1", "unknown", "vgg16")] == [0, 0, 1]
    score_fn = jax.tree_util.Partial(lambda x: x.mean((1, 2, 3))[:, None])
    both, means = saljax.scores.sides(score_fn)(IMAGES), np.asarray(IMAGES).mean((1, 2, 3))
    np.testing.assert_allclose(both, np.stack([-means, means], 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (None, ("negative", "positive")),
        ("myopia\n", ("not myopia", "myopia")),
        ("healthy\nmyopia\n", ("healthy", "myopia")),
    ],
)
def test_names_of_the_sides(tmp_path, names, labels):
    if names is not None:
        (tmp_path / "w.labels.txt").write_text(names)
    assert models.labels.of_sides(tmp_path / "w.safetensors") == labels


def test_names_of_more_than_two_sides(tmp_path):
    (tmp_path / "w.labels.txt").write_text("a\nb\nc\n")
    with pytest.raises(ValueError, match="one logit, but 3 class names"):
        models.labels.of_sides(tmp_path / "w.safetensors")
