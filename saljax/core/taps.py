"""What is at a layer: its activation, its derivative, and what follows from another activation."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import scores
from saljax.core.layers import alone, place, traced
from saljax.core.names import Name, Names
from saljax.core.override import Others, Rules, evaluate
from saljax.core.program import Program, operations
from saljax.core.survey import survey
from saljax.core.tags import shape_of as shape_of
from saljax.core.tags import shapes_of as shapes_of
from saljax.core.tags import tag as tag
from saljax.core.tags import tag_all
from saljax.core.types import Image, Images, ScoreFn, Scores, Target
from saljax.ops import images as image_ops


def tagged(score_fn: ScoreFn, image: Image) -> dict[str, tuple[int, ...]]:
    """Shapes of the tagged activations of one image, by name, in the order they are computed.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).

    Returns:
        Name -> shape without the axis of images.
    """
    images = alone(image)
    return shapes_of(operations(traced(score_fn, images, for_rules=True), images))


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
    layer: Name | None = None,
    rules: Rules | None = None,
    others: Others = "refuse",
) -> Pullback:
    """Scores, activation and derivative at a layer from one pass forward and one back.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).
        layer: any name of it, see `saljax.layers`; None: the image itself.
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
    if layer is None:
        program = traced(score_fn, images, for_rules=strict)
        out, back = jax.vjp(lambda x: evaluate(program, (x,), own, strict, others), images)
        return Pullback(out, images[0], lambda signal: back(signal)[0][0])

    program, (name,), (shape,) = opened(score_fn, images, [layer], for_rules=strict)

    def run(nothing):
        found = []

        def tap(operation, x):
            found.append(x)
            return x + nothing.astype(x.dtype)

        out = evaluate(program, (images,), {**own, f"tap:{name}": tap}, strict, others)
        return out, found.pop()

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


def pullbacks(score_fn: ScoreFn, image: Image, layers: Sequence[Name]) -> Pullbacks:
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
    program, names, shapes = opened(score_fn, images, layers, "layers")

    def run(nothing):
        found: dict[str, Any] = {}

        def tap(operation, x):
            name = operation.kind.removeprefix("tap:")
            found[name] = x
            return x + nothing[name].astype(x.dtype)

        rules: dict[Any, Any] = {f"tap:{name}": tap for name in names}
        return evaluate(program, (images,), rules, strict=False), found

    nothing = {n: jnp.zeros((1, *s), images.dtype) for n, s in zip(names, shapes, strict=True)}
    out, back, found = jax.vjp(run, nothing, has_aux=True)

    def arrives(signal):
        arrived = back(signal)[0]
        return tuple(arrived[name][0] for name in names)

    return Pullbacks(out, tuple(found[n][0].astype(images.dtype) for n in names), arrives)


def activation_and_gradient(
    score_fn: ScoreFn, image: Image, target: Target, layer: Name
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Activation of a layer, and the derivative of a score with respect to it, from one pass.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).
        target: class index ().
        layer: any name of it, see `saljax.layers`.

    Returns:
        Both without the axis of images.

    Raises:
        ValueError: no such layer, or several targets.
    """
    seen = pullback(score_fn, image, layer)
    return seen.activation, seen.back(scores.pick(seen.scores, target))


def split(
    score_fn: ScoreFn, image: Image, layer: Name
) -> tuple[Float[Array, "..."], Callable[[Float[Array, "..."]], Float[Array, " classes"]]]:
    """Cut a classifier at a layer: the image's activation, and the scores that follow from any.

    A mask on activations (Fong and Vedaldi's supplement section 6.4) is `scores_of(mask *
    activation)`. What skips the layer still comes from the image. In a compiled loop over masks the
    classifier up to the layer runs once: nothing in the loop uses it, or XLA moves what skips the
    layer out of the loop.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).
        layer: any name of it, see `saljax.layers`.

    Returns:
        The activation without the axis of images, and a function of such an activation -> (K,),
        which raises ValueError for another shape.

    Raises:
        ValueError: no such layer.
    """
    images = alone(image)
    program, (name,), (shape,) = opened(score_fn, images, [layer])
    kind, found = f"tap:{name}", []
    evaluate(program, (images,), {kind: lambda _, x: found.append(x) or x}, strict=False)

    def scores_of(activation):
        if activation.shape != shape:
            raise ValueError(f"the activation of {layer!r} is {shape}; got {activation.shape}")
        replaced = {kind: lambda _, x: activation[None].astype(x.dtype)}
        return evaluate(program, (images,), replaced, strict=False)[0]

    return found[0][0], scores_of


def activations(
    score_fn: ScoreFn, images: Images, layers: Sequence[Name]
) -> tuple[Scores, tuple[Float[Array, "batch ..."], ...]]:
    """Scores of images and the activations of several layers, from one pass.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        images: (N, *spatial, C).
        layers: any names of them, see `saljax.layers`.

    Returns:
        (N, K), and of each layer (N, ...), in the order of `layers`.

    Raises:
        ValueError: no such layer.
    """
    image_ops.check(images)
    program, names, _ = opened(score_fn, images, layers, "layers")
    found: dict[str, Any] = {}

    def keep(operation, x):
        found[operation.kind.removeprefix("tap:")] = x
        return x

    rules: dict[Any, Any] = {f"tap:{name}": keep for name in names}
    out = evaluate(program, (images,), rules, strict=False)
    return out, tuple(found[name] for name in names)


def opened(
    score_fn: ScoreFn,
    images: Images,
    layers: Sequence[Name],
    called: str = "layer",
    *,
    for_rules: bool = False,
) -> tuple[Program, list[str], list[tuple[int, ...]]]:
    """A traced score function in which all these layers are tagged.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        images: (N, *spatial, C).
        layers: any names of them, see `saljax.layers`.
        called: the argument that named them, for the message.
        for_rules: see `saljax.core.layers.traced`.

    Returns:
        It, the names of the tags, and the shapes there without the axis of images.

    Raises:
        ValueError: no such layer.
    """
    program = traced(score_fn, images, for_rules=for_rules)
    if not layers:
        return program, [], []
    shapes = shapes_of(operations(program, images), len(images))
    if all(layer in shapes for layer in layers):
        return program, [str(layer) for layer in layers], [shapes[str(layer)] for layer in layers]
    known = Names(survey(program, images), images.shape[1:-1])
    made = [known.find(layer, called) for layer in layers]
    names = [known.unique(one) for one in made]
    untagged = {n: one for n, one in zip(names, made, strict=True) if one.tag is None}
    program = tag_all(program, images, untagged) if untagged else program
    shapes = shapes_of(operations(program, images), len(images))
    return program, names, [shapes[name] for name in names]


def last_spatial(score_fn: ScoreFn, image: Image) -> str:
    """Name of the layer that stands for None, see `saljax.layers`.

    Raises:
        ValueError: there is none.
    """
    return place(score_fn, image, None).name
