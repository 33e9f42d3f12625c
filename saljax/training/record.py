"""What is written down about a training run, and whether a folder has this one or another."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saljax.runs import records, store

FILE = "training.json"


def same_run(out: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the epochs that a folder knows of, of the run with these settings.

    Raises:
        ValueError: it has another run; the first setting that differs is named.
        OSError: its record cannot be read.
    """
    record = json.loads((out / FILE).read_text("utf-8"))
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
