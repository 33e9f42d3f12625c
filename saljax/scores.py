"""Score functions: made from models of any framework, and from what a network returns."""

import importlib

from saljax.core.host import from_callback as from_callback
from saljax.core.outputs import mean_over_space as mean_over_space
from saljax.core.outputs import regression as regression
from saljax.core.outputs import select as select
from saljax.core.questions import contrast as contrast
from saljax.core.questions import detection as detection
from saljax.core.questions import similarity as similarity
from saljax.core.scores import as_pytree as as_pytree
from saljax.core.scores import class_sums as class_sums
from saljax.core.scores import in_precision as in_precision
from saljax.core.scores import of_class as of_class
from saljax.core.scores import pick as pick
from saljax.core.scores import preprocess as preprocess
from saljax.core.scores import probabilities as probabilities
from saljax.core.scores import sides as sides
from saljax.core.scores import sigmoid as sigmoid

# Each imports its framework, so it comes with its first use.
_ADAPTERS = ("nnx", "linen", "equinox", "keras", "torch", "onnx", "sklearn")


def __getattr__(name: str):
    framework = name.removeprefix("from_")
    if name.startswith("from_") and framework in _ADAPTERS:
        return getattr(importlib.import_module(f"saljax.adapters.{name}"), name)
    raise AttributeError(f"module 'saljax.scores' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *(f"from_{framework}" for framework in _ADAPTERS)})
