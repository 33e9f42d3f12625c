"""saljax: which pixels made this classifier say that?

A method is a pure function of one image, `method(score_fn, image, target, *, ...) -> saliency`;
`explain` turns it into one compiled program over many.
"""

import importlib

from saljax.core import scores as scores
from saljax.core.explain import explain as explain
from saljax.core.override import override as override
from saljax.core.taps import tag as tag
from saljax.methods.perturbation.glas import glas as glas
from saljax.methods.perturbation.glas import glas_regions as glas_regions
from saljax.methods.perturbation.glas import rglas as rglas
from saljax.ops.gaussians import gaussian_mask as gaussian_mask
from saljax.ops.perturb import perturb as perturb

__version__ = "0.1.0"


def __getattr__(name: str):
    # Models need flax, which takes longer to import than all of saljax; metrics and data are rarely
    # needed at once. They come with their first use.
    if name in ("models", "metrics", "data"):
        return importlib.import_module(f"saljax.{name}")
    raise AttributeError(f"module 'saljax' has no attribute {name!r}")
