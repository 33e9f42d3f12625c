"""The page of an evaluation: what is in its files, and what a browser makes of it."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from saljax import cli
from saljax.evaluation.curves import Curve
from saljax.page import data, pictures, run, site
from saljax.page.citations import bibtex

METHODS = ("glas", "grad_cam", "center")
CLASSES = ("red", "</script><b>")
SIDE, NUMBER = 12, 60


@pytest.fixture
def folder(tmp_path):
    """Pictures of one color each."""
    for i in range(NUMBER):
        Image.new("RGB", (SIDE, SIDE), (4 * i, 255 - 4 * i, 0)).save(tmp_path / f"{i:02}.png")
    return tmp_path


def entry(subset, column, better, row, mean):
    return {
        "subset": subset, "column": column, "better": better, "row": row, "mean": mean,
        "standard_error": 0.01, "images": NUMBER, "note": "",
    }  # fmt: skip


@pytest.fixture
def evaluation(folder):
    """Of three methods by two metrics; glas is best at the last image and worst at the first."""
    rising = np.linspace(0, 1, NUMBER)
    values = np.stack([[rising, 1 - rising, rising * 0], [rising * 0, rising, rising + 0.5]])
    values[0, 2, 3] = np.nan
    images = [
        {
            "image": f"{i:02}.png",
            "target": {"class": CLASSES[i % 2], "index": i % 2, "probability": 0.75},
            "prediction": [{"class": CLASSES[i % 3 % 2], "index": i % 3 % 2, "probability": 0.75}],
            "boxes": [[3, 0, 5, 2]],
            "small": i < 5,
        }
        for i in range(NUMBER)
    ]
    hyperparameters = {"glas": {"grid": 3}, "grad_cam": {}, "center": {}}
    names = (("insertion", "higher"), ("deletion", "lower"))
    record = {
        "title": "tiny on <in>",
        "facts": ["what a reader must know"],
        "missing": [],
        "groups": {"Faithfulness": ["insertion", "deletion"]},
        "seconds": {"glas": 0.5, "grad_cam": None, "center": 0.1},
        "table": [
            entry("all", name, better, row, float(np.nanmean(values[m, k])))
            for m, (name, better) in enumerate(names)
            for k, row in enumerate(METHODS)
        ],
        "images": images,
        "settings": {
            "command": "saljax evaluate --data in",
            "model": "tiny", "weights": {"file": "w.safetensors", "sha256": "abc"},
            "sees": {"input_shape": [SIDE, SIDE, 3], "resize": SIDE, "crop": SIDE},
            "methods": {
                name: {"method": name, "hyperparameters": hyperparameters[name]} for name in METHODS
            },
            "metrics": {"insertion_deletion": {"step": 5}},
            "data": str(folder), "target": "label", "seed": 0, "batch_size": 1, "range": None,
            "versions": {"saljax": "0", "jax": "0"},
        },
    }  # fmt: skip
    differences = [
        {"subset": "all", "metric": "insertion", "method": "grad_cam", "role": "best",
         "mean": "0", "low": "-0.1", "high": "0.1", "verdict": "not different"}
    ]  # fmt: skip
    ramp = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE)
    maps = {
        "glas": lambda place: ramp,
        "grad_cam": lambda place: ramp - 0.25,
        "center": lambda place: None,
    }
    curve = Curve("insertion", "share", np.asarray([0.0, 1.0]), {})
    curve.values.update({name: np.tile([0.25, 0.75], (NUMBER, 1)) for name in METHODS})
    return run.Run(
        folder, record, METHODS, ("insertion", "deletion"), values, differences, [curve], maps
    )


def read_script(path):
    text = re.fullmatch(r"[\w \[\]]+=(.*);\n", path.read_text(), re.DOTALL)
    assert text
    return json.loads(text[1])


def test_numbers(evaluation, folder):
    assert site.write(evaluation, folder / "page", folder, most=NUMBER - 2) == 0
    page = folder / "page"
    known = read_script(page / "data.js")
    assert known["shown"] == NUMBER - 2 and len(known["images"]) == NUMBER
    # Corners inside: columns 3, 4 and 5 of twelve are from a quarter to a half.
    assert known["images"][0]["boxes"] == [[0.25, 0.0, 0.5, 0.25]]
    np.testing.assert_allclose(known["values"][1][0][0], 0)
    assert known["values"][0][2][3] is None
    best = known["table"]["all"][0][1]["best"]
    assert best == [0, -0.1, 0.1, "not different"]
    assert [method["signed"] for method in known["methods"]] == [False, True, False]
    assert [method["reference"] for method in known["methods"]] == [False, False, True]
    assert sorted(path.name for path in (page / "curves").iterdir()) == ["0.js", "50.js"]
    later = read_script(page / "curves" / "50.js")
    assert len(later[0][0]) == NUMBER - 50 and later[0][0][0] == [0.25, 0.75]
    html = (page / "index.html").read_text()
    assert "tiny on &lt;in&gt;" in html and "saljax evaluate --data in" in html
    assert "grid 3" in html and "step 5" in html and "abc" in html
    # A name of a class ends no script.
    assert "</script><b>" not in (page / "data.js").read_text()


def test_no_more_images_than_a_browser_holds(evaluation, folder, monkeypatch):
    monkeypatch.setattr(data, "MOST", 7)
    site.write(evaluation, folder / "page", folder, most=3)
    known = read_script(folder / "page/data.js")
    assert (known["shown"], known["total"], len(known["images"])) == (3, NUMBER, 7)
    assert [len(of_method) for of_method in known["values"][0]] == [7] * 3
    assert sorted(path.name for path in (folder / "page/photo").iterdir()) == [
        f"{place}.jpg" for place in range(3)
    ]
    assert known["table"]["all"][0][0]["mean"] == 0.5  # of all


def test_pictures(evaluation, folder):
    import io

    signs = [False, True, False]
    shown = np.asarray(Image.open(io.BytesIO(pictures.maps(evaluation, 0, signs) or b"")), float)
    assert shown.shape == (SIDE, 3 * SIDE)
    ramp = np.linspace(0, 1, SIDE**2)
    np.testing.assert_allclose(shown[:, :SIDE].ravel(), 255 * ramp, atol=6)
    # From -0.75 to 0.75, zero in the middle.
    around = 255 * (0.5 + (ramp - 0.25) / 1.5)
    np.testing.assert_allclose(shown[:, SIDE : 2 * SIDE].ravel(), around, atol=6)
    assert shown[:, 2 * SIDE + 1 :].max() <= 4
    photo = np.asarray(Image.open(io.BytesIO(pictures.photo(evaluation, 7, folder) or b"")), float)
    assert np.abs(photo - [28, 227, 0]).max() <= 4
    assert pictures.photo(evaluation, 7, folder / "elsewhere") is None
    assert site.write(evaluation, folder / "page", folder / "elsewhere", most=2) == 2


def test_bibtex():
    paper = "RISE: Randomized Input Sampling for Explanation of Black-box Models (BMVC 2018)"
    text = bibtex({"rise": paper, "fine": paper, "mine": ""}, "0.3.0")
    assert text.count("@misc{") == 1 and "@misc{rise," in text and "version = {0.3.0}" in text
    assert "title = {{RISE:} Randomized Input" in text
    assert "howpublished = {BMVC}" in text and "year = {2018}" in text


def test_what_is_no_evaluation(tmp_path, capsys):
    (tmp_path / "a").mkdir()
    assert cli.main(["report", str(tmp_path / "a")]) == 2
    assert "expected a folder of saljax evaluate; this is none" in capsys.readouterr().err
    (tmp_path / "a/blocks").mkdir()
    assert cli.main(["report", str(tmp_path / "a")]) == 2
    assert "this was not finished" in capsys.readouterr().err
    (tmp_path / "a/table.json").write_text("{}")
    assert cli.main(["report", str(tmp_path / "a")]) == 2
    assert "is of another version" in capsys.readouterr().err
    assert not (tmp_path / "a/page").exists()


BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
PROBE = """
window.addEventListener("error", (event) => { document.body.dataset.wrong = event.message; });
const seen = {}, $ = (query) => [...document.querySelectorAll(query)];
const set = (id, value) => { byId(id).value = value; byId(id).dispatchEvent(new Event("input")); };
const names = () => $("#numbers tbody th").map((one) => one.textContent);
const first = () => $("#grid .title small").map((one) => one.textContent.trim())[0];
seen.names = names();
$("#numbers thead button")[1].click();
seen.byDeletion = names();
$("#numbers thead button")[1].click();
seen.turned = names();
const row = (one) => one.closest("tr").cells[0].textContent;
seen.marks = $("#numbers b, #numbers i").map((one) => row(one) + one.tagName);
set("shown", "best");
const cells = $("#numbers td").map((one) => one.textContent);
seen.difference = cells.find((text) => /not different/.test(text));
seen.alike = $("#correlation td").map((one) => one.textContent);
seen.drawn = $("#grid .row").length;
seen.worst = first();
set("order", "best");
seen.best = first();
set("only", "small");
seen.small = byId("found").textContent;
set("only", "wrong");
seen.wrong = byId("found").textContent;
set("only", "");
set("class", "red");
seen.red = byId("found").textContent;
set("order", "differ");
seen.differ = first();
$("#grid .title")[0].click();
seen.open = detail.open;
const wait = () => {
  if (!$("#detail figure polyline").length) { setTimeout(wait, 20); return; }
  seen.curves = $("#detail figure polyline").length;
  const before = byId("detailTitle").textContent;
  detail.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  seen.stepped = before !== byId("detailTitle").textContent;
  document.body.dataset.seen = JSON.stringify(seen);
};
wait();
"""


@pytest.mark.skipif(not BROWSER, reason="no Chromium")
def test_in_a_browser(evaluation, folder):
    """Opened from disk: sorts, filters, opens an image; draws no more images than fit."""
    site.write(evaluation, folder / "page", folder)
    (folder / "page/probe.js").write_text(PROBE)
    path = folder / "page/index.html"
    path.write_text(path.read_text().replace("</body>", '<script src="probe.js"></script></body>'))
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"]
    profile = f"--user-data-dir={folder / 'profile'}"
    said = subprocess.run(
        [BROWSER, *arguments, profile, "--window-size=800,600", "--dump-dom", f"file://{path}"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "data-wrong" not in said.stdout
    found = re.search(r'data-seen="([^"]*)"', said.stdout)
    assert found, said.stdout[:500]
    seen = json.loads(found[1].replace("&quot;", '"').replace("&lt;", "<").replace("&amp;", "&"))
    assert seen["names"] == ["glas", "grad_cam", "center"]
    assert seen["byDeletion"] == ["glas", "grad_cam", "center"]
    assert seen["turned"] == ["center", "grad_cam", "glas"]
    # Insertion: both 0.5, the best twice; deletion: glas.
    assert sorted(seen["marks"]) == ["glasB", "glasB", "grad_camB"]
    assert "−0.100 to 0.100" in seen["difference"]
    # Of insertion: glas rises where grad_cam falls; center is 0 everywhere, but for one image.
    assert seen["alike"] == ["", "1.00", "−1.00", "–", "−1.00", "1.00", "–", "–", "–", "–"]
    assert 0 < seen["drawn"] < NUMBER
    assert (seen["worst"], seen["best"]) == ("00.png", "59.png")
    assert seen["small"].startswith(f"5 of {NUMBER} images")
    assert seen["wrong"].startswith(f"{sum(i % 2 != i % 3 % 2 for i in range(NUMBER))} of")
    assert seen["red"].startswith("30 of")
    assert seen["differ"] == "00.png"  # 0 against 1
    assert seen["open"] and seen["curves"] == 3 and seen["stepped"]
