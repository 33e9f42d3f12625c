"""All activations of a traced function: what made each, where it is, which axis is which."""

import dataclasses
import math
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saljax.core.axes import CHANNELS, IMAGES, Axes, Tokens, follow, of_images
from saljax.core.program import Operation, Path, Program, Where, operations, read

_KINDS = {
    "conv_general_dilated": "conv", "dot_general": "dense", "reduce_window_max": "max_pool",
    "reduce_window_sum": "avg_pool", "reduce_window": "max_pool", "add_any": "add",
}  # fmt: skip
POOLS = ("max_pool", "avg_pool")
_MOVES = {
    "reshape", "transpose", "squeeze", "broadcast_in_dim", "pad", "slice", "split", "stack",
    "unstack", "tile", "rev", "dynamic_slice", "gather", "convert_element_type",
    "reduce_precision", "copy", "copy_p", "optimization_barrier", "stop_gradient",
}  # fmt: skip
_AFFINE = {"add", "sub", "mul", "div", "neg"}
_STEPS = _AFFINE | {
    "square", "integer_pow", "sqrt", "rsqrt", "product", "quotient", "reduce_sum",
}  # fmt: skip
_OF_VARIANCE = {"relu", "max", "maximum"}  # that is not below 0


@dataclasses.dataclass(eq=False)
class Activation:
    """What an operation gave.

    Attributes:
        kind: short name of the operation, or of the function that was called.
        path: of the operation, or of the outermost call that returns it.
        output: which of the outputs there it is.
        axes: of all its axes.
        shape: with the axis of images.
        scope: see `saljax.core.program.Where`.
        takes: the activations from which it was computed.
        alone: whether one input alone depends on the image.
        whole: whether it is a sum of two such, as of a skip connection.
        tag: its name, if it is tagged.
        told: whether the tag says that its channels are last.
        ran: the operations that made it, as far as they belong together.
        users: what is computed from it.
        listed: whether it is the last of what belongs together, such as a convolution with bias.
    """

    kind: str
    path: Path
    output: int
    axes: Axes
    shape: tuple[int, ...]
    scope: str
    takes: list["Activation"]
    value: Any = dataclasses.field(repr=False)
    alone: bool = True
    whole: bool = False
    tag: str | None = None
    told: bool = False
    listed: bool = True
    ran: set[str] = dataclasses.field(default_factory=set)
    users: list["Activation"] = dataclasses.field(default_factory=list, repr=False)

    @property
    def images(self) -> int:
        """Its axis of images; the first, where nobody knows."""
        return self.axes.index(IMAGES) if IMAGES in self.axes else 0

    @property
    def own(self) -> list[int]:
        """Its axes, but for those of one entry that say nothing."""
        both = zip(self.axes, self.shape, strict=True)
        return [i for i, (axis, size) in enumerate(both) if axis is not None or size > 1]

    @property
    def places(self) -> tuple[int, ...] | None:
        """The grid of its places, if its axes are images, these, and channels, in any order."""
        axes = [self.axes[i] for i in self.own]
        tokens = [a for a in axes if isinstance(a, Tokens)]
        space = sorted(a for a in axes if isinstance(a, int))
        if axes.count(IMAGES) != 1 or axes.count(CHANNELS) != 1:
            return None
        if len(tokens) == 1 and len(axes) == 3:
            return tokens[0].grid
        if not space or tokens or space != list(range(len(axes) - 2)):
            return None
        return tuple(self.shape[self.axes.index(a)] for a in space)


class Flow(NamedTuple):
    """An operation, and the values that it takes and gives."""

    operation: Operation
    inputs: list[int]
    outputs: list[int]


@dataclasses.dataclass(frozen=True)
class Survey:
    """All activations of a function, in order, and the names of scopes at each operation.

    Attributes:
        found: of all operations on floating-point values that depend on the image.
        events: (scope, activation) of each operation; what only moved is the activation itself.
        operations: see `saljax.core.program.operations`.
        number: of images.
        patch: what the first convolution takes at a time, if its windows tile the image.
        flows: from the image to the scores.
        axes: of each value of these.
        ends: the scores.
    """

    found: list[Activation]
    events: list[tuple[str, Activation | None]]
    operations: list[Operation]
    number: int
    patch: tuple[int, ...] | None
    flows: list[Flow]
    axes: dict[int, Axes]
    ends: list[int]


def survey(program: Program, images: Any) -> Survey:
    """Look at every activation of a traced score function, without computing anything."""
    looking = _Looking()

    def look(given):
        looking.know(given, of_images(given.ndim))
        outputs = read(program, (given,), looking.visit, enter="all", after=looking.after)
        looking.ends = [id(x) for x in outputs]
        return outputs

    jax.eval_shape(look, images)
    for made in looking.found:
        _with_bias(made)
    _arithmetic(looking.found)
    axes = {number: axes for number, (_, axes) in looking.values.items()}
    return Survey(
        found=looking.found,
        events=looking.events,
        operations=operations(program, images),
        number=len(images),
        patch=looking.patch or None,
        flows=looking.flows,
        axes=axes,
        ends=looking.ends,
    )


class _Looking:
    """What is known of the values of a traced function while it is read."""

    def __init__(self):
        self.found: list[Activation] = []
        self.events: list[tuple[str, Activation | None]] = []
        self.patch: tuple[int, ...] | None = None
        self.flows: list[Flow] = []
        self.ends: list[int] = []
        self.values: dict[int, tuple[Any, Axes]] = {}  # the values too, so that no id returns
        self._source: dict[int, Activation] = {}
        self._seen: tuple[Operation, Any] | None = None

    def know(self, value, axes):
        self.values[id(value)] = value, axes

    def visit(self, operation, inputs):
        self._seen = operation, inputs
        if operation.kind == "conv_general_dilated" and self.patch is None:
            kernel = operation.settings["dimension_numbers"].rhs_spec
            window = tuple(inputs[1].shape[axis] for axis in kernel[2:])
            tiles = window == tuple(operation.settings["window_strides"]) and max(window) > 1
            self.patch = window if tiles else ()
        return operation(*inputs)

    def after(self, where: Where, outputs):
        if where.call is not None:
            self._call(where, outputs)
        elif self._seen is not None:
            self._operation(where, *self._seen, outputs)
            self._seen = None
        return outputs

    def _operation(self, where, operation, inputs, outputs):
        known = [self.values[id(x)][1] if id(x) in self.values else None for x in inputs]
        shapes = [np.shape(x) for x in outputs]
        for value, axes in zip(outputs, follow(operation, inputs, known, shapes), strict=True):
            self.know(value, axes)
        self.flows.append(Flow(operation, [id(x) for x in inputs], [id(x) for x in outputs]))
        takes = [self._source[id(x)] for x in inputs if id(x) in self._source]
        made = takes[0] if takes else None
        if operation.kind.startswith("tap:"):
            made = self._tag(where, operation, inputs[0], made, outputs[0])
        elif operation.kind not in _MOVES:
            for number, value in enumerate(outputs):
                if jnp.issubdtype(value.dtype, jnp.inexact):
                    made = self._new(where, operation, number, takes, value)
                    same = all(np.shape(x) == value.shape for x in inputs)
                    made.whole = operation.kind in ("add", "add_any") and not made.alone and same
                    self._source[id(value)] = made
        if made is not None and operation.kind in _MOVES:
            self._source.update((id(value), made) for value in outputs)
        self.events.append((where.scope, made))

    def _new(self, where, operation, number, takes, value):
        kind = operation.kind.removeprefix("rule:")
        if kind == "product" and "preferred_element_type" in operation.settings:
            kind = "matmul"
        axes = self.values[id(value)][1]
        made = Activation(
            str(_KINDS.get(kind, kind)),
            where.path,
            number,
            axes,
            value.shape,
            where.scope,
            takes,
            value,
        )
        made.alone = sum(operation.dependent) < 2
        made.ran = {kind}
        for taken in takes:
            taken.users.append(made)
        self.found.append(made)
        return made

    def _tag(self, where, operation, given, made, value):
        """A tag names what it is given; where its axes were moved before, it is one more."""
        if made is None or made.value is not given or made.tag is not None:
            takes = [] if made is None else [made]
            made = self._new(where, operation, 0, takes, value)
            made.kind = "tag"
        made.tag = operation.kind.removeprefix("tap:")
        made.told = "channels_last" in operation.inside
        self._source[id(value)] = made
        return made

    def _call(self, where, outputs):
        """What a call returns is found where the call is; an elementwise one is one operation."""
        inside = [made for made in self.found if made.path[: len(where.path)] == where.path]
        for number, value in enumerate(outputs):
            made = self._source.get(id(value))
            if made is None or made.value is not value or made.tag is not None:
                continue
            named = len(outputs) == 1 and re.fullmatch(r"[A-Za-z_]\w*", where.call or "")
            if named and all(_is_local(one, value.shape) for one in inside):
                made.kind, made.ran = str(where.call).strip("_"), {"call"}
                for one in inside:
                    one.listed = one is made
            made.path, made.output = where.path, number


def _is_local(made, shape):
    """Whether it is elementwise and no tag; a rule of one operation alone keeps its name."""
    return made.tag is None and made.shape == shape and made.kind not in (*_KINDS.values(), "tag")


def _with_bias(made):
    """A convolution takes its bias with it, a pooling by sums what makes an average of it."""
    if made.tag is not None or len(made.users) != 1 or made.kind not in ("conv", "dense", *POOLS):
        return
    (user,) = made.users
    own = {"mul", "div"} if made.kind in POOLS else {"add"}
    if user.alone and user.scope == made.scope and user.ran <= own and user.shape == made.shape:
        user.kind, user.ran, made.listed = made.kind, made.ran, False


def _arithmetic(found):
    """Arithmetic, with its statistics, is one operation: what comes out of it at the end."""
    last: dict[int, Activation] = {}
    for made in reversed(found):
        last[id(made)] = made
        ends = {id(last[id(user)]): last[id(user)] for user in made.users}
        inner = all(_is_step(step) and step.scope == made.scope for step in (made, *made.users))
        if len(ends) != 1 or not inner or made.tag is not None:
            continue
        (end,) = ends.values()
        if made.places is None or math.prod(made.shape) == math.prod(end.shape):
            last[id(made)], made.listed = end, False
            end.ran, end.alone = end.ran | made.ran, end.alone and made.alone
    for made in found:
        if made.alone and made.ran <= _AFFINE:
            made.kind = "affine"
        elif made.ran <= _STEPS | _OF_VARIANCE and {"sqrt", "rsqrt"} & made.ran:
            made.kind = "norm"


def _is_step(made):
    variance = made.places is None and made.ran <= _OF_VARIANCE
    return not made.whole and (variance or made.ran <= _STEPS)
