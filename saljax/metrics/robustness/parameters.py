"""The layers of a classifier that is a pytree, in the order in which it uses them."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import GetAttrKey, keystr, tree_flatten_with_path

from saljax.core import program
from saljax.core.ask import ask
from saljax.core.types import Image, ScoreFn

IsParameter = Callable[[str, Any], bool]
"""is_parameter(path, array): path is as `jax.tree_util.keystr` writes it."""

_STATISTICS = re.compile(
    r"batch_stats|rngs?\b|\W(running_)?(mean|var|std)(\W*|\.value)$", re.IGNORECASE
)
_OF_PARTIAL = r"\[<flat index \d+>\]\[[^\]]*\]"  # an argument that a Partial holds


class Layer(NamedTuple):
    """Arrays of one module.

    Attributes:
        name: path of the module in the pytree.
        leaves: where its arrays are in the list of leaves.
    """

    name: str
    leaves: tuple[int, ...]


def is_parameter(path: str, array: Any) -> bool:
    """Whether an array is one that training finds, as far as a pytree tells.

    Statistics of a batch norm (`mean`, `var`, `batch_stats`) and vectors that a
    `jax.tree_util.Partial` holds by position, such as those of `scores.preprocess`, are not.

    Args:
        path: in the pytree, as `jax.tree_util.keystr` writes it.
        array: of floating point.
    """
    setting = re.search(_OF_PARTIAL + "$", path) is not None and np.ndim(array) < 2
    return not setting and _STATISTICS.search(path) is None


def layers(
    score_fn: ScoreFn, image: Image, is_parameter: IsParameter = is_parameter
) -> list[Layer]:
    """Modules of a score function, from the first that the image meets to the last.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), a pytree whose leaves are its weights.
        image: (*spatial, C).
        is_parameter: which arrays count.

    Returns:
        Arrays that lie side by side in the pytree are one layer; its place is that of the first
        use of any of them.

    Raises:
        ValueError: no array of it is a parameter.
    """
    found, structure = tree_flatten_with_path(score_fn)
    leaves = [leaf for _, leaf in found]
    of_layer: dict[str, list[int]] = {}
    for number, (path, leaf) in enumerate(found):
        if _counts(path, leaf, is_parameter):
            of_layer.setdefault(_module(path), []).append(number)
    if not of_layer:
        raise ValueError(
            "`score_fn` has no parameters that can be seen: a lambda, a function that closes over "
            "its weights and one on the host have none. Give a pytree with the weights as leaves, "
            "such as an NNX module or jax.tree_util.Partial(model.apply, variables)."
        )
    first = _first_uses(leaves, structure, image)
    every = [Layer(_short(name), tuple(numbers)) for name, numbers in of_layer.items()]
    return sorted(every, key=lambda layer: min(first[number] for number in layer.leaves))


def drawn(score_fn: ScoreFn, *, key: Any, is_parameter: IsParameter = is_parameter) -> ScoreFn:
    """The same classifier untrained, for `init` of `randomization`, where no initializer is known.

    Kernels (two axes or more) are drawn from a normal of mean 0 and their own root mean square, as
    initializers do; vectors, such as biases, have their values in random order. Values of kernels
    in random order would keep their mean: that of ResNet-18's last layer is negative, and a
    Grad-CAM of activations that are never negative is then 0 everywhere for most classes.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), a pytree whose leaves are its weights.
        key: for what is drawn.
        is_parameter: which arrays count.

    Returns:
        The same pytree with other weights. Our choice.
    """
    found, structure = tree_flatten_with_path(score_fn)

    def other(number, path, leaf):
        if not _counts(path, leaf, is_parameter):
            return leaf
        own = jax.random.fold_in(key, number)
        if np.ndim(leaf) < 2:
            return jax.random.permutation(own, leaf)
        scale = jnp.sqrt(jnp.mean(jnp.square(leaf)))
        return scale * jax.random.normal(own, leaf.shape, leaf.dtype)

    others = [other(number, *of_leaf) for number, of_leaf in enumerate(found)]
    return jax.tree.unflatten(structure, others)


def _counts(path, leaf, is_parameter):
    floating = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)
    return floating and is_parameter(keystr(path), leaf)


def _module(path):
    """Path of the module that holds an array: without the array's own name, and NNX's `.value`."""
    if len(path) > 1 and isinstance(path[-1], GetAttrKey) and path[-1].name == "value":
        path = path[:-1]
    whole = keystr(path)
    alone = re.search(_OF_PARTIAL + "$", whole) is not None
    return whole if alone else keystr(path[:-1]) or whole


def _short(name):
    return re.sub(_OF_PARTIAL, "", name).lstrip(".") or name


def _first_uses(leaves, structure, image):
    """Number of the first operation on each leaf; of those never used a large one."""
    images = jnp.zeros((1, *image.shape), image.dtype)
    places = [i for i, leaf in enumerate(leaves) if hasattr(leaf, "dtype")]
    shapes = [jax.ShapeDtypeStruct(np.shape(leaves[i]), leaves[i].dtype) for i in places]

    def score(weights):
        given = list(leaves)
        for place, weight in zip(places, weights, strict=True):
            given[place] = weight
        return ask(jax.tree.unflatten(structure, given), images)

    traced, count = program.trace(score, shapes), 0
    first = dict.fromkeys(range(len(leaves)), np.iinfo(int).max)

    def run(weights):
        owner = {id(weight): place for place, weight in zip(places, weights, strict=True)}

        def visit(operation, inputs):
            nonlocal count
            count += 1
            for value in inputs:
                place = owner.get(id(value))
                if place is not None:
                    first[place] = min(first[place], count)
            return operation(*inputs)

        return program.read(traced, (weights,), visit, enter="all")

    jax.eval_shape(run, shapes)
    return first
