"""Read a traced function: the one way saljax looks inside.

A traced function is a list of operations. Reading it again, operation by operation, shows every
ReLU and every skip connection whatever framework wrote them. No other file knows jaxprs.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr

_DERIVED = {"custom_jvp_call", "custom_vjp_call", "custom_vmap_call"}
LOOPS = {"scan", "while", "cond", "shard_map"}
_IMAGE, _ZERO, _OTHER = "image", "zero", "other"


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation on values that depend on the image; calling it with its inputs computes it.

    Attributes:
        kind: the name of JAX's primitive, or "relu" for max(x, 0) however it was written (its one
            input is x), "min" for min(x, c) as in a ReLU6, "maximum" and "minimum" for all others,
            "product" and "quotient" where more than one factor depends on the image (a gate,
            attention), "select" for a fixed choice, "tap:<name>" for a tag, "rule:<kind>" for an
            operation that has a rule already.
        dependent: for each input, whether it depends on the image.
        shape: of the (first) output.
        settings: what JAX's primitive is set to, such as the strides of a convolution.
    """

    kind: str
    dependent: tuple[bool, ...]
    shape: tuple[int, ...]
    compute: Callable = dataclasses.field(repr=False)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    def __call__(self, *inputs):
        """Compute the operation, for these or for other inputs, such as clipped weights."""
        return self.compute(*inputs)

    @property
    def inside(self) -> tuple[str, ...]:
        """Names of the functions that are called inside, if it is a call."""
        jaxpr = self.settings.get("jaxpr")
        return tuple(str(eqn.params.get("name", "")) for eqn in getattr(jaxpr, "eqns", ()))


Path = tuple[int, ...]
"""Where an operation is in a traced function: its number there, after those of the calls around."""


class Where(NamedTuple):
    """A place in a traced function, the same however it is read.

    Attributes:
        path: of the operation, or of the call.
        scope: names that are open there, of `jax.named_scope`, such as "ResNet/layer4/conv1".
        call: the name of the function, if it is a call that was entered.
    """

    path: Path = ()
    scope: str = ""
    call: str | None = None


Enter = Literal["all", "plain", "tagged"] | frozenset[Path]
Visit = Callable[[Operation, list[Any]], Any]
"""visit(operation, inputs) -> outputs: what is done with an operation on the image."""
After = Callable[[Where, list[Any]], list[Any]]
"""after(where, outputs) -> outputs: what is done with what an operation, or a call, gave."""


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


@dataclasses.dataclass(frozen=True, eq=False)
class Opened:
    """A traced function of the arrays that it closed over, and of its arguments."""

    jaxpr: Any
    structure: Any

    def __call__(self, given: Sequence[Any], *args: Any) -> Any:
        """What the function returns, with these arrays in the place of those it closed over."""
        outputs = eval_jaxpr(self.jaxpr, given, *jax.tree.leaves(args))
        return jax.tree.unflatten(self.structure, outputs)

    @functools.cached_property
    def key(self) -> Hashable:
        """Equals the key of a function of the same operations, whatever it closed over.

        Their derivatives may differ, where these are rules of their own.
        """
        return _operations_of(self.jaxpr), self.structure


def opened(fn: Callable, *args: Any) -> tuple[list[Any], Opened]:
    """Arrays that `fn` closes over, and the same function of these and its arguments."""
    program = trace(fn, *args)
    return list(program.closed.consts), Opened(program.closed.jaxpr, program.structure)


def _operations_of(jaxpr):
    """What a traced function does, as something to compare and to look up."""
    numbers = {}

    def of(atom):
        if _is_literal(atom):
            return atom.aval, np.asarray(atom.val).tobytes()
        return numbers.setdefault(atom, len(numbers)), atom.aval

    def each(eqn):
        derived = eqn.primitive.name in _DERIVED  # their rules are new functions in each trace
        kept = {k: v for k, v in eqn.params.items() if not derived or hasattr(v, "eqns")}
        return eqn.primitive, tuple(map(of, eqn.invars)), tuple(map(of, eqn.outvars)), _fixed(kept)

    inputs = tuple(map(of, (*jaxpr.constvars, *jaxpr.invars)))
    operations = tuple(map(each, jaxpr.eqns))
    return len(jaxpr.constvars), inputs, operations, tuple(map(of, jaxpr.outvars))


def _fixed(setting):
    """A setting of an operation as something that equals its like."""
    if hasattr(setting, "eqns"):
        consts = getattr(setting, "consts", ())
        return _operations_of(getattr(setting, "jaxpr", setting)), tuple(map(_fixed, consts))
    if isinstance(setting, tuple | list):
        return type(setting), tuple(map(_fixed, setting))
    if isinstance(setting, dict):
        return tuple((name, _fixed(part)) for name, part in sorted(setting.items()))
    if isinstance(setting, np.ndarray):
        return jax.typeof(setting), setting.tobytes()
    try:
        hash(setting)
    except TypeError:
        return _Itself(setting)
    return type(setting), setting


class _Itself:
    """Something that equals nothing else, such as an array of JAX."""

    def __init__(self, value):
        self.value = value

    def __hash__(self):
        return id(self.value)

    def __eq__(self, other):
        return isinstance(other, _Itself) and self.value is other.value


def operations(program: Program, *args: Any) -> list[Operation]:
    """All operations that depend on the first argument, in order, without computing anything."""
    found = []

    def record(operation, inputs):
        found.append(operation)
        return operation(*inputs)

    jax.eval_shape(lambda *a: read(program, a, record, enter="all"), *args)
    return found


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
        enter: which calls are read too: "all" (jit, remat, custom derivatives, which are lost),
            "plain", those without a derivative of their own, "tagged", those with a tag inside, or
            those on the way to paths. Where not all are, the derivative of everything stays what
            it was.
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
        if _is_literal(atom):
            return atom.val, _ZERO if np.ndim(atom.val) == 0 and atom.val == 0 else _OTHER
        return known[atom]

    for number, eqn in enumerate(jaxpr.eqns):
        atoms = [value_of(atom) for atom in eqn.invars]
        inputs, marks = [value for value, _ in atoms], [mark for _, mark in atoms]
        path = (*around.path, number)
        called = _entered(eqn, enter, path)
        operation = _operation(eqn, marks, rectify=enter == "all")
        if _IMAGE not in marks:
            stays = eqn.primitive.name in ("broadcast_in_dim", "convert_element_type")
            outputs, mark = operation(*inputs), _ZERO if stays and marks[0] == _ZERO else _OTHER
        elif called is not None:
            where = Where(path, _scope(eqn, around), str(eqn.params.get("name", "")))
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
            outputs = after(Where(path, _scope(eqn, around)), list(outputs))
        known |= {var: (x, mark) for var, x in zip(eqn.outvars, outputs, strict=True)}
    return tuple(zip(*map(value_of, jaxpr.outvars), strict=True))


def _operation(eqn, marks, rectify):
    def compute(*inputs):
        outputs = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
        many = eqn.primitive.multiple_results
        return outputs[0] if many and len(eqn.outvars) == 1 else outputs

    dependent = tuple(mark == _IMAGE for mark in marks)
    shape = eqn.outvars[0].aval.shape if eqn.outvars else ()
    kind = _kind(eqn, marks, dependent)
    if kind == "relu" and rectify:
        return Operation(kind, (True,), shape, jax.nn.relu, eqn.params)
    return Operation(kind, dependent, shape, compute, eqn.params)


def _kind(eqn, marks, dependent):
    name = eqn.primitive.name
    if _is_named(eqn, "tap:", "rule:"):
        return eqn.params["name"]
    one = sum(dependent) == 1
    if name == "max":
        lowest = any(_is_literal(a) and np.all(np.isneginf(a.val)) for a in eqn.invars)
        return "relu" if one and _ZERO in marks else "max" if one and lowest else "maximum"
    if name == "min":
        return "min" if one and _ZERO not in marks else "minimum"
    if name == "select_n" and not dependent[0]:
        return "select"
    if name in ("mul", "dot_general", "conv_general_dilated") and sum(dependent) == 2:
        return "product"
    return "quotient" if name == "div" and dependent[1] else name


def _is_literal(atom):
    # By structure, like calls: jax.extend.core, which has the class, imports all of Pallas.
    return hasattr(atom, "val")


def _is_named(eqn, *starts):
    return str(eqn.params.get("name", "")).startswith(starts)


def _has_tap(closed):
    inner = [(eqn, _called(eqn)) for eqn in getattr(closed, "jaxpr", closed).eqns]
    return any(_is_named(eqn, "tap:") or (c is not None and _has_tap(c)) for eqn, c in inner)


def _scope(eqn, around):
    """The names open at an operation, those of transformations such as vmap(layer) left out."""
    names, before = str(eqn.source_info.name_stack), None
    while names != before:
        names, before = re.sub(r"\w+\(([^()]*)\)", r"\1", names), names
    return "/".join(part for part in (*around.scope.split("/"), *names.split("/")) if part)


def _entered(eqn, enter, path):
    """The function that a call runs, if it is to be read too."""
    called = None if _is_named(eqn, "tap:", "rule:") else _called(eqn)
    if called is None or enter == "all":
        return called
    if isinstance(enter, frozenset):
        return called if any(to[: len(path)] == path != to for to in enter) else None
    wanted = _has_tap(called) if enter == "tagged" else not eqn.primitive.name.startswith("custom_")
    return called if wanted else None


def _called(eqn):
    """The function that a call runs on the call's own inputs; None where it is no call.

    Found by structure, since the names of calls drift: one inner function, same inputs.
    """
    inner = [value for value in eqn.params.values() if hasattr(value, "eqns")]
    if len(inner) != 1 or eqn.primitive.name in LOOPS:
        return None
    takes = getattr(inner[0], "jaxpr", inner[0]).invars
    same = [(v.aval.shape, v.aval.dtype) for v in takes] == [
        (v.aval.shape, v.aval.dtype) for v in eqn.invars
    ]
    return inner[0] if same else None
