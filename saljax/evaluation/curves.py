"""Curves that metrics are areas or means of: kept for every image, drawn as their means."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saljax.evaluation.columns import Stored, array

FILE = "curves.npz"


class Curve(NamedTuple):
    """A curve for each row and image.

    Attributes:
        name: of what it shows.
        along: what is on its horizontal axis.
        at: (P,) places on that.
        values: row -> (N, P), NaN where there is none.
    """

    name: str
    along: str
    at: np.ndarray
    values: dict[str, np.ndarray]


def iou(stored: Stored, settings: Mapping[str, Any]) -> list[Curve]:
    """Overlap with the boxes against the threshold."""
    at = np.asarray(settings["thresholds"])
    return [_curve("IoU", "threshold of the map, min-max normalized", at, stored)]


def faithfulness(stored: Stored, settings: Mapping[str, Any]) -> list[Curve]:
    """Score of the blurred image against the share of clean pixels."""
    steps = settings["num_steps"]
    along = "share of pixels that are clean, the rest blurred"
    return [_curve("faithfulness", along, np.arange(1, steps + 1) / steps, stored)]


def insertion_deletion(stored: Stored, settings: Mapping[str, Any]) -> list[Curve]:
    """Scores against the share of pixels that came, or went."""
    found = []
    for name, along in (("insertion", "inserted"), ("deletion", "deleted")):
        part = f"{name}_curve"
        points = max(array(values, part).shape[-1] for values in stored.values())
        at = np.linspace(0, 1, points)
        found.append(_curve(name, f"share of pixels {along}", at, stored, part))
    return found


def _curve(name, along, at, stored, part=None):
    values = {row: array(of_row, part) for row, of_row in stored.items()}
    nothing = np.full(len(at), np.nan)
    whole = {r: a if a.ndim > 1 else np.tile(nothing, (len(a), 1)) for r, a in values.items()}
    return Curve(name, along, at, whole)


def mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean of the curves of all images, its standard error, and how many they are.

    Args:
        values: (N, P), NaN where there is none.

    Returns:
        (P,), (P,) and n; NaN where there is none, or for the error only one.
    """
    whole = values[np.isfinite(values).all(axis=1)]
    number, nothing = len(whole), np.full(values.shape[1], np.nan)
    if not number:
        return nothing, nothing, 0
    errors = whole.std(axis=0, ddof=1) / number**0.5 if number > 1 else nothing
    return whole.mean(axis=0), errors, number


def comma_separated(curves: Sequence[Curve]) -> str:
    """The mean curves, a line a point: curve, method, at, mean, standard_error, images."""
    lines = ["curve,method,at,mean,standard_error,images"]
    for curve in curves:
        for row, values in curve.values.items():
            means, errors, number = mean(values)
            for at, one, error in zip(curve.at, means, errors, strict=True):
                if number:
                    shown = "" if np.isnan(error) else f"{error:.6g}"
                    lines.append(f"{curve.name},{row},{at:.6g},{one:.6g},{shown},{number}")
    return "\n".join(lines) + "\n"


def arrays(curves: Sequence[Curve]) -> dict[str, Any]:
    """The curves of every image, to be written as one .npz file, see `read`."""
    found: dict[str, Any] = {}
    for curve in curves:
        found |= {f"{curve.name}/at": curve.at, f"{curve.name}/along": np.asarray(curve.along)}
        found |= {f"{curve.name}/of/{row}": v.astype(np.float32) for row, v in curve.values.items()}
    return found


def read(folder: Path) -> list[Curve]:
    """Read the curves of every image that `saljax evaluate` wrote; none where it had none.

    Args:
        folder: of the evaluation.
    """
    path = folder / FILE
    if not path.exists():
        return []
    with np.load(path, allow_pickle=False) as file:
        names = [name.removesuffix("/at") for name in file.files if name.endswith("/at")]
        return [
            Curve(
                name,
                str(file[f"{name}/along"]),
                file[f"{name}/at"],
                {
                    key.removeprefix(f"{name}/of/"): file[key]
                    for key in file.files
                    if key.startswith(f"{name}/of/")
                },
            )
            for name in names
        ]
