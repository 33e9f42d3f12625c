"""Results of consecutive cases in one file, whole or not there.

A file has entries by key, JSON objects, and the maps that some of them have. Keys are hashes of
what an entry was made from, so it does not matter which block a result lies in: another list of
cases finds what is known of them all the same. A file is a ZIP archive, which knows when it is
damaged.
"""

import copy
import functools
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from saljax.runs import store

Keep = Literal["float32", "float16", "none"]
"""What is kept of a map. "float16" are shares of its largest absolute value."""
SIZES, MOST = (32, 256), 200
"""Cases in a block, and blocks: 50 000 pictures by eight methods make 1800 files, and the maps of a
block, which are in memory when it is written, at most 50 MB at 224 x 224. Our choice."""
ROOM = 128 << 20
"""Bytes of maps that are kept in memory when they were read. Our choice."""
Entry = dict[str, Any]
Damaged = Callable[[Path], None]
_BROKEN = (zipfile.BadZipFile, ValueError, KeyError, EOFError)


class DamagedError(OSError):
    """Maps of a file cannot be read, though its entries can.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path):
        super().__init__(f"{path}: is damaged; remove it and run again")
        self.path = path


class Place(NamedTuple):
    """Where a map lies."""

    path: Path
    index: int


class Shelf:
    """The blocks of one kind of results.

    Attributes:
        folder: of their files.
        made_from: a hash of what all of them were made from, part of their names.
        keep: what is kept of maps.
        damaged: told of a file that is; what it held is made again.
    """

    def __init__(self, folder: Path, made_from: str, keep: Keep, damaged: Damaged):
        self.folder, self.made_from, self.damaged = folder, made_from, damaged
        self.keep: Keep = keep
        self._last: tuple[Path | None, dict[str, Entry]] = None, {}

    def path(self, number: int) -> Path:
        """Of a block."""
        return self.folder / f"{number:06}-{self.made_from}.npz"

    @functools.cached_property
    def elsewhere(self) -> dict[str, Path]:
        """Key -> file that has it, of those that were there when this was first asked."""
        found: dict[str, Path] = {}
        for path in sorted(self.folder.glob(f"*-{self.made_from}.npz")):
            found |= dict.fromkeys(self.recall(path), path)
        return found

    def entries(self, path: Path) -> dict[str, Entry]:
        """Those of a file; none where it is not there, or damaged."""
        try:
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                return json.loads(file["entries"].tobytes())
        except FileNotFoundError:
            return {}
        except _BROKEN:
            self.damaged(path)
            return {}

    def forget(self) -> None:
        """Look again which files there are."""
        self._last = None, {}
        self.__dict__.pop("elsewhere", None)

    def recall(self, path: Path) -> dict[str, Entry]:
        """As `entries`, those of the last file without reading it again."""
        if self._last[0] != path:
            self._last = path, self.entries(path)
        return self._last[1]


class Block:
    """What is known of consecutive cases, in one file; `write` after `put`."""

    def __init__(self, shelf: Shelf, number: int):
        self._shelf, self.path, self._changed = shelf, shelf.path(number), False
        self._entries = shelf.entries(self.path)
        self._new: dict[int, _Kept] = {}
        self._count = sum("map" in entry for entry in self._entries.values())

    def get(self, key: str) -> Entry | None:
        """An entry, from another block if need be; None where it has to be made."""
        path = None if key in self._entries else self._shelf.elsewhere.get(key)
        there = path and self._shelf.recall(path).get(key)
        if path and there is not None:
            entry = copy.deepcopy(there)
            saliency = read_map(Place(path, entry.pop("map"))) if "map" in entry else None
            self.put(key, entry, saliency)
        return self._entries.get(key)

    def put(self, key: str, entry: Entry, saliency: np.ndarray | None = None) -> None:
        """Set an entry, with its map if there is one and maps are kept."""
        if saliency is not None and self._shelf.keep != "none":
            entry["map"] = self._count
            self._new[self._count] = _kept(saliency, self._shelf.keep)
            self._count += 1
        self._entries[key], self._changed = entry, True

    def change(self) -> None:
        """Say that an entry was changed."""
        self._changed = True

    def place(self, entry: Entry) -> Place | None:
        """Where the map of an entry lies, once the block is written."""
        return Place(self.path, entry["map"]) if "map" in entry else None

    def map(self, entry: Entry) -> np.ndarray:
        """The map of an entry, as it will be read again: what is measured is what was kept."""
        index = entry["map"]
        if index in self._new:
            return _as_read(*self._new[index])
        return read_map(Place(self.path, index))

    def write(self) -> None:
        """Write what is new, in place of the file as it was."""
        if not self._changed:
            return
        text = json.dumps(self._entries, allow_nan=False, separators=(",", ":"))
        arrays: dict[str, Any] = {"entries": np.frombuffer(text.encode(), np.uint8)}
        if self._new:
            maps, scales = zip(*self._new.values(), strict=True)
            arrays["maps"] = np.stack(maps)
            if self._shelf.keep == "float16":
                arrays["scales"] = np.asarray(scales)
        if self._count > len(self._new):
            for name, there in _stored(self.path).items():
                arrays[name] = np.concatenate([there, arrays[name]]) if self._new else there
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        store.write(self.path, buffer.getvalue())  # in one piece: a full disk leaves what was there
        self._changed = False
        self._new.clear()


def read_map(place: Place) -> np.ndarray:
    """A map; OSError where its file is not there, DamagedError where it is damaged."""
    try:
        stored = _read_lately(place.path)
        scale = stored["scales"][place.index] if "scales" in stored else None
        return _as_read(stored["maps"][place.index], scale)
    except (KeyError, IndexError):
        raise DamagedError(place.path) from None


_read: dict[tuple[Path, int], dict[str, np.ndarray]] = {}


def _read_lately(path: Path) -> dict[str, np.ndarray]:
    """The maps of a file, in memory for the next that asks; those read last, up to `ROOM`."""
    key = path, path.stat().st_mtime_ns
    _read[key] = stored = _read.pop(key, None) or _stored(path)
    while len(_read) > 1 and sum(a.nbytes for one in _read.values() for a in one.values()) > ROOM:
        del _read[next(iter(_read))]
    return stored


def _stored(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in ("maps", "scales") if name in file.files}
    except _BROKEN:
        raise DamagedError(path) from None


class _Kept(NamedTuple):
    map: np.ndarray
    scale: np.float32 | None = None


def _kept(saliency: np.ndarray, keep: Keep) -> _Kept:
    if keep != "float16":
        return _Kept(saliency)
    scale = np.float32(np.abs(saliency).max() or 1.0)
    return _Kept((saliency / scale).astype(np.float16), scale)


def _as_read(saliency: np.ndarray, scale: np.float32 | None) -> np.ndarray:
    return saliency if scale is None else saliency.astype(np.float32) * scale


def size(cases: int) -> int:
    """Cases in a block, where nobody says: as many as make `MOST` blocks, within `SIZES`."""
    return min(max(SIZES[0], -(-cases // MOST)), SIZES[1])


def numbered(cases: int, size: int, shard: tuple[int, int]) -> list[int]:
    """Numbers of the blocks of a shard, from 0 on.

    Args:
        cases: number of them all.
        size: cases in a block.
        shard: its number, from 0 on, and how many there are; block b is of shard b mod n.
    """
    which, of = shard
    return list(range(-(-cases // size)))[which::of]
