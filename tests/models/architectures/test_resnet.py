"""ResNets against torchvision: stored logits in every run, live ones where torch is installed."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from saljax import models
from saljax.models.architectures.layers import Conv
from saljax.models.architectures.resnet import ARCHITECTURES
from saljax.models.constructors import abstract
from saljax.models.from_torchvision import convert
from saljax.models.weights import assign, parameters, shapes

ROOT = Path(__file__).parents[3]
torchvision_logits = runpy.run_path(str(ROOT / "experiments" / "torchvision_logits.py"))
NUM_CLASSES = torchvision_logits["NUM_CLASSES"]
seeded_weights = torchvision_logits["seeded_weights"]
IMAGES = torchvision_logits["images_for"]("resnet18")
forward = jax.jit(lambda score_fn, images: score_fn(images))


def seeded(name):
    return assign(abstract(name, num_classes=NUM_CLASSES), convert(seeded_weights(name), name))


@pytest.fixture(scope="module")
def stored():
    with np.load(Path(__file__).parents[1] / "golden" / "torchvision_logits.npz") as logits:
        return dict(logits)


@pytest.fixture(scope="module")
def resnet18():
    return seeded("resnet18")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_stored_torchvision_logits(name, stored):
    np.testing.assert_allclose(forward(seeded(name), IMAGES), stored[name], rtol=1e-4, atol=1e-6)


def test_stored_logits_tell_v1_from_v1_5(stored):
    """With the stride on the first 1x1, as the paper of 2016 has it, parity must break."""
    model = seeded("resnet50")
    for stage in (model.layer2, model.layer3, model.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = 2, 1
    logits = np.asarray(forward(model, IMAGES))
    assert logits.shape == stored["resnet50"].shape
    assert np.abs(logits / stored["resnet50"] - 1).max() > 1e-2


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_live_torchvision_logits_of_a_saved_model(name, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("PIL")
    images = torchvision_logits["seeded_images"]((3, 75, 61, 3), seed=2)
    model = torchvision_logits["torchvision_model"](name, seeded_weights(name, seed=3))
    torch.save(model.state_dict(), tmp_path / "w.pth")
    logits = forward(models.load(name, tmp_path / "w.pth"), images)
    expected = torchvision_logits["logits_of"](model, images)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [7, 8])
def test_pointwise_convolution_is_a_convolution(stride, size):
    conv = Conv(3, 5, 1, stride, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (2, size, size, 3))
    expected = jax.lax.conv_general_dilated(
        x, conv.kernel[...], (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(conv(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet18", 11.690), ("resnet34", 21.798), ("resnet50", 25.557), ("resnet101", 44.549)],
)
def test_number_of_parameters(name, millions):
    """Torchvision's documentation states these counts, without the running statistics."""
    learned = {n: s for n, s in shapes(abstract(name)).items() if not n.endswith((".mean", ".var"))}
    assert round(sum(np.prod(shape) for shape in learned.values()) / 1e6, 3) == millions


def test_two_of_one_architecture_share_a_compiled_program(resnet18):
    traced = []

    @jax.jit
    def logits(score_fn, images):
        traced.append(images.shape)
        return score_fn(images)

    other = jax.tree.map(lambda leaf: leaf + 0.01, resnet18)
    images = IMAGES[:, :32, :32]
    assert np.abs(logits(resnet18, images) - logits(other, images)).max() > 1e-3
    assert len(traced) == 1
    assert jax.tree.structure(seeded("resnet18")) == jax.tree.structure(resnet18)
    assert len(jax.tree.leaves(resnet18)) == len(parameters(resnet18)) == 102


def test_weights_are_arguments_and_no_constants(resnet18):
    traced = jax.make_jaxpr(lambda f, x: f(x))(resnet18, jnp.zeros((1, 32, 32, 3)))
    assert sum(np.size(constant) for constant in traced.consts) < 100


def test_gradient_of_one_image_under_vmap(resnet18):
    def score(score_fn, image):
        return score_fn(image[None])[0, 3]

    images = jnp.asarray(IMAGES[:, :32, :32])
    gradients = jax.jit(jax.vmap(jax.grad(score, argnums=1), in_axes=(None, 0)))(resnet18, images)
    assert gradients.shape == images.shape
    step = jax.random.normal(jax.random.key(0), images[0].shape) * 1e-3
    both = forward(resnet18, jnp.stack([images[0] + step, images[0] - step]))[:, 3]
    np.testing.assert_allclose(both[0] - both[1], 2 * (gradients[0] * step).sum(), rtol=0.05)


def test_layers_are_tagged(resnet18):
    text = str(jax.make_jaxpr(lambda f, x: f(x))(resnet18, jnp.zeros((1, 32, 32, 3))))
    blocks = [f"layer{stage}.{index}" for stage in (1, 2, 3, 4) for index in (0, 1)]
    stages = ["layer1", "layer2", "layer3", "layer4"]
    for name in ["conv1", "relu", "maxpool", "avgpool", *blocks, *stages]:
        assert text.count(f"name=tap:{name}\n") == 1, name


def test_wrong_number_of_channels(resnet18):
    with pytest.raises(ValueError, match=r"RGB images .* got \(1, 32, 32, 4\)"):
        resnet18(jnp.zeros((1, 32, 32, 4)))
