"""Classifiers by name, and classes by name."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax import models
from saljax.data.folders import prepare, read_image
from saljax.models import labels
from saljax.models.constructors import abstract
from saljax.models.from_torchvision import source_shapes
from saljax.models.weights import read, write

REAL = Path(__file__).parents[3] / "shared" / "real"
IMAGENET = labels.imagenet()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A ResNet-18 of seven classes under torchvision's names; its logits are fc.bias."""
    tensors = {
        name: np.zeros(shape, np.float32)
        for name, shape in source_shapes("resnet18", num_classes=7).items()
    }
    tensors = {n: v + 1 if n.endswith("running_var") else v for n, v in tensors.items()}
    tensors["fc.bias"] = np.arange(7, dtype=np.float32)
    path = tmp_path_factory.mktemp("weights") / "seven.safetensors"
    write(path, tensors)
    return path


def test_names():
    resnets = ("resnet18", "resnet34", "resnet50", "resnet101")
    others = ("alexnet", "vgg16", "vgg19", "squeezenet1_0", "squeezenet1_1")
    others += ("googlenet", "inception_v3", "mobilenet_v2", "mobilenet_v2_birds")
    others += ("convnext_tiny", "convnext_small", "convnext_base")
    others += tuple(
        f"{k}_{s}_patch16_224" for k in ("vit", "deit") for s in ("tiny", "small", "base")
    )
    others += ("vit_b_16",)
    assert models.names() == ("birdlets", "birdlets_vit", "glas3d", *resnets, *others)


@pytest.mark.parametrize("name", ["birdlets", "birdlets_vit", "glas3d"])
def test_bundled_models_load_and_have_their_default_layer(name):
    about = models.info(name)
    score_fn = models.load(name)
    images = jnp.zeros((2, *about.input_shape))
    logits = jax.jit(lambda f, x: f(x))(score_fn, images)
    assert about.bundled and logits.shape == (2, len(about.labels))
    traced = str(jax.make_jaxpr(lambda f, x: f(x))(score_fn, images))
    assert f"name=tap:{about.layer}\n" in traced


def test_resnets_want_weights_and_say_which():
    for depth in (18, 34, 50, 101):
        about = models.info(f"resnet{depth}")
        assert not about.bundled and len(about.labels) == 1000
        assert (about.input_shape, about.resize, about.crop) == ((224, 224, 3), 256, 224)
        with pytest.raises(ValueError, match=f"torchvision's resnet{depth} weights"):
            models.load(about.name)


def test_number_of_classes_is_read_from_the_weights(file):
    score_fn = models.load("resnet18", file)
    logits = jax.jit(lambda f, x: f(x))(score_fn, jnp.zeros((1, 32, 32, 3)))
    np.testing.assert_array_equal(logits, [np.arange(7)])


def test_default_layer_of_the_resnets_is_tagged(file):
    score_fn = models.load("resnet18", file)
    traced = str(jax.make_jaxpr(lambda f, x: f(x))(score_fn, jnp.zeros((1, 32, 32, 3))))
    assert f"name=tap:{models.info('resnet18').layer}\n" in traced


def test_weights_of_another_architecture_name_the_file(file):
    with pytest.raises(ValueError, match=r"seven\.safetensors: .* look like weights of resnet18"):
        models.load("resnet50", file)


def test_converted_file_has_our_names_and_loads_again(file, tmp_path):
    target = tmp_path / "ours.safetensors"
    models.convert_file(file, target, "resnet18")
    assert "layer1.0.conv1.kernel" in read(target)
    first, second = models.load("resnet18", file), models.load("resnet18", target)
    assert jax.tree.structure(first) == jax.tree.structure(second)
    jax.tree.map(np.testing.assert_array_equal, first, second)


@pytest.mark.parametrize("name", ["resnet5", "ResNet50", "birdlet", "vgg"])
def test_unknown_model_suggests_near_names(name):
    with pytest.raises(ValueError, match=f"no model is called '{name}'; did you mean"):
        models.info(name)


def test_listing_models_does_not_import_flax():
    code = "from saljax import models; models.names(); models.info('resnet50')"
    subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; assert 'flax' not in sys.modules"], check=True
    )


def test_imagenet_names():
    assert len(set(name.lower() for name in IMAGENET)) == 1000
    known = {
        0: "tench",
        1: "goldfish",
        207: "golden retriever",
        388: "giant panda",
        999: "toilet tissue",
    }
    assert {index: IMAGENET[index] for index in known} == known
    parenthesized = [index for index, name in enumerate(IMAGENET) if "(" in name]
    assert parenthesized == [134, 264, 474, 517, 638, 639]
    for index in (*parenthesized, *range(0, 1000, 83)):
        assert labels.find_class(IMAGENET[index], IMAGENET) == index


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("207", 207),
        ("golden retriever", 207),
        ("Golden_Retriever", 207),
        (" GIANT  panda", 388),
        ("carpenter's kit", 477),
        ("crane (bird)", 134),
        ("n01440764", 0),
        ("n02099601", 207),
        ("n02085620-Chihuahua", 151),
    ],
)
def test_find_class(text, index):
    assert labels.find_class(text, IMAGENET) == index


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1000", "no class 1000: the classes are 0 to 999"),
        ("-1", "no class -1"),
        ("crane", r"names 2 classes \(134 crane \(bird\), 517 crane \(machine\)\); give the index"),
        ("cardigan", r"264 Cardigan \(corgi\), 474 cardigan \(garment\)"),
        ("maillot", "638 .*639 "),
        ("goldfsh", "near: goldfish"),
        ("retriever", "near: .*golden retriever"),
        ("qqqqqq", "no class is called 'qqqqqq'; give its index"),
        ("", "no class is called ''"),
    ],
)
def test_find_class_that_is_not_there(text, says):
    with pytest.raises(ValueError, match=says) as caught:
        labels.find_class(text, IMAGENET)
    assert "\n" not in str(caught.value)


def test_the_classes_are_named_where_they_are_few():
    with pytest.raises(ValueError, match="'zebra'; the classes are cat, dog"):
        labels.find_class("zebra", ("cat", "dog"))


def test_cars_names():
    """Make, model, body and year; the two ends of the devkit's list, which no alphabet gives."""
    cars = labels.cars()
    assert len(cars) == len(set(cars)) == 196
    assert cars[:2] == ("AM General Hummer SUV 2000", "Acura RL Sedan 2012")
    assert cars[-1] == "smart fortwo Convertible 2012"
    assert all(1990 < int(name.rsplit(" ", 1)[1]) < 2013 for name in cars)
    assert labels.find_class("bmw m3 coupe 2012", cars) == cars.index("BMW M3 Coupe 2012")


def test_places365_names():
    places = labels.places365()
    assert len(set(places)) == 365 == len(places)
    known = {0: "airfield", 1: "airplane cabin", 363: "youth hostel", 364: "zen garden"}
    assert {index: places[index] for index in known} == known
    for index in range(365):
        assert labels.find_class(places[index], places) == index
    assert labels.find_class("atrium", places) == places.index("atrium (public)")


def test_names_of_the_logits(tmp_path):
    usual, weights = ("one", "two"), tmp_path / "w.safetensors"
    assert labels.of_weights(2, usual) == labels.of_weights(2, usual, weights) == usual
    assert labels.of_weights(365, usual) == labels.places365()
    assert labels.of_weights(196, usual) == labels.cars()
    assert labels.of_weights(3, usual) == ("0", "1", "2")
    (tmp_path / "w.labels.txt").write_text("a\nb\n")
    assert labels.of_weights(2, usual, weights) == ("a", "b")
    with pytest.raises(ValueError, match=r"w\.safetensors: 3 logits, but 2 class names beside it"):
        labels.of_weights(3, usual, weights)


def test_class_names_beside_the_weights(tmp_path):
    names = tmp_path / "birds.labels.txt"
    assert labels.beside(tmp_path / "birds.safetensors") is None
    names.write_text("Cyanocitta cristata (Blue Jay)\nlimpkin \n", "utf-8")
    found = labels.beside(tmp_path / "birds.safetensors")
    assert found == ("Cyanocitta cristata (Blue Jay)", "limpkin")
    assert labels.find_class("cyanocitta_cristata", found) == 0
    for content, says in (
        (b"jay\n\nlimpkin\n", "line 2"),
        (b"", "line 1"),
        (b"\n\n", "line 1"),
        (b"\xff\xfea", "UTF-8"),
        (b"\x89PNG\r\n\0", "UTF-8"),
        (b"\x81", "UTF-8"),
    ):
        names.write_bytes(content)
        with pytest.raises(ValueError, match=rf"birds\.labels\.txt: .*{says}"):
            labels.read(names)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n \n"])
def test_class_names_as_editors_write_them(tmp_path, encoding, newline, end):
    text = newline.join(["Hänfling", "Grünfink \x85?" if encoding == "utf-8" else "Grünfink"])
    text = ("\ufeff" if encoding == "utf-16-be" else "") + text + end.replace("\n", newline)
    (tmp_path / "names.txt").write_bytes(text.encode(encoding))
    first, second = labels.read(tmp_path / "names.txt")
    assert first == "Hänfling" and second.startswith("Grünfink")


def test_shapes_are_traced_once_whatever_says_them():
    assert abstract("birdlets", num_classes=14) is abstract("birdlets")
    assert abstract("birdlets", num_classes=3) is not abstract("birdlets")


def test_a_class_named_by_a_number_is_found_by_its_name():
    assert [labels.find_class(text, ("1", "2", "ten")) for text in ("1", "2", "0")] == [0, 1, 0]


@pytest.mark.skipif(not (REAL / "decode.py").exists(), reason="no real weights and photographs")
def test_real_weights_name_what_the_photographs_show(tmp_path):
    codes, path = REAL / "weights" / "resnet18_imagenet.codes.npz", tmp_path / "w.safetensors"
    subprocess.run([sys.executable, REAL / "decode.py", codes, path], check=True)
    about, shown = models.info("resnet18"), ("flute", "goldfish", "zebra")
    pictures = [read_image(REAL / "photos" / "demo" / f"{name}.jpg") for name in shown]
    images = np.stack([prepare(picture, about.resize, about.crop) for picture in pictures])
    logits = jax.jit(lambda f, x: f(x))(models.load("resnet18", path), images)
    assert [about.labels[index] for index in logits.argmax(axis=1)] == list(shown)
