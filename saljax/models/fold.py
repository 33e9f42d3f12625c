"""Batch norms made part of the convolutions before them.

Flax is imported where a model is folded and not before, as in `zoo`.
"""

from functools import partial
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

Model = TypeVar("Model")


def fold_batch_norm(model: Model) -> Model:
    """Return a model of the same logits, whose batch norms are part of its convolutions.

        norm(K * x + b) = K' * x + b',    K' = g K,    b' = g (b - mean) + bias,
        g = scale / sqrt(var + epsilon)

    Rules that look at the signs of weights want the folded kernels. The names of the tagged
    activations stay, and what they hold, but for those between a convolution and its batch norm
    (`conv1` of a ResNet).

    Args:
        model: its convolutions are `layers.Conv`, and the batch norm `bn`, `bn1`, ... follows
            the `conv`, `conv1`, ... beside it, or in a list the convolution before it. The stored
            statistics are used. It is left as it is.

    Returns:
        A new model, with a bias in every such convolution and no batch norm.

    Raises:
        ValueError: a batch norm has no such convolution; the message says where.
    """
    from flax import nnx

    from saljax.models.architectures.layers import Conv, Identity

    folded: Any = nnx.clone(model)
    put: Any
    for path, module in list(nnx.iter_modules(folded)):
        if isinstance(module, nnx.List):
            before, put = [None, *module], module.__setitem__
            layers = [(name, layer, before[name]) for name, layer in enumerate(module)]
        else:
            beside, put = dict(vars(module)), partial(setattr, module)
            layers = [
                (n, layer, beside.get(n.replace("bn", "conv"))) for n, layer in beside.items()
            ]
        for name, norm, conv in layers:
            if isinstance(norm, nnx.BatchNorm):
                if not isinstance(conv, Conv):
                    place = ".".join(map(str, (*path, name)))
                    raise ValueError(
                        f"no convolution goes before the batch norm {place!r} of "
                        f"{type(model).__name__}; name them conv and bn, conv1 and bn1, and so on"
                    )
                _fold(conv, norm)
                put(name, Identity())
    return folded


def _fold(conv: Any, norm: Any) -> None:
    # In numpy: two hundred small arrays would be as many programs for JAX to compile.
    scale, shift, mean, var, kernel = (
        np.asarray(leaf[...]) for leaf in (norm.scale, norm.bias, norm.mean, norm.var, conv.kernel)
    )
    gain = scale / np.sqrt(var + np.float32(norm.epsilon))
    bias = np.zeros_like(mean) if conv.bias is None else np.asarray(conv.bias[...])
    conv.kernel = type(conv.kernel)(jnp.asarray(kernel * gain))
    conv.bias = type(conv.kernel)(jnp.asarray((bias - mean) * gain + shift))
