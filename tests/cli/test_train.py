"""The command `saljax train classifier`: what it writes, resumes, and says about bad input."""

import contextlib
import csv
import json
import math
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optax
import pytest
import safetensors.numpy
from PIL import Image

from saljax import cli, models
from saljax.cli import console
from saljax.runs import methods
from saljax.training import classifier

SIDE, COLORS = 32, {"red kite": 0, "blue tit": 2}
QUICK = ["--model", "birdlets", "--image-size", str(SIDE), "--batch-size", "5", "--held-out", "0.3"]
COMMAND = [sys.executable, "-c", "from saljax.cli import main; raise SystemExit(main())"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of nine pictures, one red and one blue, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, channel in COLORS.items():
        (folder / name).mkdir()
        for number in range(9):
            values = rng.integers(0, 60, (SIDE, SIDE, 3), np.uint8)
            values[..., channel] += 150
            Image.fromarray(values).save(folder / name / f"{number}.png")
    (folder / "red kite" / "notes.png").write_text("no picture")
    return folder


def command(folder, out, *options):
    data = ["train", "classifier", "--data", str(folder), "--out", str(out)]
    return [*data, *QUICK, *map(str, options)]


def refused(capsys, arguments, *words):
    """Exit code 2 and one line on stderr that says each of the words."""
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err.splitlines()
    said = [line for line in said if "notes.png" not in line]
    assert len(said) == 1 and said[0].startswith("saljax: "), said
    for word in words:
        assert word in said[0]


ALL = ("--init", "bundled", "--learning-rate", "0.001", "--epochs")
RESULTS = (
    "weights.safetensors", "weights.labels.txt", "best.safetensors", "best.labels.txt",
    "training.json", "held_out.csv",
)  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    assert cli.main(command(folder, out, *ALL, 12)) == 0
    return out


def same(one, other):
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in RESULTS)


def test_trained_weights_are_explained_by_the_names_of_the_folders(
    undisturbed, folder, tmp_path, capsys
):
    weights = str(undisturbed / "weights.safetensors")
    picture = str(folder / "blue tit" / "0.png")
    options = ["--method", "gradient", "--weights", weights, "--out", str(tmp_path)]
    assert cli.main(["explain", picture, *options, "--target", "red kite"]) == 0
    record = json.loads((tmp_path / "0.json").read_text())
    assert record["prediction"][0]["class"] == "blue tit"
    assert [target["class"] for target in record["targets"]] == ["red kite"]
    capsys.readouterr()
    refused(capsys, ["explain", picture, *options, "--target", "green"], "'green'")


def test_after_a_kill_it_ends_with_the_same_weights_bit_by_bit(undisturbed, folder, tmp_path):
    arguments = command(folder, tmp_path, *ALL, 12)
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL)
    saved = tmp_path / "checkpoints"
    while process.poll() is None:
        steps = [int(p.name) for p in saved.iterdir() if p.name.isdigit()] if saved.exists() else []
        if max(steps, default=0) >= 4:
            process.kill()
        time.sleep(0.005)
    assert process.returncode == -9
    assert 4 <= max(steps) < 24 and not (tmp_path / "weights.safetensors").exists()
    assert cli.main(arguments) == 0
    assert same(tmp_path, undisturbed)


def interrupting(at, taken):
    """A progress bar that is interrupted at this step of training."""

    @contextlib.contextmanager
    def progress(description, total, item):
        def advance():
            taken.append(description)
            if description == "training" and taken.count("training") == at:
                raise KeyboardInterrupt

        yield advance

    return progress


@pytest.mark.parametrize("at", [3, 4])
def test_ctrl_c_goes_on_from_the_step_it_came_at(undisturbed, folder, tmp_path, monkeypatch, at):
    """In the middle of an epoch, and before its end was recorded."""
    taken = []
    arguments = command(folder, tmp_path, *ALL, 12)
    monkeypatch.setattr("saljax.runs.progress.progress", interrupting(at, taken))
    assert cli.main(arguments) == console.INTERRUPTED
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [str(at)]
    assert not (tmp_path / "weights.safetensors").exists()
    assert cli.main(arguments) == 0
    assert taken.count("training") == at + 24 and same(tmp_path, undisturbed)


def test_it_learns_and_a_finished_run_is_not_run_again(undisturbed, folder, capsys):
    record = json.loads((undisturbed / "training.json").read_text())
    epochs = record["epochs"]
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, 13))
    assert epochs[-1]["correct"] == epochs[-1]["held_out"] >= 5
    assert epochs[-1]["loss"] < 0.7 * epochs[0]["loss"]
    assert record["classes"] == ["blue tit", "red kite"]
    assert (undisturbed / "weights.labels.txt").read_text() == "blue tit\nred kite\n"
    before = [(undisturbed / name).read_bytes() for name in RESULTS]
    capsys.readouterr()
    assert cli.main(command(folder, undisturbed, *ALL, 12)) == 0
    assert ": loss" not in capsys.readouterr().out
    assert before == [(undisturbed / name).read_bytes() for name in RESULTS]


def test_only_the_head_learns_and_damaged_pictures_are_left_out(folder, tmp_path, capsys):
    options = ("--init", "bundled", "--train", "head", "--epochs", 4)
    assert cli.main(command(folder, tmp_path, *options)) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert said.err.startswith("saljax: ") and "notes.png: is not an image" in said.err
    assert len(said.err.splitlines()) == 1
    counts = [int(n) for n in re.findall(r"\d+", lines[0])]
    assert counts[0] == 2 and counts[1] + counts[2] == 18  # all but the one that is no picture
    assert lines[4].startswith("epoch 4: loss ") and lines[4].endswith(
        f"({counts[2]} of {counts[2]})"
    )
    tensors = safetensors.numpy.load_file(tmp_path / "weights.safetensors")
    before = safetensors.numpy.load_file(models.weights_file("birdlets", None))
    same = {name for name in before if np.array_equal(before[name], tensors[name])}
    assert before.keys() - same == {"head.kernel", "head.bias"}
    settings = json.loads((tmp_path / "training.json").read_text())["settings"]
    assert settings["learning_rate"] == 0.01  # of a head
    assert settings["pictures"] == counts[1] and settings["batch_norm"] == "stored"
    assert settings["init"].startswith("birdlets.safetensors, sha256 ")


def test_another_run_in_the_same_folder_is_refused(undisturbed, folder, capsys):
    arguments = command(folder, undisturbed, *ALL, 12, "--seed", 1)
    refused(capsys, arguments, "another run (seed 0 there, 1 here); give another --out")
    refused(capsys, command(folder, undisturbed, *ALL, 11), "has a run of 12 epochs, more than 11")


def test_more_epochs_go_on_where_it_ended(undisturbed, folder, tmp_path, monkeypatch, capsys):
    """The first epochs are those of before; broken off or not, it ends with the same weights."""
    on, broken = tmp_path / "on", tmp_path / "broken"
    shutil.copytree(undisturbed, on), shutil.copytree(undisturbed, broken)
    assert cli.main(command(folder, on, *ALL, 15)) == 0
    assert re.findall("epoch [0-9]+: loss", capsys.readouterr().out) == [
        f"epoch {n}: loss" for n in (13, 14, 15)
    ]
    before, record = (json.loads((f / "training.json").read_text()) for f in (undisturbed, on))
    assert record["epochs"][:12] == before["epochs"] and len(record["epochs"]) == 15
    assert (record["settings"]["epochs"], record["settings"]["epochs_before"]) == (15, [12])

    monkeypatch.setattr("saljax.runs.progress.progress", interrupting(27, []))
    assert cli.main(command(folder, broken, *ALL, 15)) == console.INTERRUPTED
    capsys.readouterr()
    refused(capsys, command(folder, broken, *ALL, 12), "has a run of 15 epochs, more than 12")
    assert cli.main(command(folder, broken, *ALL, 15)) == 0
    assert same(on, broken) and not same(on, undisturbed)


def test_best_weights_and_the_model_are_read_from_the_folder(undisturbed, folder, tmp_path):
    record = json.loads((undisturbed / "training.json").read_text())
    most = max(epoch["correct"] for epoch in record["epochs"])
    with (undisturbed / "held_out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(row["class"] == row["predicted"] for row in rows) == most
    assert {Path(row["picture"]).parent.name for row in rows} == {row["class"] for row in rows}
    with Image.open(undisturbed / "training.png") as picture:
        assert picture.width > 500
    arguments = ["explain", rows[0]["picture"], "--method", "gradient", "--model", str(undisturbed)]
    assert cli.main([*arguments, "--out", str(tmp_path)]) == 0
    assert methods.default(str(undisturbed)) == ("glas",)  # as of birdlets
    explained = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert explained["model"] == "birdlets" and explained["weights"]["file"] == "best.safetensors"
    assert explained["prediction"][0]["class"] == rows[0]["predicted"]


def test_a_learning_rate_rises_and_falls_once_more_in_added_epochs(monkeypatch):
    """By hand: warm-up over a twentieth of each part, then half a cosine down to 0."""
    given = []
    monkeypatch.setattr(optax, "adamw", lambda rate, **_: given.append(rate) or optax.sgd(rate))
    classifier._optimizer.__wrapped__(classifier.Recipe(learning_rate=0.5), (40, 60))
    (schedule,) = given

    def part(step, steps):
        up = round(0.05 * steps)
        down = 0.5 * (1 + math.cos(math.pi * (step - up) / (steps - up)))
        return 0.5 * (step / up if step < up else down)

    expected = [part(step, 40) for step in range(40)] + [part(step, 20) for step in range(20)]
    assert [float(schedule(step)) for step in range(60)] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "resnet81"], ["no model is called 'resnet81'", "resnet18"]),
        (["--model", "glas3d"], ["glas3d takes no pictures"]),
        (["--model", "resnet18", "--init", "BUNDLED"], ["do not fit resnet18", "no classifier"]),
        (["--model", "resnet18", "--init", "bundled"], ["resnet18 comes without weights"]),
        (["--init", "missing.safetensors"], ["saljax: missing.safetensors: no such file or"]),
        (["--train", "head"], ["to train only the head, give --init"]),
        (["--epochs", "0"], ["0 is not in the range"]),
        (["--data", "nowhere"], ["nowhere: no such folder"]),
        (["--data", "tfds:no_such_birds"], ["tfds:no_such_birds cannot be opened"]),
        (["--data", "EMPTY"], ["no folders with pictures"]),
        (["--data", "ONE"], ["only one class (cat)"]),
        (["--data", "DAMAGED"], ["no picture of the class a to learn from can be read"]),
        (["--out", "FILE/out"], ["cannot write to"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_bad_input_is_one_line(folder, tmp_path, capsys, as_users_run, options, words):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "FILE").write_text("")
    for name in ("ONE/cat", "DAMAGED/a", "DAMAGED/b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "notes.png").write_text("no picture")
    places = {name: str(tmp_path / name) for name in ("EMPTY", "ONE", "DAMAGED", "FILE/out")}
    places["BUNDLED"] = str(models.weights_file("birdlets", None))
    options = [places.get(option, option) for option in options]
    refused(capsys, command(folder, tmp_path / "out", *options), *words)
