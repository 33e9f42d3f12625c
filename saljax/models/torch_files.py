"""Files that `torch.save` wrote, read without running any code of theirs."""

import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from saljax.models import torch_pickles
from saljax.models.state_dicts import is_copy

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "weights")
"""What a state dict inside a checkpoint is called; where several are there, the first is taken."""
SAVE_TENSORS = "save the tensors alone, torch.save(m.state_dict(), file)"


def read(path: Path, say: Callable[[str], None]) -> dict[str, np.ndarray]:
    """Read the tensors of a torch file.

    Args:
        path: a state dict, bare or in a checkpoint, under any name: there may be several beside it
            that are copies by their names, as moving averages are.
        say: told what is passed over.

    Returns:
        The tensors.

    Raises:
        ValueError: the file is damaged, or holds more than tensors, numbers
            and texts; or no state dict, or several.
    """
    tensors, rest = _state_dict(path, _loaded(path))
    if rest:
        say(f"passed over: {', '.join(rest)}")
    return {name: np.array(value) for name, value in tensors.items()}


def is_one(path: Path) -> bool:
    """Whether a file looks like one that `torch.save` wrote, now or before torch 1.6."""
    with path.open("rb") as file:
        start = file.read(2)
    return start == b"\x80\x02" or any(name.endswith("/data.pkl") for name in _inside(path))


def _inside(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile:
        return []


def _loaded(path: Path) -> Any:
    if any(name.endswith("/constants.pkl") for name in _inside(path)):
        raise ValueError(f"{path}: is a program of TorchScript; {SAVE_TENSORS}")
    try:
        return torch_pickles.load(path)
    except torch_pickles.RefusedError as refused:
        raise ValueError(
            f"{path}: is more than a state dict: opening its {refused.name} would run code that "
            f"came with it; where you made it, {SAVE_TENSORS}"
        ) from None
    except Exception as error:  # of many kinds, for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path}: damaged, or not a plain torch state dict ({reason})") from None


def _state_dict(path: Path, content: Any) -> tuple[dict[str, Any], list[str]]:
    """The tensors by name, and the names of what lies beside them."""
    passed: list[str] = []
    while inside := [name for name, one in _items(content) if _holds_tensors(one)]:
        known = [name for name in WRAPPERS if name in inside]
        if not known and any(isinstance(one, np.ndarray) for _, one in _items(content)):
            break
        own = known or [name for name in inside if not is_copy(name)] or inside
        if len(own) > 1 and not known:
            raise ValueError(
                f"{path}: holds several state dicts ({', '.join(own)}); save that of the "
                "classifier alone"
            )
        passed += [name for name in content if name != own[0]]
        content = content[own[0]]
    tensors = {name: one for name, one in _items(content) if isinstance(one, np.ndarray)}
    if not tensors:
        raise ValueError(f"{path}: holds no state dict; {SAVE_TENSORS}")
    return tensors, passed + [name for name, _ in _items(content) if name not in tensors]


def _items(content: Any) -> Iterable[tuple[str, Any]]:
    """What a dictionary by names holds; nothing of anything else."""
    if isinstance(content, Mapping) and all(isinstance(name, str) for name in content):
        return content.items()
    return ()


def _holds_tensors(content: Any) -> bool:
    return any(isinstance(one, np.ndarray) or _holds_tensors(one) for _, one in _items(content))
