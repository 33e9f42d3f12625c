"""Consecutive cases, read when something has to be computed of them and not before."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from saljax.data.files import Range, UnreadableImage
from saljax.evaluation.cases import Case, Complain
from saljax.models.zoo import ModelInfo
from saljax.runs import inputs, loop, records


class Batch:
    """Cases in their places, with room for as many as one call takes.

    Attributes:
        cases: at most `size` of them.
        size: images in one call.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        size: int,
        about: ModelInfo,
        complain: Complain,
        values: Range | None = None,
        note: Complain = lambda what, text: None,
    ):
        self.cases, self.size, self._values, self._note = cases, size, values, note
        self._about, self._complain = about, complain

    @functools.cached_property
    def digests(self) -> dict[int, str]:
        """Place -> digest of its file, where it can be read."""
        found = {}
        for place, case in enumerate(self.cases):
            try:
                found[place] = records.sha256(case.path)
            except OSError as error:
                self._complain(str(case.path), error.strerror or str(error))
        return found

    @functools.cached_property
    def pictures(self) -> dict[int, inputs.Input]:
        """Place -> its picture, where it is one."""
        about, found = self._about, {}
        for place in self.digests:
            path = self.cases[place].path
            framing = about.input_shape, about.resize, about.crop
            try:
                found[place] = inputs.read(path, *framing, self._values)
            except UnreadableImage as error:
                self._complain(str(path), str(error))
            else:
                if found[place].guessed:
                    self._note(str(path), found[place].guessed)
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
