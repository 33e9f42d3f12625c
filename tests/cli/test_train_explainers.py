"""The commands that train explainers: what they write, resume, and say about bad input."""

import json
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from PIL import Image

import saljax
from saljax import cli
from saljax.models.weights import parameters, write
from saljax.runs import explainers, records

COMMAND = [sys.executable, "-c", "from saljax.cli import main; raise SystemExit(main())"]
SMALL = ["--channels", "4,2", "--reduction", "8", "--batch-size", "4", "--learning-rate", "0.01"]
"""An encoder that learns in a moment."""
RESULTS = ("explainer.safetensors", "training.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten pictures, and a file that is none."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for number in range(10):
        values = rng.integers(0, 255, (6, 6, 3), np.uint8)
        Image.fromarray(values).resize((96, 96)).save(folder / f"{number}.png")
    (folder / "notes.png").write_text("no picture")
    return folder


def train(folder, out, *options, kind="variational"):
    words = ["train", kind, "--data", folder, "--out", out, *SMALL, "--held-out", "0.2", *options]
    return [str(word) for word in words]


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    assert cli.main(train(folder, out, "--epochs", 8)) == 0
    return out


def refused(capsys, arguments, *words):
    """Exit code 2 and one line on stderr that says each of the words."""
    assert cli.main(arguments) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "notes.png" not in line]
    assert len(said) == 1 and said[0].startswith("saljax: "), said
    for word in words:
        assert word in said[0]


def test_it_tells_how_it_goes_and_explains(folder, undisturbed, tmp_path, capsys):
    file = undisturbed / "explainer.safetensors"
    record = explainers.read_record(file)
    settings = record["training"]["settings"]
    assert settings["model"] == "birdlets" and settings["channels"] == [4, 2]
    assert settings["images"] + settings["held_out"] == 10  # all but the one that is no picture
    assert len(record["training"]["epochs"]) == 8

    capsys.readouterr()
    assert cli.main(train(folder, undisturbed, "--epochs", 8)) == 0  # nothing is done again
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "8 pictures to learn from, 2 to test on"
    assert "epoch" not in said.out and "--method variational" in said.out
    assert "notes.png: is not an image" in said.err
    refused(capsys, train(folder, undisturbed), "another run (epochs 8 there, 10 here)")

    asked = ["--method", "variational", "--explainer", str(file)]
    assert cli.main(["explain", str(folder / "0.png"), *asked, "--out", str(tmp_path)]) == 0
    used = json.loads((tmp_path / "0.json").read_text())["hyperparameters"]["explainer"]
    assert used == {"file": "explainer.safetensors", "sha256": records.sha256(file)}


def test_after_a_kill_it_ends_with_the_same_bytes(undisturbed, folder, tmp_path):
    arguments = train(folder, tmp_path, "--epochs", 8)
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL)
    saved, steps = tmp_path / "checkpoints", []
    while process.poll() is None:
        steps = [int(p.name) for p in saved.iterdir() if p.name.isdigit()] if saved.exists() else []
        if max(steps, default=0) >= 4:
            process.kill()
        time.sleep(0.005)
    assert process.returncode == -9 and 4 <= max(steps) < 16
    assert not (tmp_path / "explainer.safetensors").exists()
    assert cli.main(arguments) == 0
    for name in RESULTS:
        assert (tmp_path / name).read_bytes() == (undisturbed / name).read_bytes()


def test_arrays_in_memory_give_the_same_explainer(undisturbed, folder, tmp_path):
    paths = sorted(folder.glob("?.png"))
    images = np.stack([np.asarray(Image.open(path), np.float32) / 255 for path in paths])
    told = []
    trained = saljax.train_variational(
        saljax.models.load("birdlets"), images, key=jax.random.key(0), held_out=0.2, epochs=8,
        channels=(4, 2), reduction=8, batch_size=4, learning_rate=0.01, report=told.append,
        out=str(tmp_path),
    )  # fmt: skip
    assert len(told) == 8
    saved = parameters(saljax.load_explainer(undisturbed / "explainer.safetensors"))
    written = parameters(saljax.load_explainer(tmp_path / "explainer.safetensors"))
    for name, values in parameters(trained).items():
        np.testing.assert_array_equal(values, saved[name])
        np.testing.assert_array_equal(values, written[name])


def test_without_a_file_the_bundled_explainer_is_asked(folder, tmp_path):
    words = ["explain", str(folder / "0.png"), "--method", "dre", "--target", "top-2"]
    assert cli.main([*words, "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "0.json").read_text())
    assert record["hyperparameters"]["explainer"]["file"] == "birdlets_dre.safetensors"
    maps = np.load(tmp_path / "0.npy")  # of two classes, from the same pass
    assert maps.shape == (2, 96, 96) and not np.allclose(*maps)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "nowhere"], ["nowhere: no such folder"]),
        (["--data", "EMPTY"], ["no folders with pictures"]),
        (["--data", "DAMAGED"], ["no picture to learn from can be read"]),
        (["--data", "tfds:no_such_birds"], ["tfds:no_such_birds cannot be opened"]),
        (["--model", "glas3d", "--data", "generated"], ["glas3d takes no pictures"]),
        (["--model", "resnet18"], ["resnet18 comes without weights"]),
        (["--channels", "4,3"], ["`channels` must end in 2"]),
        (["--batch-size", "0"], ["`batch_size` must be greater than 0; got 0"]),
        (["--epochs", "-1"], ["`epochs` must be at least 0; got -1"]),
        (["--epochs", "0"], ["no stage has an epoch"]),
        (["--out", "FILE/out"], ["cannot write to"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
@pytest.mark.usefixtures("as_users_run")
def test_bad_input_is_one_line(folder, tmp_path, capsys, options, words):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "FILE").write_text("")
    (tmp_path / "DAMAGED").mkdir()
    for number in range(2):
        (tmp_path / "DAMAGED" / f"notes.png{number}.png").write_text("no picture")
    places = {name: str(tmp_path / name) for name in ("EMPTY", "DAMAGED", "FILE/out")}
    options = [places.get(option, option) for option in options]
    refused(capsys, train(folder, tmp_path / "out", *options), *words)


@pytest.mark.usefixtures("as_users_run")
def test_layers_and_explainers_that_do_not_fit_are_one_line(undisturbed, folder, tmp_path, capsys):
    file = str(undisturbed / "explainer.safetensors")
    words = ["train", "dre", "--data", str(folder), "--out", str(tmp_path), "--layers", "block9"]
    refused(capsys, words, "`layers` must be one of the activations tagged", "got 'block9'")
    explain = ["explain", str(folder / "0.png"), "--out", str(tmp_path / "o"), "--method"]
    refused(capsys, [*explain, "dre", "--explainer", file], "explainer for variational, not for")
    of_weights = str(saljax.models.weights_file("birdlets", None))
    wrong = [*explain, "variational", "--explainer", of_weights]
    refused(capsys, wrong, "birdlets.safetensors: holds no explainer")
    tensors = parameters(saljax.models.load("birdlets"))
    write(tmp_path / "other.safetensors", {n: 2 * t for n, t in tensors.items()})
    other = ["--weights", str(tmp_path / "other.safetensors")]
    refused(
        capsys, [*explain, "variational", *other, "--explainer", file],
        "trained for another classifier", "saljax train variational --model birdlets --weights",
    )  # fmt: skip
    refused(
        capsys, [*explain, "variational", *other],
        "no explainer comes with birdlets; train one: saljax train variational",
    )  # fmt: skip
    table = ["evaluate", "--data", str(folder), "--methods", "variational", "--out", str(tmp_path)]
    missing = [*table, "--set", "variational.explainer=missing.safetensors"]
    refused(capsys, missing, "missing.safetensors: no such")
