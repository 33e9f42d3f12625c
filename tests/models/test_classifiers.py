"""Torchvision's classifiers: stored logits in every run, live ones where torch is installed."""

import json
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from saljax import models
from saljax.data.folders import prepare, read_image
from saljax.models.architectures import layers
from saljax.models.architectures.resnet import ARCHITECTURES as RESNETS
from saljax.models.constructors import BUILD, abstract
from saljax.models.from_torchvision import convert, sizes_of, source_shapes
from saljax.models.tables import OTHERS, TABLES
from saljax.models.weights import assign, shapes

ROOT = Path(__file__).parents[2]
reference = runpy.run_path(str(ROOT / "experiments" / "torchvision_logits.py"))
sizes, seeded_weights, images_for = (
    reference[name] for name in ("sizes", "seeded_weights", "images_for")
)
ELSEWHERE = (*RESNETS, "convnext_tiny", "vit_b_16")  # in their own files
NAMES = [name for name in reference["NAMES"] if name not in ELSEWHERE]
forward = jax.jit(lambda score_fn, images: score_fn(images))


@pytest.fixture(scope="module")
def seeded():
    """Of each classifier one model with seeded weights, drawn when it is first asked for."""
    made = {}

    def of(name):
        if name not in made:
            tensors = convert(seeded_weights(name), name)
            made[name] = assign(abstract(name, **sizes(name)), tensors)
        return made[name]

    return of


@pytest.fixture(scope="module")
def stored():
    with np.load(Path(__file__).parent / "golden" / "torchvision_logits.npz") as logits:
        return dict(logits)


@pytest.mark.parametrize("name", NAMES)
def test_stored_torchvision_logits(name, seeded, stored):
    logits = forward(seeded(name), images_for(name))
    np.testing.assert_allclose(logits, stored[name], rtol=1e-4, atol=1e-6)
    assert np.abs(stored[name][1] - stored[name][0]).max() > 1e-2 * np.abs(stored[name]).max()


@pytest.mark.parametrize("name", NAMES)
def test_live_torchvision_logits_of_a_saved_model(name, tmp_path):
    """Saved as Places365's checkpoints are: data parallel's names, in a `.pth.tar`."""
    torch = pytest.importorskip("torch")
    images = images_for(name)[:, :-7, :-4]
    model = reference["torchvision_model"](name, seeded_weights(name, seed=3))
    state = {f"module.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 90, "arch": name}, tmp_path / "w.pth.tar")
    logits = forward(models.load(name, tmp_path / "w.pth.tar"), images)
    expected = reference["logits_of"](model, images)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", BUILD)
def test_table_names_every_tensor_once(name):
    targets, sources = ([getattr(r, end) for r in TABLES[name]] for end in ("target", "source"))
    assert sorted(targets) == sorted(shapes(abstract(name)))
    assert len(set(sources)) == len(sources)
    assert list(BUILD) == list(TABLES)
    if name in OTHERS:
        assert [r.target for r in TABLES[name]] == [r.target for r in OTHERS[name]]
        assert len({r.source for r in OTHERS[name]}) == len(sources)


AUXILIARY = 768 * 128 + 2 * 128 + 128 * 768 * 25 + 2 * 768 + 768 * 1000 + 1000
LEARNED = {
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "googlenet": 6_624_904,
    "inception_v3": 27_161_264 - AUXILIARY,
    "mobilenet_v2": 3_504_872,
}


@pytest.mark.parametrize("name", NAMES)
def test_number_of_parameters(name):
    """Torchvision's documentation states these counts, without the running statistics."""
    learned = {n: s for n, s in shapes(abstract(name)).items() if not n.endswith((".mean", ".var"))}
    assert sum(int(np.prod(shape)) for shape in learned.values()) == LEARNED[name]


def with_dependence(jaxpr, dependent):
    """Yield the equations at any depth that depend on the image.

    `dependent` are the variables of `jaxpr` that depend on it, and grow; a literal never does.
    """
    for equation in jaxpr.eqns:
        flags = [not hasattr(v, "val") and v in dependent for v in equation.invars]
        inner = [p for p in equation.params.values() if hasattr(p, "jaxpr") or hasattr(p, "eqns")]
        if not any(flags):
            continue
        if inner:
            body = getattr(inner[0], "jaxpr", inner[0])
            inside = {v for v, flag in zip(body.invars, flags, strict=True) if flag}
            yield from with_dependence(body, inside)
            flags = [not hasattr(v, "val") and v in inside for v in body.outvars]
            dependent |= {v for v, flag in zip(equation.outvars, flags, strict=True) if flag}
        else:
            yield equation
            dependent |= set(equation.outvars)


def census(score_fn, images):
    """Count the operations that depend on the images, by kind."""
    closed = jax.make_jaxpr(lambda x, f: f(x))(images, score_fn)
    counts = {}
    for equation in with_dependence(closed.jaxpr, {closed.jaxpr.invars[0]}):
        counts[equation.primitive.name] = counts.get(equation.primitive.name, 0) + 1
    return counts


LINEAR = {"conv_general_dilated", "dot_general", "add", "sub", "div"}
KINDS = {
    "alexnet": LINEAR | {"max", "reduce_window_max"},
    "vgg16": LINEAR | {"max", "reduce_window_max"},
    "vgg19": LINEAR | {"max", "reduce_window_max"},
    "squeezenet1_0": LINEAR | {"max", "reduce_window_max", "concatenate", "reduce_sum"},
    "squeezenet1_1": LINEAR | {"max", "reduce_window_max", "concatenate", "reduce_sum"},
    "googlenet": LINEAR | {"mul", "max", "reduce_window_max", "concatenate", "reduce_sum"},
    "inception_v3": LINEAR
    | {"mul", "max", "reduce_window_max", "reduce_window_sum", "concatenate", "reduce_sum"},
    "mobilenet_v2": LINEAR | {"mul", "max", "min", "reduce_sum", "slice", "pad"},
}


@pytest.mark.parametrize("name", NAMES)
def test_kinds_of_operations(name, seeded):
    """What reads a classifier's traced program has these kinds of operations to know."""
    assert set(census(seeded(name), jnp.zeros((1, *models.info(name).input_shape)))) == KINDS[name]
    assert set(census(seeded(name), images_for(name))) - KINDS[name] <= {"transpose"}


CONVOLUTIONS = {
    "vgg16": [f"conv{s}_{i}" for s, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)],
    "vgg19": [f"conv{s}_{i}" for s, n in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, n + 1)],
}
TAGS = {
    "alexnet": ["conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc6"],
    **{n: [*c, *(f"pool{s}" for s in range(1, 6)), "fc7"] for n, c in CONVOLUTIONS.items()},
    "squeezenet1_0": ["conv1", "pool2", "pool5", "pool9", *(f"fire{i}" for i in range(2, 10))],
    "squeezenet1_1": ["conv1", "pool2", "pool4", "pool6", "fire9", "conv10"],
    "googlenet": [
        *("conv1", "conv2", "conv3", "avgpool", *(f"maxpool{i}" for i in (1, 2, 3, 4))),
        *(f"inception{name}" for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")),
    ],
    "inception_v3": [
        *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
        *("maxpool1", "maxpool2", "avgpool", "Mixed_5b", "Mixed_6a", "Mixed_7a", "Mixed_7c"),
    ],
    "mobilenet_v2": ["stem", *(f"block{index}" for index in range(17)), "head", "avgpool"],
}


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_tagged(name, seeded):
    text = str(jax.make_jaxpr(lambda f, x: f(x))(seeded(name), images_for(name)))
    for layer in [*TAGS[name], models.info(name).layer]:
        assert text.count(f"name=tap:{layer}\n") == 1, layer


SMALLEST = {
    **{"alexnet": 63, "vgg16": 32, "vgg19": 32, "squeezenet1_0": 21, "squeezenet1_1": 17},
    **{"googlenet": 15, "inception_v3": 75, "mobilenet_v2": 1},
}


@pytest.mark.parametrize("name", NAMES)
def test_smallest_image(name, seeded):
    """Torchvision's documentation states the least size of an image."""
    side, traced = SMALLEST[name], jax.eval_shape
    shape = traced(seeded(name), jnp.zeros((1, side, side, 3))).shape
    assert shape == (1, reference["NUM_CLASSES"])
    for small in ((1, side - 1, side, 3), (1, side, side - 1, 3)) if side > 1 else ():
        with pytest.raises(ValueError, match=rf"{side} x {side} pixels or more; got \(1, "):
            traced(seeded(name), jnp.zeros(small))
    with pytest.raises(ValueError, match=r"RGB images .* got \(1, 64, 64, 1\)"):
        traced(seeded(name), jnp.zeros((1, 64, 64, 1)))


def test_places365_names_and_sizes():
    """AlexNet's features alone are data parallel there; it has 365 classes."""
    tensors = {n: np.zeros(s, np.float32) for n, s in source_shapes("alexnet", hidden=8).items()}
    tensors["classifier.6.weight"] = np.zeros((365, 8), np.float32)
    tensors["classifier.6.bias"] = np.arange(365, dtype=np.float32)
    given = {name.replace("features.", "features.module."): v for name, v in tensors.items()}
    converted = convert(given, "alexnet")
    assert sizes_of(converted, "alexnet") == {"num_classes": 365, "hidden": 8}
    np.testing.assert_array_equal(converted["fc8.bias"], np.arange(365))
    with pytest.raises(ValueError, match=r"10 not of this model \(features\.module\.0\.bias, "):
        convert(given | tensors, "alexnet")  # two of each: none is dropped in silence


def test_adaptive_average_of_a_grid():
    """Against the definition, one cell at a time; sides that divide, and sides that do not."""
    x = np.random.default_rng(0).standard_normal((2, 12, 5, 3), np.float32)
    for side in (3, 5, 7):
        pooled = np.asarray(layers.to_grid(jnp.asarray(x), side))
        for i in range(side):
            for j in range(side):
                rows = slice(12 * i // side, int(np.ceil(12 * (i + 1) / side)))
                columns = slice(5 * j // side, int(np.ceil(5 * (j + 1) / side)))
                expected = x[:, rows, columns].mean(axis=(1, 2))
                np.testing.assert_allclose(pooled[:, i, j], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("length", range(2, 9))
@pytest.mark.parametrize("size", [2, 3])
def test_maximum_over_the_end(length, size):
    """With `ceil` every place is in a window; without, windows stay inside."""
    x = np.random.default_rng(length).standard_normal((1, length + 1, length, 2), np.float32)
    for ceil in (True, False):
        pooled = np.asarray(layers.max_pool(jnp.asarray(x), size, 2, ceil=ceil))
        tall, wide = (
            [s for s in range(0, n, 2) if s + size <= n or (ceil and s + size - 2 < n)]
            for n in x.shape[1:3]
        )
        assert pooled.shape[1:3] == (len(tall), len(wide))
        for i, top in enumerate(tall):
            for j, left in enumerate(wide):
                window = x[0, top : top + size, left : left + size]
                np.testing.assert_array_equal(pooled[0, i, j], window.max(axis=(0, 1)))


def test_same_padding_is_tensorflows():
    """At stride 2 an even side is padded at its end only: output 0 sees places 0, 1 and 2."""
    conv = layers.Conv(1, 1, 3, 2, padding="SAME", rngs=nnx.Rngs(0))
    conv.kernel[...] = jnp.ones((3, 3, 1, 1))
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(conv(x)[0, :, :, 0], [[45, 39], [66, 50]])


def test_auxiliary_heads_are_dropped_by_name():
    tensors = {n: np.zeros(s, np.float32) for n, s in source_shapes("inception_v3").items()}
    aux = {"AuxLogits.fc.bias": np.zeros(9), "AuxLogits.conv1.bn.running_mean": np.zeros(5)}
    assert set(convert(tensors | aux, "inception_v3")) == set(shapes(abstract("inception_v3")))
    with pytest.raises(ValueError, match=r"1 not of this model \(AuxLogits\.fc2\.bias\)"):
        convert(tensors | {"AuxLogits.fc2.bias": np.zeros(9, np.float32)}, "inception_v3")


def test_birds_file_has_tensorflows_axes():
    sources = source_shapes("mobilenet_v2_birds")
    assert len(sources) == 106 and sources["logits.kernel"] == (1280, 965)
    assert sources["block1.expand.kernel"] == (1, 1, 16, 96)
    assert sources["block1.depthwise.kernel"] == (3, 3, 1, 96)
    rng = np.random.default_rng(0)
    tensors = {name: rng.random(shape, np.float32) for name, shape in sources.items()}
    converted = convert(tensors, "mobilenet_v2_birds")
    for layer in ("stem", "block9.project", "block3.depthwise"):
        np.testing.assert_array_equal(converted[f"{layer}.conv.kernel"], tensors[f"{layer}.kernel"])


REAL = ROOT.parent / "shared" / "real"


@pytest.mark.skipif(not (REAL / "bird_labels.txt").exists(), reason="no real birds")
def test_real_bird_network_names_real_birds():
    birds = json.loads((REAL / "bird_species_index.json").read_text())
    folders = [REAL / "photos" / "birds" / species for species in birds]
    about = models.info("mobilenet_v2_birds")
    pictures = [read_image(sorted(folder.iterdir())[0]) for folder in folders]
    images = np.stack([prepare(picture, about.resize, about.crop) for picture in pictures])
    score_fn = models.load(about.name, REAL / "weights" / "mobilenet_v2_birds.safetensors")
    right = np.asarray(forward(score_fn, images)).argmax(axis=1) == list(birds.values())
    assert right.sum() >= 8  # of ten; the network's accuracy is 89 %


@pytest.mark.parametrize("padding", [None, "SAME", 0])
@pytest.mark.parametrize(("stride", "size"), [(1, 3), (2, 3), (2, 5)])
def test_depthwise_is_a_grouped_convolution(stride, size, padding):
    conv = layers.Conv(
        4, 4, size, stride, padding=padding, depthwise=True, bias=True, rngs=nnx.Rngs(0)
    )
    x = jax.random.normal(jax.random.key(1), (2, 8, 11, 4))
    pads = {None: [(size // 2,) * 2] * 2, "SAME": "SAME", 0: "VALID"}[padding]
    expected = jax.lax.conv_general_dilated(
        x,
        conv.kernel[...],
        (stride, stride),
        pads,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=4,
    )
    np.testing.assert_allclose(conv(x), expected, rtol=1e-4, atol=1e-5)
