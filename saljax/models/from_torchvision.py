"""Weights under torchvision's names, or timm's or Hugging Face's, turned into ours."""

from collections.abc import Sequence

import numpy as np

from saljax.models.constructors import abstract
from saljax.models.renaming import renamed
from saljax.models.state_dicts import Layout, Say, fitted
from saljax.models.tables import DROPPED, HEADS, OTHERS, TABLES, Row
from saljax.models.weights import Tensors, mismatch, shapes


def source_shapes(
    name: str, table: Sequence[Row] | None = None, /, **sizes: int
) -> dict[str, tuple[int, ...]]:
    """Return torchvision's name and shape of every tensor of an architecture.

    Args:
        name: a key of `tables.TABLES`.
        table: another of its tables.
        **sizes: `num_classes`, `hidden`, `depth`, as its constructor takes them.
    """
    targets, sources = shapes(abstract(name, **sizes)), {}
    for row in table or TABLES[name]:
        if row.target in targets:  # fewer blocks have fewer
            target = targets[row.target]
            shape = tuple(target[row.axes.index(axis)] for axis in range(len(row.axes)))
            shape = (shape[0], int(np.prod(shape[1:]))) if row.flat else shape
            sources[row.source] = (*shape, *(1,) * row.ones)
    return sources


def sizes_of(tensors: Tensors, name: str) -> dict[str, int]:
    """Return what the constructor of an architecture must be told to hold these tensors.

    Args:
        tensors: under torchvision's names, or ours.
        name: a key of `tables.HEADS`.
    """
    sizes = {}
    for ours, size in {f"{HEADS[name]}.bias": "num_classes", "fc6.bias": "hidden"}.items():
        theirs = (row.source for table in _tables(name) for row in table if row.target == ours)
        for key in (ours, *theirs):
            if key in tensors:
                sizes[size] = tensors[key].size
    return sizes


def convert(
    tensors: Tensors, name: str, say: Say = lambda text: None, **sizes: int
) -> dict[str, np.ndarray]:
    """Turn the tensors of a classifier under others' names into ours.

    What trainers put around the weights is taken off, see `state_dicts.fitted`; the auxiliary heads
    of `tables.DROPPED` are dropped. Any number of classes fits, and any width of the hidden linear
    layers. Tensors that have our names already are checked and returned.

    Args:
        tensors: float32, under the names of one of its tables, Hugging Face's, see `renaming`, or
            ours.
        name: a key of `tables.TABLES`.
        say: told in one line what was taken off and passed over.
        **sizes: what its constructor shall be told beside what the tensors say.

    Returns:
        Every tensor of the architecture, under our dotted names.

    Raises:
        ValueError: a tensor is missing, left over, or of another shape or type; the message names
            the first few and guesses why. Or see `state_dicts.fitted`.
    """
    tables, dropped = _tables(name), DROPPED.get(name, ())
    blank = shapes(abstract(name, **sizes))
    tables = tuple(tuple(row for row in table if row.target in blank) for table in tables)
    theirs = (Layout({r.source for r in t}, t[-1].source.removesuffix(".bias")) for t in tables)
    tensors = fitted(renamed(tensors), (*theirs, Layout(blank, HEADS[name])), say)
    tensors = {key: value for key, value in tensors.items() if key not in dropped}
    is_ours = tables[0][0].target in tensors
    rows = next((table for table in tables if table[0].source in tensors), tables[0])
    sizes = sizes | sizes_of(tensors, name)
    targets = shapes(abstract(name, **sizes))
    problem = mismatch(targets if is_ours else source_shapes(name, rows, **sizes), tensors)
    if problem:
        raise ValueError(f"the weights do not fit {name} ({guess(tensors, name)}): {problem}")
    if is_ours:
        return dict(tensors)
    converted = {}
    for row in rows:
        source = tensors[row.source]
        if row.flat:
            height, width, inputs, outputs = targets[row.target]
            source = source.reshape(outputs, inputs, height, width)
        source = source.reshape(source.shape[: source.ndim - row.ones])
        converted[row.target] = source.transpose(row.axes)
    return converted


def _tables(name: str) -> tuple[Sequence[Row], ...]:
    return tuple(tables[name] for tables in (TABLES, OTHERS) if name in tables)


def guess(tensors: Tensors, name: str) -> str:
    """Guess why weights do not fit a classifier, from whose names they have."""
    named, fit = [], []
    for other in TABLES:
        tables = [{r.source for r in table} for table in _tables(other)]
        if set(tensors) in (*tables, {row.target for row in TABLES[other]}):
            named.append(other)
    for other in named if len(named) > 1 else ():
        expected = [source_shapes(other, t, **sizes_of(tensors, other)) for t in _tables(other)]
        if {key: value.shape for key, value in tensors.items()} in expected:
            fit.append(other)
    if name in named and not fit:
        return "its names are right; a wider, grouped or quantized variant?"
    if named:
        return f"they look like weights of {' or '.join(fit or named[:1])}"
    return "they look like no classifier of torchvision's, or like a part of one"
