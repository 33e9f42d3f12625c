"""ResNet weights under torchvision's names, turned into ours by one explicit table."""

from typing import NamedTuple

import numpy as np

from saljax.models.resnet import ARCHITECTURES, abstract
from saljax.models.weights import Tensors, mismatch, shapes

OIHW_TO_HWIO = (2, 3, 1, 0)
OI_TO_IO = (1, 0)
AS_IS = (0,)


class Row(NamedTuple):
    """Our tensor `target` is torchvision's `source` with its axes in the order `axes`."""

    target: str
    source: str
    axes: tuple[int, ...]


def table(name: str) -> tuple[Row, ...]:
    """Return the conversion table of an architecture: every tensor of it, once.

    Args:
        name: a key of `resnet.ARCHITECTURES`.

    Returns:
        One row a tensor, from the image to the logits.
    """
    blocks, bottleneck = ARCHITECTURES[name]
    rows = [_kernel("conv1"), *_norm("bn1")]
    for stage, count in enumerate(blocks, start=1):
        for index in range(count):
            block = f"layer{stage}.{index}"
            for layer in (1, 2, 3) if bottleneck else (1, 2):
                rows += [_kernel(f"{block}.conv{layer}"), *_norm(f"{block}.bn{layer}")]
            if index == 0 and (stage > 1 or bottleneck):
                rows += [_kernel(f"{block}.downsample.0"), *_norm(f"{block}.downsample.1")]
    rows += [Row("fc.kernel", "fc.weight", OI_TO_IO), Row("fc.bias", "fc.bias", AS_IS)]
    return tuple(rows)


def _kernel(layer: str) -> Row:
    return Row(f"{layer}.kernel", f"{layer}.weight", OIHW_TO_HWIO)


def _norm(layer: str) -> list[Row]:
    return [
        Row(f"{layer}.scale", f"{layer}.weight", AS_IS),
        Row(f"{layer}.bias", f"{layer}.bias", AS_IS),
        Row(f"{layer}.mean", f"{layer}.running_mean", AS_IS),
        Row(f"{layer}.var", f"{layer}.running_var", AS_IS),
    ]


def source_shapes(name: str, num_classes: int = 1000) -> dict[str, tuple[int, ...]]:
    """Return torchvision's name and shape of every tensor of an architecture."""
    targets = shapes(abstract(name, num_classes))
    return {
        row.source: tuple(
            targets[row.target][row.axes.index(axis)] for axis in range(len(row.axes))
        )
        for row in table(name)
    }


def convert(tensors: Tensors, name: str) -> dict[str, np.ndarray]:
    """Turn the tensors of a ResNet under torchvision's names into ours.

    A `module.` before every name (torch's data parallel) and the counters `num_batches_tracked`
    are dropped. Any number of classes fits: it is the length of `fc.bias`. Tensors that have our
    names already are checked and returned.

    Args:
        tensors: float32, under torchvision's names, or ours.
        name: a key of `resnet.ARCHITECTURES`.

    Returns:
        Every tensor of the architecture, under our dotted names.

    Raises:
        ValueError: a tensor is missing, left over, or of another shape or type; the message names
            the first few and guesses why.
    """
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    tensors = {k: v for k, v in tensors.items() if not k.endswith(".num_batches_tracked")}
    num_classes = tensors["fc.bias"].size if "fc.bias" in tensors else 1000
    ours = "fc.kernel" in tensors
    expected = shapes(abstract(name, num_classes)) if ours else source_shapes(name, num_classes)
    problem = mismatch(expected, tensors)
    if problem:
        raise ValueError(f"the weights do not fit {name} ({_guess(tensors, name)}): {problem}")
    if ours:
        return dict(tensors)
    return {row.target: tensors[row.source].transpose(row.axes) for row in table(name)}


def _guess(tensors: Tensors, name: str) -> str:
    """Guess why weights do not fit, from whose names they have."""
    for other in ARCHITECTURES:
        rows = table(other)
        if set(tensors) in ({row.source for row in rows}, {row.target for row in rows}):
            if other == name:
                return "its names are right; a wider, grouped or quantized variant?"
            return f"they look like weights of {other}"
    return "they look like no ResNet of torchvision's, or like a part of one"
