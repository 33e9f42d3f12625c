"""Files that are whole or not there."""

import contextlib
import errno
import hashlib
import io
import itertools
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from saljax.data import folders

LONGEST = 255
"""Bytes of a file name that file systems take."""
OF_NAMES = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)
"""Errors that speak of one name, and not of the disk or folder."""
MARK = b"Software\0saljax "
"""What the pictures of saljax say of themselves, see `report.grids.png`."""
KEYED = "-0123456789abcdef.json"
"""What stands after a name where a `key` is in it."""
DRAWN = (".png", ".pdf", ".svg")
"""Endings of pictures that saljax draws."""
ENDINGS = (*DRAWN, ".npy", ".json")
"""Of the files that `saljax explain` writes for each image."""


def check_writable(folder: Path) -> None:
    """Raise OSError, before any work, where results cannot be written to `folder`.

    It is tried (permissions alone do not tell, on a full or read-only disk), and every trace of
    the trial removed.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(f"cannot write to {folder}: {error.strerror}") from None
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file to be written under a temporary name beside its place, at the end renamed.

    Whoever reads `path`, also after the process was killed, finds the old content or the new. An
    OSError names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    temporary = path.with_name(f".{digest}.{os.getpid()}.part")  # short, however long the name is
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, content: bytes) -> None:
    """Write a file as `writing` does."""
    with writing(path) as file:
        file.write(content)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write(path, buffer.getvalue())


def write_json(path: Path, record: dict[str, Any], indent: int | None = 2) -> None:
    """Write a .json file for people and programs: UTF-8, NaN refused.

    Bytes of file names that are no letters stand as JSON's escapes; Python reads them as they were.
    """
    encoder = json.JSONEncoder(indent=indent, ensure_ascii=False, allow_nan=False)
    # Part by part: as one text the record of many pictures takes six times its size. Without
    # indentation it does not, and is made by what is faster.
    parts = [encoder.encode(record)] if indent is None else encoder.iterencode(record)
    with writing(path) as file:
        for part in itertools.chain(parts, ["\n"]):
            file.write(part.encode("utf-8", "backslashreplace"))


def read_array(path: Path) -> np.ndarray:
    """Read a .npy file that `write_array` wrote; OSError if it is damaged."""
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        raise OSError(f"{path}: is damaged; remove it and run again") from None


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a .json file that `write_json` wrote; None if it is not there, OSError if damaged."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise OSError(f"{path}: is damaged; remove it and run again") from None


def key(**parts: Any) -> str:
    """A few letters that change when anything does of what a file is made from."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_figure(path: Path) -> bool:
    """Whether saljax drew this picture: the file says so, or the record beside it does."""
    return path.suffix == ".png" and _is_ours(path)


def names_of_others(folder: Path) -> set[str]:
    """Names in a folder that are not ours to write to, without suffix and in lower case.

    Those of pictures, and of files that would be overwritten, unless they are of an explanation.
    """
    there = folder.iterdir() if folder.is_dir() else ()
    found = [path for path in there if folders.is_picture(path) or path.suffix in ENDINGS]
    return {path.stem.casefold() for path in found if not _is_ours(path)}


def _is_ours(path: Path) -> bool:
    """Whether a picture or a record of this name is of saljax."""
    start = b""
    with contextlib.suppress(OSError), open(path.with_suffix(".png"), "rb") as file:
        start = file.read(256)
    if MARK in start or is_record(path.with_suffix(".json")):
        return True
    before = path.stem == "overview" and b"Matplotlib" in start  # they have said so since 0.2
    return before and any(map(is_record, path.parent.glob("*.json")))


def is_record(path: Path) -> bool:
    """Whether a file is the record of an explanation."""
    with contextlib.suppress(OSError, ValueError):
        record = json.loads(path.read_bytes())
        versions = record.get("versions") if isinstance(record, dict) else None
        return (
            isinstance(versions, dict)
            and "saljax" in versions
            and not {"method", "methods"}.isdisjoint(record)
        )
    return False


def distinct_names(
    paths: Iterable[Path], reserved: Iterable[str] = (), ending: str = ".json"
) -> list[str]:
    """A file name without suffix for each path, no two alike even where case is ignored.

    `a/bird.jpg` and `b/bird.png` become `bird` and `bird-2`; what would be too long is cut.

    Args:
        paths: files.
        reserved: names to leave free, in lower case.
        ending: the longest that will stand after a name.

    Returns:
        One name a path, in order.
    """
    names, taken = [], set(reserved)
    after: dict[str, int] = {}  # of a stem that came before all smaller numbers are taken
    for path in paths:
        for number in itertools.count(after.get(path.stem, 1)):
            count = "" if number == 1 else f"-{number}"
            name = _cut(path.stem, LONGEST - len(count + ending)) + count
            if name.casefold() not in taken:
                break
        after[path.stem] = number + 1
        taken.add(name.casefold())
        names.append(name)
    return names


def _cut(name: str, room: int) -> str:
    """The first letters that fit into so many bytes."""
    while len(os.fsencode(name)) > room:
        name = name[:-1]
    return name
