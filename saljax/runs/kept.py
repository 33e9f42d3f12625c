"""What a folder of explanations holds already: a run goes on from there and overwrites nothing."""

import csv
import hashlib
import io
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from saljax.runs import inputs, records, store

COLUMNS = (
    "image", "class", "index", "probability", "predicted", "method", "picture", "map", "record",
)  # fmt: skip
"""Of `index`."""


class Work(NamedTuple):
    """What a run has to do.

    Attributes:
        paths: of each picture, by the name of its explanation.
        made_from: what decides each explanation, see `store.key`, by its name.
        there: names of explanations that are there already.
        together: the name of the picture of all.
    """

    paths: Mapping[str, Path]
    made_from: Mapping[str, str]
    there: set[str]
    together: str

    @property
    def todo(self) -> list[str]:
        """Names of what is not there yet."""
        return [name for name in self.paths if name not in self.there]


def work(
    paths: Sequence[Path],
    folder: Path,
    decides: Mapping[str, Any],
    contents: inputs.Contents = MappingProxyType({}),
) -> Work:
    """What is to be done of pictures, and under which names.

    Args:
        paths: of pictures, some perhaps twice.
        folder: of the explanations.
        decides: what their maps depend on beside the picture.
        contents: of those that are no files.
    """
    in_folder = {p.stem.casefold() for p in paths if p.resolve().parent == folder.resolve()}
    reserved = in_folder | store.names_of_others(folder)
    keyed = {
        store.key(image=_content(path, contents.get(path)), **decides): path
        for path in dict.fromkeys(paths)
    }
    called = {key: Path("stdin") if p == inputs.STDIN else p for key, p in keyed.items()}
    (together,) = store.distinct_names([Path("overview")], reserved)
    found, there = names(called, folder, reserved | {together.casefold()})
    made_from = {found[key]: key for key in keyed}
    return Work({name: keyed[key] for name, key in made_from.items()}, made_from, there, together)


def _content(path: Path, read: Callable[[], bytes] | None) -> list[str]:
    """What a picture is, and where; each on standard input is another."""
    if path == inputs.STDIN:
        return [secrets.token_hex()]
    try:
        if read is not None:
            return [str(path), hashlib.sha256(read()).hexdigest()]
        return [str(path.resolve()), records.sha256(path)]
    except OSError:
        return [str(path)]


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
        drawn = [n for n in (name + ending for ending in store.DRAWN) if (folder / n).exists()]
        method = record.get("method") or "+".join(record.get("methods", ()))
        first: Sequence[Any] = record.get("prediction", ())[:1]
        for target in record.get("targets", ()):
            table.writerow(
                [
                    record.get("image"), target["class"], target["index"], target["probability"],
                    *[one["class"] for one in first], method, *(drawn or [""])[:1], f"{name}.npy",
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
