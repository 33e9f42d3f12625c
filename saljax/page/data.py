"""The numbers of a page, as JavaScript that a browser reads from disk."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np

from saljax.evaluation import curves, ranks
from saljax.page import run as of_run
from saljax.page.run import Run

COLORS = ("inferno", "viridis", "turbo", "gray")
SIGNED = "RdBu_r"
SAMPLES = 33
"""Of a color map: a browser draws lines between them."""
MOST = 5000
"""Images that a page lists: a browser has all their numbers in memory. Our choice."""
AT_ONCE = 50
"""Images whose curves are in one file."""


def of_page(run: Run, shown: int, signs: Sequence[bool]) -> dict[str, Any]:
    """All that a page shows but pictures and the curves of single images.

    Args:
        run: the evaluation; of its images the first `MOST` are listed.
        shown: how many of them have pictures.
        signs: of each method whether its maps are shown around zero.
    """
    record = run.record
    settings = record["settings"]["methods"]
    return {
        "title": record["title"],
        "methods": [
            {
                "name": name,
                "reference": of_run.is_reference(settings[name]),
                "signed": sign,
                "seconds": record["seconds"][name],
            }
            for name, sign in zip(run.methods, signs, strict=True)
        ],
        "metrics": _metrics(run),
        "table": _table(run),
        "images": [_image(one, record["settings"]["sees"]) for one in record["images"][:MOST]],
        "total": len(record["images"]),
        "shown": shown,
        "values": _rounded(run.values[..., :MOST]),
        "curves": [_curve(curve) for curve in run.curves],
        "curvesAtOnce": AT_ONCE,
        "colors": {name: _samples(name) for name in (*COLORS, SIGNED)},
        "signedColors": SIGNED,
    }


def of_curves(run: Run, first: int) -> list[Any]:
    """Curves of some images: by curve, method and image."""
    chosen = slice(first, first + AT_ONCE)
    return [
        [
            _rounded(curve.values[name][chosen]) if name in curve.values else []
            for name in run.methods
        ]
        for curve in run.curves
    ]


def script(name: str, value: Any) -> str:
    """A line of JavaScript that sets a variable; safe inside and outside of a page."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return f"{name}={text.replace('</', '<' + chr(92) + '/')};\n"


def _metrics(run: Run) -> list[dict[str, Any]]:
    better = {entry["column"]: entry["better"] for entry in run.record["table"]}
    return [
        {"name": name, "better": better[name], "group": group, "ofImages": name != ranks.NAME}
        for group, names in run.record["groups"].items()
        for name in names
    ]


def _table(run: Run) -> dict[str, list[list[dict[str, Any] | None]]]:
    """Subset -> by metric and method: mean, error, images, and the difference from others."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for entry in run.record["table"]:
        place = entry["subset"], entry["column"], entry["row"]
        found[place] = {
            "mean": _number(entry["mean"]),
            "error": _number(entry["standard_error"]),
            "images": entry["images"],
            "note": entry["note"],
        }
    for one in run.differences:
        place = one["subset"], one["metric"], one["method"]
        found[place][one["role"]] = [
            *(_number(float(one[name]) if one[name] else None) for name in ("mean", "low", "high")),
            one["verdict"],
        ]
    subsets = dict.fromkeys(entry["subset"] for entry in run.record["table"])
    return {
        subset: [[found.get((subset, m, name)) for name in run.methods] for m in run.metrics]
        for subset in subsets
    }


def _image(one: Mapping[str, Any], sees: Mapping[str, Any]) -> dict[str, Any]:
    height, width = sees["input_shape"][:2]
    sides = np.asarray([width, height] * 2, float)
    # Corners inside, in pixels; what is drawn goes from edge to edge.
    boxes = (np.reshape(one["boxes"], (-1, 4)) + [0, 0, 1, 1]) / sides
    return {
        "image": one["image"],
        "label": one["target"]["class"],
        "index": one["target"]["index"],
        "probability": _number(one["target"]["probability"]),
        "predicted": [
            [c["class"], _number(c["probability"]), c["index"]] for c in one["prediction"]
        ],
        "small": one["small"],
        "boxes": _rounded(boxes),
    }


def _curve(curve: curves.Curve) -> dict[str, Any]:
    means = {name: curves.mean(values) for name, values in curve.values.items()}
    return {
        "name": curve.name,
        "along": curve.along,
        "at": _rounded(curve.at),
        "means": {name: _rounded(mean) for name, (mean, _, number) in means.items() if number},
        "errors": {name: _rounded(error) for name, (_, error, number) in means.items() if number},
    }


def _samples(name: str) -> list[list[float]]:
    """Red, green and blue of a color map at evenly spaced places."""
    return _rounded(matplotlib.colormaps[name](np.linspace(0, 1, SAMPLES))[:, :3].T)


def _rounded(values: Any) -> Any:
    """Lists of four digits, null where there is none."""
    return _listed(np.asarray(values, float).tolist())


def _listed(values: Any) -> Any:
    return [_listed(one) for one in values] if isinstance(values, list) else _number(values)


def _number(value: float | None) -> float | None:
    return float(f"{value:.4g}") if value is not None and math.isfinite(value) else None
