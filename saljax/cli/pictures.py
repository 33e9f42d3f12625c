"""The pictures that `saljax explain` draws: one an image, and all together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from saljax.cli.asked import Run
from saljax.report import grids
from saljax.runs import records, store
from saljax.runs.inputs import Input
from saljax.runs.kept import Work

MOST_ROWS = 20
"""Most images, and most classes of an image, in one picture. Our choice."""


class Pictures:
    """Draws what is explained and writes it to a folder.

    Args:
        folder: where to write.
        run: what is drawn.
        wanted: draw at all.
    """

    def __init__(self, folder: Path, run: Run, wanted: bool = True):
        self._folder, self._run, self._wanted = folder, run, wanted
        self._drawn: dict[str, list[grids.Row]] = {}

    def add(
        self,
        name: str,
        image: Input,
        maps: np.ndarray,
        record: Mapping[str, Any],
        is_new: bool = True,
    ) -> None:
        """Draw one explanation, and write its picture unless that is there.

        Args:
            name: of its files.
            image: the picture.
            maps: (M, T, *spatial).
            record: what is written down about it.
            is_new: it was made just now; a picture of this name shows another.
        """
        if not self._wanted:
            return
        run, targets = self._run, record["targets"]
        above = [records.title_drawn(t["class"], t["probability"]) for t in targets]
        small = ", ".join(filter(None, [run.other_side(record), run.detail]))
        rows = grids.rows(image.whole, maps, above, small, run.captions, run.signed, image.place)
        self._drawn[name] = rows[:MOST_ROWS]
        if is_new or not self._path(name).exists():
            store.write(self._path(name), grids.png(grids.grid(self._drawn[name])))
        if len(self._drawn) > MOST_ROWS:  # the pictures of all would fill the memory
            del self._drawn[name]

    def forget(self, name: str) -> None:
        """It could not be written."""
        self._drawn.pop(name, None)

    def missing(self, work: Work) -> list[str]:
        """Names of explanations that are there and yet to be drawn: to be shown, or lost."""
        shown = self._shown(work) if len(self._shown(work)) > 1 else []
        names = [name for name in work.paths if name in work.there] if self._wanted else []
        return [name for name in names if name in shown or not self._path(name).exists()]

    def write_together(self, work: Work) -> int:
        """Draw all on one page, if there are several; return how many they are."""
        rows = [self._drawn[name][0] for name in self._shown(work) if name in self._drawn]
        if len(rows) < 2:
            return 0
        sheet = rows if self._run.captions else grids.sheet(rows)
        store.write(self._path(work.together), grids.png(grids.grid(sheet)))
        return len(rows)

    def _shown(self, work: Work) -> list[str]:
        """Names of those on the page of all."""
        return [n for n in work.paths if n in work.there or n in self._drawn][:MOST_ROWS]

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.png"
