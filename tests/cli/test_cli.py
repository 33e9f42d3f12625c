"""The command `saljax`: what it writes, and what it says about bad input."""

import csv
import errno
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from jax.tree_util import Partial
from PIL import Image

import saljax
from saljax import cli, models
from saljax.cli import console
from saljax.models import weights, zoo

SIZE = 16
QUICK = ["--grid", "3", "--model", "tiny"]
LABELS = ("red", "green", "blue", "gray heron")


def color_logits(weights, images):
    """Logit 0 likes red in the left half, 1 green, 2 blue; nothing likes class 3."""
    colors = jnp.concatenate([images.mean((1, 2)), jnp.zeros((len(images), 1))], axis=1)
    return 8 * colors @ weights


@pytest.fixture(autouse=True)
def tiny_zoo(monkeypatch):
    """One small linear classifier of 16 x 16 pictures, and one of volumes."""
    about = zoo.ModelInfo("tiny", "a tiny one", (SIZE, SIZE, 3), SIZE, SIZE, True, LABELS, "none")
    volume = zoo.ModelInfo("cube", "of cubes", (4, 5, 6, 1), None, None, True, LABELS[:2], "none")
    heavy = zoo.ModelInfo("heavy", "no weights", (SIZE, SIZE, 3), SIZE, SIZE, False, LABELS, "none")
    known = {m.name: m for m in (about, volume, heavy)}

    def info(name):
        if name not in known:
            raise ValueError(f"no model is called {name!r}; did you mean tiny?")
        return known[name]

    def load(name, weights=None, say=None):
        if name == "cube":
            return Partial(lambda x: jnp.stack([x.mean((1, 2, 3, 4)), x.max((1, 2, 3, 4))], 1))
        if weights is not None:
            return Partial(color_logits, jnp.asarray(safetensors.numpy.load_file(weights)["w"]))
        return Partial(color_logits, jnp.eye(4))

    monkeypatch.setattr(models, "info", info)
    monkeypatch.setattr(models, "load", load)
    monkeypatch.setattr(models, "names", lambda: tuple(known))
    monkeypatch.setattr(models, "weights_file", lambda name, weights, progress: weights)


def save(path, color=(1.0, 0.0, 0.0), size=(20, 24), **options):
    """A picture of one color with a dark right half."""
    pixels = np.zeros((*size, 3))
    pixels[:, : size[1] // 2 + 1] = color
    Image.fromarray((255 * pixels).astype(np.uint8)).save(path, **options)
    return str(path)


def files(folder: Path):
    return sorted(p.name for p in folder.rglob("*")) if folder.exists() else []


def lines(text):
    return text.splitlines()


def refused(capsys, arguments, *words):
    """Exit code 2, one line on stderr that says each of the words, nothing on stdout."""
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert len(lines(said.err)) == 1, said.err
    assert said.err.startswith("saljax: ")
    for word in words:
        assert word in said.err
    assert said.out == ""


def test_explain_writes_three_files(tmp_path, capsys):
    out = tmp_path / "out"
    code = cli.main(["explain", save(tmp_path / "a.png"), "--out", str(out), *QUICK])
    assert code == 0
    assert files(out) == ["a.json", "a.npy", "a.png"]
    record = json.loads((out / "a.json").read_text())
    assert record["prediction"][0]["class"] == "red"
    assert record["targets"] == record["prediction"][:1]
    assert record["method"] == "glas" and record["model"] == "tiny" and record["seed"] == 0
    assert record["hyperparameters"]["grid"] == 3
    assert record["hyperparameters"]["sigma_light"] == 5.0
    assert record["size"] == [20, 24]
    np.testing.assert_allclose(record["crop"], [2 * 24 / 19, 0, 18 * 24 / 19, 20], atol=1e-3)
    assert (record["framing"], record["short_side"]) == ("center", SIZE)
    assert record["axes"] == ["y", "x"]
    assert record["versions"]["saljax"] == saljax.__version__
    saliency = np.load(out / "a.npy")
    assert saliency.shape == (SIZE, SIZE)
    assert saliency.dtype == np.float32
    assert saliency[:, : SIZE // 2].sum() > saliency[:, SIZE // 2 :].sum()
    with Image.open(out / "a.png") as picture:
        assert picture.size[0] > 500
    said = capsys.readouterr()
    assert "red" in said.out and said.err == ""


def test_a_class_that_is_ruled_out_says_so_above_its_map(tmp_path, monkeypatch, capsys):
    from saljax.report import grids

    drawn, rows = [], grids.rows
    monkeypatch.setattr(grids, "rows", lambda *a: drawn.append(a) or rows(*a))
    weights = tmp_path / "w.safetensors"
    safetensors.numpy.save_file({"w": 4 * np.eye(4, dtype=np.float32)}, weights)
    words = ["--target", "top-2", "--weights", str(weights), "--out", str(tmp_path / "out")]
    assert cli.main(["explain", save(tmp_path / "a.png"), *QUICK, *words]) == 0
    titles = drawn[0][2]
    assert "ruled out" not in titles[0] and titles[1].startswith("green  < 0.1 % (ruled out")
    assert "ruled out" not in capsys.readouterr().out


def test_the_whole_picture_with_black_beside_it(tmp_path):
    """Another framing is another explanation; the map says where on the picture it lies."""
    explain = ["explain", save(tmp_path / "a.png"), "--out", str(tmp_path), *QUICK]
    for way in ("letterbox", "none"):
        assert cli.main([*explain, "--crop", way]) == 0
    first, second = (json.loads((tmp_path / f"a-{n}.json").read_text()) for n in (2, 3))
    np.testing.assert_allclose(first["crop"], [0, -20 / 13, 24, 20 * 15 / 13], atol=1e-3)
    assert first["framing"] == "letterbox" and "short_side" not in first
    assert second["crop"] == [0, 0, 24, 20] and second["framing"] == "none"


def test_pictures_can_be_drawn_again_otherwise(tmp_path, capsys):
    """The map stays, and the other pictures."""
    out = tmp_path / "out"
    explain = ["explain", save(tmp_path / "a.png"), "--out", str(out), *QUICK]
    assert cli.main(explain) == 0
    made = (out / "a.npy").stat().st_mtime_ns
    words = ["--format", "svg", "--only", "map", "--colormap", "viridis", "--dpi", "72"]
    assert cli.main([*explain, *words]) == 0
    assert "1 of 1 are there already" in capsys.readouterr().out
    assert files(out) == ["a.json", "a.npy", "a.png", "a.svg"]
    assert (out / "a.npy").stat().st_mtime_ns == made
    drawn = (out / "a.svg").read_text()
    assert "map: brighter" in drawn and "overlay" not in drawn
    before = (out / "a.png").read_bytes()
    assert cli.main([*explain, "--dpi", "40"]) == 0
    assert len((out / "a.png").read_bytes()) < len(before)


def test_maps_of_a_classifier_with_random_layers(tmp_path, capsys):
    """In a picture of their own, made once; what has no weights to see is refused before."""
    out = tmp_path / "out"
    explain = ["explain", save(tmp_path / "a.png"), "--out", str(out), *QUICK]
    assert cli.main(explain) == 0
    assert cli.main([*explain, "--sanity"]) == 0
    assert files(out) == ["a.json", "a.npy", "a.png", "a.sanity.json", "a.sanity.png"]
    (step,) = json.loads((out / "a.sanity.json").read_text())["methods"]["glas"]
    assert step["random"] == 1 and -1 <= step["spearman"] <= 1
    said = capsys.readouterr().out
    assert "1 of 1 are there already" in said and "random weights: glas " in said
    made = (out / "a.sanity.png").stat().st_mtime_ns
    assert cli.main([*explain, "--sanity"]) == 0
    assert (out / "a.sanity.png").stat().st_mtime_ns == made
    np.save(tmp_path / "v.npy", np.zeros((4, 5, 6, 1), np.float32))
    words = ["--model", "cube", "--grid", "2", "--sanity", "--out", str(tmp_path / "other")]
    capsys.readouterr()
    refused(capsys, ["explain", str(tmp_path / "v.npy"), *words], "no parameters that can be seen")
    refused(capsys, ["explain", "-", *QUICK, "--sanity", *words[-2:]], "a file in the place of -")
    assert not (tmp_path / "other").exists()


def test_quiet_says_only_what_goes_wrong(tmp_path, capsys):
    sources = [save(tmp_path / "a.png"), str(tmp_path / "absent.png")]
    assert cli.main(["explain", *sources, "--out", str(tmp_path / "out"), *QUICK, "--quiet"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(lines(said.err)) == 1 and "absent.png" in said.err


def test_a_classifier_that_nobody_named_is_told(tmp_path, capsys, monkeypatch):
    about = models.info("tiny")
    monkeypatch.setattr(models, "info", lambda name: about)
    options = ["--grid", "3", "--no-pictures", "--out", str(tmp_path / "out")]
    assert cli.main(["explain", save(tmp_path / "a.png"), *options]) == 0
    said = capsys.readouterr().err
    assert said == "saljax: the classifier is birdlets, a tiny one; --model names another\n"


@pytest.mark.parametrize("words", ["--methods glas,gradient", "--method glas --method gradient"])
def test_several_methods_in_one_picture(tmp_path, capsys, words):
    """A sheet of methods and classes, with the photograph once; each with its own settings."""
    out, words = tmp_path / "out", words.split()
    words += ["--model", "tiny", "--set", "glas.grid=3", "--target", "top-2", "--out", str(out)]
    explain = ["explain", save(tmp_path / "a.png"), *words]
    drawn = []
    with pytest.MonkeyPatch.context() as patch:
        from saljax.report import grids

        grid = grids.grid
        patch.setattr(grids, "grid", lambda *of: drawn.append(grid(*of)) or drawn[0])
        assert cli.main(explain) == 0
    assert len(drawn[0].axes) == 1 + 2 * 2
    assert {"glas", "gradient"} < {text.get_text() for text in drawn[0].texts}
    record = json.loads((out / "a.json").read_text())
    assert record["axes"] == ["method", "target", "y", "x"]
    assert list(record["methods"]) == ["glas", "gradient"]
    assert record["methods"]["glas"]["hyperparameters"]["grid"] == 3
    assert record["methods"]["gradient"]["explains"] == "logits"
    alone = ["explain", explain[1], "--method", "glas", "--model", "tiny", "--target", "top-2"]
    assert cli.main([*alone, "--grid", "3", "--out", str(tmp_path / "glas")]) == 0
    np.testing.assert_array_equal(np.load(out / "a.npy")[0], np.load(tmp_path / "glas" / "a.npy"))
    capsys.readouterr()
    refused(capsys, [*explain, "--grid", "3"], "--grid")
    refused(capsys, [*explain, "--set", "rise.grid=3"], "'rise'", "method asked for")
    refused(capsys, [*explain, "--set", "glas.gird=3"], "glas.gird", "grid")
    refused(capsys, [*explain, "--sigmas", "6,3"], "--sigmas is for one method")
    refused(capsys, [*explain, "--method", "gals"], "gals", "glas")


def test_without_a_method_photographs_get_a_few_that_take_seconds(tmp_path, capsys, monkeypatch):
    """What refuses the classifier is left out with a word; small pictures have glas."""
    from saljax.runs import methods

    assert methods.default("tiny") == ("glas",) and methods.default("cube") == ("glas",)
    monkeypatch.setattr(methods, "PHOTOGRAPH", SIZE)
    assert methods.default("tiny") == methods.QUICK
    monkeypatch.setattr(methods, "QUICK", ("guided_backprop", "occlusion", "gradient"))
    monkeypatch.setattr(methods, "default_settings", lambda name: (
        {"window": "8", "stride": "4"} if name == "occlusion" else {}
    ))  # fmt: skip
    out = tmp_path / "out"
    explain = ["explain", save(tmp_path / "a.png"), "--model", "tiny", "--out", str(out)]
    assert cli.main([*explain, "--set", "occlusion.stride=8"]) == 0
    (line,) = lines(capsys.readouterr().err)
    assert line.startswith("saljax: guided_backprop is left out: ")
    record = json.loads((out / "a.json").read_text())
    assert list(record["methods"]) == ["occlusion", "gradient"]
    settings = record["methods"]["occlusion"]["hyperparameters"]
    assert (settings["window"], settings["stride"]) == (8, 8)
    assert cli.main([*explain, "--sigmas", "3"]) == 0
    assert json.loads((out / "a-2.json").read_text())["method"] == "glas"


def test_explain_goes_on_and_overwrites_nothing(tmp_path, capsys, monkeypatch):
    """Killed after two of three, in another order; then otherwise, and with another picture."""
    from saljax.runs import loop

    (tmp_path / "b").mkdir()
    sources = [save(tmp_path / name, (i / 2, 1, 0)) for i, name in enumerate(("a.png", "b/a.png"))]
    sources.append(save(tmp_path / "c.png", (0, 0, 1)))
    out, made, calls = tmp_path / "out", {}, []
    glas = saljax.explain
    monkeypatch.setattr(loop, "explain", lambda *a, **k: calls.append(len(a[2])) or glas(*a, **k))
    explain = ["explain", "--out", str(out), *QUICK, "--batch-size", "1"]

    def run(*more):
        calls.clear()
        assert cli.main([*explain, *more]) == 0
        return capsys.readouterr().out, len(calls)

    def images():
        return {p.stem: json.loads(p.read_text())["image"] for p in out.glob("*.json")}

    assert run(sources[1], sources[0])[1] == 2
    assert images() == {"a": sources[0], "a-2": sources[1]}  # whatever the order
    made = {path: path.read_bytes() for path in out.glob("a*")}
    said, number = run(*sources)
    assert number == 1 and "2 of 3 are there already" in said and "3 images together" in said
    assert run(*sources)[1] == 0 and run(*sources, "--chunk-size", "3")[1] == 0
    (out / "c.png").unlink()
    assert run(*sources)[1] == 0 and (out / "c.png").exists()
    (out / "c.json").unlink()
    assert run(*sources)[1] == 1 and (out / "c.json").exists()
    assert run(*sources, "--target", "green")[1] == 3
    assert images().keys() == {"a", "a-2", "a-3", "a-4", "c", "c-2"}
    save(tmp_path / "a.png", (0, 1, 1))
    assert run(*sources)[1] == 1 and images()["a-5"] == sources[0]
    assert all(path.read_bytes() == content for path, content in made.items())


def test_an_index_of_all_and_no_pictures(tmp_path, capsys):
    out, sources = tmp_path / "out", [save(tmp_path / f"{name}.png") for name in "ab"]
    explain = ["explain", *sources, "--out", str(out), *QUICK, "--target", "top-2"]
    assert cli.main([*explain, "--no-pictures"]) == 0
    assert files(out) == ["a.json", "a.npy", "b.json", "b.npy", "index.csv"]
    rows = list(csv.DictReader((out / "index.csv").read_text().splitlines()))
    assert [row["image"] for row in rows] == [sources[0]] * 2 + [sources[1]] * 2
    assert [row["class"] for row in rows[:2]] == ["red", "green"]
    record = json.loads((out / "b.json").read_text())
    assert float(rows[2]["probability"]) == record["targets"][0]["probability"]
    assert [rows[2][c] for c in ("predicted", "method", "picture", "map", "record")] == [
        "red", "glas", "", "b.npy", "b.json"
    ]  # fmt: skip
    (out / "index.csv").write_text("mine")
    assert cli.main(explain) == 0
    assert "index.csv is of somebody else" in capsys.readouterr().err
    assert (out / "index.csv").read_text() == "mine" and (out / "a.png").exists()


def test_the_map_written_is_the_map_of_the_library(tmp_path):
    """The command adds nothing: same numbers as `saljax.glas` on the prepared picture."""
    from saljax.data import folders

    source = save(tmp_path / "a.png", size=(SIZE, SIZE))
    out = tmp_path / "out"
    options = ["--target", "green", "--sigma-light", "2.5", "--out", str(out)]
    assert cli.main(["explain", source, *QUICK, *options]) == 0
    score_fn = saljax.scores.probabilities(Partial(color_logits, jnp.eye(4)))
    image = jnp.asarray(folders.read_image(source))
    expected = saljax.glas(score_fn, image, 1, grid=3, sigma_light=2.5)
    np.testing.assert_allclose(np.load(out / "a.npy"), expected, rtol=1e-4)


def test_another_precision_is_another_explanation(tmp_path, capsys):
    source, out = save(tmp_path / "a.png"), tmp_path / "out"
    arguments = ["explain", source, *QUICK, "--no-pictures", "--out", str(out)]
    assert cli.main(arguments) == 0
    single = json.loads((out / "a.json").read_text())
    with jax.numpy_dtype_promotion("standard"):  # this classifier has a constant of its own
        assert cli.main([*arguments, "--precision", "bfloat16"]) == 0
    assert "already" not in capsys.readouterr().out
    half = [json.loads(path.read_text()) for path in out.glob("*.json")]
    assert [one.get("precision") for one in half if one != single] == ["bfloat16"]


def test_several_targets_and_sigmas_are_axes_of_the_map(tmp_path):
    out = tmp_path / "out"
    more = ["--target", "top-2", "--target", "Gray Heron", "--sigmas", "6,3", "--out", str(out)]
    assert cli.main(["explain", save(tmp_path / "a.png"), *QUICK, *more]) == 0
    record = json.loads((out / "a.json").read_text())
    assert record["axes"] == ["sigma", "target", "y", "x"]
    assert [t["index"] for t in record["targets"]][2] == 3
    assert record["hyperparameters"]["sigma_shadow"] == [6.0, 3.0]
    maps = np.load(out / "a.npy")
    assert maps.shape == (2, 3, SIZE, SIZE)
    assert maps[0, 0].std() / maps[0, 0].mean() < maps[1, 0].std() / maps[1, 0].mean()


@pytest.mark.parametrize(
    ("names", "shown"),
    [("", ("negative", "positive")), ("red\n", ("not red", "red")), ("no\nyes\n", ("no", "yes"))],
)
def test_a_classifier_with_one_logit_has_two_sides(tmp_path, capsys, monkeypatch, names, shown):
    """Its sigmoid, and not a softmax that says 100 % whatever the picture."""
    loaded = Partial(lambda x: 4 * (x[..., :1].mean((1, 2)) - x[..., 2:].mean((1, 2))))
    monkeypatch.setattr(models, "load", lambda name, weights=None, say=None: loaded)
    (tmp_path / "w.safetensors").touch()
    if names:
        (tmp_path / "w.labels.txt").write_text(names)
    source, out = save(tmp_path / "a.png", size=(SIZE, SIZE)), tmp_path / "out"
    explain = ["explain", source, *QUICK, "--weights", str(tmp_path / "w.safetensors")]
    assert cli.main([*explain, "--out", str(out)]) == 0
    probability = 1 / (1 + np.exp(-4 * 9 / 16))
    both = (1 - probability, probability)
    words = [f"{n}  {100 * p:.1f} %" for n, p in zip(shown, both, strict=True)]
    assert f"{words[1]} ({words[0]}) -> " in capsys.readouterr().out
    record = json.loads((out / "a.json").read_text())
    assert [(one["class"], one["index"]) for one in record["prediction"]] == [
        (shown[1], 1), (shown[0], 0)
    ]  # fmt: skip
    np.testing.assert_allclose(record["targets"][0]["probability"], probability, rtol=1e-4)
    assert record["probabilities"] == "sigmoid of one logit"
    saliency = np.load(out / "a.npy")
    assert saliency[:, : SIZE // 2].sum() > saliency[:, SIZE // 2 :].sum()
    more = ["--target", shown[0], "--target", "1", "--method", "gradient", "--out", str(out)]
    assert cli.main([*[w for w in explain if w not in ("--grid", "3")], *more]) == 0
    below, above = np.load(out / "a-2.npy")
    np.testing.assert_allclose(below, above)
    assert "(" not in capsys.readouterr().out


def test_methods_that_look_inside_explain_logits_one_class_at_a_time(tmp_path):
    """Of a linear classifier the gradient of the logit is the same everywhere, of any picture."""
    source = save(tmp_path / "a.png")
    for method, same in [("gradient", True), ("glas", False)]:
        out = tmp_path / method
        options = ["--method", method, "--model", "tiny", "--target", "top-2", "--out", str(out)]
        assert cli.main(["explain", source, *options]) == 0
        record = json.loads((out / "a.json").read_text())
        assert record["explains"] == ("logits" if same else "probabilities")
        assert record["axes"] == ["target", "y", "x"]
        assert record["prediction"][0]["class"] == "red"
        assert record["prediction"][0]["probability"] < 1
        maps = np.load(out / "a.npy")
        assert maps.shape == (2, SIZE, SIZE)
        assert np.allclose(maps, 8 / SIZE**2, rtol=1e-5) == same


def test_a_layers_own_size_and_what_a_classifier_does_not_have(tmp_path, capsys, monkeypatch):
    def tagged(images):
        x = jnp.maximum(saljax.tag(images[:, ::4, ::4], "small") - 0.2, 0)
        return jnp.concatenate([x.mean((1, 2)), jnp.zeros((len(images), 1))], axis=1)

    source, out = save(tmp_path / "a.png"), tmp_path / "out"
    explain = ["explain", source, "--model", "tiny", "--out", str(out), "--method"]
    refused(capsys, [*explain, "guided_backprop"], "relu", "matched nothing")
    refused(capsys, [*explain, "grad_cam"], "got 'none'", "saljax.tag")  # the layer of "tiny"
    monkeypatch.setattr(models, "load", lambda name, weights=None, say=None: Partial(tagged))
    refused(capsys, [*explain, "grad_cam", "--layer", "large"], "large", "small")
    assert cli.main([*explain, "grad_cam", "--layer", "small", "--no-resize"]) == 0
    assert np.load(out / "a.npy").shape == (4, 4)
    record = json.loads((out / "a.json").read_text())
    assert record["hyperparameters"] == {"layer": "small", "to_spatial": None, "resize": False}


def test_every_kind_of_picture_simply_works(tmp_path, capsys):
    rgb = Image.new("RGB", (30, 20), (200, 40, 40))
    deep = Image.fromarray(np.full((20, 30), 40000, np.uint16))
    pictures = {
        "cmyk.jpg": rgb.convert("CMYK"),
        "gray.png": rgb.convert("L"),
        "deep.png": deep,
        "clear.png": rgb.convert("RGBA"),
        "palette.gif": rgb.convert("P"),
        "one.png": Image.new("RGB", (1, 1), "red"),
        "long.png": Image.new("RGB", (3000, 2), "red"),
    }
    folder = tmp_path / "in"
    folder.mkdir()
    for name, picture in pictures.items():
        picture.save(folder / name)
    (folder / "notes.txt").write_text("not a picture, and not asked for")
    out = tmp_path / "out"
    assert cli.main(["explain", str(folder), "--out", str(out), *QUICK]) == 0
    assert {name.split(".")[0] for name in pictures} | {"overview", "index"} == {
        name.split(".")[0] for name in files(out)
    }
    assert capsys.readouterr().err == ""


def test_names_that_collide_are_kept_apart(tmp_path):
    (tmp_path / "b").mkdir()
    sources = [save(tmp_path / "a.png"), save(tmp_path / "b" / "A.png", (0, 0, 1))]
    out = tmp_path / "out"
    assert cli.main(["explain", *sources, "--out", str(out), *QUICK]) == 0
    first, second = (json.loads((out / f"{n}.json").read_text()) for n in ("a", "A-2"))
    assert [first["image"], second["image"]] == sources
    assert [r["prediction"][0]["class"] for r in (first, second)] == ["red", "blue"]


def test_an_image_in_the_output_folder_is_not_overwritten(tmp_path):
    source = Path(save(tmp_path / "a.png"))
    before = source.read_bytes()
    assert cli.main(["explain", str(source), "--out", str(tmp_path), *QUICK]) == 0
    assert source.read_bytes() == before
    assert files(tmp_path) == ["a-2.json", "a-2.npy", "a-2.png", "a.png"]


def test_pictures_of_others_in_the_output_folder_stay(tmp_path):
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    source, other = save(tmp_path / "in" / "a.png"), Path(save(tmp_path / "out" / "a.png"))
    before = other.read_bytes()
    for _ in range(2):  # what the first call wrote is replaced by the second
        assert cli.main(["explain", source, "--out", str(tmp_path / "out"), *QUICK]) == 0
    assert other.read_bytes() == before
    assert files(tmp_path / "out") == ["a-2.json", "a-2.npy", "a-2.png", "a.png"]


def test_a_folder_explained_into_itself_is_not_explained_twice(tmp_path, capsys):
    for name in ("a.png", "b.png", "._b.png"):
        save(tmp_path / name)
    for _ in range(2):
        assert cli.main(["explain", str(tmp_path), "--out", str(tmp_path), *QUICK]) == 0
    written = [f"{name}-2.{kind}" for name in "ab" for kind in ("json", "npy", "png")]
    assert files(tmp_path) == sorted(
        ["._b.png", "a.png", "b.png", "overview.png", "index.csv", *written]
    )


def test_pictures_with_files_of_their_name_are_explained(tmp_path, capsys):
    """Depth and pose beside each picture; the same again into the same folder."""
    for name in "abc":
        save(tmp_path / f"{name}.png")
        np.save(tmp_path / f"{name}.npy", np.ones((4, 4)))
        (tmp_path / f"{name}.json").write_text('{"pose": [0, 0, 1], "version": "5.0"}')
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert cli.main(["explain", str(tmp_path), "--out", str(tmp_path), *QUICK]) == 0
    assert capsys.readouterr().err == ""
    written = [f"{name}-2.{kind}" for name in "abc" for kind in ("json", "npy", "png")]
    expected = sorted([*(path.name for path in before), *written, "overview.png", "index.csv"])
    assert files(tmp_path) == expected
    assert cli.main(["explain", str(tmp_path), "--out", str(tmp_path), *QUICK]) == 0
    assert "passed over 4 that saljax drew (a-2.png, b-2.png, c-2.png, ...)" in (
        capsys.readouterr().err
    )
    assert files(tmp_path) == expected
    assert all(path.read_bytes() == content for path, content in before.items())


def test_nothing_to_explain(tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["explain", save(tmp_path / "a.png"), "--out", str(out), *QUICK]) == 0
    capsys.readouterr()
    again = ["explain", str(out), "--out", str(tmp_path / "new"), *QUICK]
    refused(capsys, again, str(out), "only pictures that saljax drew")
    assert not (tmp_path / "new").exists()


def test_an_overview_of_somebody_else_stays(tmp_path):
    (tmp_path / "out").mkdir()
    other = Path(save(tmp_path / "out" / "overview.png"))
    before, sources = other.read_bytes(), [save(tmp_path / f"{i}.png") for i in range(2)]
    for _ in range(2):
        assert cli.main(["explain", *sources, "--out", str(tmp_path / "out"), *QUICK]) == 0
    assert other.read_bytes() == before and (tmp_path / "out" / "overview-2.png").exists()
    assert len(files(tmp_path / "out")) == 3 + 3 + 2 + 1


@pytest.mark.parametrize("stem", ["a" * 236, "金" * 80, os.fsdecode(b"caf\xe9"), "a\nb", "a$%{"])
def test_names_of_every_kind(tmp_path, capsys, stem):
    (tmp_path / "in").mkdir()
    path, out = tmp_path / "in" / f"{stem}.png", tmp_path / "out"
    for one in (path, tmp_path / "in" / "good.png"):
        save(one)
    assert cli.main(["explain", str(path.parent), "--out", str(out), *QUICK]) == 0
    written = [f"{name}.{kind}" for name in (stem, "good") for kind in ("json", "npy", "png")]
    assert files(out) == sorted([*written, "overview.png", "index.csv"])
    assert json.loads((out / f"{stem}.json").read_bytes())["image"] == str(path)
    assert capsys.readouterr().err == ""


def test_a_name_that_the_disk_refuses_leaves_the_others(tmp_path, capsys, monkeypatch):
    from saljax.runs import store

    write_array = store.write_array

    def picky(path, array):
        if path.stem == "bad":
            raise OSError(errno.EILSEQ, "Invalid or incomplete multibyte character", str(path))
        write_array(path, array)

    monkeypatch.setattr(store, "write_array", picky)
    sources, out = [save(tmp_path / f"{name}.png") for name in ("bad", "good")], tmp_path / "out"
    assert cli.main(["explain", *sources, "--out", str(out), *QUICK]) == 2
    assert files(out) == ["bad.png", "good.json", "good.npy", "good.png"]
    (line,) = lines(capsys.readouterr().err)
    assert "bad.npy: invalid" in line


def test_a_full_disk(tmp_path, capsys, monkeypatch):
    from saljax.runs import store

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(store, "write", full)
    sources, out = [save(tmp_path / f"{name}.png") for name in "ab"], tmp_path / "out"
    refused(capsys, ["explain", *sources, "--out", str(out), *QUICK], "a.png: no space left")


def test_a_picture_on_standard_input(tmp_path, capsys, monkeypatch):
    out, content = tmp_path / "out", io.BytesIO(Path(save(tmp_path / "a.png")).read_bytes())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
    assert cli.main(["explain", "-", "--out", str(out), *QUICK]) == 0
    assert files(out) == ["stdin.json", "stdin.npy", "stdin.png"]
    assert json.loads((out / "stdin.json").read_text())["prediction"][0]["class"] == "red"
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    refused(capsys, ["explain", "-", "--out", str(out), *QUICK], "-: nothing came")


def test_more_than_eight_bits_are_guessed_once_and_told_otherwise(tmp_path, capsys):
    for name in "ab":
        Image.fromarray(np.full((20, 20), 1000, np.uint16)).save(tmp_path / f"{name}.tif")
    out = tmp_path / "out"
    explain = ["explain", str(tmp_path), "--out", str(out), *QUICK]
    assert cli.main(explain) == 0
    (line,) = lines(capsys.readouterr().err)
    assert "a.tif: black and white taken for 0 and 1023; --range LOW,HIGH" in line
    assert json.loads((out / "b.json").read_text())["range"] == [0, 1023]
    assert cli.main([*explain, "--range", "0,2000"]) == 0
    assert capsys.readouterr().err == ""
    assert json.loads((out / "b-2.json").read_text())["range"] == [0, 2000]


def test_volumes_come_as_arrays(tmp_path, capsys):
    volume = np.random.default_rng(0).random((4, 5, 6, 1)).astype(np.float32)
    np.save(tmp_path / "good.npy", volume)
    np.save(tmp_path / "channels.npy", np.repeat(volume, 2, -1))
    out = tmp_path / "out"
    options = ["--model", "cube", "--grid", "2", "--out", str(out)]
    assert cli.main(["explain", str(tmp_path / "good.npy"), *options]) == 0
    assert np.load(out / "good.npy").shape == (4, 5, 6)
    capsys.readouterr()
    channels = ["explain", str(tmp_path / "channels.npy"), *options]
    refused(capsys, channels, "channels.npy", "(4, 5, 6, 2)", "(4, 5, 6, 1)")
    refused(capsys, ["explain", save(tmp_path / "a.png"), *options], "a.png", "3 channels")


def broken(folder, kind):
    """A path that cannot be read as a picture, and words its message must have."""
    path = folder / f"{kind}.jpg"
    if kind == "text":
        path.write_text("this is no picture")
        return path, "not an image"
    if kind == "truncated":
        save(path, size=(64, 64))
        path.write_bytes(path.read_bytes()[:-200])
        return path, "damaged"
    if kind == "empty":
        path.touch()
        return path, "not an image"
    if kind == "directory":
        path.mkdir()
        return path, "directory without images"
    return path, "no such file"


@pytest.mark.parametrize("kind", ["text", "truncated", "empty", "directory", "absent"])
def test_a_bad_image_is_named_and_the_others_are_explained(tmp_path, capsys, kind):
    path, words = broken(tmp_path, kind)
    good, out = save(tmp_path / "good.png"), tmp_path / "out"
    assert cli.main(["explain", str(path), good, "--out", str(out), *QUICK]) == 2
    said = capsys.readouterr()
    assert len(lines(said.err)) == 1
    assert path.name in said.err and words in said.err
    assert files(out) == ["good.json", "good.npy", "good.png"]


def test_one_line_for_each_bad_image_and_nothing_written(tmp_path, capsys):
    paths = [broken(tmp_path, kind)[0] for kind in ("text", "directory", "absent")]
    out = tmp_path / "out"
    assert cli.main(["explain", *map(str, paths), "--out", str(out), *QUICK]) == 2
    said = lines(capsys.readouterr().err)
    assert len(said) == 3
    assert all(any(path.name in line for line in said) for path in paths)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "grey heron"], ["grey heron", "gray heron"]),
        (["--target", "4"], ["4", "0 to 3"]),
        (["--target", "-1"], ["-1"]),
        (["--target", "top-5"], ["top-5", "4 classes"]),
        (["--target", "top-0"], ["top-0"]),
        (["--model", "tny"], ["tny", "tiny"]),
        (["--model", "heavy"], ["heavy", "--weights"]),
        (["--method", "gals"], ["gals", "glas"]),
        (["--method="], ["''", "glas"]),
        (["--out", ""], ["--out", "'' is no path"]),
        ([""], ["IMAGES", "'' is no path"]),
        (["--grid", "0"], ["grid", "greater than 0"]),
        (["--grid", "two"], ["--grid", "two"]),
        (["--sigma-light", "0"], ["sigma_light", "greater than 0"]),
        (["--sigma-shadow", "-1"], ["sigma_shadow", "greater than 0"]),
        (["--sigma-spatial", "nan"], ["sigma_spatial", "greater than 0"]),
        (["--sigmas", "3,0"], ["sigmas", "greater than 0"]),
        (["--sigmas", "fine"], ["sigmas", "fine"]),
        (["--parts", "shade"], ["parts", "shadow"]),
        (["--chunk-size", "0"], ["chunk_size", "greater than 0"]),
        (["--batch-size", "0"], ["--batch-size"]),
        (["--gird", "3"], ["--gird", "--grid"]),
        (["--methods", "grad_cam,fine=glas"], ["--grid is for one", "--set fine.grid="]),
        (["--crop", "left"], ["--crop", "letterbox"]),
        (["--short-side", "8"], ["--short-side 8", "16"]),
        (["--crop", "none", "--short-side", "20"], ["--short-side", "--crop center"]),
        (["--crop", "none", "--model", "cube"], ["cube takes arrays"]),
        (["--colormap", "infern"], ["'infern'", "inferno"]),
        (["--format", "jpg"], ["--format", "svg"]),
        (["--range", "5"], ["--range", "two numbers"]),
        (["--range", "5,1"], ["--range", "first must be less"]),
    ],
)
def test_bad_options(tmp_path, capsys, arguments, words):
    out = tmp_path / "out"
    image = save(tmp_path / "a.png")
    refused(capsys, ["explain", image, "--out", str(out), *QUICK, *arguments], *words)
    assert not out.exists()


@pytest.mark.parametrize("where", ["a_file", "a_file/below", "/proc/saljax"])
def test_an_output_folder_that_cannot_be_written(tmp_path, capsys, where):
    (tmp_path / "a_file").touch()
    out = tmp_path / where
    image = save(tmp_path / "a.png")
    refused(capsys, ["explain", image, "--out", str(out), *QUICK], str(out), "cannot write")


def test_scores_that_are_not_finite_are_named_with_their_image(tmp_path, capsys):
    """The square root of a negative logit: NaN for the blue picture alone."""

    def load(name, weights=None, say=None):
        return Partial(lambda x: jnp.sqrt(x.mean((1, 2)) @ jnp.array([[1.0], [1.0], [-1.0]])))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "load", load)
        good, bad = save(tmp_path / "good.png"), save(tmp_path / "bad.png", (0, 0, 1))
        out = tmp_path / "out"
        assert cli.main(["explain", bad, good, "--out", str(out), *QUICK]) == 2
    said = capsys.readouterr()
    assert len(lines(said.err)) == 1
    assert "bad.png" in said.err and "not finite" in said.err
    assert files(out) == ["good.json", "good.npy", "good.png"]


def test_interrupted(tmp_path, capsys, monkeypatch):
    """What was written stays, whole; no traceback."""
    from saljax.runs import store

    write_json = store.write_json
    monkeypatch.setattr(store, "write_json", lambda *a: write_json(*a) or interrupt())

    def interrupt():
        raise KeyboardInterrupt

    sources = [save(tmp_path / "a.png"), save(tmp_path / "b.png")]
    out = tmp_path / "out"
    assert cli.main(["explain", *sources, "--out", str(out), *QUICK]) == 130
    assert files(out) == ["a.json", "a.npy", "a.png"]
    assert "interrupted" in capsys.readouterr().err


def test_the_map_does_not_depend_on_the_company(tmp_path):
    sources = [save(tmp_path / f"{i}.png", (i / 4, 1 - i / 4, 0)) for i in range(3)]
    for out, options in [("one", ["--batch-size", "1"]), ("all", ["--batch-size", "3"])]:
        assert cli.main(["explain", *sources, *QUICK, *options, "--out", str(tmp_path / out)]) == 0
    for i in range(3):
        one, together = (np.load(tmp_path / out / f"{i}.npy") for out in ("one", "all"))
        np.testing.assert_allclose(one, together, rtol=1e-4)


def test_other_weights_are_recorded_by_their_hash(tmp_path):
    weights = tmp_path / "swap.safetensors"
    content = np.eye(4, dtype=np.float32)[[1, 0, 2, 3]]
    safetensors.numpy.save_file({"w": np.ascontiguousarray(content)}, weights)
    out = tmp_path / "out"
    options = ["--weights", str(weights), "--out", str(out)]
    assert cli.main(["explain", save(tmp_path / "a.png"), *QUICK, *options]) == 0
    record = json.loads((out / "a.json").read_text())
    assert record["prediction"][0]["class"] == "green"
    assert record["weights"]["file"] == "swap.safetensors"
    assert record["weights"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_help_knows_the_method(capsys):
    assert cli.main(["explain", "--method", "rglas", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--max-iterations" in text and "Options of rglas" in text
    assert "search points a side" in text  # looked up in glas
    assert cli.main(["explain", "--help"]) == 0
    assert "--max-iterations" not in capsys.readouterr().out


def test_lists(capsys):
    from saljax.methods.table import METHODS

    assert cli.main(["methods"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in METHODS)
    assert cli.main(["models"]) == 0
    text = capsys.readouterr().out
    assert "tiny" in text and "16 x 16 x 3" in text and "--weights" in text


def test_version_and_bare_command(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"saljax {saljax.__version__}\n"
    assert cli.main([]) == 0
    assert "explain" in capsys.readouterr().out
    refused(capsys, ["explian"], "explian")
    refused(capsys, ["explain"], "IMAGES")
    refused(capsys, ["explain", "a.png", "--method"], "--method")


def test_convert_says_what_is_wrong(tmp_path, capsys):
    source = tmp_path / "missing.safetensors"
    target = tmp_path / "t.safetensors"
    refused(capsys, ["convert", str(source), str(target), "--model", "resnet18"], str(source))
    assert not target.exists()


def test_convert_says_what_it_takes_off_and_passes_over(tmp_path, capsys):
    source, target = tmp_path / "checkpoint", tmp_path / "out.safetensors"
    plain = weights.read(zoo.weights_file("birdlets", None))
    held = {f"net.{name}": value for name, value in plain.items()} | {"epoch": np.int64([3])}
    weights.write(target, held)
    target.rename(source)
    assert cli.main(["convert", str(source), str(target), "--model", "birdlets"]) == 0
    said = f"saljax: {source}: taken off the names: net.; passed over: epoch\n"
    assert capsys.readouterr().err == said
    assert weights.read(target).keys() == plain.keys()


def test_the_command_starts_light():
    """What takes long to import waits until it is needed."""
    code = "import saljax.cli.group, sys; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    modules = set(imported.stdout.split())
    assert "click" in modules
    assert not modules & {"flax", "matplotlib", "PIL", "rich", "docstring_parser", "safetensors"}


@pytest.mark.parametrize(
    ("there", "total", "said"),
    [
        (3 << 20, 9 << 20, "fetching weights: 3 of 9 MiB\r"),
        (9 << 20, 9 << 20, "fetching weights: 9 of 9 MiB\n"),
        (3 << 20, None, "fetching weights: 3 MiB\r"),  # the server does not say how much there is
    ],
)
def test_a_download_says_how_far_it_is(capsys, monkeypatch, there, total, said):
    monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True)
    console.fetching(there, total)
    assert capsys.readouterr().err == said
