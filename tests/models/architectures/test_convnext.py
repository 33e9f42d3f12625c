"""ConvNeXt: torchvision's logits, timm's and Hugging Face's names, and the tags."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax import models
from saljax.core import taps
from saljax.models.architectures.convnext import ARCHITECTURES
from saljax.models.constructors import abstract
from saljax.models.from_torchvision import convert, source_shapes
from saljax.models.tables import OTHERS, TABLES
from saljax.models.weights import assign, shapes

ROOT = Path(__file__).parents[3]
reference = runpy.run_path(str(ROOT / "experiments" / "torchvision_logits.py"))
forward = jax.jit(lambda score_fn, images: score_fn(images))
NAME = "convnext_tiny"
SIZES = reference["sizes"](NAME)


def built(tensors):
    return assign(abstract(NAME, **SIZES), convert(tensors, NAME, **SIZES))


@pytest.fixture(scope="module")
def seeded():
    return built(reference["seeded_weights"](NAME))


def test_stored_torchvision_logits(seeded):
    with np.load(ROOT / "tests" / "models" / "golden" / "torchvision_logits.npz") as file:
        stored = file[NAME]
    logits = forward(seeded, reference["images_for"](NAME))
    np.testing.assert_allclose(logits, stored, rtol=1e-4, atol=1e-5)
    assert np.abs(stored[1] - stored[0]).max() > 1e-2 * np.abs(stored).max()


def test_live_torchvision_logits():
    pytest.importorskip("torch")
    tensors, images = reference["seeded_weights"](NAME, 3), reference["images_for"](NAME)
    expected = reference["logits_of"](reference["torchvision_model"](NAME, tensors), images)
    np.testing.assert_allclose(forward(built(tensors), images), expected, rtol=1e-4, atol=1e-5)


def timms(rng):
    named = source_shapes(NAME, OTHERS[NAME], **SIZES)
    return {n: rng.standard_normal(s, np.float32) for n, s in named.items()}


def hugging_faces(timm):
    """`ConvNextForImageClassification`'s names for timm's tensors of one block a stage."""
    names = {
        "stem.0": "convnext.embeddings.patch_embeddings",
        "stem.1": "convnext.embeddings.layernorm",
        "head.norm": "convnext.layernorm",
        "head.fc": "classifier",
    }
    for stage in range(4):
        ours, theirs = f"stages.{stage}", f"convnext.encoder.stages.{stage}"
        for part in (0, 1) if stage else ():
            names[f"{ours}.downsample.{part}"] = f"{theirs}.downsampling_layer.{part}"
        for one, other in {
            "conv_dw": "dwconv", "norm": "layernorm", "mlp.fc1": "pwconv1", "mlp.fc2": "pwconv2",
        }.items():  # fmt: skip
            names[f"{ours}.blocks.0.{one}"] = f"{theirs}.layers.0.{other}"
        names[f"{ours}.blocks.0"] = f"{theirs}.layers.0"
    named = {}
    for key, value in timm.items():
        layer, _, leaf = key.rpartition(".")
        named[f"{names[layer]}.{leaf.replace('gamma', 'layer_scale_parameter')}"] = value
    return named


def test_timms_and_hugging_faces_names_are_torchvisions():
    timm = timms(np.random.default_rng(0))
    found = convert(hugging_faces(timm), NAME, **SIZES)
    assert found.keys() == shapes(abstract(NAME, **SIZES)).keys()
    for key, value in convert(timm, NAME, **SIZES).items():
        np.testing.assert_array_equal(found[key], value)
    pairs = {row.target: row.source for row in OTHERS[NAME]}
    torchvision = {}
    for row in TABLES[NAME]:
        if row.target in found:
            value = timm[pairs[row.target]]
            torchvision[row.source] = value.reshape(*value.shape, *(1,) * row.ones)
    for key, value in convert(torchvision, NAME, **SIZES).items():
        np.testing.assert_array_equal(found[key], value)


def test_live_hugging_face_logits():
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    config = transformers.ConvNextConfig(depths=[1] * 4, num_labels=10, layer_scale_init_value=0.5)
    torch.manual_seed(0)
    model = transformers.ConvNextForImageClassification(config).eval()
    score_fn = built({key: value.numpy() for key, value in model.state_dict().items()})
    images = reference["images_for"](NAME)
    with torch.no_grad():
        normal = (images - reference["MEAN"]) / reference["STD"]
        expected = model(torch.from_numpy(np.moveaxis(normal, -1, 1).copy())).logits.numpy()
    np.testing.assert_allclose(forward(score_fn, images), expected, rtol=1e-3, atol=1e-5)


def test_live_timm_names():
    timm = pytest.importorskip("timm")
    theirs = timm.create_model(NAME).state_dict()
    assert {k: tuple(v.shape) for k, v in theirs.items()} == source_shapes(NAME, OTHERS[NAME])


COUNTS = {"convnext_tiny": 28_589_128, "convnext_small": 50_223_688, "convnext_base": 88_591_464}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_number_of_parameters(name):
    """Torchvision's documentation states these counts."""
    assert sum(int(np.prod(s)) for s in shapes(abstract(name)).values()) == COUNTS[name]


def test_tags_and_smallest_image(seeded):
    found = taps.tagged(seeded, jnp.zeros((64, 96, 3)))
    assert found["stem"] == (16, 24, 96) and found["stage2.0"] == found["stage2"] == (8, 12, 192)
    assert found[models.info(NAME).layer] == (2, 3, 768) and found["pool"] == (768,)
    assert taps.last_spatial(seeded, jnp.zeros((64, 96, 3))) == "stage4"
    assert jax.eval_shape(seeded, jnp.zeros((1, 32, 32, 3))).shape == (1, 10)
    with pytest.raises(ValueError, match=r"32 x 32 pixels or more; got \(1, 31, 32, 3\)"):
        jax.eval_shape(seeded, jnp.zeros((1, 31, 32, 3)))
