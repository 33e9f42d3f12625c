"""Classifiers: load them by name."""

import importlib

from saljax.models.fold import fold_batch_norm as fold_batch_norm
from saljax.models.labels import find_class as find_class
from saljax.models.zoo import ModelInfo as ModelInfo
from saljax.models.zoo import convert_file as convert_file
from saljax.models.zoo import info as info
from saljax.models.zoo import load as load
from saljax.models.zoo import names as names
from saljax.models.zoo import weights_file as weights_file


def __getattr__(name: str):
    if name in ("captions",):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
