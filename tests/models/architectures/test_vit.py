"""Vision transformers: torchvision's logits, timm's and Hugging Face's names, and the tags."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import saljax
from saljax import models
from saljax.core import taps
from saljax.data import birdlets
from saljax.models.architectures.vit import ARCHITECTURES, Architecture, ViT
from saljax.models.constructors import abstract
from saljax.models.from_torchvision import convert, source_shapes
from saljax.models.tables import TABLES
from saljax.models.weights import assign, shapes

ROOT = Path(__file__).parents[3]
reference = runpy.run_path(str(ROOT / "experiments" / "torchvision_logits.py"))
forward = jax.jit(lambda score_fn, images: score_fn(images))
SMALL = Architecture(12, 3, 2, patch=4, side=16)
IMAGE = jnp.asarray(np.random.default_rng(0).uniform(size=(16, 16, 3)), jnp.float32)


def torchvisions(seed=0):
    tensors = reference["seeded_weights"]("vit_b_16", seed)
    sizes = reference["sizes"]("vit_b_16")
    converted = convert(tensors, "vit_b_16", **sizes)
    return tensors, assign(abstract("vit_b_16", **sizes), converted)


def test_stored_torchvision_logits():
    _, score_fn = torchvisions()
    with np.load(ROOT / "tests" / "models" / "golden" / "torchvision_logits.npz") as file:
        stored = file["vit_b_16"]
    logits = forward(score_fn, reference["images_for"]("vit_b_16"))
    np.testing.assert_allclose(logits, stored, rtol=1e-4, atol=1e-5)
    assert np.abs(stored[1] - stored[0]).max() > 1e-2 * np.abs(stored).max()


def test_live_torchvision_logits():
    pytest.importorskip("torch")
    tensors, score_fn = torchvisions(seed=3)
    images = reference["images_for"]("vit_b_16")
    model = reference["torchvision_model"]("vit_b_16", tensors)
    expected = reference["logits_of"](model, images)
    np.testing.assert_allclose(forward(score_fn, images), expected, rtol=1e-4, atol=1e-5)


def drawn(names_and_shapes):
    rng = np.random.default_rng(0)
    return {n: rng.standard_normal(s, np.float32) for n, s in names_and_shapes.items()}


def hugging_faces(timm, prefix=""):
    """`ViTForImageClassification`'s names for timm's tensors of one block."""
    block, names = f"{prefix}vit.encoder.layer.0", {}
    for leaf in ("weight", "bias"):
        parts = np.split(timm[f"blocks.0.attn.qkv.{leaf}"], 3)
        for part, value in zip(("query", "key", "value"), parts, strict=True):
            names[f"{block}.attention.attention.{part}.{leaf}"] = value
        for ours, theirs in {
            "blocks.0.attn.proj": f"{block}.attention.output.dense",
            "blocks.0.mlp.fc1": f"{block}.intermediate.dense",
            "blocks.0.mlp.fc2": f"{block}.output.dense",
            "blocks.0.norm1": f"{block}.layernorm_before",
            "blocks.0.norm2": f"{block}.layernorm_after",
            "norm": f"{prefix}vit.layernorm",
            "head": f"{prefix}classifier",
            "patch_embed.proj": f"{prefix}vit.embeddings.patch_embeddings.projection",
        }.items():
            names[f"{theirs}.{leaf}"] = timm[f"{ours}.{leaf}"]
    names[f"{prefix}vit.embeddings.cls_token"] = timm["cls_token"]
    names[f"{prefix}vit.embeddings.position_embeddings"] = timm["pos_embed"]
    return names


@pytest.mark.parametrize("prefix", ["", "model."])
def test_hugging_faces_names_are_timms(prefix):
    name, size = "vit_tiny_patch16_224", {"num_classes": 5, "depth": 1}
    timm = drawn(source_shapes(name, **size))
    expected = convert(timm, name, **size)
    theirs = hugging_faces(timm, prefix) | {
        f"{prefix}vit.pooler.dense.weight": np.zeros((2, 2), np.float32)
    }
    found = convert(theirs, name, **size)
    assert found.keys() == expected.keys() == shapes(abstract(name, **size)).keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)
    query = theirs[f"{prefix}vit.encoder.layer.0.attention.attention.query.weight"]
    np.testing.assert_array_equal(found["block0.qkv.kernel"][:, :192], query.T)


def test_live_hugging_face_logits():
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    config = transformers.ViTConfig(
        hidden_size=192, num_hidden_layers=2, num_attention_heads=3, intermediate_size=768,
        num_labels=5, layer_norm_eps=1e-6, attn_implementation="eager",
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.ViTForImageClassification(config).eval()
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    state = {k: v if v.ndim > 1 else v + 0.1 * np.sin(np.arange(v.size)) for k, v in state.items()}
    state = {key: np.asarray(value, np.float32) for key, value in state.items()}
    model.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    size = {"num_classes": 5, "depth": 2}
    converted = convert(state, "vit_tiny_patch16_224", **size)
    images = np.random.default_rng(1).random((2, 224, 224, 3), np.float32)
    with torch.no_grad():
        pixels = torch.from_numpy(np.moveaxis(2 * images - 1, -1, 1).copy())
        expected = model(pixels).logits.numpy()
    logits = forward(assign(abstract("vit_tiny_patch16_224", **size), converted), images)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_live_timm_names():
    timm = pytest.importorskip("timm")
    for name in ("vit_tiny_patch16_224", "deit_small_patch16_224"):
        theirs = timm.create_model(name).state_dict()
        assert {k: tuple(v.shape) for k, v in theirs.items()} == source_shapes(name)


def test_torchvisions_older_names_of_the_linear_layers():
    """Those of its published weights."""
    size = {"num_classes": 5, "depth": 1}
    tensors = drawn(source_shapes("vit_b_16", **size))
    older = {
        k.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): v
        for k, v in tensors.items()
    }
    assert older.keys() != tensors.keys()
    found, expected = (convert(t, "vit_b_16", **size) for t in (older, tensors))
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)


def test_weights_of_another_transformer_are_told():
    named = source_shapes("vit_tiny_patch16_224", num_classes=1000)
    tensors = {name: np.zeros(shape, np.float32) for name, shape in named.items()}
    with pytest.raises(ValueError, match="weights of vit_tiny_patch16_224 or deit_tiny_patch16_2"):
        convert(tensors, "vit_b_16")


COUNTS = {"vit_tiny": 5_717_416, "vit_small": 22_050_664, "vit_base": 86_567_656}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_number_of_parameters(name):
    """Torchvision's documentation states that of vit_b_16, timm's tables the others."""
    known = {"vit_b_16": "vit_base"}.get(name, name.split("_patch16")[0].replace("deit", "vit"))
    total = sum(int(np.prod(shape)) for shape in shapes(abstract(name, num_classes=1000)).values())
    assert total == COUNTS[known]
    assert [row.target for row in TABLES[name]][-1] == "head.bias"


@pytest.fixture(scope="module")
def small():
    return ViT(SMALL, num_classes=4, rngs=nnx.Rngs(0))


def test_tags(small):
    found = taps.tagged(small, IMAGE)
    for index in range(3):
        block = {"norm1": (17, 12), "attention": (2, 17, 17), "values": (2, 17, 6)}
        for kind, shape in (block | {"tokens": (17, 12)}).items():
            assert found[f"block{index}.{kind}"] == shape
    assert found["grid"] == (4, 4, 12) and taps.last_spatial(small, IMAGE) == "grid"
    names = [f"block{index}.attention" for index in range(3)]
    _, attentions = taps.activations(small, IMAGE[None], names)
    for attention in attentions:
        np.testing.assert_allclose(attention.sum(axis=-1), 1, rtol=1e-5)


def test_grid_is_norm1_of_the_last_block_row_by_row(small):
    _, (norm1, grid) = taps.activations(small, IMAGE[None], ["block2.norm1", "grid"])
    np.testing.assert_array_equal(grid[0, 1, 2], norm1[0, 1 + 4 * 1 + 2])


def test_at_the_last_patches_there_is_no_derivative_and_at_the_grid_there_is(small):
    _, tokens = taps.activation_and_gradient(small, IMAGE, 1, "block2.tokens")
    assert float(jnp.abs(tokens[1:]).max()) == 0 < float(jnp.abs(tokens[0]).max())
    _, grid = taps.activation_and_gradient(small, IMAGE, 1, "grid")
    assert float(jnp.abs(grid).max()) > 0
    assert saljax.grad_cam(small, IMAGE, 1, resize=False).shape == (4, 4)


def test_patches_lie_where_the_image_has_them(small):
    """A pixel of the patch in row 2, column 1 changes that token alone."""
    changed = IMAGE.at[9, 5].add(0.5)
    (a, b) = (small.patch(x[None]) for x in (IMAGE, changed))
    moved = np.abs(np.asarray(small.tokens(a) - small.tokens(b))[0]).max(axis=-1)
    assert list(np.flatnonzero(moved)) == [1 + 4 * 2 + 1]


def test_a_stem_stands_where_patches_are_cut_and_keeps_their_places():
    """Three convolutions after one another see no more than their kernels reach."""
    stemmed = ViT(SMALL._replace(stem=((2, 2, 6), (3, 2, 8))), num_classes=4, rngs=nnx.Rngs(0))
    found = taps.tagged(stemmed, IMAGE)
    assert (found["stem0"], found["stem1"], found["grid"]) == ((8, 8, 6), (4, 4, 8), (4, 4, 12))
    a, b = (stemmed.patches(x[None]) for x in (IMAGE, IMAGE.at[9, 5].add(0.5)))
    moved = np.abs(np.asarray(a - b)[0]).max(axis=-1) > 0
    # Pixel (9, 5) is in place (4, 2) of stem0, which places (2, 1) alone of stem1 reach: at stride
    # 2 a kernel of 3 around an even place is its only one.
    assert moved.tolist() == [[(i, j) == (2, 1) for j in range(4)] for i in range(4)]
    _, (rectified,) = taps.activations(stemmed, IMAGE[None], ["stem1"])
    by_hand = np.einsum("nhwi,io->nhwo", rectified, stemmed.patch.kernel[...][0, 0])
    np.testing.assert_allclose(
        a, by_hand + np.asarray(stemmed.patch.bias[...]), rtol=1e-4, atol=1e-6
    )


def test_the_bundled_one_knows_held_out_birdlets():
    score_fn = models.load("birdlets_vit")
    images, labels = birdlets.batch(1234, range(64))
    assert np.mean(np.asarray(forward(score_fn, images)).argmax(axis=1) == labels) >= 0.92


def test_images_of_another_size_are_refused(small):
    with pytest.raises(ValueError, match=r"images of 16 x 16 pixels, .* got \(1, 16, 32, 3\)"):
        small(jnp.zeros((1, 16, 32, 3)))
    with pytest.raises(ValueError, match=r"RGB images .* got \(1, 16, 16, 1\)"):
        small(jnp.zeros((1, 16, 16, 1)))


@pytest.mark.parametrize("name", ["vit_b_16", "deit_base_patch16_224", "vit_small_patch16_224"])
def test_layer_of_the_listed_model_is_tagged(name):
    score_fn = abstract(name, depth=1)
    found = jax.make_jaxpr(lambda f, x: f(x))(score_fn, jnp.zeros((1, 224, 224, 3)))
    assert f"name=tap:{models.info(name).layer}\n" in str(found)
    assert models.info(name).imagenet_mean == (not name.startswith("vit_small"))
