"""ONNX files, by ONNX Runtime on the host."""

import dataclasses
import os
from typing import Any

import numpy as np

from saljax.core.host import from_callback
from saljax.core.types import ScoreFn

_FLOATS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}


@dataclasses.dataclass(frozen=True)
class _Session:
    session: Any
    output: str
    channels_first: bool

    def __call__(self, images: np.ndarray) -> np.ndarray:
        (given,) = self.session.get_inputs()
        images = np.moveaxis(images, -1, 1) if self.channels_first else images
        images = np.ascontiguousarray(images, _FLOATS[given.type])
        size = given.shape[0] if isinstance(given.shape[0], int) else len(images)
        return np.concatenate([self._run(given.name, part, size) for part in _cut(images, size)])

    def _run(self, name, part, size):
        """Scores of as many images as the file takes; what is missing is filled up."""
        missing = [(0, size - len(part))] + [(0, 0)] * (part.ndim - 1)
        (found,) = self.session.run([self.output], {name: np.pad(part, missing)})
        return found[: len(part)]


def _cut(images, size):
    return [images[start : start + size] for start in range(0, len(images), size)]


def from_onnx(
    path: str | os.PathLike | Any,
    *,
    output: str | None = None,
    num_classes: int | None = None,
    channels_first: bool | None = None,
) -> ScoreFn:
    """Score function of an ONNX file, which runs on the host.

    Methods that only ask for scores work with it. Files with a fixed number of images are given as
    many at a time.

    Args:
        path: of the file; or a session of ONNX Runtime, with providers of its own.
        output: name of the output; the first if not given.
        num_classes: K; that of the file if it says it.
        channels_first: the file takes (N, C, *spatial); if not given, what its shape looks like.

    Returns:
        Score function of images (N, *spatial, C); without a derivative.

    Raises:
        ValueError: the file has several inputs, or one that is no batch of images in floating
            point; it has no such output; or what was not given cannot be read from it.
        OSError: there is no such file.
    """
    import onnxruntime  # pyright: ignore[reportMissingImports]

    session: Any = path
    if isinstance(path, str | os.PathLike):
        if not os.path.isfile(path):
            raise FileNotFoundError(f"{os.fspath(path)}: no such file")
        session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    inputs, outputs = session.get_inputs(), {out.name: out for out in session.get_outputs()}
    if len(inputs) != 1 or inputs[0].type not in _FLOATS or len(inputs[0].shape) < 3:
        found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
        raise ValueError(f"expected one input, images in floating point; the file has {found}")
    name = output or next(iter(outputs))
    if name not in outputs:
        raise ValueError(f"no output is called {name!r}; there is {', '.join(outputs)}")
    known = [num_classes, *outputs[name].shape[-1:]]
    number = next((int(length) for length in known if isinstance(length, int)), None)
    if number is None:
        raise ValueError(f"the file does not say how many classes {name!r} has: num_classes=")
    if channels_first is None:
        first, last = (inputs[0].shape[axis] in (1, 3) for axis in (1, -1))
        if first == last:
            raise ValueError(
                f"which axis of {inputs[0].shape} is that of channels? channels_first="
            )
        channels_first = first
    return from_callback(_Session(session, name, channels_first), number)
