from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax import models
from saljax.data import birdlets
from saljax.models.architectures.birdlets import NUM_SPECIES


@pytest.fixture(scope="module")
def score_fn():
    return models.load("birdlets")


@pytest.fixture(scope="module")
def held_out():
    return [birdlets.sample(1234, index) for index in range(200)]


@jax.jit
def probabilities(score_fn, images):
    return jax.nn.softmax(score_fn(images))


def of_label(score_fn, images, birds):
    found = np.asarray(probabilities(score_fn, jnp.asarray(np.stack(images))))
    return found[range(len(birds)), [bird.label for bird in birds]], found.argmax(axis=1)


def test_there_is_a_logit_for_each_species():
    assert len(birdlets.SPECIES) == NUM_SPECIES


def test_the_weights_are_small():
    file = resources.files("saljax") / "assets" / "birdlets.safetensors"
    assert len(file.read_bytes()) <= 2e6


def test_held_out_accuracy(score_fn, held_out):
    _, predicted = of_label(score_fn, [bird.image for bird in held_out], held_out)
    assert np.mean(predicted == [bird.label for bird in held_out]) >= 0.97


def test_the_truth_is_true(score_fn, held_out):
    _, predicted = of_label(score_fn, [bird.image for bird in held_out], held_out)
    birds = [b for b, label in zip(held_out, predicted, strict=True) if b.label == label]
    # The number of pictures stays that of `held_out`, so that nothing is compiled anew.
    birds = (birds + birds)[: len(held_out)]

    def repainted(mask_of):
        return [
            birdlets.repaint(bird.image, mask_of(bird, index), bird.neutral)
            for index, bird in enumerate(birds)
        ]

    without, _ = of_label(score_fn, repainted(lambda b, _: b.part_masks[b.diagnostic_part]), birds)
    apart, _ = of_label(score_fn, repainted(birdlets.elsewhere), birds)
    assert np.mean(without < 0.2) >= 0.95
    assert np.mean(apart > 0.5) >= 0.95


def test_other_sizes_go_through_and_are_recognized(score_fn):
    for size in (72, 128):
        images, labels = birdlets.batch(77, range(8), size=size)
        assert score_fn(jnp.asarray(images)).shape == (8, NUM_SPECIES)
    assert np.mean(np.asarray(score_fn(jnp.asarray(images))).argmax(axis=1) == labels) >= 0.75


def test_layers_are_tagged_and_differentiable(score_fn):
    image = jnp.full((1, 96, 96, 3), 0.5)
    program = str(jax.make_jaxpr(score_fn)(image))
    for name in ("stem", "block1", "block2", "block3", "block4", "pool"):
        assert f"tap:{name}" in program
    gradient = jax.grad(lambda x: score_fn(x)[0, 0])(image)
    assert gradient.shape == image.shape and jnp.isfinite(gradient).all()
