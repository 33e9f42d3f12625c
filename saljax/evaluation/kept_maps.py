"""Maps that an evaluation kept, found again by method and image."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from saljax.evaluation.study import Judged
from saljax.runs import store

FILE = "maps/index.json"
Maps = Callable[[int], np.ndarray | None]
"""Place of an image in `table.json` -> its map, None where there is none."""


def write(out: Path, judged: Sequence[Judged], rows: Sequence[str]) -> None:
    """Write where each map lies."""
    found = {
        row: [
            one.maps[row].relative_to(out).as_posix() if row in one.maps else None for one in judged
        ]
        for row in rows
    }
    store.write_json(out / FILE, found, None)


def read(out: Path, rows: Sequence[str]) -> Mapping[str, Maps]:
    """Row -> its maps; a map that was removed is none."""
    found = json.loads((out / FILE).read_text("utf-8"))

    def of(names: Sequence[str | None]) -> Maps:
        def at(place: int) -> np.ndarray | None:
            name = names[place]
            there = name is not None and (out / name).exists()
            return store.read_array(out / str(name)) if there else None

        return at

    return {row: of(found[row]) for row in rows}
