"""The methods the command line knows, by name."""

from saljax.methods.perturbation.glas import glas, rglas

METHODS = {
    "glas": glas,
    "rglas": rglas,
}

_GLAS = "Salient Explanation for Fine-grained Classification (submitted to ICLR 2020)"

PAPERS = {
    "glas": _GLAS,
    "rglas": _GLAS,
}
