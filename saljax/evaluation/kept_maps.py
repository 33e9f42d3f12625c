"""Maps that an evaluation kept, found again by method and image."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from saljax.evaluation.blocks import Place, read_map
from saljax.evaluation.judged import Done
from saljax.runs import store

FILE = "maps.json"
Maps = Callable[[int], np.ndarray | None]
"""Place of an image in `table.json` -> its map, None where there is none."""


def write(out: Path, judged: Sequence[Done], rows: Sequence[str]) -> None:
    """Write where each map lies: file and index, by method and image."""
    files: dict[str, int] = {}

    def of(place: Place | None) -> tuple[int, int] | None:
        if place is None:
            return None
        return files.setdefault(place.path.relative_to(out).as_posix(), len(files)), place.index

    maps = {row: [of(one.map(row)) for one in judged] for row in rows}
    store.write_json(out / FILE, {"files": list(files), "maps": maps}, None)


def read(out: Path, rows: Sequence[str]) -> Mapping[str, Maps]:
    """Row -> its maps; a map that was removed is none."""
    found = json.loads((out / FILE).read_text("utf-8"))
    paths = [out / name for name in found["files"]]

    def of_row(places: Sequence[list[int] | None]) -> Maps:
        def at(place: int) -> np.ndarray | None:
            where = places[place]
            there = where is not None and paths[where[0]].exists()
            return read_map(Place(paths[where[0]], where[1])) if where and there else None

        return at

    return {row: of_row(found["maps"][row]) for row in rows}
