"""All devices of this machine for one batch."""

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
    devices = jax.devices()
    size = jax.tree.leaves(batch)[0].shape[0]
    if len(devices) == 1 or size % len(devices):
        return batch
    mesh = Mesh(np.array(devices), ("data",))
    return jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
