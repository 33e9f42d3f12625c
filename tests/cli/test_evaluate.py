"""`saljax evaluate`: what it writes, what it does again, and what it says about bad input."""

import csv
import errno
import json
import os
import signal
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from PIL import Image

import saljax
from saljax import cli, models
from saljax.data import folders, tfds_sources
from saljax.evaluation import judge, kept_maps

SIZE = 16
LABELS = ("red", "green", "blue")
FEW = ["--metrics", "pointing_game,skewness", "--set", "pointing_game.tolerance=2"]
QUICK = [
    "--model",
    "tiny",
    "--set",
    "glas.grid=3",
    "--batch-size",
    "2",
    "--pictures",
    "0",
    "--page",
    "0",
    *FEW,
]


def color_logits(weights, images):
    """Each class likes a color."""
    seen = saljax.tag(images[:, ::2, ::2], "small")
    return 30 * seen.mean((1, 2)) @ weights


@pytest.fixture(autouse=True)
def tiny_zoo(monkeypatch):
    """A linear classifier of pictures, at 16 x 16, and one of volumes."""
    from saljax.models import zoo

    about = zoo.ModelInfo("tiny", "a tiny one", (SIZE, SIZE, 3), SIZE, SIZE, True, LABELS, "none")
    cube = zoo.ModelInfo("cube", "of cubes", (4, 4, 4, 1), None, None, True, LABELS, "none")
    known = {"tiny": about, "cube": cube}
    score_fn = Partial(color_logits, jnp.eye(3))
    monkeypatch.setattr(models, "info", known.__getitem__)
    monkeypatch.setattr(models, "load", lambda name, weights=None, say=None: score_fn)
    monkeypatch.setattr(models, "weights_file", lambda name, weights, progress: weights)


def picture(color, left, top, size=(20, 24)):
    """A patch of a color, 6 x 6, on gray."""
    pixels = np.full((*size, 3), 0.4)
    pixels[top : top + 6, left : left + 6] = color
    return pixels


COLORS = np.eye(3) * 0.9
PLACES = [(2, 2), (14, 3), (8, 12), (3, 10), (14, 12)]
"""Corners of the patches, x and y; the crop leaves out two columns on either side."""


@pytest.fixture
def data(tmp_path):
    """Five pictures, each with a patch of color and its box."""
    (tmp_path / "in").mkdir()
    records = []
    for i, (x, y) in enumerate(PLACES):
        pixels = picture(COLORS[i % 3], x, y)
        Image.fromarray((255 * pixels).astype(np.uint8)).save(tmp_path / "in" / f"{i}.png")
        box = [x, y, x + 5, y + 5]
        records.append({"file": f"{i}.png", "label": LABELS[i % 3], "boxes": [box]})
    (tmp_path / "boxes.json").write_text(json.dumps(records))
    return tmp_path


def evaluate(folder, *words, out="out", boxes=True, quick=True):
    arguments = ["evaluate", "--data", str(folder / "in"), "--out", str(folder / out)]
    arguments += ["--boxes", str(folder / "boxes.json")] if boxes else []
    return cli.main([*arguments, *(QUICK if quick else []), *words])


def edit(folder, change):
    path = folder / "boxes.json"
    records = json.loads(path.read_text())
    change(records)
    path.write_text(json.dumps(records))


def table(folder, out="out"):
    """(subset, metric, method) -> (mean, standard error, images)."""
    with open(folder / out / "table.csv") as file:
        return {
            (line["subset"], line["metric"], line["method"]): tuple(
                float(line[name]) if line[name] else None
                for name in ("mean", "standard_error", "images")
            )
            for line in csv.DictReader(file)
        }


def record(folder, out="out"):
    return json.loads((folder / out / "table.json").read_text())


def made(folder, out="out"):
    """Maps, and of which hashes their measurements are, by method, settings and image."""
    found = {}
    for path in (folder / out).glob("blocks/of/*/*.npz"):
        with np.load(path) as file:
            entries = json.loads(file["entries"].tobytes())
            maps = file["maps"] if "maps" in file.files else None
        for key, entry in entries.items():
            name = f"{path.parent.name}/{path.stem.split('-')[1]}/{key}"
            values = {metric: one["key"] for metric, one in entry["values"].items()}
            found[f"values/{name}"] = values
            if maps is not None:
                found[f"maps/{name}"] = maps[entry["map"]].tobytes()
    return found


def map_of(folder, row, place, out="out"):
    return kept_maps.read(folder / out, [row])[row](place)


@pytest.fixture
def explained(monkeypatch):
    """A list that gets the name of a method with every batch that it explains."""
    calls, explain = [], judge.explain

    def counted(method, *args, **keywords):
        calls.append(method.func.__name__)
        return explain(method, *args, **keywords)

    monkeypatch.setattr(judge, "explain", counted)
    return calls


def lines(capsys):
    said = capsys.readouterr()
    assert all(line.startswith("saljax: ") for line in said.err.splitlines())
    return said.err.splitlines()


def test_the_table_says_what_the_library_computes(data, capsys):
    assert evaluate(data, "--methods", "glas,light=glas", "--set", "light.parts=light") == 0
    said = capsys.readouterr()
    assert said.err == "" and (data / "out/table.md").read_text() in said.out
    score_fn = saljax.scores.probabilities(Partial(color_logits, jnp.eye(3)))
    found, written = table(data), record(data)
    hits, skewness = [], []
    for i, (x, y) in enumerate(PLACES):
        pixels = folders.read_image(data / "in" / f"{i}.png")
        image = jnp.asarray(folders.prepare(pixels, SIZE, SIZE))
        saliency = saljax.glas(score_fn, image, i % 3, grid=3)
        np.testing.assert_allclose(map_of(data, "glas", i), saliency, rtol=1e-3)
        # 20 x 24 pixels become 16 x 19, and the central 16 x 16 begins at column 2. A box ends
        # where its last pixel does.
        edges = np.asarray([[x, y, x + 6, y + 6]]) * ([19 / 24, 16 / 20] * 2) - [2, 0, 2, 0]
        box = np.asarray(written["images"][i]["boxes"])
        away = box + [[0, 0, 1, 1]] - np.clip(edges, 0, SIZE)
        assert np.abs(away).max() <= 0.5
        hits.append(saljax.metrics.pointing_game(saliency, jnp.asarray(box), tolerance=2.0))
        skewness.append(saljax.metrics.skewness(saliency))
    for metric, values in [("pointing game", hits), ("skewness", skewness)]:
        mean, error, number = found["all", metric, "glas"]
        values = np.asarray(values, float)
        np.testing.assert_allclose(mean, values.mean(), rtol=1e-3)
        np.testing.assert_allclose(error, values.std(ddof=1) / 5**0.5, rtol=1e-3)
        assert number == 5
    assert {method for _, _, method in found} == {"glas", "light", "center", "random"}
    assert ("small", "pointing game", "glas") in found


def test_values_of_every_image_method_and_metric(data):
    """Their means are those of the table; and differences, curves and classes have their files."""
    words = ["--methods", "glas,gradient", "--metrics", "pointing_game,score_drop,iou_curve"]
    assert evaluate(data, *words, "--per-class") == 0
    values, found = saljax.read_values(data / "out"), table(data)
    assert len({len(column) for column in values.values()}) == 1
    for method in ("glas", "gradient", "center", "random"):
        for metric in ("pointing game", "score drop", "IoU, map >= 0.5"):
            own = (values["method"] == method) & (values["metric"] == metric)
            np.testing.assert_array_equal(values["image"][own], [f"{i}.png" for i in range(5)])
            np.testing.assert_array_equal(values["label"][own], [LABELS[i % 3] for i in range(5)])
            mean = values["value"][own].mean()
            np.testing.assert_allclose(mean, found["all", metric, method][0], rtol=1e-4)
    predicted = [image["prediction"][0]["class"] for image in record(data)["images"]]
    assert values["predicted"][own].tolist() == predicted
    assert set(values["small"]) == {1.0}
    with open(data / "out/differences.csv") as file:
        differences = list(csv.DictReader(file))
    own = [d for d in differences if (d["method"], d["role"]) == ("glas", "center")]
    assert {d["metric"] for d in own if d["subset"] == "all"} >= {"pointing game", "score drop"}
    mean = found["all", "score drop", "glas"][0] - found["all", "score drop", "center"][0]
    (drop,) = (d for d in own if d["metric"] == "score drop" and d["subset"] == "all")
    np.testing.assert_allclose(float(drop["mean"]), mean, atol=1e-5)
    assert drop["verdict"] == "too few"
    with open(data / "out/per_class.csv") as file:
        classes = list(csv.DictReader(file))
    assert [line["subset"] for line in classes][:1] == ["blue"]
    assert sum(line["images"] == "2" for line in classes if line["subset"] == "red") == 4 * 7
    page = (data / "out/table.md").read_text()
    assert (
        "- glas: on too few pictures to tell it from center" in page and "### Localization" in page
    )
    assert (data / "out/curves.png").stat().st_size > 0
    with open(data / "out/curves.csv") as file:
        points = [line for line in csv.DictReader(file) if line["method"] == "glas"]
    assert [line["at"] for line in points] == ["0.1", "0.3", "0.5", "0.7", "0.9"]
    np.testing.assert_allclose(
        float(points[2]["mean"]), found["all", "IoU, map >= 0.5", "glas"][0], rtol=1e-4
    )
    assert cli.main(["report", str(data / "out")]) == 0
    page = data / "out/page"
    assert len(list((page / "photo").iterdir())) == len(list((page / "maps").iterdir())) == 5
    assert "saljax evaluate --data" in (page / "index.html").read_text()
    assert cli.main(["report", *[str(data / "out")] * 2, "--out", str(data / "two")]) == 0
    assert 'href="out-2/index.html"' in (data / "two/index.html").read_text()
    assert (data / "two/out/data.js").read_bytes() == (page / "data.js").read_bytes()
    (data / "values.csv").write_text("a,b\n")
    with pytest.raises(ValueError, match="is no values.csv"):
        saljax.read_values(data / "values.csv")


def test_folders_of_classes(data):
    """Labels without a file of boxes."""
    for name in LABELS:
        (data / "in" / name).mkdir()
    for i in range(5):
        (data / "in" / f"{i}.png").rename(data / "in" / LABELS[i % 3] / f"{i}.png")
    words = ["--metrics", "skewness", "--no-references", "--methods", "gradient"]
    assert cli.main(
        ["evaluate", "--data", str(data / "in"), "--out", str(data / "out"), *words,
         "--model", "tiny", "--batch-size", "2", "--pictures", "1", "--number", "4",
         "--page", "1"]
    ) == 0  # fmt: skip
    images = record(data)["images"]
    assert [one["image"] for one in images] == [
        "blue/2.png", "green/1.png", "green/4.png", "red/0.png",
    ]  # fmt: skip
    assert [one["target"]["class"] for one in images] == ["blue", "green", "green", "red"]
    assert record(data)["settings"]["target"] == "label"


def test_everything_that_was_in_effect_is_recorded(data):
    words = ["--number", "2", "--seed", "3", "--pictures", "2"]
    assert evaluate(data, "--methods", "glas,gradient", *words) == 0
    written = record(data)
    settings = written["settings"]
    assert settings["target"] == "label" and settings["seed"] == 3
    assert settings["methods"]["glas"]["hyperparameters"]["grid"] == 3
    assert settings["methods"]["glas"]["hyperparameters"]["sigma_light"] == 5.0
    assert settings["methods"]["gradient"]["explains"] == "logits"
    assert settings["metrics"] == {"pointing_game": {"tolerance": 2.0}, "skewness": {}}
    assert settings["versions"]["saljax"] == saljax.__version__
    assert [image["name"] for image in written["images"]] == ["0", "1"]
    assert [image["target"]["class"] for image in written["images"]] == ["red", "green"]
    assert written["missing"] == []
    for name in ("table.md", "table.csv", "pictures.png"):
        assert (data / "out" / name).stat().st_size > 0


def test_only_what_changed_is_computed_again(data, capsys, explained):
    assert evaluate(data, "--methods", "glas,rise", "--set", "rise.num_masks=8") == 0
    before, first = made(data), (data / "out/table.md").read_bytes()
    assert len(before) == 2 * 4 * 5

    def again(*words):
        assert evaluate(data, "--methods", "glas,rise", "--set", "rise.num_masks=8", *words) == 0
        return {name for name, when in made(data).items() if before.get(name) != when}

    explained.clear()
    assert again() == set() and explained == []
    assert (data / "out/table.md").read_bytes() == first
    assert again("--set", "rise.chunk_size=4") == set()
    tolerance = again("--set", "pointing_game.tolerance=3")
    assert {name.split("/")[0] for name in tolerance} == {"values"} and len(tolerance) == 20
    seed = again("--seed", "1")  # and tolerance 2 again
    assert {name.split("/")[1] for name in seed if name[0] == "m"} == {"rise", "random"}
    grid = again("--set", "glas.sigma_light=2")
    assert {name.split("/")[1] for name in grid - seed if name[0] == "m"} == {"glas"}
    pixels = picture((0.9, 0.9, 0), 3, 3)
    Image.fromarray((255 * pixels).astype(np.uint8)).save(data / "in" / "0.png")
    image = {name for name in again() - seed - grid if name[0] == "m"}
    assert {name.split("/")[1] for name in image} == {"glas", "rise", "center", "random"}
    assert len(image) == 4
    assert capsys.readouterr().err == ""


def test_a_new_metric_needs_no_new_map(data):
    assert evaluate(data) == 0
    before = made(data)
    assert evaluate(data, "--metrics", "pointing_game,score_drop") == 0
    changed = {name for name, when in made(data).items() if before[name] != when}
    assert {name.split("/")[0] for name in changed} == {"values"}
    assert {metric for _, metric, _ in table(data)} == {"pointing game", "score drop"}
    assert evaluate(data) == 0
    assert {name for name, when in made(data).items() if before[name] != when} == changed


@pytest.fixture
def ctrl_c():
    """Python's own answer to it, also where these tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("signals", "kept"), [(1, 6), (2, 4)])
def test_interrupted_and_gone_on_with(data, capsys, monkeypatch, explained, ctrl_c, signals, kept):
    """Ctrl-C at the third method of the first block: once it is finished, twice it is not.

    What was made is not made again, and the table is that of a run in peace.
    """
    words = ["--block-size", "2"]
    assert evaluate(data, *words, out="peace") == 0
    assert len(explained) == 9
    explain = judge.explain

    def interrupting(*args, **keywords):
        if len(explained) == 11:
            for _ in range(signals):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
        return explain(*args, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(judge, "explain", interrupting)
        assert evaluate(data, *words) == 130
    said = capsys.readouterr().err.split("\n")
    assert "the block of 2 photographs in work is finished; Ctrl-C again" in said[0]
    assert "interrupted" in said[-2]
    assert not (data / "out/table.md").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    before = made(data)
    assert len(before) == 2 * kept
    explained.clear()
    assert evaluate(data, *words) == 0
    assert len(explained) == 9 - kept // 2
    assert before.items() <= made(data).items()
    assert (data / "out/table.csv").read_bytes() == (data / "peace/table.csv").read_bytes()
    assert made(data) == made(data, "peace")


def test_shares_of_the_work(data, capsys, explained):
    """Two parts, one after the other, and a table of both that explains nothing."""
    words = ["--no-references"]
    assert evaluate(data, *words, out="whole") == 0
    explained.clear()
    for part, cases in ((0, 3), (1, 2)):
        assert evaluate(data, *words, "--block-size", "2", "--shard", f"{part}/2") == 0
        said = f"part {part} of 2, {2 - part} blocks, {cases} of 5 cases"
        assert said in capsys.readouterr().out and not (data / "out/table.md").exists()
    assert len(explained) == 3
    assert len(list((data / "out/blocks/of/glas").iterdir())) == 3
    assert evaluate(data, *words, "--block-size", "2") == 0
    assert len(explained) == 3
    assert (data / "out/table.csv").read_bytes() == (data / "whole/table.csv").read_bytes()
    # Other blocks, and a picture before all others: what is known lies elsewhere, and is found.
    Image.fromarray(np.full((20, 24, 3), 90, np.uint8)).save(data / "in/00.png")
    edit(data, lambda rs: rs.append({"file": "00.png", "label": "red", "boxes": [[2, 2, 9, 9]]}))
    assert evaluate(data, *words) == 0
    assert len(explained) == 4 and len(record(data)["images"]) == 6
    assert map_of(data, "glas", 3).tobytes() == map_of(data, "glas", 2, "whole").tobytes()
    assert evaluate(data, "--shard", "2/2") == 2
    assert "'2/2' is not I/N" in lines(capsys)[0]


def test_maps_by_half_or_not_kept(data, explained):
    words = ["--no-references", "--pictures", "1", "--page", "1"]
    assert evaluate(data, *words) == 0
    assert evaluate(data, *words, "--keep-maps", "none", out="none") == 0
    assert (data / "none/table.csv").read_bytes() == (data / "out/table.csv").read_bytes()
    assert map_of(data, "glas", 0, "none") is None
    assert len(explained) == 6
    # Asked for more, they are made again, and then no more.
    metrics = ["--metrics", "pointing_game,skewness,sparseness"]
    more = [*words, *metrics, "--keep-maps", "none"]
    assert evaluate(data, *more, out="none") == evaluate(data, *more, out="none") == 0
    assert len(explained) == 9
    assert evaluate(data, *words, "--keep-maps", "float16", out="half") == 0
    exact, rounded = (map_of(data, "glas", 0, out) for out in ("out", "half"))
    assert rounded.dtype == np.float32 and 0 < np.abs(exact - rounded).max() < 1e-3 * exact.max()


def test_without_boxes(data):
    """Only metrics that need none, of the class that is predicted."""
    words = ["--metrics", "score_drop,skewness", "--number", "2"]
    assert evaluate(data, *words, "--set", "pointing_game.tolerance=2", boxes=False) == 2
    assert cli.main(
        ["evaluate", "--data", str(data / "in"), "--out", str(data / "out"), "--model", "tiny",
         "--set", "glas.grid=3", "--number", "2", "--batch-size", "1", "--no-references",
         "--metrics", "score_drop", "--pictures", "0"]
    ) == 0  # fmt: skip
    assert record(data)["settings"]["target"] == "top-1"
    assert {method for _, _, method in table(data)} == {"glas"}
    assert table(data)["all", "score drop", "glas"][2] == 2
    assert not any(subset == "small" for subset, _, _ in table(data))


def test_metrics_that_explain_again_say_what_they_cost(data, capsys):
    """Their values are those of the library, with the seed's key; a new seed draws anew."""
    words = ["--model", "tiny", "--batch-size", "2", "--number", "2", "--pictures", "0",
             "--no-references", "--methods", "steep=gradient,gradient", "--metrics",
             "sensitivity,average_drop", "--set", "sensitivity.num_samples=2"]  # fmt: skip
    assert evaluate(data, *words, quick=False) == 0
    said = lines(capsys)
    assert said == [
        "saljax: sensitivity: 3 maps more of each method and image; 2 methods, 2 images"
    ]
    expected = []
    for i in range(2):
        pixels = folders.read_image(data / "in" / f"{i}.png")
        image = jnp.asarray(folders.prepare(pixels, SIZE, SIZE))
        given = saljax.gradient, Partial(color_logits, jnp.eye(3)), image, i
        one = saljax.metrics.max_sensitivity(*given, key=jax.random.key(0), num_samples=2)
        expected.append(float(one))
    found = table(data)
    np.testing.assert_allclose(
        found["all", "max-sensitivity", "steep"][0], np.mean(expected), atol=1e-6
    )
    # The two methods are one, so each is of rank one and a half on every metric.
    assert found["all", "mean rank", "steep"] == found["all", "mean rank", "gradient"]
    assert found["all", "mean rank", "steep"][:2] == (1.5, 0.0)
    before = made(data)
    assert evaluate(data, *words, quick=False) == 0 and made(data) == before
    assert evaluate(data, *words, "--seed", "1", quick=False) == 0
    changed = {name for name, time in made(data).items() if before.get(name) != time}
    assert len(changed) == 4 and all(name.startswith("values/") for name in changed)


def test_two_files_of_one_picture_with_other_boxes(data):
    """Each is judged by its own."""
    (data / "in/9.png").write_bytes((data / "in/0.png").read_bytes())
    far = {"file": "9.png", "label": "red", "boxes": [[16, 14, 21, 19]]}
    edit(data, lambda records: records.append(far))
    assert evaluate(data, "--no-references") == 0
    values = saljax.read_values(data / "out")
    hits = values["value"][values["metric"] == "pointing game"]
    assert (hits[0], hits[5]) == (1, 0)


def test_the_class_to_explain(data):
    assert evaluate(data, "--target", "green", "--no-references") == 0
    images = record(data)["images"]
    assert {image["target"]["class"] for image in images} == {"green"}
    # Only the boxes of its class judge a map.
    assert [bool(image["boxes"]) for image in images] == [i % 3 == 1 for i in range(5)]
    assert table(data)["all", "pointing game", "glas"][2] == 2
    said = "do not count: in 3 images, of which 3 have no other boxes"
    assert said in (data / "out/table.md").read_text()
    assert evaluate(data, "--target", "top-1", "--no-references") == 0
    images = record(data)["images"]
    assert all(image["target"] == image["prediction"][0] for image in images)


def test_two_classes_in_one_picture(data):
    """Two maps, each judged by the boxes of its class; together, where the class is predicted."""
    edit(data, lambda rs: rs.insert(1, rs[0] | {"label": "blue", "boxes": [[9, 9, 12, 12]]}))
    assert evaluate(data, "--number", "1") == 0
    first, second = record(data)["images"]
    assert (first["name"], second["name"]) == ("0", "0-2")
    assert (first["target"]["class"], second["target"]["class"]) == ("red", "blue")
    assert first["boxes"] != second["boxes"]
    assert evaluate(data, "--number", "1", "--target", "top-1") == 0
    (one,) = record(data)["images"]
    assert one["target"]["class"] == "red" and one["boxes"] == first["boxes"]
    edit(data, lambda rs: [r.update(label=None) for r in rs])
    assert evaluate(data, "--number", "1", "--target", "top-1") == 0
    (both,) = record(data)["images"]
    assert both["boxes"] == first["boxes"] + second["boxes"]


def test_what_is_wrong_with_a_picture_is_said_and_the_others_go_on(data, capsys):
    (data / "in/1.png").write_bytes((data / "in/1.png").read_bytes()[:60])
    (data / "in/5.png").write_bytes((data / "in/0.png").read_bytes())

    def change(records):
        records[0]["boxes"].append([50, 50, 60, 60])
        records[2] |= {"width": 48, "height": 40}
        records[3]["label"] = "grene"
        records[4]["boxes"] = [[4, 3, 3, 9]]
        records.append({"file": "elsewhere.png", "boxes": [[0, 0, 1, 1]], "label": "red"})

    edit(data, change)
    assert evaluate(data, "--no-references") == 2
    said = lines(capsys)
    passed, *said = sorted(said, key=lambda line: "elsewhere.png" not in line)
    assert "boxes.json: has boxes of 1 picture (elsewhere.png)" in passed
    expected = [
        ("in", "1 picture (5.png) without boxes", "left out"),
        ("3.png", "'grene'", "green"),
        ("0.png", "1 of its 2 boxes", "outside the picture"),
        ("1.png", "damaged"),
        ("2.png", "for 48 x 40 pixels, it has 24 x 20"),
        ("4.png", "1 of its 1 boxes", "x2 < x1"),
    ]
    assert len(said) == len(expected)
    for words in expected:
        assert any(all(word in line for word in words) for line in said), words
    assert [f"saljax: {line}" for line in record(data)["missing"]] == said
    page = (data / "out/table.md").read_text()
    assert all(line.removeprefix("saljax: ") in page for line in said)
    assert [image["name"] for image in record(data)["images"]] == ["0", "2", "4"]
    assert table(data)["all", "pointing game", "glas"][2] == 1
    assert table(data)["all", "skewness", "glas"][2] == 3
    again = (data / "out/table.csv").read_bytes()
    assert evaluate(data, "--no-references") == 2
    assert lines(capsys) == [passed, *said] and (data / "out/table.csv").read_bytes() == again


def test_a_box_that_the_crop_leaves_out_is_no_mistake(data):
    edit(data, lambda records: records[0].update(boxes=[[0, 0, 1, 9]]))
    assert evaluate(data, "--number", "2", "--no-references") == 0
    page = (data / "out/table.md").read_text()
    assert "without a box in what the classifier sees: 1" in page
    assert table(data)["all", "pointing game", "glas"][2] == 1


def test_the_whole_picture_with_black_beside_it(data, capsys, explained):
    """24 x 20 become 16 x 13 and a line of black above; the box of a patch goes with it."""
    words = ["--number", "2", "--no-references"]
    assert evaluate(data, *words) == evaluate(data, *words, "--crop", "letterbox") == 0
    assert len(explained) == 2
    assert record(data)["images"][0]["boxes"] == [[1, 2, 4, 5]]
    assert record(data)["settings"]["sees"] == {
        "input_shape": [SIZE, SIZE, 3], "resize": SIZE, "crop": None, "padded": True
    }  # fmt: skip
    assert "the whole picture, with black beside it" in (data / "out/table.md").read_text()
    # Nothing is made again for the way it was trained, said or not; and nonsense is one line.
    assert evaluate(data, *words) == evaluate(data, *words, "--crop", "center") == 0
    assert len(explained) == 2 and record(data)["images"][0]["boxes"] == [[0, 2, 3, 5]]
    capsys.readouterr()
    assert evaluate(data, *words, "--crop", "none", "--short-side", "20") == 2
    assert "goes with --crop center" in lines(capsys)[0]


def test_shares_of_the_sides_and_names_with_folders(data, capsys):
    """The same boxes as pixels of 24 x 20, and as shares of its sides under names in folders."""
    assert evaluate(data, "--no-references") == 0
    expected = record(data)["images"]

    def change(records):
        for one in records:
            (x1, y1, x2, y2), name = one["boxes"][0], one["file"].removesuffix(".png")
            one["boxes"] = [[x1 / 24, y1 / 20, (x2 + 1) / 24, (y2 + 1) / 20]]
            one["file"] = f"val/{name}"

    edit(data, change)
    capsys.readouterr()
    assert evaluate(data, "--no-references") == 2
    assert "all corners lie in 0..1" in lines(capsys)[0]
    assert evaluate(data, "--no-references", "--boxes-format", "normalized") == 0
    assert record(data)["images"] == expected
    assert record(data)["settings"]["boxes_format"] == "normalized"


def test_masks_of_the_objects(data, explained):
    """COCO's outlines, of the left half of each patch; the last has none, and its box counts."""
    images, objects = [], []
    for i, (x, y) in enumerate(PLACES):
        images.append({"id": i, "file_name": f"{i}.png", "width": 24, "height": 20})
        half = [x, y, x + 3, y, x + 3, y + 6, x, y + 6]
        outline = {"segmentation": [half]} if i < 4 else {}
        one = {"id": i, "image_id": i, "category_id": i % 3, "bbox": [x, y, 6, 6], "iscrowd": 0}
        objects.append(one | outline)
    categories = [{"id": i, "name": name} for i, name in enumerate(LABELS)]
    coco = {"images": images, "annotations": objects, "categories": categories}
    (data / "boxes.json").write_text(json.dumps(coco))
    words = ["--no-references", "--metrics", "relevance_mass,skewness,iou_curve"]
    settings = ["--model", "tiny", "--set", "glas.grid=3", "--set", "iou_curve.thresholds=0.5"]
    run = [*settings, "--batch-size", "2", "--pictures", "0", "--page", "0", *words]
    assert evaluate(data, *run, quick=False) == 0
    page = (data / "out/table.md").read_text()
    assert (
        "by the masks of the objects in 4 of 5 images, else by their boxes: relevance_mass, iou"
        in page
    )
    values = saljax.read_values(data / "out")
    found = {
        name: values["value"][values["metric"] == name]
        for name in ("relevance mass", "IoU, map >= 0.5")
    }
    for i, (x, y) in enumerate(PLACES):
        saliency = map_of(data, "glas", i)
        if i < 4:  # 24 x 20 become 19 x 16, of which the columns from 2 on are seen
            columns, rows = (np.arange(16) + 2.5) * 24 / 19, (np.arange(16) + 0.5) * 20 / 16
            in_columns, in_rows = (columns // 1 - x) // 3 == 0, (rows // 1 - y) // 6 == 0
            mask = in_rows[:, None] & in_columns[None]
            assert mask.any()
            above = (saliency - saliency.min()) / (saliency.max() - saliency.min()) >= 0.5
            expected = (mask & above).sum() / (mask | above).sum()
            np.testing.assert_allclose(found["IoU, map >= 0.5"][i], expected, rtol=1e-4)
        else:
            mask = np.float32(record(data)["images"][i]["boxes"])
        expected = saljax.metrics.relevance_mass(jnp.asarray(saliency), jnp.asarray(mask))
        np.testing.assert_allclose(found["relevance mass"][i], expected, rtol=1e-4)
    # All is known; another outline is another measurement, and of skewness none.
    before = made(data)
    assert evaluate(data, *run, quick=False) == 0 and made(data) == before
    objects[0]["segmentation"] = [[2, 2, 8, 2, 8, 8, 2, 8]]
    (data / "boxes.json").write_text(json.dumps(coco))
    assert evaluate(data, *run, quick=False) == 0 and len(explained) == 3
    after = made(data)
    changed = [name for name in after if after[name] != before[name]]
    assert len(changed) == 1 and changed[0].startswith("values/")
    first = after[changed[0]], before[changed[0]]
    assert [metric for metric in first[0] if first[0][metric] != first[1][metric]] == [
        "relevance_mass", "iou_curve"
    ]  # fmt: skip


@pytest.fixture
def of_tfds(data, monkeypatch):
    """A function that has the pictures of `data` opened as a data set with such features."""

    class Source(list):
        pass

    def of_tfds(features, of_each):
        source = Source(
            {
                "image": (data / "in" / f"{i}.png").read_bytes(),
                "image/filename": f"{i}.png".encode(),
            }
            | of_each(i)
            for i in range(len(PLACES))
        )
        source.dataset_info = type("Info", (), {"features": {"image": 1} | features})
        monkeypatch.setattr(tfds_sources, "opened", lambda name, *more: {"test": source})

    return of_tfds


def test_a_data_set_of_tfds(data, capsys, of_tfds, explained):
    """The table is that of the same pictures and boxes in a folder, and says where they are of."""

    def objects(i):
        (x, y), (height, width) = PLACES[i], (20, 24)
        box = np.float32([y / height, x / width, (y + 6) / height, (x + 6) / width])
        return {"objects": {"bbox": [box], "label": [i % 3]}}

    words = ["--no-references", "--pictures", "1", "--page", "1"]
    assert evaluate(data, *words, out="folder") == 0
    names = type("Names", (), {"names": LABELS})
    of_tfds({"objects": {"label": names}}, objects)
    run = ["evaluate", "--data", "tfds:coco/2017:test", "--out", str(data / "out"), *QUICK, *words]
    assert cli.main(run) == 0
    assert (data / "out/values.csv").read_bytes() == (data / "folder/values.csv").read_bytes()
    found, expected = record(data), record(data, "folder")
    assert found["images"] == expected["images"] and found["settings"]["boxes"] is None
    assert found["title"] == "tiny on tfds:coco/2017:test" and (data / "out/pictures.png").exists()
    photo = "page/photo/0.jpg"
    assert (data / "out" / photo).read_bytes() == (data / "folder" / photo).read_bytes()
    explained.clear()
    assert cli.main(run) == 0 and explained == []
    capsys.readouterr()
    assert cli.main([*run, "--boxes", str(data / "boxes.json")]) == 2
    assert cli.main([word.replace(":test", ":val") for word in run]) == 2
    assert cli.main([word.replace("coco", "kitti") for word in run]) == 2
    boxes, split, family = lines(capsys)
    assert "--boxes is for folders" in boxes and "no split val; it has test" in split
    assert "what its boxes mean is not known" in family


def test_pictures_of_tfds_are_explained(data, capsys, of_tfds):
    """The maps are those of the same pictures in a folder; the second run makes none again."""
    of_tfds({"label": type("Names", (), {"names": LABELS})}, lambda i: {"label": i % 3})
    words = ["--model", "tiny", "--method", "glas", "--grid", "3", "--no-pictures", "--number", "2"]
    run = ["explain", *words, "--out", str(data / "out"), "--data", "tfds:colors"]
    assert cli.main(run) == 0
    assert cli.main(["explain", *words, "--out", str(data / "files"), str(data / "in")]) == 0
    for name in ("0.npy", "1.npy"):
        assert (data / "out" / name).read_bytes() == (data / "files" / name).read_bytes()
    assert json.loads((data / "out/1.json").read_text())["image"] == "tfds:colors/1.png"
    capsys.readouterr()
    assert cli.main(run) == 0
    assert "2 of 2 are there already" in capsys.readouterr().out
    assert cli.main(["explain", *words, "--data", str(data / "in")]) == 2
    assert cli.main(["explain", *words]) == 2
    folder, nothing = lines(capsys)
    assert "expected tfds:NAME" in folder and "or --data tfds:NAME" in nothing


def test_classes_of_tfds_without_boxes(data, capsys, of_tfds):
    """Metrics that need none, of the class that is labelled; one that the classifier lacks."""
    names = type("Names", (), {"names": (*LABELS, "violet")})
    of_tfds({"label": names}, lambda i: {"label": 3 if i == 4 else i % 3})
    words = ["--metrics", "skewness", "--no-references", "--methods", "glas"]
    run = ["evaluate", "--data", "tfds:colors", "--out", str(data / "out"), "--model", "tiny"]
    run += ["--set", "glas.grid=3", "--batch-size", "2", "--pictures", "0", "--page", "0", *words]
    assert cli.main(run) == 2
    (line,) = lines(capsys)
    assert "4.png: no class is called 'violet'" in line and "left out" in line
    assert [image["target"]["class"] for image in record(data)["images"]] == [
        "red", "green", "blue", "red"
    ]  # fmt: skip
    assert cli.main([*run, "--metrics", "pointing_game"]) == 2
    assert "needs --boxes" in lines(capsys)[-1]


def test_a_method_or_metric_that_fails_leaves_the_others(data, capsys):
    words = ["--methods", "glas,grad_cam,guided_backprop", "--no-references", "--number", "3"]
    metrics = ["--metrics", "pointing_game,faithfulness,skewness"]
    assert evaluate(data, *words, *metrics, "--set", "faithfulness.kernel=4") == 2
    said = lines(capsys)
    assert len(said) == 3
    assert "grad_cam" in said[1] and "'none'" in said[1] and "small" in said[1]
    assert "guided_backprop" in said[2] and "matched nothing" in said[2]
    assert "faithfulness" in said[0] and "odd" in said[0]
    found = table(data)
    assert found["all", "skewness", "glas"][2] == 3
    assert found["all", "skewness", "grad_cam"] == (None, None, 0)
    assert found["all", "faithfulness, 0..100", "glas"] == (None, None, 0)
    words = [word.replace("grad_cam", "cam=grad_cam") for word in words]
    assert evaluate(data, *words, "--set", "cam.layer=small", "--set", "cam.resize=false") == 2
    assert "its maps are (8, 8), the images (16, 16)" in lines(capsys)[0]


def test_a_classifier_with_one_logit(data, monkeypatch):
    load = models.load
    one = Partial(lambda inner, x: inner(x)[:, :1] - inner(x)[:, 1:2], load("tiny"))
    monkeypatch.setattr(models, "load", lambda name, weights=None, say=None: one)
    words = ["--metrics", "skewness", "--number", "2", "--no-references", "--methods", "gradient"]
    assert cli.main(
        ["evaluate", "--data", str(data / "in"), "--out", str(data / "out"), *words,
         "--model", "tiny", "--batch-size", "2", "--pictures", "1"]
    ) == 0  # fmt: skip
    written = record(data)
    assert written["settings"]["probabilities"] == "sigmoid of one logit"
    assert [image["target"]["class"] for image in written["images"]] == ["positive", "negative"]
    for image in written["images"]:
        assert abs(sum(known["probability"] for known in image["prediction"]) - 1) < 1e-5
    assert "above 0 positive, below negative" in (data / "out/table.md").read_text()


def test_pictures_that_are_passed_over_and_names_of_every_kind(data, capsys):
    """Our own figures, what cannot be read, a name of 250 bytes, one that is no UTF-8; 12 bits."""
    assert evaluate(data, "--number", "2", "--pictures", "1") == 0
    (data / "out/pictures.png").rename(data / "in/x.png")
    (data / "in/y.svg").touch()
    deep = Image.fromarray(np.full((20, 20), 3000, np.uint16))
    for name in ("a" * 246, os.fsdecode(b"caf\xe9")):
        deep.save(data / "in" / f"{name}.png")
    capsys.readouterr()
    words = ["--metrics", "skewness", "--no-references", "--pictures", "9", "--target", "top-1"]
    run = [*words, "--model", "tiny", "--set", "glas.grid=3", "--batch-size", "2"]
    folders_of = ["--data", str(data / "in"), "--out", str(data / "new")]
    assert cli.main(["evaluate", *folders_of, *run]) == 0
    said = lines(capsys)
    assert len(said) == 3
    assert "passed over 1 that saljax drew (x.png)" in said[0]
    assert "passed over 1 that cannot be read (y.svg)" in said[1]
    assert "black and white taken for 0 and 4095" in said[2]
    assert [image["range"] for image in record(data, "new")["images"][-2:]] == [[0, 4095]] * 2
    assert len(made(data, "new")) == 2 * 7
    before = made(data, "new")
    assert cli.main(["evaluate", *folders_of, *run, "--range", "0,65535"]) == 0
    assert before.items() <= made(data, "new").items() and len(made(data, "new")) == 2 * 14


def test_maps_that_are_not_finite(data, capsys, monkeypatch):
    """The square root of a negative logit: NaN where the picture is bluer than red."""

    def load(name, weights=None, say=None):
        return Partial(lambda x: jnp.sqrt(x.mean((1, 2)) @ jnp.array([[1.0], [0.0], [-1.0]])))

    with monkeypatch.context() as patch:
        patch.setattr(models, "load", load)
        assert evaluate(data, "--target", "0", "--no-references") == 2
        said = lines(capsys)
        assert said and all("not finite" in line for line in said)
        assert any("2.png" in line for line in said)
        # They do not spoil the others of their batch: without them, these are the same.
        for name in {line.split(": ")[1] for line in said}:
            Path(name).unlink()
        # Boxes of more pictures than there are: said, and no mistake.
        assert evaluate(data, "--target", "0", "--no-references", out="good") == 0
        (line,) = lines(capsys)
        assert "does not have" in line and record(data, "good")["missing"] == []
    found, expected = table(data), table(data, "good")
    for entry in [("all", "skewness", "glas"), ("all", "pointing game", "glas")]:
        assert found[entry][2] == expected[entry][2] > 0
        np.testing.assert_allclose(found[entry][0], expected[entry][0], rtol=1e-4)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--methods", "gals"], ["gals", "glas"]),
        (["--metrics", "pointing_gane"], ["pointing_gane", "pointing_game"]),
        (["--set", "glas.gird=2"], ["gird", "grid"]),
        (["--set", "rise.num_masks=2"], ["no method or metric of this table", "'rise'"]),
        (["--set", "grid=2"], ["NAME.KEYWORD=VALUE"]),
        (["--target", "top-2"], ["top-2", "one class"]),
        (["--target", "grene"], ["grene", "green"]),
        (["--model", "cube"], ["cube", "takes no pictures"]),
        (["--data", "nowhere"], ["nowhere", "not a folder"]),
        (["--boxes", "nowhere.json"], ["nowhere.json"]),
        (["--batch-size", "0"], ["--batch-size"]),
    ],
)
def test_bad_options(data, capsys, words, says):
    assert evaluate(data, *words) == 2
    (line,) = lines(capsys)
    assert all(word in line for word in says), line
    assert not (data / "out").exists()


def test_nothing_to_do(data, capsys):
    (data / "empty").mkdir()
    assert evaluate(data, "--data", str(data / "empty")) == 2
    (line,) = lines(capsys)
    assert "empty" in line and "directory without images" in line
    (data / "boxes.json").write_text("[]")
    assert evaluate(data, "--target", "label") == 2
    assert "has no labels" in lines(capsys)[0]
    (data / "boxes.json").write_text('[{"file": "a.png", "label": "red", "boxes": []}]')
    assert evaluate(data) == 2
    assert "no picture in common" in lines(capsys)[-1]
    assert evaluate(data, "--target", "label", boxes=False) == 2
    assert not (data / "out").exists()


def test_a_damaged_file_of_an_earlier_run(data, capsys, explained):
    """What it held is made again."""
    words = ["--no-references"]
    assert evaluate(data, *words) == 0
    table, known = (data / "out/table.csv").read_bytes(), made(data)
    (path,) = (data / "out/blocks/of/glas").iterdir()
    path.write_bytes(path.read_bytes()[:-30])
    capsys.readouterr()
    explained.clear()
    assert evaluate(data, *words) == 0
    (line,) = lines(capsys)
    assert str(path) in line and "is damaged" in line and len(explained) == 3
    assert (data / "out/table.csv").read_bytes() == table and made(data) == known
    # A bit of a map alone: seen when the map is read, for another metric.
    content = bytearray(path.read_bytes())
    content[content.find(map_of(data, "glas", 4).tobytes())] ^= 1
    path.write_bytes(content)
    explained.clear()
    assert evaluate(data, *words, "--metrics", "pointing_game,skewness,sparseness") == 0
    (line,) = lines(capsys)
    assert str(path) in line and "is damaged" in line and len(explained) == 3
    maps = {name: one for name, one in known.items() if name.startswith("maps/")}
    assert maps.items() <= made(data).items()


def test_a_full_disk(data, capsys, monkeypatch, explained):
    """One line and exit code 2; what was written before is kept, and the same command goes on."""
    words, written, replace = ["--no-references", "--block-size", "2"], [], os.replace

    def full(source, target):
        if Path(target).is_relative_to(data):
            if len(written) == 3:  # the first block, and what is known of the images of the next
                raise OSError(errno.ENOSPC, "No space left on device")
            written.append(target)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert evaluate(data, *words) == 2
    (line,) = lines(capsys)
    assert line.startswith(f"saljax: {data / 'out/blocks/of/glas'}/000001-")
    assert line.endswith(".npz: no space left on device")
    there = [path for path in (data / "out").rglob("*") if path.is_file()]
    assert sorted(there) == sorted(written) and len(explained) == 2
    before = made(data)
    assert evaluate(data, *words) == 0
    assert len(explained) == 4 and before.items() <= made(data).items()


def test_all_devices_give_the_maps_of_one(data):
    assert evaluate(data, out="one") == 0
    assert evaluate(data, "--batch-size", "8", out="eight") == 0
    for row in ("glas", "center", "random"):
        for place in range(5):
            one, eight = (map_of(data, row, place, out) for out in ("one", "eight"))
            np.testing.assert_allclose(one, eight, rtol=1e-4, atol=1e-6)


def test_metrics_are_listed(capsys, monkeypatch):
    from saljax.evaluation.measures import MEASURES

    monkeypatch.undo()
    assert cli.main(["metrics"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert all(name in text for name in MEASURES)
    assert "clean. Costs some 32 passes through the classifier a map." in text
    assert "Costs some 58 passes through" in text  # 28 steps of eight rows, twice, and the starts
