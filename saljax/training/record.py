"""What is written down about a training run, and whether a folder has this one or another."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saljax.runs import records, store

FILE = "training.json"


def read(out: Path) -> dict[str, Any]:
    """Return the record of a folder: its `settings`, its `epochs`, and what more there is.

    Raises:
        OSError: it is not there, or damaged, or cannot be read.
    """
    path, record = out / FILE, None
    with contextlib.suppress(FileNotFoundError, ValueError):
        record = json.loads(path.read_bytes())
    match record:
        case {"settings": dict(), "epochs": list()}:
            return record
    state = "is damaged" if path.exists() else "is not there"
    raise OSError(f"{path}: {state}, so this run cannot go on; give another --out")


def same_run(out: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the epochs that a folder knows of, of the run with these settings.

    Raises:
        ValueError: it has another run; the first setting that differs is named.
        OSError: see `read`.
    """
    record = read(out)
    for name, now in json.loads(json.dumps(settings)).items():
        there = record["settings"].get(name)
        if there != now:
            raise ValueError(
                f"{out} has another run ({name} {there} there, {now} here); give another --out"
            )
    return record["epochs"]


def write(
    out: Path, settings: Mapping[str, Any], epochs: Sequence[Mapping[str, Any]], **more: Any
) -> None:
    """Write what decides the result, what more there is to say, each epoch, and versions."""
    record = {"settings": settings, **more, "epochs": epochs, "versions": records.versions()}
    store.write_json(out / FILE, record)
