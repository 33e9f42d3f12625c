"""Read a traced function: the one way saljax looks inside.

A traced function is a list of operations. Reading it again, operation by operation, shows every
ReLU and every skip connection whatever framework wrote them. It is read in two ways: `read` goes
through each primitive where it stands, call by call, and `planned` lists what calls and loops of
known length do in one row, where a norm, a softmax and a rectifier are one operation each. No file
but this one and the four below it (inlined, kinds, pointwise, opened) knows jaxprs.
"""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saljax.core import inlined
from saljax.core.inlined import (
    Inlined,
    Step,
    called_by,
    inline,
    is_literal,
    is_named,
    turn_of,
    turns_of,
)
from saljax.core.kinds import Group, grouped, kind_of
from saljax.core.operation import After, Operation, Path, Visit, Where

_IMAGE, _ZERO, _OTHER = "image", "zero", "other"

Enter = Literal["all", "plain"] | frozenset[Path]


class Program(NamedTuple):
    """A traced function."""

    closed: Any
    structure: Any


def trace(fn: Callable, *args: Any) -> Program:
    """Trace `fn`; arrays it closes over, tracers of an outer jit too, stay inputs."""
    # The lambda is new, so that no cache remembers weights that were changed in place. Tags are
    # jits, which `jax.disable_jit` would take away.
    with jax.disable_jit(False):
        closed, shapes = jax.make_jaxpr(lambda *a: fn(*a), return_shape=True)(*args)
    return Program(closed, jax.tree.structure(shapes))


def operations(program: Program, *args: Any) -> list[Operation]:
    """All operations that depend on the first argument, in order, without computing anything."""
    return [operation for _, operation in planned(program, args).visited]


def read(
    program: Program,
    args: Sequence[Any],
    visit: Visit,
    *,
    enter: Enter,
    after: After = lambda where, outputs: outputs,
) -> list[Any]:
    """Evaluate a traced function, visiting each operation on values that depend on the image.

    Args:
        program: of `trace`.
        args: its arguments; the first is the image.
        visit: called for each such operation in the place of its computation.
        enter: which calls are read too: "all" (jit, remat, custom derivatives, which are lost, and
            loops of known length, turn by turn), "plain", those without a derivative of their own,
            or those and the loops on the way to paths. Where not all are, the derivative of
            everything stays what it was.
        after: called with what each such operation gave, and each call that was entered.

    Returns:
        The outputs, flat.
    """
    leaves = jax.tree.leaves(args)
    images = len(jax.tree.leaves(args[0]))
    marks = [_IMAGE] * images + [_OTHER] * (len(leaves) - images)
    return list(_read(program.closed, leaves, marks, visit, enter, after, Where())[0])


def _read(closed, inputs, marks, visit, enter, after, around):
    """Values and marks of the outputs; a mark tells what depends on the image and what is 0."""
    jaxpr = getattr(closed, "jaxpr", closed)
    known = dict(zip(jaxpr.invars, zip(inputs, marks, strict=True), strict=True))
    consts = getattr(closed, "consts", ())
    known |= {var: (value, _OTHER) for var, value in zip(jaxpr.constvars, consts, strict=True)}

    def value_of(atom):
        if is_literal(atom):
            return atom.val, _ZERO if np.ndim(atom.val) == 0 and atom.val == 0 else _OTHER
        return known[atom]

    for number, eqn in enumerate(jaxpr.eqns):
        atoms = [value_of(atom) for atom in eqn.invars]
        inputs, marks = [value for value, _ in atoms], [mark for _, mark in atoms]
        path = (*around.path, number)
        literals = [a.val for a in eqn.invars if is_literal(a) and np.ndim(a.val) == 0]
        scalars = [*literals, *(0 for mark in marks if mark == _ZERO)]
        dependent = [mark == _IMAGE for mark in marks]
        operation = _single(eqn, dependent, enter == "all", scalars, around.turns)
        called = _entered(eqn, enter, path) if _IMAGE in marks else None
        if _IMAGE not in marks:
            stays = eqn.primitive.name in ("broadcast_in_dim", "convert_element_type")
            outputs, mark = operation(*inputs), _ZERO if stays and marks[0] == _ZERO else _OTHER
        elif called is not None:
            turns = around.turns + turn_of(eqn)
            where = Where(path, _scope(eqn, around), str(eqn.params.get("name", "")), turns)
            inside = _read(called, inputs, marks, visit, enter, after, where)
            inside, marks = inside or ((), ())  # dead code may be a call without outputs
            inside = after(where, list(inside))
            known |= zip(eqn.outvars, zip(inside, marks, strict=True), strict=True)
            continue
        else:
            if len(operation.dependent) < len(inputs):
                inputs = [x for x, mark in atoms if mark == _IMAGE]
            # No derivative goes through integers and truth values, so they need no rule.
            smooth = any(jnp.issubdtype(v.aval.dtype, jnp.inexact) for v in eqn.outvars)
            outputs = visit(operation, inputs) if smooth else operation(*inputs)
            mark = _IMAGE
        outputs = [outputs] if len(eqn.outvars) == 1 else outputs
        if mark == _IMAGE:
            where = Where(path, _scope(eqn, around), turns=around.turns)
            outputs = after(where, list(outputs))
        known |= {var: (x, mark) for var, x in zip(eqn.outvars, outputs, strict=True)}
    return tuple(zip(*map(value_of, jaxpr.outvars), strict=True))


def _single(eqn, dependent, rectify, scalars, turns=""):
    """The operation that is one primitive."""
    shape = eqn.outvars[0].aval.shape if eqn.outvars else ()
    kind = kind_of(eqn, dependent, scalars)
    if kind == "relu" and rectify and eqn.primitive.name == "max":
        return Operation(kind, (True,), shape, jax.nn.relu, eqn.params)
    return Operation(
        kind + turns if kind.startswith("tap:") else kind,
        tuple(dependent),
        shape,
        functools.partial(_compute, eqn),
        eqn.params,
        kept=is_named(eqn, "plain:"),
    )


def _compute(eqn, *inputs):
    with eqn.ctx.manager:  # the mesh that was set where it was traced
        outputs = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
    many = eqn.primitive.multiple_results
    return outputs[0] if many and len(eqn.outvars) == 1 else outputs


def _scope(eqn, around):
    """The names open at an operation, those of transformations such as vmap(layer) left out."""
    names, before = str(eqn.source_info.name_stack), None
    while names != before:
        names, before = re.sub(r"\w+\(([^()]*)\)", r"\1", names), names
    return "/".join(part for part in (*around.scope.split("/"), *names.split("/")) if part)


def _entered(eqn, enter, path):
    """The function that a call or a loop runs, if it is to be read too."""
    if is_named(eqn, *inlined.NAMED):
        return None
    if enter == "plain":
        return None if eqn.primitive.name.startswith("custom_") else called_by(eqn)
    if enter != "all" and not any(to[: len(path)] == path != to for to in enter):
        return None
    return called_by(eqn) or turns_of(eqn)


class Plan(NamedTuple):
    """What a traced function does, in order: steps, and for those on the image what they are."""

    flat: Inlined
    steps: list[tuple[Step | Group, Operation]]

    @property
    def visited(self) -> list[tuple[Step | Group, Operation]]:
        """Those steps that depend on the image, and have a derivative."""
        return [each for each in self.steps if _is_visited(self.flat, each[0])]

    def __call__(self, leaves: Sequence[Any], visit: Visit) -> list[Any]:
        """The outputs, flat."""
        known = dict(self.flat.constants) | dict(zip(self.flat.inputs, leaves, strict=True))
        _run(self.flat, self.steps, known, visit)
        return [known[n] for n in self.flat.outputs]


def planned(program: Program, args: Sequence[Any], enter: Literal["all", "tagged"] = "all") -> Plan:
    """List what a traced function does, calling each operation on values that depend on the image.

    Args:
        program: of `trace`.
        args: its arguments; the first is the image.
        enter: "all": calls are entered, so derivatives of their own are lost, and loops of known
            length; what is one operation to the reader is one here. "tagged": only those with a
            tag inside, so the derivative of everything stays what it was.

    Returns:
        A `Plan`, to be called with the arguments' leaves.
    """
    flat = inline(program.closed, len(jax.tree.leaves(args[0])), enter)
    return _plan(flat, grouped(flat) if enter == "all" else flat.steps, enter == "all")


def _plan(flat, steps, rectify):
    return Plan(flat, [(step, _operation(flat, step, rectify)) for step in steps])


def _run(flat, steps, known, visit):
    for step, operation in steps:
        inputs = [known[n] for n in step.inputs]
        if _is_visited(flat, step):
            if len(operation.dependent) < len(inputs):
                inputs = [x for x, n in zip(inputs, step.inputs, strict=True) if n in flat.on_image]
            outputs = visit(operation, inputs)
        else:
            outputs = operation(*inputs)
        outputs = [outputs] if len(step.outputs) == 1 else outputs
        known |= zip(step.outputs, outputs, strict=True)


def _is_visited(flat, step):
    # No derivative goes through integers and truth values, so they need no rule.
    smooth = any(jnp.issubdtype(flat.avals[n].dtype, jnp.inexact) for n in step.outputs)
    return smooth and any(n in flat.on_image for n in step.inputs)


def _operation(flat, step, rectify):
    dependent = [n in flat.on_image for n in step.inputs]
    if isinstance(step, Step):
        scalars = [flat.scalars[n] for n in step.inputs if n in flat.scalars]
        return _single(step.eqn, dependent, rectify, scalars, step.turns)
    inner = _plan(flat, step.steps, rectify).steps

    def within(visit, *inputs):
        known = dict(flat.constants) | dict(zip(step.inputs, inputs, strict=True))
        _run(flat, inner, known, visit)
        return known[step.outputs[0]]

    return Operation(
        step.kind,
        tuple(dependent),
        flat.avals[step.outputs[0]].shape,
        functools.partial(within, lambda operation, inputs: operation(*inputs)),
        step.steps[-1].eqn.params,
        within=within,
    )
