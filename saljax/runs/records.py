"""What is written down about an explanation."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from saljax.runs.loop import Explained


def of_run(made_by: Mapping[str, Any], classifier: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What is the same for all images of a run, with the versions of what made the maps.

    Args:
        made_by: method and hyperparameters, or several of them.
        classifier: its record.
        seed: of the key.

    Returns:
        A JSON object.
    """
    return {
        **made_by,
        "seed": seed,
        **classifier,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of what makes the maps."""
    return {
        "saljax": importlib.metadata.version("saljax"),
        "jax": jax.__version__,
        "python": platform.python_version(),
    }


def sha256(path: Path) -> str:
    """Digest of a file."""
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def of_image(
    path: Path,
    size: Sequence[int],
    values: Sequence[float] | None,
    result: Explained,
    labels: Sequence[str],
    first: str = "sigma",
) -> dict:
    """What is known about one image: five most probable classes, targets, axes of its map, size.

    Args:
        path: of its file.
        size: spatial shape of what is in the file.
        values: those of the file that became 0 and 1, where it has more than 8 bits.
        result: its explanation, with probabilities as scores.
        labels: the names of all classes.
        first: what the first axis of its maps is.

    Returns:
        A JSON object.
    """
    rank = result.saliency.ndim - 2
    leading = zip((first, "target"), result.saliency.shape, strict=False)
    axes = [name for name, length in leading if length > 1] + list("zyx"[-rank:])
    return {
        "image": str(path),
        "size": list(size),
        **({} if values is None else {"range": list(values)}),
        "prediction": classes(result.scores, ranked(result.scores)[:5], labels),
        "targets": classes(result.scores, result.targets, labels),
        "axes": axes,
    }


def of_frame(
    crop: Sequence[float] | None, framing: Mapping[str, Any], digits: int = 3
) -> dict[str, Any]:
    """Where its maps lie on a picture.

    Args:
        crop: left, upper, right and lower edge of what the classifier saw and the maps cover, in
            pixels of the file, upright; None of an array, whose maps cover all of it.
        framing: how that was chosen, see `inputs.Framing`.
        digits: after the point.

    Returns:
        A JSON object.
    """
    return {} if crop is None else {"crop": [round(edge, digits) for edge in crop], **framing}


def squeezed(saliency: np.ndarray) -> np.ndarray:
    """(M, T, *spatial) without the first two axes where they are 1, as `of_image` names them."""
    return saliency.reshape([n for n in saliency.shape[:2] if n > 1] + list(saliency.shape[2:]))


def classes(scores: np.ndarray, indices: np.ndarray, labels: Sequence[str]) -> list[dict]:
    """Name, index and probability of some classes."""
    return [
        {"class": labels[i], "index": i, "probability": float(scores[i])} for i in indices.tolist()
    ]


def ranked(scores: np.ndarray) -> np.ndarray:
    """Class indices from the most to the least probable."""
    return np.argsort(-scores, kind="stable")


def other_side(record: Mapping[str, Any]) -> str:
    """The title of the class that was not explained, where one of two was; else ""."""
    chosen = [one["index"] for one in record["targets"]]
    others = [one for one in record["prediction"] if one["index"] not in chosen]
    return title_of(others[0]["class"], others[0]["probability"]) if others else ""


RULED_OUT = 0.01
"""Probability below which a classifier rules a class out. Our choice."""


def title_drawn(label: str, probability: float) -> str:
    """As `title_of`, for above a map: which is stretched like any other, though it says nothing."""
    ruled_out = " (ruled out, whatever the map shows)" if probability < RULED_OUT else ""
    return title_of(label, probability) + ruled_out


def title(scores: np.ndarray, index: int, labels: Sequence[str]) -> str:
    """A class and its probability for people: `tiger cat  54.1 %`."""
    return title_of(labels[index], float(scores[index]))


def title_of(label: str, probability: float) -> str:
    """As `title`."""
    shown = f"{100 * probability:.1f} %"
    if 0 < probability < 0.001:
        shown = "< 0.1 %"
    if 0.999 < probability < 1:
        shown = "> 99.9 %"
    return f"{label}  {shown}"
