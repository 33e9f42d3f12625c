"""Many pictures framed to one size, ready to be taken in batches."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float, Int

from saljax.data.folders import Framed, Picture, UnreadableImage
from saljax.data.labelled import Pictures

KEPT = 2 << 30
"""Bytes of frames kept in memory; where more would be needed, files are read for each batch. Our
choice: 10 900 pictures of 256 x 256 pixels."""


class Frames:
    """Framed pictures, rounded to 8 bits a channel as most files are.

    All are read once at the start, by as many threads as there are cores and some, so that a
    damaged file is found then and not after hours.

    Args:
        pictures: what to read.
        frame: what makes of a picture a square of `side` pixels.
        side: of the squares.
        complain: called with the name of each picture that cannot be read, and why; it is left out.
        advance: called after each picture.

    Attributes:
        labels: class index of each picture that can be read (N,).
        names: of those.
    """

    def __init__(
        self,
        pictures: Pictures,
        frame: Callable[[Picture], Framed],
        side: int,
        complain: Callable[[str, str], None],
        advance: Callable[[], None] = lambda: None,
    ):
        self._pictures, self._frame, self._pool = pictures, frame, ThreadPoolExecutor()
        number, shape = len(pictures.names), (side, side, 3)
        fits = number * np.prod(shape) <= KEPT
        kept, readable = np.empty((number if fits else 0, *shape), np.uint8), np.ones(number, bool)
        for row, read in enumerate(self._pool.map(self._try, range(number))):
            if isinstance(read, UnreadableImage):
                readable[row] = False
                complain(pictures.names[row], str(read))
            elif fits:
                kept[row] = read
            advance()
        self._rows = np.flatnonzero(readable)
        if fits and not readable.all():
            kept = kept[readable]
        self._kept = kept if fits else None
        self.labels = pictures.labels[self._rows]
        self.names = [pictures.names[row] for row in self._rows.tolist()]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(
        self, rows: Int[np.ndarray, " taken"]
    ) -> Float[np.ndarray, "taken side side 3"]:
        """Return some frames, RGB in [0, 1].

        Raises:
            UnreadableImage: a file that was there is no longer.
        """
        if self._kept is not None:
            frames = self._kept[rows]
        else:
            frames = np.stack(list(self._pool.map(self._read, self._rows[rows].tolist())))
        return frames.astype(np.float32) / np.float32(255)

    def _read(self, row: int) -> np.ndarray:
        frame = self._frame(self._pictures.read(row))
        return np.round(frame * 255).clip(0, 255).astype(np.uint8)

    def _try(self, row: int) -> np.ndarray | UnreadableImage:
        try:
            return self._read(row)
        except UnreadableImage as error:
            return error
