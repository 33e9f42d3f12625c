"""What kind of operation a step is, and which steps together are one operation.

A rectifier such as GELU, a softmax and a norm are many steps in a traced function. They are found
by what they do, whoever wrote them: between one value and what alone depends on it,

- a function of each number by itself is known by its values;
- an exponential over its sum is a "softmax";
- what is divided by the root of a sum of itself is a "norm", from the mean to that division.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from saljax.core.inlined import NAMED, Inlined, Step, is_named
from saljax.core.pointwise import POINTWISE, computed, named

_SHAPES = {"reshape", "transpose", "squeeze", "broadcast_in_dim", "stop_gradient"}
ROOTS = {"sqrt", "rsqrt", "pow"}
_MANY = 64
"""No operation has more steps."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Steps that are one operation of one value on the image, and of constants.

    Attributes:
        kind: of the operation.
        steps: of which it consists, in order.
        inputs: the value on the image, then the constants that are not known while tracing.
    """

    kind: str
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]

    @property
    def outputs(self) -> tuple[int, ...]:
        """Of the last step; no other is read outside."""
        return self.steps[-1].outputs

    @property
    def place(self) -> str:
        """See `Step`."""
        return self.steps[-1].place


def grouped(flat: Inlined) -> list[Step | Group]:
    """The steps, those that are one operation together, at the place of the last of them."""
    for step in flat.steps:
        if step.name in POINTWISE and all(n in flat.scalars for n in step.inputs):
            flat.scalars[step.outputs[0]] = computed(step, flat.scalars)
    graph = _Graph(flat)
    found: dict[int, Group] = {}
    taken: set[int] = set()
    for last in reversed(range(len(flat.steps))):
        if last in taken or last not in graph.above:
            continue
        operation = graph.ending_at(last)
        if operation is not None:
            kind, start, members = operation
            inside = graph.with_scalars(members)
            made = {n for step in inside for n in step.outputs}.union(flat.scalars, [start])
            rest = dict.fromkeys(n for step in inside for n in step.inputs if n not in made)
            found[last] = Group(kind, tuple(inside), (start, *rest))
            taken.update(members)
    return [found.get(i, step) for i, step in enumerate(flat.steps) if i in found or i not in taken]


class _Graph:
    """Who made what, who reads it, and what every way from the image to it goes through."""

    def __init__(self, flat: Inlined):
        self.flat = flat
        self.maker = {n: i for i, step in enumerate(flat.steps) for n in step.outputs}
        self.readers: dict[int, list[int]] = {}
        for i, step in enumerate(flat.steps):
            for n in step.inputs:
                self.readers.setdefault(n, []).append(i)
        self.above: dict[int, int] = {}
        """Step on the image -> the nearest value through which all of the image comes to it."""
        self.depth = dict.fromkeys(flat.inputs, 0) | {-1: -1}
        for i, step in enumerate(flat.steps):
            below = [n for n in step.inputs if n in flat.on_image]
            if below:
                self.above[i] = functools.reduce(self._common, below)
                self.depth |= dict.fromkeys(step.outputs, self.depth[self.above[i]] + 1)

    def _common(self, a, b):
        while a != b:
            a, b = (self._up(a), b) if self.depth[a] >= self.depth[b] else (a, self._up(b))
        return a

    def _up(self, n):
        return self.above[self.maker[n]] if n in self.maker else -1

    def ending_at(self, last: int) -> tuple[str, int, list[int]] | None:
        """Kind, first value and steps of the operation that a step is the last of, if it is."""
        flat, step = self.flat, self.flat.steps[last]
        start = self.above[last]
        if len(step.outputs) != 1 or start == -1:
            return None
        if step.name == "max" and start in step.inputs and self._is_variance(last):
            return "maximum", start, [last]
        if step.name in ("mul", "div") and sum(n in flat.on_image for n in step.inputs) == 2:
            found = self._scaling(last, start)
            if found is not None:
                return found
        aval = flat.avals[step.outputs[0]]
        while start != -1 and (flat.avals[start].shape, flat.avals[start].dtype) == (
            aval.shape,
            aval.dtype,
        ):
            members = self.between(start, last, self._is_pointwise)
            if members is None:
                return None
            if len(members) > 1 and self._closed(members):
                name = named(self._function(members, start), aval.dtype)
                if name == "relu" and any(map(self._is_relu, members)):
                    return None  # it is one already, with a scale of 1 or a ceiling
                if name is not None:
                    return name, start, members
            start = self._up(start)
        return None

    def between(self, start: int, last: int, allowed: Callable[[Step], bool]) -> list[int] | None:
        """Steps from a value to a step; None where one of them is not allowed."""
        members, stack = set(), [last]
        while stack:
            i = stack.pop()
            step = self.flat.steps[i]
            if not allowed(step) or len(members) > _MANY:
                return None
            members.add(i)
            below = [n for n in step.inputs if n in self.flat.on_image and n != start]
            if any(n not in self.maker for n in below):
                return None
            stack += [self.maker[n] for n in below if self.maker[n] not in members]
        return sorted(members)

    def _closed(self, members: Sequence[int]) -> bool:
        """Whether nothing but the last output is read outside."""
        inside = set(members)
        return not any(
            n in self.flat.outputs or not inside.issuperset(self.readers.get(n, ()))
            for i in members[:-1]
            for n in self.flat.steps[i].outputs
        )

    def _is_relu(self, i):
        step, flat = self.flat.steps[i], self.flat
        zero = any(n in flat.scalars and flat.scalars[n] == 0 for n in step.inputs)
        return step.name == "max" and zero

    def _is_pointwise(self, step):
        on_image, scalars = self.flat.on_image, self.flat.scalars
        same = {self.flat.avals[n].shape for n in (*step.inputs, *step.outputs) if n in on_image}
        known = all(n in on_image or n in scalars for n in step.inputs)
        return step.name in POINTWISE and known and len(same) == 1

    def _function(self, members, start):
        def function(x):
            values: dict[int, Any] = {**self.flat.scalars, start: x}
            for i in members:
                step = self.flat.steps[i]
                values[step.outputs[0]] = computed(step, values)
            return values[self.flat.steps[members[-1]].outputs[0]]

        return function

    def _scaling(self, last, start):
        """A norm or a softmax, whose last step divides by what was summed, or multiplies."""
        flat, step = self.flat, self.flat.steps[last]
        softmax = False
        if step.name == "div":
            made = self._made_by(step.inputs[0])
            if made is not None and made.name == "exp":
                # From before the exponential, and before the largest was subtracted.
                softmax, start = True, made.inputs[0]
                while start in self.maker and flat.steps[self.maker[start]].name == "sub":
                    start = self._up(start)
        sums = {*POINTWISE, *_SHAPES, "reduce_sum", "reduce_max"}
        members = self.between(start, last, lambda step: step.name in sums)
        if members is None or not self._closed(members):
            return None
        names = {flat.steps[i].name for i in members}
        if "reduce_sum" not in names:
            return None
        if softmax:
            return "softmax", start, members
        if flat.avals[start].shape != flat.avals[step.outputs[0]].shape:
            return None
        inverse = step.name == "div" or "rsqrt" in names or "div" in names
        return ("norm", start, members) if names & ROOTS and inverse else None

    def _made_by(self, n):
        """The step that made a value, however that was reshaped and masked then."""
        while n in self.maker:
            step = self.flat.steps[self.maker[n]]
            below = [n for n in step.inputs if n in self.flat.on_image]
            if step.name not in (*_SHAPES, "convert_element_type", "select_n") or len(below) != 1:
                return step
            n = below[0]
        return None

    def _is_variance(self, i):
        """Whether what is cut at 0 is the variance of a norm: all that is read of it are roots."""
        after = [r for n in self.flat.steps[i].outputs for r in self.readers.get(n, ())]
        if any(n in self.flat.outputs for n in self.flat.steps[i].outputs):
            return False
        passed = {*_SHAPES, "add", "convert_element_type"}
        return bool(after) and all(
            self.flat.steps[r].name in ROOTS
            or (self.flat.steps[r].name in passed and self._is_variance(r))
            for r in after
        )

    def with_scalars(self, members: Sequence[int]) -> list[Step]:
        """The steps, and those before them that make the scalars among what they read."""
        needed, stack = set(members), list(members)
        while stack:
            for n in self.flat.steps[stack.pop()].inputs:
                if n in self.flat.scalars and n in self.maker and self.maker[n] not in needed:
                    needed.add(self.maker[n])
                    stack.append(self.maker[n])
        return [self.flat.steps[i] for i in sorted(needed)]


def kind_of(eqn: Any, dependent: Sequence[bool], scalars: Sequence[Any]) -> str:
    """The kind of one primitive, see `saljax.core.operation.Operation`.

    Args:
        eqn: the equation.
        dependent: for each input, whether it depends on the image.
        scalars: those inputs that are one number known while tracing.
    """
    name, one = eqn.primitive.name, sum(dependent) == 1
    if is_named(eqn, *NAMED):
        return eqn.params["name"].removeprefix("plain:")
    if name == "max":
        return (
            "maximum" if not one
            else "relu" if 0 in scalars
            else "max" if -math.inf in scalars
            else "maximum"
        )  # fmt: skip
    if name == "min":
        return "min" if one and 0 not in scalars else "minimum"
    if name == "select_n" and not dependent[0]:
        return "select"
    if name in ("mul", "dot_general", "conv_general_dilated") and sum(dependent) == 2:
        return "product"
    return "quotient" if name == "div" and dependent[1] else name
