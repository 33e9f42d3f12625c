"""Folders in which `saljax train classifier` has left a record and weights."""

from pathlib import Path

from saljax import models
from saljax.runs import store


def found(name: str) -> tuple[str, Path | None]:
    """Return the model that a folder's training run was of, and its best weights.

    Args:
        name: of a folder; any other comes back as it is, with None.

    Raises:
        ValueError: the folder has another record.
        OSError: its record is damaged.
    """
    folder = Path(name)
    if name in models.names() or not (folder / "training.json").is_file():
        return name, None
    match store.read_json(folder / "training.json"):
        case {"settings": {"model": str(model)}} if model in models.names():
            best = folder / "best.safetensors"
            return model, best if best.exists() else folder / "weights.safetensors"
    raise ValueError(f"{name}: has no record of a classifier; see `saljax train classifier --help`")
