"""Layers of a function that one has not written, found in its trace."""

import collections
import difflib
import functools
import math
import re
from typing import NamedTuple

import jax.numpy as jnp

from saljax.core.ask import ask
from saljax.core.axes import CHANNELS, IMAGES, Tokens
from saljax.core.override import trace_for_rules
from saljax.core.program import Program, trace
from saljax.core.survey import POOLS, Activation, Survey, survey
from saljax.core.types import Image, Images, ScoreFn
from saljax.ops import images as image_ops

Name = str | int
"""A tag, a module, an operation and its number, or a number among `saljax.layers`."""


class Layer(NamedTuple):
    """An activation with places, as `layer=` takes it.

    Attributes:
        name: the tag; else the module whose output it is; else operation:number.
        operation: operation:number, the number among its like, from 0.
        shape: without the axis of images.
        channels: which axis of `shape` holds the channels.
        grid: of its places; tokens have one axis for all of them.
        others: its other names.
    """

    name: str
    operation: str
    shape: tuple[int, ...]
    channels: int
    grid: tuple[int, ...]
    others: tuple[str, ...]


class Layers(tuple[Layer, ...]):
    """The activations of a function, in order; printed, a table."""

    def __repr__(self):
        head = ("layer", "operation", "shape", "channels", "places")
        rows = [
            (a.name, a.operation, str(a.shape), f"axis {a.channels}", " x ".join(map(str, a.grid)))
            for a in self
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (head, *rows)
        )


def layers(score_fn: ScoreFn, image: Image) -> Layers:
    """List what `layer=` can name: the activations with places, in the order they are computed.

    An activation has places if its axes are those of the image, at any resolution, and channels,
    or tokens and channels. They are followed from the image through every operation of the traced
    function, so nothing need be tagged, nor written in a certain framework. A name is, the first
    that there is being listed as `name`, and all of them answering to `layer=`:

    - the name of a tag (`saljax.tag`);
    - the path of the module, or other `jax.named_scope`, whose output it is, as Linen, Equinox and
      Keras open them ("ResNet/layer4"; NNX opens none); where it is called several times, with the
      number of the call, "eqx.nn.Conv:0";
    - the operation and its number among its like, "conv:12", "relu:7". A convolution is meant with
      its bias, arithmetic with all of its operations ("affine" with constants, "norm" with a
      root), a function such as `jax.nn.silu` has its own name; what only moves is left out.

    Numbers may be negative, from the end: "relu:-1" is the last rectifier. An int alone is one of
    this list, -1 its last.

    With `layer=None` a method chooses: of tags the last with places, but for poolings. Without
    tags, in a function with convolutions, the last of this list, but for poolings: that is the
    output of the last block, behind its activation function and before the global pooling. (Where
    the scores themselves are a convolution, as in SqueezeNet, it is that; name the layer before.)
    If these are tokens, it is what the last attention reads, the norm before it, since in many
    transformers no place but the class token's reaches the scores from behind it. Both choices are
    ours.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).

    Returns:
        `Layers`, a tuple of `Layer`s that prints as a table.
    """
    images = alone(image)
    return Names(survey(traced(score_fn, images, for_rules=True), images), image.ndim).listed()


def traced(score_fn: ScoreFn, images: Images, *, for_rules: bool = False) -> Program:
    """The traced score function; `for_rules` if it is read with more, see `override`."""
    return (trace_for_rules if for_rules else trace)(functools.partial(ask, score_fn), images)


def alone(image: Image) -> Images:
    """The image as a batch of one.

    Raises:
        ValueError: see `saljax.ops.images.check`.
    """
    image_ops.check(image, one=True)
    return jnp.asarray(image)[None]


class Names:
    """All names of the activations of a survey."""

    def __init__(self, seen: Survey, rank: int):
        self._seen = seen
        self.spatial = [made for made in seen.found if is_spatial(made, rank)]
        self.tags = {made.tag: made for made in seen.found if made.tag is not None}
        self._like: dict[str, list[Activation]] = collections.defaultdict(list)
        for made in self.spatial:
            self._like[made.kind].append(made)
        self._numbers = {
            id(made): f"{kind}:{number}"
            for kind, like in self._like.items()
            for number, made in enumerate(like)
        }

    @functools.cached_property
    def modules(self) -> dict[str, list[Activation]]:
        """By path of a module, or another open scope, its output each time that it was called."""
        spatial = {id(made) for made in self.spatial}
        outputs: dict[str, list[Activation]] = collections.defaultdict(list)
        events = [*self._seen.events, ("", None)]
        for (scope, made), (following, _) in zip(events, events[1:], strict=False):
            parts = scope.split("/") if scope else []
            for path in ("/".join(parts[: n + 1]) for n in range(len(parts))):
                if "->" in path:  # an einsum
                    continue
                ended = not f"{following}/".startswith(f"{path}/")
                if ended and made is not None and id(made) in spatial:
                    outputs[path].append(made)
        return outputs

    def of(self, made: Activation) -> list[str]:
        """Its names, the best first."""
        modules = [
            path if len(calls) == 1 else f"{path}:{calls.index(made)}"
            for path, calls in self.modules.items()
            if made in calls
        ]
        modules.sort(key=lambda path: path.count("/"))
        numbered = [self._numbers[id(made)]] if id(made) in self._numbers else []
        return [*([made.tag] if made.tag is not None else []), *modules, *numbered]

    def listed(self) -> Layers:
        """See `saljax.layers`."""
        rows = []
        for made in self.spatial:
            name, *others = self.of(made)
            own = [i for i in made.own if i != images_of(made)]
            axes, shape = [made.axes[i] for i in own], tuple(made.shape[i] for i in own)
            channels = axes.index(CHANNELS) if CHANNELS in axes else len(shape) - 1
            grid = made.places or shape[:-1]
            rows.append(Layer(name, self._numbers[id(made)], shape, channels, grid, tuple(others)))
        return Layers(rows)

    def find(self, layer: Name, called: str = "layer") -> Activation:
        """The activation with this name.

        Raises:
            ValueError: there is none; the message says which are near.
        """
        if isinstance(layer, int) and not isinstance(layer, bool):
            if -len(self.spatial) <= layer < len(self.spatial):
                return self.spatial[layer]
        elif layer in self.tags:
            return self.tags[layer]
        elif isinstance(layer, str):
            name, number = layer, None
            if match := re.fullmatch(r"(.+):(-?\d+)", layer):
                name, number = match[1], int(match[2])
            like = self.modules.get(name) or self._like.get(name, [])
            if number is not None and -len(like) <= number < len(like):
                return like[number]
            if number is None and len(like) == 1:
                return like[0]
        raise ValueError(self._unknown(layer, called))

    def _unknown(self, layer, called):
        names = [name for made in self.spatial for name in self.of(made)]
        near = difflib.get_close_matches(str(layer), names, n=3, cutoff=0.5)
        meant = f"; did you mean {', '.join(near)}?" if near else "."
        return (
            f"`{called}` must be one of the activations tagged in `score_fn`: "
            f"{', '.join(self.tags) or 'none are'}; got {layer!r}{meant} Or one of the "
            f"{len(self.spatial)} of saljax.layers(score_fn, image), such as relu:-1; loops such "
            "as lax.scan are not looked into"
        )

    def default(self) -> Activation | None:
        """What stands for None where nothing is tagged; see `saljax.layers`."""
        if not any(made.kind == "conv" for made in self._seen.found) or not self.spatial:
            return None
        last = self.spatial[-1]
        if any(isinstance(axis, Tokens) for axis in last.axes):
            return self.before_attention() or last
        spatial = {id(made) for made in self.spatial}
        while last.kind in POOLS and last.takes and id(last.takes[0]) in spatial:
            last = last.takes[0]
        return last

    def before_attention(self) -> Activation | None:
        """What the last attention reads: the norm before it, of a transformer."""
        products = [made for made in self._seen.found if made.kind == "dense" and not made.alone]
        spatial = {id(made) for made in self.spatial}
        for product in products[-1:]:
            at = product
            while at.takes and not (at.alone and at.kind == "dense"):
                at = at.takes[0]
            if at.takes and id(at.takes[0]) in spatial:
                return at.takes[0]
        return None


def images_of(made: Activation) -> int:
    """Its axis of images; the first, where nobody knows."""
    return made.axes.index(IMAGES) if IMAGES in made.axes else 0


def is_spatial(made: Activation, rank: int) -> bool:
    """Whether it is listed: it has places, more than one, and channels.

    A tag of the image's rank whose axes nobody knows is taken as (*spatial, channels).
    """
    if not made.listed:
        return False
    places = made.places
    if places is None:
        return made.tag is not None and len(made.shape) == rank + 1
    return len(places) == rank - 1 and math.prod(places) > 1
