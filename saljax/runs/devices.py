"""All devices of this process for one batch.

Of this process, not of all of a `jax.distributed` job: images never talk, so a host that dies
stops no program of another.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def shard(batch: Any) -> Any:
    """Spread a batch over all devices, along its first axis.

    Args:
        batch: pytree of arrays with one leading axis.

    Returns:
        The same arrays on a mesh with the axis "data"; unchanged where there is one device, or
        where the batch does not divide.
    """
    mesh = _mesh(jax.tree.leaves(batch)[0].shape[0])
    return (
        batch if mesh is None else jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
    )


def replicate(tree: Any, batch_size: int) -> Any:
    """Copy weights to all devices, once, for batches that `shard` will spread.

    Args:
        tree: pytree, such as score functions; an array that occurs twice is copied once.
        batch_size: of the batches to come.

    Returns:
        The same pytree on the mesh of `shard`; unchanged where it leaves the batches unchanged.
    """
    mesh = _mesh(batch_size)
    if mesh is None:
        return tree
    copies: dict[int, jax.Array] = {}

    def copy(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array | np.ndarray):
            return leaf
        if id(leaf) not in copies:
            copies[id(leaf)] = jax.device_put(leaf, NamedSharding(mesh, PartitionSpec()))
        return copies[id(leaf)]

    return jax.tree.map(copy, tree)


def _mesh(batch_size: int) -> Mesh | None:
    devices = jax.local_devices()
    if len(devices) == 1 or batch_size % len(devices):
        return None
    return Mesh(np.array(devices), ("data",))
