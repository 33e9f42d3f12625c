"""Images, boxes and generated data with known evidence."""

import importlib


def __getattr__(name: str):
    if name in ("birdlets", "captions", "volumes"):
        return importlib.import_module(f"{__name__}.generated.{name}")
    if name in ("annotations", "boxes", "folders"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
