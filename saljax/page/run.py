"""What `saljax evaluate` left in a folder, as a page needs it."""

import csv
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saljax.evaluation import curves, kept_maps, values
from saljax.evaluation.metrics_table import MEASURES
from saljax.evaluation.references import REFERENCES
from saljax.methods.table import METHODS
from saljax.runs.hyperparameters import in_effect


class Run(NamedTuple):
    """A finished evaluation.

    Attributes:
        folder: where it lies.
        record: its `table.json`.
        methods: names, references too.
        metrics: names of columns, in the order of the table.
        values: (metrics, methods, images), NaN where there is none.
        differences: lines of `differences.csv`.
        curves: of every image.
        maps: method -> (place of an image) -> its map, None where there is none.
    """

    folder: Path
    record: Mapping[str, Any]
    methods: Sequence[str]
    metrics: Sequence[str]
    values: np.ndarray
    differences: Sequence[Mapping[str, str]]
    curves: Sequence[curves.Curve]
    maps: Mapping[str, kept_maps.Maps]


def read(folder: Path) -> Run:
    """Read a finished evaluation.

    Raises:
        ValueError: there is none, or one of an earlier saljax.
        OSError: a file cannot be read.
    """
    try:
        record = json.loads((folder / "table.json").read_text("utf-8"))
        names = record["groups"], record["settings"]["sees"]
    except (FileNotFoundError, NotADirectoryError):
        there = "was not finished" if (folder / "blocks").is_dir() else "is none"
        raise ValueError(f"{folder}: expected a folder of saljax evaluate; this {there}") from None
    except (KeyError, TypeError, json.JSONDecodeError):
        text = (
            "is of another version of saljax; run saljax evaluate again, it computes nothing anew"
        )
        raise ValueError(f"{folder / 'table.json'}: {text}") from None
    methods = list(record["settings"]["methods"])
    metrics = [name for columns in names[0].values() for name in columns]
    with open(folder / "differences.csv", encoding="utf-8", newline="") as file:
        differences = list(csv.DictReader(file))
    return Run(
        folder,
        record,
        methods,
        metrics,
        _cube(folder, record["images"], methods, metrics),
        differences,
        curves.read(folder),
        kept_maps.read(folder, methods),
    )


def _cube(
    folder: Path, images: Sequence[Any], methods: Sequence[str], metrics: Sequence[str]
) -> np.ndarray:
    found = np.full((len(metrics), len(methods), len(images)), np.nan)
    read = values.read_values(folder)
    of_image = {
        (_written(one["image"]), _written(one["target"]["class"])): i
        for i, one in enumerate(images)
    }
    of_metric = {name: i for i, name in enumerate(metrics)}
    of_method = {name: i for i, name in enumerate(methods)}
    columns = (read[name] for name in ("image", "label", "metric", "method", "value"))
    for image, label, metric, method, value in zip(*columns, strict=True):
        found[of_metric[metric], of_method[method], of_image[image, label]] = value
    return found


def _written(name: str) -> str:
    """A name as it stands in a table: bytes that are no letters are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def is_reference(settings: Mapping[str, Any]) -> bool:
    """Whether a method does not look at the classifier, from its record."""
    return settings["method"] in REFERENCES


def paper(settings: Mapping[str, Any]) -> str:
    """Title and place of the paper of a method, from its record; "" where none is known."""
    known = METHODS.get(settings["method"])
    return known.paper if known else ""


def signed(settings: Mapping[str, Any]) -> bool | None:
    """Whether its maps are, see `methods.table.Known`."""
    known = METHODS.get(settings["method"])
    return known.signed if known else None


def changed(run: Run) -> dict[str, dict[str, Any]]:
    """Settings that differ from the defaults of the library, of each method and metric."""
    found = {}
    spatial = run.record["settings"]["sees"]["input_shape"][:-1]
    for name, one in run.record["settings"]["methods"].items():
        function = REFERENCES.get(one["method"])
        function = METHODS[one["method"]].function if one["method"] in METHODS else function
        found[name] = _different(one["hyperparameters"], function, spatial)
    for name, given in run.record["settings"]["metrics"].items():
        known = MEASURES.get(name)
        found[name] = _different(given, known.function if known else None, spatial)
    return {name: given for name, given in found.items() if given}


def _different(given: Mapping[str, Any], function: Any, spatial: Sequence[int]) -> dict[str, Any]:
    if function is None:  # one's own: what its defaults are nobody knows here
        return dict(given)
    defaults = in_effect(functools.partial(function), spatial=spatial)
    return {name: v for name, v in given.items() if v != defaults.get(name)}
