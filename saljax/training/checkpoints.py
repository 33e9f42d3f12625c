"""The state of a training run on disk, whole or not there."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

Tree = TypeVar("Tree")


class Checkpoints:
    """The newest checkpoint in a folder; `opened` gives one."""

    def __init__(self, manager: Any, args: Any):
        self._manager, self._args = manager, args

    @property
    def latest(self) -> int | None:
        """The step at which the newest was saved; None if there is none."""
        return None if self._manager is None else self._manager.latest_step()

    def save(self, step: int, tree: Any) -> None:
        """Save a pytree of arrays; then the one before is deleted. Once a step."""
        if self._manager is not None and step != self.latest:
            self._manager.save(step, args=self._args.StandardSave(_on_host(tree)))

    def restore(self, like: Tree) -> Tree:
        """Read the newest.

        Args:
            like: a pytree of the structure, shapes and types that were saved.

        Returns:
            The same pytree with what was saved.
        """
        args = self._args.StandardRestore(_on_host(like))
        return jax.tree.map(jnp.asarray, self._manager.restore(self.latest, args=args))


@contextlib.contextmanager
def opened(folder: Path | None) -> Iterator[Checkpoints]:
    """Checkpoints in a folder, which is made if it is not there; without one they are not kept.

    A checkpoint is written under a temporary name and renamed, so that one whose writing was
    broken off is never taken for one. Nothing is written in the background: what was saved is
    there when `save` returns.

    Raises:
        ValueError: orbax is not installed.
    """
    if folder is None:
        yield Checkpoints(None, None)
        return
    try:
        import orbax.checkpoint as ocp
    except ImportError:
        raise ValueError("training needs its extra: pip install 'saljax[train]'") from None
    options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False)
    with ocp.CheckpointManager(folder.resolve(), options=options) as manager:
        yield Checkpoints(manager, ocp.args)


def _on_host(tree: Tree) -> Tree:
    return jax.tree.map(np.asarray, tree)
