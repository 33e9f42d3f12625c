"""What explainers know of their classifier."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.methods.learned import explainer, generator
from saljax.models.constructors import abstract

from .conftest import CLASSES, LAYERS, logits


def test_fit_says_what_is_there(small):
    assert small.fit.layers == LAYERS
    assert small.fit.shapes == ((2, 2, 8), (4, 4, 6), (8, 8, 5))
    assert (small.fit.num_classes, small.fit.image_shape) == (CLASSES, (16, 16, 3))


def test_one_look_is_the_classifiers_own_pass(small):
    np.testing.assert_allclose(small.seen.scores, small.score_fn(small.images), rtol=1e-6)
    coarse = small.seen.activations[0]
    out = jnp.einsum("nc,ck->nk", coarse.mean((1, 2)), small.weights["head"])
    np.testing.assert_allclose(out, small.seen.scores, rtol=1e-5)


def test_no_derivative_reaches_the_classifier(small):
    def total(weights):
        seen = explainer.look(Partial(logits, weights), small.images, LAYERS)
        return sum(a.sum() for a in seen.activations) + seen.scores.sum()

    assert all(not np.any(g) for g in jax.tree.leaves(jax.grad(total)(small.weights)))


def test_a_fingerprint_follows_the_weights_and_nothing_else(small):
    print_ = explainer.fingerprint(small.score_fn)
    wrapped = saljax.scores.preprocess(
        saljax.scores.probabilities(small.score_fn), [0.5] * 3, [0.2] * 3
    )
    assert explainer.fingerprint(wrapped) == print_ == small.fit.fingerprint
    other = {**small.weights, "head": small.weights["head"].at[0, 0].add(1e-3)}
    assert explainer.fingerprint(Partial(logits, other)) != print_


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"layers": ("coarse", "medium", "fine")}, "'medium' is .* this one has none"),
        ({"shapes": ((2, 2, 9), (4, 4, 6), (8, 8, 5))}, r"has \(2, 2, 8\) there"),
        ({"num_classes": 7}, "for 7 classes; this classifier has 4"),
        ({"image_shape": (17, 16, 3)}, r"images of shape \(17, 16, 3\); got \(16, 16, 3\)"),
    ],
)
def test_another_classifier_is_refused(small, change, says):
    fit = dataclasses.replace(small.fit, **change)
    with pytest.raises(ValueError, match=says):
        explainer.look_as_trained(fit, small.score_fn, small.images[0])


def test_the_coarsest_layers_of_any_function(small):
    assert explainer.coarsest_layers(small.score_fn, small.images[0]) == LAYERS
    assert explainer.coarsest_layers(small.score_fn, small.images[0], 2) == LAYERS[:2]
    with pytest.raises(ValueError, match="tags no activation"):
        explainer.coarsest_layers(lambda x: x.mean((1, 2)), small.images[0])


@pytest.mark.parametrize(
    ("shapes", "channels"),
    [  # METHODS 11, from S3's section 4.1
        ([(7, 7, 2048), (14, 14, 1024), (28, 28, 512), (56, 56, 256)], (256, 128, 64)),  # ResNet-50
        ([(7, 7, 512), (14, 14, 512), (28, 28, 256), (56, 56, 128)], (256, 128, 64)),  # VGG-19
        ([(7, 7, 1024), (14, 14, 832), (28, 28, 480), (56, 56, 192)], (416, 240, 96)),  # GoogLeNet
    ],
)
def test_channels_of_the_papers_classifiers(shapes, channels):
    first = "layer4" if shapes[0][-1] == 2048 else "other"
    layers = (first, "b", "c", "d")
    fit = explainer.Fit(layers, tuple(shapes), 1000, (224, 224, 3), "")
    assert generator.channels_for(fit) == channels


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("vgg19", ("pool5", "pool4", "pool3", "pool2")),
        ("squeezenet1_1", ("fire9", "fire5", "fire3")),
    ],
)
def test_layers_of_the_zoo(name, layers):
    found = []

    def read(model, image):
        found.append(generator.layers_for(model, image))
        return image

    jax.eval_shape(read, abstract(name), jax.ShapeDtypeStruct((224, 224, 3), jnp.float32))
    assert found == [layers]
