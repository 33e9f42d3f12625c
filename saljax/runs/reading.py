"""The pictures of a run, read one after the other as they are needed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from saljax.data import files, folders
from saljax.runs import inputs


class Reading:
    """Reads pictures by their names; says what is wrong with them, and what was guessed, once.

    Args:
        paths: of all pictures, by name.
        input_shape: see `inputs.read`.
        framing: how they are framed.
        values: see `files.read_image`.
        complain: told of each that cannot be read, and why.
        say: told what was guessed of their values.
        contents: of those that are no files.

    Attributes:
        taken: what was read by `all`, until whoever explains it takes it out.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        input_shape: tuple[int, ...],
        framing: inputs.Framing,
        values: files.Range | None,
        complain: inputs.Say,
        say: Callable[[str], None],
        contents: inputs.Contents = MappingProxyType({}),
    ):
        self._paths, self._shape, self._framing, self._values = paths, input_shape, framing, values
        self._complain, self._say = complain, say
        self._contents = contents
        self._guesses: set[str] = set()
        self.taken: dict[str, inputs.Input] = {}

    def one(self, name: str) -> inputs.Input | None:
        """Read one, or None after a complaint."""
        path, (resize, crop, padded) = self._paths[name], self._framing
        content = self._contents.get(path)
        try:
            read = inputs.read(path, self._shape, resize, crop, self._values, padded, content)
        except folders.UnreadableImage as error:
            self._complain(path, str(error))
            return None
        if read.guessed not in self._guesses | {""}:  # once, whatever the number of pictures
            self._guesses.add(read.guessed)
            self._say(f"{path}: {read.guessed}")
        return read

    def all(
        self, names: Sequence[str], advance: Callable[..., None]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Name and pixels of each that can be read; `advance` is told which is in work."""
        for name in names:
            if (read := self.one(name)) is None:
                continue
            advance(0, work=self._paths[name].name)
            self.taken[name] = read
            yield name, read.image
