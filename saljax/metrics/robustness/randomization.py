"""Sanity checks: does a map change when the classifier, or the class, does?"""

from collections.abc import Callable
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from saljax.core import checks, keys
from saljax.core.ask import ask
from saljax.core.types import Image, Method, ScoreFn, Target
from saljax.metrics import explaining, similarity
from saljax.metrics.robustness import parameters
from saljax.metrics.robustness.shuffled import shuffled
from saljax.ops import maps

Order = Literal["top-down", "bottom-up", "independent"]
Values = Literal["absolute", "signed"]


def randomization(
    method: Method,
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    order: Order = "top-down",
    values: Values = "absolute",
    init: ScoreFn | None = None,
    is_parameter: parameters.IsParameter = parameters.is_parameter,
) -> similarity.Similarity:
    """How alike a method's map stays while the classifier's layers become random, one by one.

    A method that explains the classifier has another map for another one: lower is better. Edge
    detectors, and some methods that look fine, do not.

    "top-down": the last layer is random, then the last two, and so on down to the first.
    "bottom-up": the first, the first two, and so on. "independent": one alone, from the last to the
    first. The order of layers is that in which the score function uses them.

    What can be randomized are the arrays of a score function that is a pytree: an NNX or Equinox
    module, `jax.tree_util.Partial(model.apply, variables)`. Of a lambda, of a function that closes
    over its weights, and of one on the host none are seen. Arrays that lie side by side in the
    pytree, such as a kernel and its bias, are one layer. Statistics of batch norms and constants of
    `scores.preprocess` stay.

    Args:
        method: see `saljax.explain`. A random one has the same key for all maps.
        score_fn: images (N, *spatial, C) -> scores (N, K), what the method explains.
        image: (*spatial, C).
        target: class index (), of all maps; the predicted class of the trained classifier.
        key: for the random layers, and for a random method. Under vmap give all images the same, or
            each has random weights of its own in memory.
        order: "top-down", "bottom-up" or "independent".
        values: "absolute" compares |S|, "signed" S; what helps and what hinders is told apart by
            the latter only.
        init: the same pytree with other weights, such as untrained ones, which random layers take;
            None: the values of each array in random order, which keeps their scale, and their mean:
            where that of the last layer is negative a Grad-CAM is 0 everywhere, so for class
            activation maps take `parameters.drawn(score_fn, key=key)`.
        is_parameter: which arrays count, see `parameters.is_parameter`.

    Returns:
        A `Similarity` of (L,), one entry a step, none for the trained classifier; `parameters.
        layers` names the layers from first to last. Correlations are NaN where a map is constant.

    Raises:
        ValueError: `score_fn` has no parameters that can be seen, `init` is of another structure,
            or the method gives no map of the image for one class.

    Source: Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, sections 3 and 4;
    bottom-up after Hedstrom et al. 2024. The paper draws new weights from the initializer (`init`);
    the random order of trained ones is our choice, since it needs none. Its fourth similarity, of
    histograms of gradients, is left out. Maps are made one after the other: a chunk would hold
    several classifiers at once.
    """
    checks.one_of(get_args(Order), order=order)
    checks.one_of(get_args(Values), values=values)
    explain, key = explaining.with_key(method, key), keys.own(key)
    leaves, structure, ordered, changed = _parts(score_fn, image, key, init, is_parameter)
    depth = {leaf: i for i, layer in enumerate(ordered) for leaf in layer.leaves}
    last = len(ordered) - 1

    def is_random(place, step):
        if order == "bottom-up":
            return place < step
        at = last + 1 - place
        return at <= step if order == "top-down" else (at == step) & (step > 0)

    def explained(step):
        """The map at a step; of step 0 that of the trained classifier, out of the same trace."""
        given = [
            jnp.where(is_random(depth[i], step), changed[i], leaf) if i in depth else leaf
            for i, leaf in enumerate(leaves)
        ]
        return explain(jax.tree.unflatten(structure, given), image, target)

    found = jax.lax.map(explained, jnp.arange(last + 2, dtype=jnp.int32))
    return jax.lax.map(lambda one: alike(found[0], one, values), found[1:])


def cascade(
    score_fn: ScoreFn,
    image: Image,
    *,
    key: keys.RandomKey,
    init: ScoreFn | None = None,
    is_parameter: parameters.IsParameter = parameters.is_parameter,
) -> tuple[list[parameters.Layer], Callable[[int], ScoreFn]]:
    """The classifiers of `randomization` "top-down", one by one, to look at what they explain.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), a pytree.
        image: (*spatial, C), of which the shape alone counts.
        key: for the random layers.
        init: see `randomization`.
        is_parameter: see `randomization`.

    Returns:
        The layers, first to last, and a function of a number: the score function of which so many
        last layers are random. All share the programs of `saljax.explain`.

    Raises:
        ValueError: as of `randomization`.
    """
    parts = _parts(score_fn, image, keys.own(key), init, is_parameter)
    leaves, structure, ordered, changed = parts

    def at(number: int) -> ScoreFn:
        random = {leaf for layer in ordered[len(ordered) - number :] for leaf in layer.leaves}
        given = [changed[i] if i in random else leaf for i, leaf in enumerate(leaves)]
        return jax.tree.unflatten(structure, given)

    return ordered, at


def efficient_randomization(
    method: Method,
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    num_bins: int = 100,
    init: ScoreFn | None = None,
    is_parameter: parameters.IsParameter = parameters.is_parameter,
) -> Float[Array, ""]:
    """Efficient parameter randomization: how much more complex the map of a random classifier is.

    (H(S_random) - H(S)) / H(S),    H the entropy of a histogram of the map, all layers random

    Args:
        method: see `randomization`, as all others but `num_bins`.
        score_fn: what the method explains, a pytree.
        image: (*spatial, C).
        target: class index ().
        key: for the random layers, and for a random method.
        num_bins: of the histogram, from the lowest value of a map to its highest.
        init: other weights that random layers take.
        is_parameter: which arrays count.

    Returns:
        () >= -1; higher is better. NaN for a constant map, or one with a NaN.

    Raises:
        ValueError: see `randomization`.

    Source: Hedstrom et al., "Sanity Checks Revisited", 2024. 100 bins are Quantus's.
    """
    checks.count(num_bins=num_bins)
    explain, key = explaining.with_key(method, key), keys.own(key)
    leaves, structure, ordered, changed = _parts(score_fn, image, key, init, is_parameter)
    random = {leaf for layer in ordered for leaf in layer.leaves}

    def explained(step):
        given = [
            jnp.where(step > 0, changed[i], leaf) if i in random else leaf
            for i, leaf in enumerate(leaves)
        ]
        saliency = explain(jax.tree.unflatten(structure, given), image, target)
        return _entropy(saliency, num_bins)

    trained, other = jax.lax.map(explained, jnp.arange(2, dtype=jnp.int32))
    return (other - trained) / jnp.where(trained == 0, jnp.nan, trained)


def random_logit(
    method: Method,
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    values: Values = "absolute",
) -> similarity.Similarity:
    """How alike a method's maps of two classes are: of the target, and of another drawn at random.

    Args:
        method: see `saljax.explain`. A random one has the same key for both maps.
        score_fn: images (N, *spatial, C) -> scores (N, K), what the method explains.
        image: (*spatial, C).
        target: class index ().
        key: for the other class, uniform among the K - 1 others, and for a random method.
        values: "absolute" compares |S|, "signed" S: of two classes that exclude each other the map
            of one is that of the other with the sign turned, so they differ in the latter only.

    Returns:
        A `Similarity` of (); lower is better. It is 1 for a method that does not look at the class.

    Raises:
        ValueError: there is one class only, or the method gives no map of the image for one class.

    Source: Sixt, Granz, Landgraf, "When Explanations Lie", ICML 2020, section 5, by SSIM.
    """
    checks.one_of(get_args(Values), values=values)
    explain, key = explaining.with_key(method, key), keys.own(key)
    one = jax.ShapeDtypeStruct((1, *image.shape), image.dtype)
    number = jax.eval_shape(lambda x: ask(score_fn, x), one).shape[1]
    if number < 2:
        raise ValueError("there is one class only; the map of another takes two.")
    target = jnp.asarray(target, jnp.int32)
    drawn = jax.random.randint(key, (), 0, number - 1, jnp.int32)
    classes = jnp.stack([target, drawn + (drawn >= target).astype(jnp.int32)])
    found = jax.lax.map(lambda one: explain(score_fn, image, one), classes)
    return alike(found[0], found[1], values)


def _parts(score_fn, image, key, init, is_parameter):
    """Leaves and structure of a classifier, its layers, and other leaves."""
    leaves, structure = jax.tree.flatten(score_fn)
    ordered = parameters.layers(score_fn, image, is_parameter)
    changed = _random(leaves, ordered, key) if init is None else _of(init, leaves, structure)
    return leaves, structure, ordered, changed


def _random(leaves, layers, key):
    """Every array of the layers with its values in random order."""
    numbers = [number for layer in layers for number in layer.leaves]
    own = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(numbers, jnp.uint32))
    found = shuffled([jnp.asarray(leaves[number]) for number in numbers], own)
    return dict(zip(numbers, found, strict=True))


def _of(init, leaves, structure):
    other, own = jax.tree.flatten(init)
    shapes = [np.shape(leaf) for leaf in leaves]
    if own != structure or [np.shape(leaf) for leaf in other] != shapes:
        raise ValueError("`init` must be the same pytree as `score_fn`, with other weights.")
    return other


def alike(
    first: Float[Array, "*spatial"], second: Float[Array, "*spatial"], values: Values = "absolute"
) -> similarity.Similarity:
    """How alike two maps are, as `randomization` has it; `values` as there."""
    if values == "absolute":
        first, second = jnp.abs(first), jnp.abs(second)
    return similarity.Similarity(
        similarity.spearman(first, second),
        similarity.pearson(first, second),
        similarity.ssim(maps.normalize(first), maps.normalize(second), data_range=1.0),
    )


def _entropy(saliency, num_bins):
    places = jnp.floor(maps.normalize(saliency) * num_bins).astype(jnp.int32)
    counts = jnp.zeros(num_bins, jnp.float32).at[jnp.clip(places, 0, num_bins - 1)].add(1.0)
    share = counts / saliency.size
    entropy = -jnp.where(share > 0, share * jnp.log(jnp.where(share > 0, share, 1.0)), 0.0).sum()
    return jnp.where(jnp.isnan(saliency).any(), jnp.nan, entropy)
