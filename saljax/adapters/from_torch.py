"""PyTorch, on the host."""

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]

from saljax.core.host import from_callback
from saljax.core.outputs import taken
from saljax.core.types import ScoreFn

_ONE_AT_A_TIME = threading.RLock()  # devices call at the same time, and a module has one mode


@dataclasses.dataclass(frozen=True)
class _Module:
    module: torch.nn.Module
    output: str | int | None
    channels_first: bool

    def scores(self, images: np.ndarray) -> np.ndarray:
        """(N, K) of images (N, *spatial, C)."""
        with _evaluating(self.module), torch.no_grad():
            return _numpy(self._called(self._tensor(images)))

    def gradient(self, images: np.ndarray, back: np.ndarray) -> np.ndarray:
        """What arrives at the images of what is sent back from the scores."""
        with _evaluating(self.module), torch.enable_grad():
            tensor = self._tensor(images).requires_grad_()
            scores = self._called(tensor)
            sent = torch.from_numpy(np.array(back)).to(scores)
            (found,) = torch.autograd.grad(scores, tensor, sent)
        found = _numpy(found)
        return np.moveaxis(found, 1, -1) if self.channels_first else found

    def _called(self, tensor):
        return taken(self.module(tensor), self.output)

    def _tensor(self, images):
        if self.channels_first:
            images = np.moveaxis(images, -1, 1)
        tensor = torch.from_numpy(np.array(images, order="C"))  # a copy: those of JAX are read-only
        weights = next((p for p in self.module.parameters() if p.is_floating_point()), tensor)
        return tensor.to(weights.device, weights.dtype)


def _numpy(tensor):
    return tensor.detach().float().cpu().numpy()


@contextlib.contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """In evaluation mode; afterwards each part is in the mode it was in."""
    with _ONE_AT_A_TIME:
        modes = [(part, part.training) for part in module.modules()]
        module.eval()
        try:
            yield
        finally:
            for part, training in modes:
                part.training = training


def from_torch(
    module: torch.nn.Module,
    num_classes: int,
    *,
    output: str | int | None = None,
    channels_first: bool = True,
) -> ScoreFn:
    """Score function of a torch module, which runs on the host and on its own device.

    It is called with whole batches, in evaluation mode, and has a gradient (a second pass forward
    and one back), so methods that perturb, optimize masks or take gradients of the image work, at
    the speed of torch and of copies from and to it. Methods that look at layers or change rules do
    not: they read programs of JAX.

    Args:
        module: images (N, C, *spatial) -> scores (N, num_classes); weights of now, on any device.
        num_classes: K.
        output: name or place of the output to take, such as "logits" of models of transformers.
        channels_first: as torch has it; else the module takes (N, *spatial, C).

    Returns:
        Score function of images (N, *spatial, C). The module's mode, its parameters and their
        gradients stay as they are.
    """
    host: Any = _Module(module, output, channels_first)
    return from_callback(host.scores, num_classes, pullback=host.gradient)
