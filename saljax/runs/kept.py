"""What a folder of explanations holds already: a run goes on from there and overwrites nothing."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from saljax.runs import store

COLUMNS = (
    "image", "class", "index", "probability", "predicted", "method", "picture", "map", "record",
)  # fmt: skip
"""Of `index`."""


def explained(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and record of each explanation in a folder, in the order of their names."""
    for path in sorted(folder.glob("*.json")):
        if store.is_record(path):
            yield path.stem, store.read_json(path) or {}


def names(
    paths: Mapping[str, Path], folder: Path, reserved: set[str]
) -> tuple[dict[str, str], set[str]]:
    """Names of explanations: those that are there keep theirs, the others get what is free.

    The order of the pictures does not matter, and no explanation that is there is overwritten.

    Args:
        paths: what an explanation is made from, see `store.key`, and its picture.
        folder: of the explanations.
        reserved: names to leave free, in lower case.

    Returns:
        The name of each explanation, and which of them are there.
    """
    there = {
        str(record["made_from"]): name
        for name, record in explained(folder)
        if "made_from" in record and (folder / f"{name}.npy").exists()
    }
    taken = reserved | {name.casefold() for name, _ in explained(folder)}
    found = {made_from: there[made_from] for made_from in paths if made_from in there}
    rest = sorted((str(path), key) for key, path in paths.items() if key not in found)
    free = store.distinct_names([paths[key] for _, key in rest], taken)
    done = set(found.values())
    return found | dict(zip([key for _, key in rest], free, strict=True)), done


def index(folder: Path) -> str:
    """All explanations in a folder as comma-separated values, a line for each class explained."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for name, record in explained(folder):
        picture = f"{name}.png" if (folder / f"{name}.png").exists() else ""
        method = record.get("method") or "+".join(record.get("methods", ()))
        first: Sequence[Any] = record.get("prediction", ())[:1]
        for target in record.get("targets", ()):
            table.writerow(
                [
                    record.get("image"), target["class"], target["index"], target["probability"],
                    *[one["class"] for one in first], method, picture, f"{name}.npy",
                    f"{name}.json",
                ]
            )  # fmt: skip
    return text.getvalue()


def write_index(folder: Path) -> bool:
    """Write `index.csv`, unless there is one of somebody else; say whether it was written."""
    path = folder / "index.csv"
    if path.exists() and not path.read_bytes().startswith(",".join(COLUMNS).encode()):
        return False
    store.write(path, index(folder).encode("utf-8", "backslashreplace"))
    return True
