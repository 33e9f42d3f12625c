"""Weights under torchvision's names, turned into ours."""

import numpy as np

from saljax.models.constructors import abstract
from saljax.models.state_dicts import Layout, Say, fitted
from saljax.models.tables import DROPPED, HEADS, TABLES
from saljax.models.weights import Tensors, mismatch, shapes


def source_shapes(name: str, **sizes: int) -> dict[str, tuple[int, ...]]:
    """Return torchvision's name and shape of every tensor of an architecture.

    Args:
        name: a key of `tables.TABLES`.
        **sizes: `num_classes`, `hidden`, as its constructor takes them.
    """
    targets, sources = shapes(abstract(name, **sizes)), {}
    for row in TABLES[name]:
        shape = tuple(targets[row.target][row.axes.index(axis)] for axis in range(len(row.axes)))
        sources[row.source] = (shape[0], int(np.prod(shape[1:]))) if row.flat else shape
    return sources


def sizes_of(tensors: Tensors, name: str) -> dict[str, int]:
    """Return what the constructor of an architecture must be told to hold these tensors.

    Args:
        tensors: under torchvision's names, or ours.
        name: a key of `tables.HEADS`.
    """
    sources, sizes = {row.target: row.source for row in TABLES.get(name, ())}, {}
    for ours, size in {f"{HEADS[name]}.bias": "num_classes", "fc6.bias": "hidden"}.items():
        for key in (ours, sources.get(ours, ours)):
            if key in tensors:
                sizes[size] = tensors[key].size
    return sizes


def convert(tensors: Tensors, name: str, say: Say = lambda text: None) -> dict[str, np.ndarray]:
    """Turn the tensors of a classifier under torchvision's names into ours.

    What trainers put around the weights is taken off, see `state_dicts.fitted`; the auxiliary heads
    of `tables.DROPPED` are dropped. Any number of classes fits, and any width of the hidden linear
    layers. Tensors that have our names already are checked and returned.

    Args:
        tensors: float32, under torchvision's names, or ours.
        name: a key of `tables.TABLES`.
        say: told in one line what was taken off and passed over.

    Returns:
        Every tensor of the architecture, under our dotted names.

    Raises:
        ValueError: a tensor is missing, left over, or of another shape or type; the message names
            the first few and guesses why. Or see `state_dicts.fitted`.
    """
    dropped, rows = DROPPED.get(name, ()), TABLES[name]
    theirs = Layout({row.source for row in rows}, rows[-1].source.removesuffix(".bias"))
    ours = Layout({row.target for row in rows}, HEADS[name])
    tensors = fitted(dict(tensors), (theirs, ours), say)
    tensors = {key: value for key, value in tensors.items() if key not in dropped}
    is_ours = rows[0].target in tensors
    sizes = sizes_of(tensors, name)
    targets = shapes(abstract(name, **sizes))
    problem = mismatch(targets if is_ours else source_shapes(name, **sizes), tensors)
    if problem:
        raise ValueError(f"the weights do not fit {name} ({_guess(tensors, name)}): {problem}")
    if is_ours:
        return dict(tensors)
    converted = {}
    for row in rows:
        source = tensors[row.source]
        if row.flat:
            height, width, inputs, outputs = targets[row.target]
            source = source.reshape(outputs, inputs, height, width)
        converted[row.target] = source.transpose(row.axes)
    return converted


def _guess(tensors: Tensors, name: str) -> str:
    """Guess why weights do not fit, from whose names they have."""
    for other, rows in TABLES.items():
        if set(tensors) in ({row.source for row in rows}, {row.target for row in rows}):
            if other == name:
                return "its names are right; a wider, grouped or quantized variant?"
            return f"they look like weights of {other}"
    return "they look like no classifier of torchvision's, or like a part of one"
