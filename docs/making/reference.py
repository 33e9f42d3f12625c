"""Pages of the reference: which public names there are, and where each is explained."""

import importlib
import inspect
from typing import Any

import saljax
from saljax.methods.table import METHODS

PAGES = {
    "core": ("Explaining and looking inside", "`explain` makes one compiled program of a method."),
    "perturbation": ("Methods that perturb", "They only ask for scores: any classifier will do."),
    "optimization": (
        "Methods that optimize a mask",
        "They look for the mask, or for the features, that a score hangs on.",
    ),
    "learned": (
        "Explainers that learn",
        "A small network behind the classifier says in one pass what optimization finds in many.",
    ),
    "gradients": ("Gradients", "One forward and one backward pass, or the mean of several."),
    "cams": ("Class activation maps", "They weight the channels of a layer."),
    "modified_backprop": (
        "Modified backpropagation",
        "A traced function is read again with other rules for its operations.",
    ),
    "attention": ("Attention", "Of any transformer that tags its attention."),
    "scores": (
        "Scores",
        "Score functions: images (N, *spatial, C) in [0, 1] to scores (N, K), made from models of "
        "any framework, and from what a network returns.",
    ),
    "models": ("Models", "Classifiers by name."),
    "metrics": ("Metrics", "What judges a map; plain arrays in."),
    "data": ("Data", "Pictures and boxes from files, and generated data whose evidence is known."),
    "ops": ("Formulas", "Array mathematics that methods share."),
}
"""Page -> title, and what stands below it."""

_OF_FOLDER = {"training": "learned", "runs": "learned", "evaluation": "metrics"}
"""Folder -> page of what `saljax` itself has from it; of others `core`."""

_METRICS = ("Localization", "Faithfulness", "Robustness", "Complexity", "Truth",
            "Between maps and boxes", "After `saljax evaluate`")  # fmt: skip
_DATA = ("birdlets", "captions", "volumes", "boxes", "folders")


def is_public(thing: Any) -> bool:
    """A function or class of saljax."""
    ours = (getattr(thing, "__module__", None) or "").split(".")[0] == "saljax"
    return ours and (inspect.isfunction(thing) or inspect.isclass(thing))


def names(module: Any, called: str) -> dict[str, Any]:
    """Full name -> what it is, of the public names of a module; `_` hides one."""
    found = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return {f"{called}.{name}": thing for name, thing in found.items() if is_public(thing)}


def placed() -> dict[str, dict[str, Any]]:
    """Page -> full name -> what it is; methods in the order of the table."""
    pages: dict[str, dict[str, Any]] = {page: {} for page in PAGES}
    top = names(saljax, "saljax")
    first = [f"saljax.{name}" for name in METHODS]
    for name in [*first, *(n for n in top if n not in first)]:
        folders = top[name].__module__.split(".")[1:]
        page = folders[1] if folders[0] == "methods" else folders[0]
        pages[page if page in PAGES else _OF_FOLDER.get(page, "core")][name] = top[name]
    adapters = ("nnx", "linen", "equinox", "keras", "torch", "onnx", "sklearn")
    hidden = {f"saljax.scores.from_{name}" for name in adapters}  # they import their framework
    plain = names(_Without(saljax.scores, hidden), "saljax.scores")
    pages["scores"] = dict.fromkeys(sorted(hidden)) | plain
    pages["models"] = names(saljax.models, "saljax.models")
    pages["metrics"] |= names(saljax.metrics, "saljax.metrics")
    for name in _DATA:
        module = importlib.import_module(getattr(saljax.data, name).__name__)
        found = names(module, f"saljax.data.{name}")
        pages["data"] |= {n: t for n, t in found.items() if t.__module__ == module.__name__}
    return pages


class _Without:
    """A module without some of its names."""

    def __init__(self, module: Any, hidden: set[str]):
        self._module, self._hidden = module, {name.rpartition(".")[2] for name in hidden}

    def __dir__(self):
        return [name for name in dir(self._module) if name not in self._hidden]

    def __getattr__(self, name: str):
        return getattr(self._module, name)


def identifier(name: str, thing: Any) -> str:
    """Where a public name is defined, as a dotted path."""
    if thing is None:
        adapter = name.rpartition(".")[2]
        return f"saljax.adapters.{adapter}.{adapter}"
    return f"{thing.__module__}.{thing.__qualname__}"


def where(page: str, name: str, thing: Any) -> str:
    """Heading below which a name stands; "" if the page has none."""
    if page == "metrics" and name.count(".") == 1:
        return _METRICS[-1]
    if page == "metrics":
        folder = thing.__module__.split(".")[2]
        return folder.capitalize() if folder.capitalize() in _METRICS else _METRICS[-2]
    if page == "data":
        return ".".join(name.split(".")[:3])
    if page == "scores":
        return "From models" if ".from_" in name else "Around a score function"
    return ""


def _order(row: tuple[str, str, Any]) -> tuple[int, str, bool]:
    """By headings; records stand after the functions that return them."""
    heading, _, thing = row
    among = _METRICS.index(heading) if heading in _METRICS else 0
    return among, heading, inspect.isclass(thing)


def pages() -> dict[str, str]:
    """Page -> Markdown, with a place for each docstring."""
    made = {}
    for page, things in placed().items():
        title, says = PAGES[page]
        parts, heading = [f"# {title}\n\n{says.replace('*', chr(92) + '*')}\n"], ""
        rows = [(where(page, name, thing), name, thing) for name, thing in things.items()]
        for here, name, thing in sorted(rows, key=_order):
            if here != heading:
                heading = here
                parts.append(f"## {f'`{here}`' if here.startswith('saljax.') else here}\n")
            options = f'heading: "{name}"\n      toc_label: "{name.rpartition(".")[2]}"'
            parts.append(f"::: {identifier(name, thing)}\n    options:\n      {options}\n")
        made[page] = "\n".join(parts)
    return made
