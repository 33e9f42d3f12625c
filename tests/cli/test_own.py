"""Classifiers and methods of people's own files, named on the command line."""

import json

import numpy as np
import pytest
from PIL import Image

from saljax import cli
from saljax.runs import classifier, own

MODEL = """
import jax.numpy as jnp
from jax.tree_util import Partial

WEIGHT = 8.0

def score_fn(images):
    return WEIGHT * images.mean((1, 2))

def build():
    return Partial(lambda w, x: x.mean((1, 2)) @ w, 8 * jnp.eye(3))

def one_logit(images):
    return images[..., 0].mean((1, 2))[:, None] - 0.5

def wrong(images):
    return images.mean()

def broken():
    raise RuntimeError("no such checkpoint")

class Net:
    def __call__(self, images):
        return images.mean((1, 2))
"""
METHOD = """
def brightness(score_fn, image, target, *, power: float = 1.0, flip=False):
    '''Brightness of the image.

    Args:
        power: of it.
    '''
    return image.sum(-1) ** power * score_fn(image[None])[0, target]

brightness.explains = "probabilities"
"""
METRIC = """
def area(saliency, *, above=0.1):
    return (saliency > above).mean()

area.better = "lower"

def no_metric(images):
    return images
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(MODEL)
    (tmp_path / "way.py").write_text(METHOD)
    (tmp_path / "number.py").write_text(METRIC)
    (tmp_path / "names.txt").write_text("red\ngreen\nblue\n")
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path


def explain(*more):
    return cli.main(["explain", "a.png", "--out", "out", "--method", "way.py:brightness", *more])


def record(name="a"):
    with open(f"out/{name}.json") as file:
        return json.load(file)


@pytest.mark.parametrize("name", ["net.py:score_fn", "net.py:build", "net:build"])
def test_a_model_and_a_method(files, capsys, name):
    code = explain("--model", name, "--input-size", "8", "--labels", "names.txt", "--power", "2")
    assert code == 0, capsys.readouterr().err
    found = record()
    assert found["prediction"][0]["class"] == "red" and found["model"] == name
    assert found["source"]["file"] == "way.py" and len(found["source"]["sha256"]) == 64
    assert found["hyperparameters"] == {"power": 2.0, "flip": False}
    probability = np.exp(4) / (np.exp(4) + 2)
    expected = np.zeros((8, 8))
    expected[:, :4] = probability
    np.testing.assert_allclose(np.load("out/a.npy"), expected, rtol=1e-4)


def test_a_class_and_one_logit(files, capsys):
    assert explain("--model", "net.py:Net", "--input-size", "8") == 0
    assert record()["prediction"][0]["class"] == "0"
    assert explain("--model", "net.py:one_logit", "--input-size", "8") == 0
    assert {one["class"] for one in record("a-2")["prediction"]} == {"negative", "positive"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "net.py:score_fn"], ["--input-size, such as 224"]),
        (["--model", "none.py:score_fn", "--input-size", "8"], ["none.py: no such file"]),
        (["--model", "net.py:score", "--input-size", "8"], ["nothing called 'score'", "score_fn"]),
        (["--model", "net.py", "--input-size", "8"], ["expected FILE.py:NAME"]),
        (["--model", "no_such:f", "--input-size", "8"], ["no_such: ModuleNotFoundError"]),
        (["--model", "net.py:wrong", "--input-size", "8"], ["must return scores (N, K)"]),
        (
            ["--model", "net.py:broken", "--input-size", "8"],
            ["net.py, line 20: RuntimeError"],
        ),
        (["--model", "net.py:WEIGHT", "--input-size", "8"], ["must be a function; got float"]),
        (["--model", "birdlets", "--input-size", "8"], ["--input-size is for models of your own"]),
        (["--model", "net.py:build", "--input-size", "x"], ["'x' is not a number such as 224"]),
        (
            ["--model", "net.py:build", "--input-size", "8", "--labels", "way.py"],
            ["no class name in line 1"],
        ),
        (
            ["--model", "net.py:build", "--input-size", "8", "--weights", "a.npz"],
            ["--weights is for models of saljax"],
        ),
        (["--method", "way.py:bright"], ["nothing called 'bright'; there is brightness"]),
        (["--method", "net.py:build"], ["is no method"]),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_what_is_wrong_is_one_line(files, capsys, arguments, words):
    assert explain(*arguments) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and said.startswith("saljax: "), said
    for word in words:
        assert word in said, said


def test_other_code_and_other_weights_are_another_source(files):
    def source():
        return classifier.load("net.py:build", None, input_size=(8, 8, 3)).record()

    first = source()
    assert source() == first
    weights = MODEL.replace("8 * jnp.eye", "9 * jnp.eye")
    (files / "net.py").write_text(MODEL + "\n")
    code = source()
    assert code["arrays"] == first["arrays"] and code["model_source"] != first["model_source"]
    (files / "net.py").write_text(weights)
    assert source()["arrays"] != first["arrays"]


def test_a_file_runs_once(files):
    count = "runs = pathlib.Path('runs')\nruns.write_text('x' * (1 + runs.exists()))\n"
    (files / "net.py").write_text(f"import pathlib\n{MODEL}\n{count}")
    assert own.load("net.py:build").value is own.load("net.py:build").value
    assert (files / "runs").read_text() == "x"


def test_layers_are_listed(files, capsys):
    model = """
import jax, jax.numpy as jnp
import saljax

def net(images):
    kernel = jnp.ones((3, 3, 3, 2))
    x = jax.lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return saljax.tag(jax.nn.relu(x), "last").mean((1, 2))
"""
    (files / "deep.py").write_text(model)
    for picture in ([], ["a.png"]):
        assert cli.main(["layers", *picture, "--model", "deep.py:net", "--input-size", "8"]) == 0
        said = capsys.readouterr().out
        assert "last" in said and "(8, 8, 2)" in said


def test_evaluate_does_not_take_maps_of_other_code(files, capsys):
    (files / "data").mkdir()
    (files / "a.png").rename(files / "data" / "a.png")
    arguments = ["evaluate", "--data", "data", "--model", "net.py:build", "--input-size", "8"]
    arguments += ["--methods", "way.py:brightness,other=way.py:brightness", "--no-references"]
    arguments += ["--metrics", "number.py:area", "--set", "other.power=2", "--out", "out"]
    arguments += ["--set", "area.above=0.2"]

    def maps():
        assert cli.main(arguments) == 0, capsys.readouterr().err
        return {path.name for path in (files / "out" / "blocks" / "of" / "brightness").iterdir()}

    def areas():
        table = json.loads((files / "out" / "table.json").read_text())["table"]
        return [entry["mean"] for entry in table if entry["column"] == "area"]

    first = maps()
    assert len(first) == 1 and maps() == first
    assert (files / "out" / "blocks" / "of" / "other").is_dir()
    assert areas() == [0.5, 0.5]
    (files / "number.py").write_text(METRIC.replace("> above", "> 2 + above"))
    assert maps() == first and areas() == [0.0, 0.0]
    (files / "way.py").write_text(METHOD.replace("** power", "** (2 * power)"))
    assert len(maps()) == 2
    (files / "net.py").write_text(MODEL.replace("8 * jnp.eye", "9 * jnp.eye"))
    assert len(maps()) == 3
    capsys.readouterr()
    for wrong, word in [
        ("number.py:no_metric", "is no metric"),
        ("number.py:are", "there is area"),
    ]:
        assert cli.main([*arguments[:11], wrong, *arguments[12:]]) == 2
        said = capsys.readouterr().err
        assert word in said and len(said.splitlines()) == 1
