"""Which classes to explain, from the words of a command line."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from saljax.models.labels import find_class
from saljax.runs.records import ranked


def chooser(wanted: Sequence[str], labels: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
    """How to choose the target classes of an image from its scores.

    Args:
        wanted: names, indices, or `top-K`, or several of them with commas between; the most
            probable class if there is none.
        labels: the names of all classes, in order.

    Returns:
        scores (K,) -> (T,) class indices, T the same for all images.

    Raises:
        ValueError: no such class, with near names; or K is not in 1..number of classes.
    """
    parts = [part for text in wanted or ["top-1"] for part in _several(text, labels)]

    def choose(scores: np.ndarray) -> np.ndarray:
        order = ranked(scores)
        chosen = [order[part] if isinstance(part, slice) else [part] for part in parts]
        return np.concatenate(chosen).astype(np.int32)

    return choose


def one(wanted: str, labels: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
    """As `chooser` for a single class an image; ValueError where it would be several."""
    part = _ranks_or_class(wanted, labels)
    if isinstance(part, slice) and part.stop > 1:
        raise ValueError(f"--target {wanted}: one class an image is compared, such as top-1")
    return chooser([wanted], labels)


def _several(text: str, labels: Sequence[str]) -> list[slice | int]:
    try:
        return [_ranks_or_class(text, labels)]  # names have commas too
    except ValueError:
        if "," not in text:
            raise
        return [_ranks_or_class(part, labels) for part in text.split(",")]


def _ranks_or_class(text: str, labels: Sequence[str]) -> slice | int:
    ranks = re.fullmatch(r"top-?(\d+)", text.strip().lower())
    if not ranks:
        return find_class(text, labels)
    if not 1 <= int(ranks[1]) <= len(labels):
        raise ValueError(f"{text}: the model has {len(labels)} classes, top-1 to top-{len(labels)}")
    return slice(0, int(ranks[1]))
