"""The names of all activations of a function, and what each is."""

import collections
import difflib
import functools
import math
import re
from typing import NamedTuple

from saljax.core.axes import CHANNELS, Tokens
from saljax.core.host import UNREADABLE
from saljax.core.spatial import is_like, layout
from saljax.core.survey import POOLS, Activation, Survey
from saljax.core.tags import shapes_of

Name = str | int
"""A tag, a module, an operation and its number, or a number among `saljax.layers`."""


_SCALING = ("mul", "div")  # what makes an average of a sum


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


class Names:
    """All names of the activations of a survey."""

    def __init__(self, seen: Survey, space: tuple[int, ...]):
        self._seen, self._space, self._rank = seen, space, len(space) + 1
        rank = self._rank
        self.spatial = [made for made in seen.found if is_spatial(made, rank)]
        known = {made.tag: made for made in seen.found if made.tag is not None}
        self.tags = {name: known[name] for name in shapes_of(seen.operations, seen.number)}
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
            axes, shape = layout(made)
            channels = axes.index(CHANNELS) if CHANNELS in axes else len(shape) - 1
            grid = made.places or shape[:-1]
            rows.append(Layer(name, self._numbers[id(made)], shape, channels, grid, tuple(others)))
        return Layers(rows)

    def unique(self, made: Activation) -> str:
        """The name that is never another's."""
        return made.tag if made.tag is not None else self._numbers[id(made)]

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
            if number is None:
                number, like = 0, self.modules.get(name, [])[:1]
            else:
                like = self.modules.get(name) or self._like.get(name, [])
            if -len(like) <= number < len(like):
                return like[number]
        raise ValueError(self._unknown(layer, called))

    def _unknown(self, layer, called):
        names = [name for made in self.spatial for name in self.of(made)]
        near = difflib.get_close_matches(str(layer), names, n=3, cutoff=0.5)
        meant = f"; did you mean {', '.join(near)}?" if near else "."
        return (
            f"`{called}` must be one of the activations tagged in `score_fn`: "
            f"{', '.join(self.tags) or 'none are'}; got {layer!r}{meant} Or one of the "
            f"{len(self.spatial)} of saljax.layers(score_fn, image), such as relu:-1; "
            "branches and loops of unknown length are not looked into; or tag one inside the model "
            "with saljax.tag(x, name)"
        )

    def default(self) -> Activation:
        """What stands for None; see `layers`.

        Raises:
            ValueError: no tag has places, and there is no convolution.
        """
        last = self._last_tag()
        if last is not None:
            return self.tags[last]
        if not any(made.kind == "conv" for made in self._seen.found) or not self.spatial:
            if any(operation.kind == "pure_callback" for operation in self._seen.operations):
                raise ValueError(UNREADABLE)
            raise ValueError(
                f"`score_fn` tags no activation of rank {self._rank}, {self._rank - 1} spatial "
                f"axes and channels (it tags {', '.join(self.tags) or 'nothing'}), and has no "
                "convolution; tag one inside the model with saljax.tag(x, name), or give "
                "`layer`, see saljax.layers(score_fn, image)"
            )
        found = self.spatial[-1]
        if any(isinstance(axis, Tokens) for axis in found.axes):
            return self.before_attention() or found
        spatial = {id(made) for made in self.spatial}
        while _is_pool(found) and found.takes and id(found.takes[0]) in spatial:
            found = found.takes[0]
        return found

    def _last_tag(self):
        """The last tag with spatial axes, of those that may be the image's if there are any.

        Of a pooling what went in is taken, if that is tagged too.
        """
        kinds = [operation.kind for operation in self._seen.operations]
        ranked = [
            name
            for name, made in self.tags.items()
            if len(made.shape) == self._rank + 1
            and not any(isinstance(axis, Tokens) for axis in made.axes)
        ]
        like = [
            name
            for name in ranked
            if self.tags[name].places or is_like(self.tags[name].shape[1:], self._space)
        ]

        def pooled(name):
            before = [kind for kind in kinds[: kinds.index(f"tap:{name}")] if kind not in _SCALING]
            return bool(before) and before[-1].startswith("reduce_window")

        spatial = like or ranked
        spatial = [name for name in spatial if not pooled(name)] or spatial
        return spatial[-1] if spatial else None

    def before_attention(self) -> Activation | None:
        """What the last attention reads: the norm before it, of a transformer."""
        products = [made for made in self._seen.found if made.kind == "matmul"]
        spatial = {id(made) for made in self.spatial}
        for product in products[-1:]:
            at = product
            while at.takes and at.kind != "dense":
                at = at.takes[0]
            before = at.takes[:1]
            while before and not before[0].listed:  # the product, without its bias
                before = before[0].takes[:1]
            if before and id(before[0]) in spatial:
                return before[0]
        return None


def _is_pool(made):
    return made.kind in POOLS or made.kind.startswith("reduce_")


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
