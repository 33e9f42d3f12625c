"""What a classifier has learned: curves, and which classes it takes for which."""

import csv
import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from saljax.report.grids import png
from saljax.report.panels import INK, PALE

MOST_CLASSES = 40
"""Classes that are drawn by name; of more, those that are right least often. Our choice."""
MOST_NUMBERS = 20
"""Classes up to which the confusion matrix has its counts written into it. Our choice."""


def share(right: int, of: int) -> str:
    """`87.5 % ± 3.3 (70 of 80)`: a share and its standard error, sqrt(p (1 - p) / n)."""
    p = right / of
    return f"{100 * p:.1f} % ± {100 * (p * (1 - p) / of) ** 0.5:.1f} ({right} of {of})"


def confusion(
    labels: Int[np.ndarray, " pictures"], predicted: Int[np.ndarray, " pictures"], number: int
) -> Int[np.ndarray, "classes classes"]:
    """Return how many pictures of a class (row) are taken for a class (column).

    Args:
        labels: the class of each picture.
        predicted: what each is taken for.
        number: of classes.
    """
    counts = np.zeros((number, number), int)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def table(
    names: Sequence[str],
    labels: Int[np.ndarray, " pictures"],
    predicted: Int[np.ndarray, " pictures"],
    classes: Sequence[str],
) -> bytes:
    """Return each picture, its class and what it is taken for, as the bytes of a .csv file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["picture", "class", "predicted"])
    for name, label, found in zip(names, labels.tolist(), predicted.tolist(), strict=True):
        writer.writerow([name, classes[label], classes[found]])
    return text.getvalue().encode("utf-8", "backslashreplace")


def picture(
    losses: Sequence[float],
    top_1: Sequence[float],
    best: int,
    counts: Int[np.ndarray, "classes classes"],
    classes: Sequence[str],
) -> bytes:
    """Return a picture of a training run, as the bytes of a .png file.

    Args:
        losses: mean loss of each epoch.
        top_1: share of held-out pictures that were right after each.
        best: which epoch is, the first is 1.
        counts: see `confusion`.
        classes: their names.
    """
    number = counts.sum(axis=1)
    right = np.divide(np.diag(counts), number, out=np.ones(len(counts)), where=number > 0)
    shown = np.sort(np.argsort(right, kind="stable")[:MOST_CLASSES])
    side = 1.5 + 0.22 * len(shown)
    figure = Figure(figsize=(7 + side, max(4, side)), layout="constrained")
    parts = figure.subplot_mosaic(
        [["loss", "counts"], ["top-1", "counts"]], width_ratios=(6, 1 + side)
    )
    of_loss, of_top_1 = parts["loss"], parts["top-1"]
    epochs = np.arange(1, len(losses) + 1)
    for axes, values, title in (
        (of_loss, losses, "loss"),
        (of_top_1, 100 * np.asarray(top_1), "held out, right, %"),
    ):
        axes.plot(epochs, values, color=INK, marker="." if len(epochs) < 30 else None)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=PALE)
    at = best, 100 * top_1[best - 1]
    of_top_1.plot(*at, "o", color="#d1495b")
    of_top_1.annotate(
        "best", at, (0, -14), textcoords="offset points",
        ha="center", color="#d1495b",
    )  # fmt: skip
    of_top_1.set_xlabel("epoch", color=INK)
    of_loss.sharex(of_top_1)
    of_top_1.xaxis.set_major_locator(MaxNLocator(integer=True))
    _matrix(parts["counts"], counts[np.ix_(shown, shown)], number[shown], right[shown],
            [classes[i] for i in shown], len(shown) < len(classes))  # fmt: skip
    return png(figure)


def _matrix(axes, counts, number, right, names, some):
    shares = counts / np.maximum(number, 1)[:, None]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                ink = "white" if shares[row, column] > 0.5 else INK
                axes.text(column, row, count, ha="center", va="center", color=ink, fontsize=8)
    of_each = [f"{name}  {100 * p:.0f} %" for name, p in zip(names, right, strict=True)]
    axes.set_yticks(range(len(names)), of_each, fontsize=8)
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=90)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=INK)
    title = "row: class, column: taken for"
    if some:
        title += f"; the {len(names)} that are right least often"
    axes.set_title(title, loc="left", fontsize=10, color=INK)
