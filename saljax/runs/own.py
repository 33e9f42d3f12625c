"""Objects that people name on a command line: FILE.py:NAME, or PACKAGE.MODULE:NAME."""

import difflib
import importlib
import importlib.util
import sys
import traceback
import types
from pathlib import Path
from typing import Any, NamedTuple

from saljax.runs.records import sha256

_FILES: dict[tuple[Path, str], types.ModuleType] = {}


class Own(NamedTuple):
    """An object, and where it is from.

    Attributes:
        name: in its file.
        value: the object.
        file: its source; None where there is none to read.
    """

    name: str
    value: Any
    file: Path | None

    def record(self) -> dict[str, Any]:
        """Its file by name and SHA-256: what was made with other code is something else."""
        return {"file": self.file.name, "sha256": sha256(self.file)} if self.file else {}


def is_own(text: str) -> bool:
    """Whether a text names an object in a file or module, and nothing of saljax."""
    return ":" in text or text.endswith(".py")


def load(text: str) -> Own:
    """Find an object by name, running its file, or importing its module, if that was not done yet.

    Modules beside the file, or for a module those in the current folder, can be imported.

    Args:
        text: `FILE.py:NAME` or `PACKAGE.MODULE:NAME`.

    Raises:
        ValueError: there is no such file, module or name, or running it fails.
    """
    place, _, name = text.rpartition(":")
    if not place or not name:
        raise ValueError(f"{text}: expected FILE.py:NAME or PACKAGE.MODULE:NAME")
    module = _of_file(Path(place)) if place.endswith(".py") else _of_package(place)
    if not hasattr(module, name):
        there = [n for n, v in vars(module).items() if not n.startswith("_") and callable(v)]
        near = difflib.get_close_matches(name, there, n=3) or there[:10]
        hint = f"; there is {', '.join(near)}" if near else ""
        raise ValueError(f"{place} has nothing called {name!r}{hint}")
    source = getattr(module, "__file__", None)
    return Own(name, getattr(module, name), Path(source) if source else None)


def described(error: BaseException, file: str) -> str:
    """What an error in a file of somebody else says, in one line, and where it was."""
    text = " ".join(str(error).split())
    steps = [step for step in traceback.extract_tb(error.__traceback__) if step.filename == file]
    line = f", line {steps[-1].lineno}" if steps else ""
    return f"{file}{line}: {type(error).__name__}: {text}"


def _of_file(path):
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    key = path.resolve(), sha256(path)
    if key not in _FILES:
        name = f"{path.stem}_{key[1][:8]}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        _first_in_path(path.resolve().parent)
        sys.modules[name] = module  # dataclasses look for it there
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise ValueError(described(error, str(path))) from error
        _FILES[key] = module
    return _FILES[key]


def _of_package(name):
    _first_in_path(Path.cwd())
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ValueError(
            f"{name}: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error


def _first_in_path(folder):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
