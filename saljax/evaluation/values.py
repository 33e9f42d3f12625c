"""The value of every metric, method and image, one a line: `values.csv`."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from saljax.evaluation.columns import Column
from saljax.evaluation.judged import Done

FILE = "values.csv"
NAMES = ("image", "label", "predicted", "probability", "small", "method", "metric", "value")
NUMBERS = ("probability", "small", "value")


def lines(
    judged: Sequence[Done], rows: Sequence[str], columns: Sequence[Column]
) -> Iterator[bytes]:
    """The file, image by image; six digits, and no line where there is no value."""
    yield _line(NAMES)
    for place, one in enumerate(judged):
        record = one.record
        target, first, small = record["target"], record["prediction"][0], record["small"]
        about = (
            record["image"],
            target["class"],
            first["class"],
            f"{target['probability']:.6g}",
            "" if small is None else int(small),
        )
        for row in rows:
            for column in columns:
                value = column.values[row][place]
                if np.isfinite(value):
                    yield _line((*about, row, column.name, f"{value:.6g}"))


def read_values(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read what `saljax evaluate` measured of every image.

        values = saljax.read_values("evaluation")
        rise = values["value"][(values["method"] == "rise") & (values["metric"] == "insertion")]
        pandas.DataFrame(values).pivot_table("value", "image", ["metric", "method"])

    Args:
        path: folder of the evaluation, or its `values.csv`.

    Returns:
        Columns of equal length: "image", path of the picture in the folder of data; "label", the
        class explained; "predicted", the classifier's first choice; "probability" of the class
        explained; "small", 1 where its boxes cover less than a quarter, NaN without boxes;
        "method"; "metric", a column of the table; "value".

    Raises:
        OSError: there is no such file.
        ValueError: it is another.
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        if tuple(next(reader, ())) != NAMES:
            raise ValueError(f"{path}: is no {FILE} of saljax evaluate")
        cells = list(zip(*reader, strict=True)) or [()] * len(NAMES)
    return {
        name: np.asarray([float(cell or "nan") for cell in column], np.float64)
        if name in NUMBERS
        else np.asarray(column, np.str_)
        for name, column in zip(NAMES, cells, strict=True)
    }


def _line(cells: Sequence) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "backslashreplace")
