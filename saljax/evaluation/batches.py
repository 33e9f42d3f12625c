"""Consecutive cases, read when something has to be computed of them and not before."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from saljax.data.files import UnreadableImage
from saljax.evaluation.ahead import Ahead
from saljax.evaluation.cases import Case, Complain
from saljax.runs import inputs, loop


class Batch:
    """Cases in their places, with room for as many as one call takes.

    Attributes:
        cases: at most `size` of them.
        size: images in one call.
        masks: place -> what was drawn of it, see `cases.seen_mask`.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        size: int,
        files: Ahead,
        complain: Complain,
        note: Complain = lambda what, text: None,
    ):
        self.cases, self.size = cases, size
        self.masks: dict[int, np.ndarray | None] = {}
        self._files, self._complain, self._note = files, complain, note

    @functools.cached_property
    def digests(self) -> dict[int, str]:
        """Place -> digest of its file, where it can be read."""
        found = {}
        for place, case in enumerate(self.cases):
            try:
                found[place] = self._files.digest(case)
            except OSError as error:
                self._complain(str(case.path), error.strerror or str(error))
        return found

    @functools.cached_property
    def pictures(self) -> dict[int, inputs.Input]:
        """Place -> its picture, where it is one."""
        found = {}
        for place in self.digests:
            case = self.cases[place]
            try:
                found[place] = self._files.picture(case)
            except UnreadableImage as error:
                self._complain(str(case.path), str(error))
            else:
                if found[place].guessed:
                    self._note(str(case.path), found[place].guessed)
        return found

    @functools.cached_property
    def images(self) -> tuple[jax.Array, np.ndarray]:
        """(N, *spatial, C) on the devices, and ids (N,), N = `size`."""
        pixels = {place: picture.image for place, picture in self.pictures.items()}
        return loop.together(list(self.everywhere(pixels)))

    def everywhere(self, known: Mapping[int, Any]) -> np.ndarray:
        """Stack (N, ...) of what is known, with a copy of some other where nothing is."""
        other = next(iter(known.values()))
        return np.stack([known.get(place, other) for place in range(self.size)])
