"""Files that are whole or not there."""

import contextlib
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np


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


def write(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside its place, then rename it.

    Whoever reads `path`, also after the process was killed, finds the old content or the new.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write(path, buffer.getvalue())


def write_json(path: Path, record: dict[str, Any], indent: int | None = 2) -> None:
    """Write a .json file for people and programs: UTF-8, NaN refused."""
    text = json.dumps(record, indent=indent, ensure_ascii=False, allow_nan=False)
    write(path, (text + "\n").encode())


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
    """Whether `saljax explain` wrote this picture: its map and its record lie beside it."""
    if path.name == "overview.png":
        return any(is_figure(one.with_suffix(".png")) for one in path.parent.glob("*.npy"))
    beside = (path.with_suffix(suffix) for suffix in (".npy", ".json"))
    return path.suffix == ".png" and all(one.exists() for one in beside)


def distinct_names(paths: Iterable[Path], reserved: Iterable[str] = ()) -> list[str]:
    """A file name without suffix for each path, no two alike even where case is ignored.

    `a/bird.jpg` and `b/bird.png` become `bird` and `bird-2`.

    Args:
        paths: files.
        reserved: names to leave free, in lower case.

    Returns:
        One name a path, in order.
    """
    names, taken = [], set(reserved)
    for path in paths:
        candidates = (f"{path.stem}-{n}" if n > 1 else path.stem for n in range(1, 10**9))
        name = next(name for name in candidates if name.casefold() not in taken)
        taken.add(name.casefold())
        names.append(name)
    return names
