"""Photographs of ImageNet, with the boxes that people drew on their originals."""

import json
from pathlib import Path

import numpy as np
import pytest

from saljax.data import annotations, box_files, folders
from saljax.data.annotations.framed import framed

PHOTOS = Path(__file__).parents[4] / "shared" / "real" / "photos"


@pytest.fixture(scope="module")
def records():
    if not (PHOTOS / "ilsvrc_boxes.json").is_file():
        pytest.skip("the photographs are not here")
    return json.loads((PHOTOS / "ilsvrc_boxes.json").read_text())


def as_solution(path, records):
    lines = [
        ",".join([
            one["file"].removesuffix(".JPEG"),
            " ".join(f"{one['wnid']} {' '.join(map(str, box))}" for box in one["boxes_orig"]),
        ])
        for one in records
    ]  # fmt: skip
    path.write_text("\n".join(["ImageId,PredictionString", *lines]))
    return path


def as_xml(folder, records):
    for one in records:
        boxes = "".join(
            f"<object><name>{one['wnid']}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
            f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for x1, y1, x2, y2 in one["boxes_orig"]
        )
        name = one["file"].removesuffix(".JPEG")
        (folder / f"{name}.xml").write_text(
            f"<annotation><filename>{name}</filename><source><database>ILSVRC_2012</database>"
            f"</source><size><width>{one['orig_width']}</width><height>{one['orig_height']}</height>"
            f"</size>{boxes}</annotation>"
        )
    return folder


@pytest.mark.parametrize("write", [as_solution, as_xml])
def test_boxes_of_originals_lie_where_those_of_the_copies_do(records, tmp_path, write):
    """The copies have a short side of 256; others scaled their corners, where we scale edges.

    So a last pixel may differ by what scaling makes of one pixel, and all by half of one, as ours
    are whole.
    """
    place = tmp_path / "solution.csv" if write is as_solution else tmp_path
    found = annotations.read(write(place, records))
    assert len(found) == len(records)
    for one, example in zip(records, found, strict=True):
        assert {thing.label for thing in example.objects} == {one["wnid"]}
        size = one["orig_height"], one["orig_width"]
        moved = framed(example, size, 256)
        scales = np.tile([256 / one["width"], 256 / one["height"]], 2)
        away = np.stack([thing.box for thing in moved.objects]) - one["boxes"] * scales
        of_one_pixel = np.abs(1 - 256 / np.asarray([*size[::-1]]))
        assert (np.abs(away[:, :2]) < 0.8).all()
        assert (np.abs(away[:, 2:]) < 0.8 + of_one_pixel).all()


def test_names_without_endings_mean_the_files(records, tmp_path):
    boxes = box_files.read(as_solution(tmp_path / "a.csv", records))
    meant = box_files.matched([one.file for one in boxes], folders.list_images(PHOTOS / "ilsvrc"))
    assert {name: path.name for name, path in meant.items()} == {
        one["file"].removesuffix(".JPEG"): one["file"] for one in records
    }
