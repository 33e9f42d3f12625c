"""Names for activations, and what is at the places they name."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

from saljax.core import scores
from saljax.core.layers import alone, traced
from saljax.core.override import Others, Rules, evaluate
from saljax.core.program import Operation, operations
from saljax.core.spatial import is_like
from saljax.core.types import Image, Images, ScoreFn, Scores, Target
from saljax.ops import images as image_ops

_SCALING = ("mul", "div")  # what makes an average of a sum


@functools.cache
def _identity(name: str):
    def identity(x):
        return x

    identity.__name__ = f"tap:{name}"
    named = jax.jit(identity)

    # A score function that is the vmap of one example's: the axis of images comes to the front.
    @custom_vmap
    def in_front(x):
        return named(x)

    @in_front.def_vmap
    def _(size, in_batched, x):
        return tap(x), True

    @jax.custom_jvp  # since custom_vmap has no backward pass
    def tap(x):
        return in_front(x)

    tap.defjvp(lambda primals, tangents: (tap(*primals), *tangents))
    return tap


def tag(x: Float[Array, "..."], name: str) -> Float[Array, "..."]:
    """Return `x` unchanged and name it in the traced program.

    The tag is an identity inside a jit called `tap:<name>`: found again by whoever reads the
    traced program, gone without trace from the compiled one.

    Args:
        x: any activation, images along its first axis; without that axis in a function of one
            example of which `score_fn` is the `jax.vmap`. Methods that make a map of it read
            (*spatial, channels), as Flax has it; channels first, as Equinox and torch have them,
            and tokens need their `to_spatial`, such as `lambda a: jnp.moveaxis(a, 0, -1)`.
        name: the layer's name, unique within one score function.

    Returns:
        `x`.
    """
    return _identity(name)(x)


def tagged(score_fn: ScoreFn, image: Image) -> dict[str, tuple[int, ...]]:
    """Shapes of the tagged activations of one image, by name, in the order they are computed.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).

    Returns:
        Name -> shape without the axis of images.
    """
    images = alone(image)
    return _tags(traced(score_fn, images, for_rules=True), images)


class Pullback(NamedTuple):
    """A classifier seen from one of its layers.

    Attributes:
        scores: (1, K), of the image.
        activation: of the layer, without the axis of images; the image where no layer was asked.
        back: what is sent back from the scores, (1, K) -> what arrives, like `activation`.
    """

    scores: Scores
    activation: Float[Array, "..."]
    back: Callable[[Scores], Float[Array, "..."]]


def pullback(
    score_fn: ScoreFn,
    image: Image,
    layer: str | None = None,
    rules: Rules | None = None,
    others: Others = "refuse",
) -> Pullback:
    """Scores, activation and derivative at a layer from one pass forward and one back.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).
        layer: name of a tagged activation; None: the image itself.
        rules: see `saljax.override`; None: the plain derivative.
        others: see `saljax.override`.

    Returns:
        A `Pullback`.

    Raises:
        ValueError: no such layer; or an operation without a rule, see `saljax.override`.
    """
    images = alone(image)
    strict = rules is not None
    own: dict[Any, Any] = dict(rules or {})
    program = traced(score_fn, images, for_rules=strict)
    if layer is None:
        out, back = jax.vjp(lambda x: evaluate(program, (x,), own, strict, others), images)
        return Pullback(out, images[0], lambda signal: back(signal)[0][0])

    def run(nothing):
        found = []

        def tap(operation, x):
            found.append(x)
            return x + nothing.astype(x.dtype)

        out = evaluate(program, (images,), {**own, f"tap:{layer}": tap}, strict, others)
        return out, found.pop()

    shape = shape_of(_tags(program, images), layer)
    out, back, activation = jax.vjp(run, jnp.zeros((1, *shape), images.dtype), has_aux=True)
    activation = activation[0].astype(images.dtype)
    return Pullback(out, activation, lambda signal: back(signal)[0][0])


class Pullbacks(NamedTuple):
    """A classifier seen from several of its layers.

    Attributes:
        scores: (1, K), of the image.
        activations: of each layer, without the axis of images.
        back: what is sent back from the scores, (1, K) -> what arrives at each layer.
    """

    scores: Scores
    activations: tuple[Float[Array, "..."], ...]
    back: Callable[[Scores], tuple[Float[Array, "..."], ...]]


def pullbacks(score_fn: ScoreFn, image: Image, layers: Sequence[str]) -> Pullbacks:
    """Scores, activations and derivatives at several layers from one pass forward and one back.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).
        layers: names of tagged activations.

    Returns:
        A `Pullbacks`, in the order of `layers`.

    Raises:
        ValueError: no such layer.
    """
    images = alone(image)
    program = traced(score_fn, images)
    there = _tags(program, images)

    def run(nothing):
        found: dict[str, Any] = {}

        def tap(operation, x):
            name = operation.kind.removeprefix("tap:")
            found[name] = x
            return x + nothing[name].astype(x.dtype)

        rules: dict[Any, Any] = {f"tap:{layer}": tap for layer in layers}
        return evaluate(program, (images,), rules, strict=False), found

    shapes = {layer: (1, *shape_of(there, layer, "layers")) for layer in layers}
    nothing = {layer: jnp.zeros(shape, images.dtype) for layer, shape in shapes.items()}
    out, back, found = jax.vjp(run, nothing, has_aux=True)

    def arrives(signal):
        arrived = back(signal)[0]
        return tuple(arrived[layer][0] for layer in layers)

    return Pullbacks(out, tuple(found[n][0].astype(images.dtype) for n in layers), arrives)


def activation_and_gradient(
    score_fn: ScoreFn, image: Image, target: Target, layer: str
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Activation of a layer, and the derivative of a score with respect to it, from one pass.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).
        target: class index ().
        layer: name of a tagged activation.

    Returns:
        Both without the axis of images.

    Raises:
        ValueError: no such layer, or several targets.
    """
    seen = pullback(score_fn, image, layer)
    return seen.activation, seen.back(scores.pick(seen.scores, target))


def split(
    score_fn: ScoreFn, image: Image, layer: str
) -> tuple[Float[Array, "..."], Callable[[Float[Array, "..."]], Float[Array, " classes"]]]:
    """Cut a classifier at a layer: the image's activation, and the scores that follow from any.

    A mask on activations (S2 section 6.4) is `scores_of(mask * activation)`. What skips the layer
    still comes from the image. In a compiled loop over masks the classifier up to the layer runs
    once: nothing in the loop uses it, or XLA moves what skips the layer out of the loop.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).
        layer: name of a tagged activation.

    Returns:
        The activation without the axis of images, and a function of such an activation -> (K,),
        which raises ValueError for another shape.

    Raises:
        ValueError: no such layer.
    """
    images = alone(image)
    program = traced(score_fn, images)
    shape = shape_of(_tags(program, images), layer)
    kind, found = f"tap:{layer}", []
    evaluate(program, (images,), {kind: lambda _, x: found.append(x) or x}, strict=False)

    def scores_of(activation):
        if activation.shape != shape:
            raise ValueError(f"the activation of {layer!r} is {shape}; got {activation.shape}")
        replaced = {kind: lambda _, x: activation[None].astype(x.dtype)}
        return evaluate(program, (images,), replaced, strict=False)[0]

    return found[0][0], scores_of


def activations(
    score_fn: ScoreFn, images: Images, layers: Sequence[str]
) -> tuple[Scores, tuple[Float[Array, "batch ..."], ...]]:
    """Scores of images and the activations of several layers, from one pass.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        images: (N, *spatial, C).
        layers: names of tagged activations.

    Returns:
        (N, K), and of each layer (N, ...), in the order of `layers`.

    Raises:
        ValueError: no such layer.
    """
    image_ops.check(images)
    program = traced(score_fn, images)
    if layers:
        there = shapes_of(operations(program, images), len(images))
        for layer in layers:
            shape_of(there, layer, "layers")
    found: dict[str, Any] = {}

    def keep(operation, x):
        found[operation.kind.removeprefix("tap:")] = x
        return x

    rules: dict[Any, Any] = {f"tap:{layer}": keep for layer in layers}
    out = evaluate(program, (images,), rules, strict=False)
    return out, tuple(found[layer] for layer in layers)


def last_spatial(score_fn: ScoreFn, image: Image) -> str:
    """Name of the last tagged activation with spatial axes, (*spatial, channels) like an image.

    The output of a pooling is passed over for what went in, if that is tagged too; and what cannot
    be the image's, such as attention (heads, T, T), for what can.

    Raises:
        ValueError: there is none.
    """
    images = alone(image)
    program = traced(score_fn, images, for_rules=True)
    found = operations(program, images)
    shapes, kinds = shapes_of(found), [operation.kind for operation in found]
    spatial = [name for name, shape in shapes.items() if len(shape) == image.ndim]
    spatial = [name for name in spatial if is_like(shapes[name], image.shape[:-1])] or spatial

    def pooled(name):
        before = [kind for kind in kinds[: kinds.index(f"tap:{name}")] if kind not in _SCALING]
        return bool(before) and before[-1].startswith("reduce_window")

    spatial = [name for name in spatial if not pooled(name)] or spatial
    if not spatial:
        raise ValueError(
            f"`score_fn` tags no activation of rank {image.ndim}, {image.ndim - 1} spatial axes "
            f"and channels (it tags {', '.join(shapes) or 'nothing'}); tag one inside the model "
            "with saljax.tag(x, name), or give `layer`"
        )
    return spatial[-1]


def _tags(program, images) -> dict[str, tuple[int, ...]]:
    return shapes_of(operations(program, images))


def shapes_of(found: Sequence[Operation], number: int = 1) -> dict[str, tuple[int, ...]]:
    """Shapes of the tagged activations among operations on so many images, as `tagged` has them."""
    taps = [o for o in found if o.kind.startswith("tap:")]
    names = [tap.kind.removeprefix("tap:") for tap in taps]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"the tags of `score_fn` must be unique; {', '.join(twice)} is not")
    for name, tap in zip(names, taps, strict=True):
        if tap.shape[:1] != (number,):
            raise ValueError(
                f"images must be along the first axis of what is tagged; of {number} {name!r} has "
                f"shape {tap.shape}"
            )
    return {name: tap.shape[1:] for name, tap in zip(names, taps, strict=True)}


def shape_of(
    shapes: Mapping[str, tuple[int, ...]], layer: str, called: str = "layer"
) -> tuple[int, ...]:
    """The shape of a layer among those `tagged`; `called` is the argument that named it.

    Raises:
        ValueError: it is not there; the message lists those that are.
    """
    if layer not in shapes:
        raise ValueError(
            f"`{called}` must be one of the activations tagged in `score_fn`: "
            f"{', '.join(shapes) or 'none are'}; got {layer!r}. Tag one inside the model with "
            "saljax.tag(x, name), outside of branches and loops of unknown length (lax.cond, "
            "lax.while_loop), which are not looked into"
        )
    return shapes[layer]
