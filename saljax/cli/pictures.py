"""The pictures that `saljax explain` draws: one an image, and all together."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np

from saljax.cli.asked import Run
from saljax.report import grids
from saljax.report.encoded import DPI, encoded
from saljax.runs import records, store
from saljax.runs.hyperparameters import named
from saljax.runs.inputs import Input
from saljax.runs.kept import Work
from saljax.runs.sanity import Step

MOST_ROWS = 20
"""Most images, and most classes of an image, in one picture. Our choice."""


class Style(NamedTuple):
    """How pictures are drawn; None: as they are by default.

    Attributes:
        ending: png, pdf or svg.
        dpi: pixels an inch.
        colormap: see `overlays.Scale.own`.
        only: "map" or "overlay".
    """

    ending: str | None = None
    dpi: int | None = None
    colormap: str | None = None
    only: str | None = None

    def check(self) -> None:
        """Raise ValueError where matplotlib does not know the colors."""
        if self.colormap is not None:
            named(self.colormap, list(matplotlib.colormaps), "colormap")

    @property
    def is_asked_for(self) -> bool:
        """What is drawn already may be drawn otherwise."""
        return self != Style()

    def rows(self, rows: Sequence[grids.Row]) -> list[grids.Row]:
        """Rows in these colors, of these panels."""
        found = [grids.colored(row, self.colormap or "") for row in rows]
        return [grids.only(row, self.only == "overlay") for row in found] if self.only else found

    def encoded(self, rows: Sequence[grids.Row], foot: str = "") -> bytes:
        """A file of rows."""
        return encoded(grids.grid(rows, foot), self.ending or "png", self.dpi or DPI)


class Pictures:
    """Draws what is explained and writes it to a folder.

    Args:
        folder: where to write.
        run: what is drawn.
        style: how.
        wanted: draw at all.
    """

    def __init__(self, folder: Path, run: Run, style: Style, wanted: bool = True):
        self._folder, self._run, self._style, self._wanted = folder, run, style, wanted
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
        self._drawn[name] = self._style.rows(rows[:MOST_ROWS])
        if is_new or self._style.is_asked_for or not self.path(name).exists():
            store.write(self.path(name), self._style.encoded(self._drawn[name]))
        if len(self._drawn) > MOST_ROWS:  # the pictures of all would fill the memory
            del self._drawn[name]

    def add_sanity(
        self,
        name: str,
        image: Input,
        maps: np.ndarray,
        record: Mapping[str, Any],
        steps: Sequence[Sequence[Step]],
    ) -> Path:
        """Draw the maps of partly random classifiers beside those of the trained one.

        Args:
            name: of the files of an explanation.
            image: the picture.
            maps: (M, *spatial), of the first class.
            record: what is written down about the image.
            steps: of each map.

        Returns:
            Where the picture is, or the numbers where none is wanted.
        """
        target, methods = record["targets"][0], self._run.captions or [self._run.rows[0].name]
        title = records.title_drawn(target["class"], target["probability"])
        rows = []
        for caption, sign, trained, own in zip(methods, self._run.signed, maps, steps, strict=True):
            captions = ["trained", *(step.caption for step in own)]
            saliency = [trained, *(step.saliency for step in own)]
            signs = [sign] * len(captions)
            detail = f"{caption}, {self._run.known.about.name}"
            rows.append(grids.comparison(image.shown, saliency, captions, title, detail, signs))
        numbers = {
            caption: [step.record() for step in own]
            for caption, own in zip(methods, steps, strict=True)
        }
        path = self._folder / f"{name}.sanity.json"
        store.write_json(path, {"made_from": record["made_from"], "methods": numbers})
        if self._wanted:
            path = self.path(f"{name}.sanity")
            store.write(path, self._style.encoded(self._style.rows(rows)))
        return path

    def forget(self, name: str) -> None:
        """It could not be written."""
        self._drawn.pop(name, None)

    def missing(self, work: Work) -> list[str]:
        """Names of explanations that are there and yet to be drawn: to be shown, or lost."""
        shown = self._shown(work) if len(self._shown(work)) > 1 else []
        names = [name for name in work.paths if name in work.there] if self._wanted else []
        if self._style.is_asked_for:
            return names
        return [name for name in names if name in shown or not self.path(name).exists()]

    def write_together(self, work: Work) -> int:
        """Draw all on one page, if there are several; return how many they are."""
        rows = []
        for name in [name for name in self._shown(work) if name in self._drawn]:
            row, file = self._drawn[name][0], work.paths[name].name
            rows.append(row._replace(detail=f"{file}, {row.detail}"))
        if len(rows) < 2:
            return 0
        several = bool(self._run.captions)
        sheet, foot = (rows, "") if several else (grids.sheet(rows), self._run.detail)
        store.write(self.path(work.together), self._style.encoded(sheet, foot))
        return len(rows)

    def _shown(self, work: Work) -> list[str]:
        """Names of those on the page of all."""
        return [n for n in work.paths if n in work.there or n in self._drawn][:MOST_ROWS]

    def path(self, name: str) -> Path:
        """Of the picture of an explanation, or of its map where none is drawn."""
        return self._folder / f"{name}.{self._style.ending or 'png' if self._wanted else 'npy'}"
