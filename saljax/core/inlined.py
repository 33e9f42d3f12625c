"""A traced function as one list of steps: its calls and its loops of known length opened.

The steps are equations of jaxprs; values are numbers, since one inner function may be called twice.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr

DERIVED = {"custom_jvp_call", "custom_vjp_call", "custom_vmap_call"}
LOOPS = {"scan", "while", "cond", "shard_map"}
_BINDS = {
    "core.py", "pjit.py", "api.py", "api_util.py", "traceback_util.py", "source_info_util.py",
    "linear_util.py", "profiler.py", "interpreters", "custom_derivatives.py",
}  # fmt: skip
_HERE = pathlib.PurePath(__file__).parent
_LIBRARIES = {("site-packages", name) for name in ("jax", "jaxlib", "flax", "equinox", "keras")}
NAMED = ("tap:", "rule:", "plain:")
"""How the names of calls begin that are operations of their own."""
_TURN = "turn:"
_SAME = ("broadcast_in_dim", "convert_element_type", "reshape")


class Step(NamedTuple):
    """An equation, the numbers of its inputs and outputs, in which turns of which loops it is, and
    the calls around it, the outermost first.
    """

    eqn: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    turns: str
    calls: tuple[Any, ...]

    @property
    def name(self) -> str:
        """Of the primitive."""
        return self.eqn.primitive.name

    @property
    def place(self) -> str:
        """File and line of source that does it, as "file.py:12"; "" if nothing is known."""
        lines = (_line(eqn) for eqn in (self.eqn, *reversed(self.calls)))
        return next(filter(None, lines), "")


@dataclasses.dataclass
class Inlined:
    """A traced function without calls.

    Attributes:
        inputs: numbers of its arguments.
        outputs: numbers of what it returns.
        steps: in the order of computation.
        constants: values that are known: literals, and what the function closed over.
        scalars: those of them that are one number known while tracing, however broadcast.
        on_image: what depends on the image.
        avals: shape and dtype of each.
    """

    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    steps: list[Step] = dataclasses.field(default_factory=list)
    constants: dict[int, Any] = dataclasses.field(default_factory=dict)
    scalars: dict[int, Any] = dataclasses.field(default_factory=dict)
    on_image: set[int] = dataclasses.field(default_factory=set)
    avals: list[Any] = dataclasses.field(default_factory=list)

    def new(self, aval: Any) -> int:
        """The number of a new value."""
        self.avals.append(aval)
        return len(self.avals) - 1


def inline(closed: Any, images: int, enter: Literal["all", "tagged"]) -> Inlined:
    """List the steps of a traced function whose first inputs, so many, are the image.

    A loop of known length (`scan`) whose turns depend on the image is the list of its turns; a tag
    in turn i of it gets the name `<name>:<i>`.
    """
    flat = Inlined()
    flat.inputs = tuple(flat.new(var.aval) for var in _inner(closed).invars)
    flat.on_image.update(flat.inputs[:images])
    flat.outputs = _open(flat, closed, flat.inputs, enter, "", ())
    return flat


def _open(flat, closed, inputs, enter, turns, calls):
    jaxpr = _inner(closed)
    number = dict(zip(jaxpr.invars, inputs, strict=True))
    for var, value in zip(jaxpr.constvars, getattr(closed, "consts", ()), strict=True):
        number[var] = flat.new(var.aval)
        flat.constants[number[var]] = value

    def of(atom):
        if not is_literal(atom):
            return number[atom]
        made = flat.new(atom.aval)
        flat.constants[made] = atom.val
        if np.ndim(atom.val) == 0:
            flat.scalars[made] = atom.val
        return made

    for eqn in jaxpr.eqns:
        numbers = tuple(map(of, eqn.invars))
        on_image = any(n in flat.on_image for n in numbers)
        called = _entered(eqn, enter, on_image)
        if called is not None:
            turn = turn_of(eqn)
            made = _open(
                flat, called, numbers, enter, turns + turn, calls if turn else (*calls, eqn)
            )
            number |= zip(eqn.outvars, made, strict=True)
            continue
        made = tuple(flat.new(var.aval) for var in eqn.outvars)
        number |= zip(eqn.outvars, made, strict=True)
        flat.steps.append(Step(eqn, numbers, made, turns, calls))
        if on_image:
            flat.on_image.update(made)
        elif eqn.primitive.name in _SAME and numbers[0] in flat.scalars:
            flat.scalars[made[0]] = flat.scalars[numbers[0]]
    return tuple(map(of, jaxpr.outvars))


def is_literal(atom: Any) -> bool:
    """Whether it stands in the equation itself."""
    # By structure, like calls: jax.extend.core, which has the class, imports all of Pallas.
    return hasattr(atom, "val")


def _line(eqn):
    """The line that wrote an operation, the innermost that is no library's.

    None where it was written within a function of JAX that is a jit: that was traced once, for
    whoever called it first, and the call itself knows better.
    """
    written = False
    for frame in getattr(eqn.source_info.traceback, "frames", ()):
        path = pathlib.PurePath(frame.file_name)
        pairs = set(zip(path.parts, path.parts[1:], strict=False))
        if path.name == "pjit.py" and written:
            return None
        if ("jax", "_src") in pairs:
            written = written or not _BINDS.intersection((path.name, path.parent.name))
        elif path.parent != _HERE and pairs.isdisjoint(_LIBRARIES):
            return f"{path.name}:{frame.line_num}"
    return None


def is_named(eqn: Any, *starts: str) -> bool:
    """Whether it is a call of a name that starts so."""
    return str(eqn.params.get("name", "")).startswith(starts)


def _inner(closed):
    return getattr(closed, "jaxpr", closed)


def _has_tap(closed):
    inner = [(eqn, called_by(eqn) or _body(eqn)) for eqn in _inner(closed).eqns]
    return any(is_named(eqn, "tap:") or (c is not None and _has_tap(c)) for eqn, c in inner)


def _entered(eqn, enter, on_image):
    """The function that a call or a loop runs, if it is to be read too."""
    if is_named(eqn, *NAMED):
        return None
    called, body = called_by(eqn), _body(eqn)
    if body is not None and on_image and (enter == "all" or (enter == "tagged" and _has_tap(body))):
        return turns_of(eqn)
    return called if called is None or enter == "all" or _has_tap(called) else None


def turn_of(eqn: Any) -> str:
    """Which turn of a loop a call is, as it follows the names of tags; "" if it is none."""
    name = str(eqn.params.get("name", ""))
    return f":{name.removeprefix(_TURN)}" if name.startswith(_TURN) else ""


def turns_of(eqn: Any) -> Any:
    """A loop of known length as a function that calls its turns; None where it is no such loop."""
    body = _body(eqn)
    return None if body is None else _unrolled(eqn, body)


def called_by(eqn: Any) -> Any:
    """The function that a call runs on the call's own inputs; None where it is no call.

    Found by structure, since the names of calls drift: one inner function, same inputs.
    """
    inner = [value for value in eqn.params.values() if hasattr(value, "eqns")]
    if len(inner) != 1 or eqn.primitive.name in LOOPS:
        return None
    same = [(v.aval.shape, v.aval.dtype) for v in _inner(inner[0]).invars] == [
        (v.aval.shape, v.aval.dtype) for v in eqn.invars
    ]
    return inner[0] if same else None


def _body(eqn):
    """What a loop of known length does in each turn; None where it is no such loop."""
    return eqn.params["jaxpr"] if eqn.primitive.name == "scan" and eqn.params["length"] else None


def _longer(whole, of_turn):
    """How many values of a loop have an axis more than they have in a turn."""
    pairs = zip(whole, of_turn, strict=True)
    return sum(one.aval.ndim > turn.aval.ndim for one, turn in pairs)


def _unrolled(eqn, body):
    # By structure, since the settings of a scan drift: only what it runs along has an axis more.
    stacked = _longer(eqn.outvars, _inner(body).outvars)
    carried = len(eqn.invars) - _longer(eqn.invars, _inner(body).invars)
    fixed = carried - (len(eqn.outvars) - stacked)
    turns = range(eqn.params["length"])

    def turn(i):
        def run(*inputs):
            return eval_jaxpr(_inner(body), getattr(body, "consts", ()), *inputs)

        run.__name__ = f"{_TURN}{i}"
        return jax.jit(run)

    def unrolled(*inputs: Any) -> Sequence[Any]:
        carry, rows = inputs[fixed:carried], []
        for i in reversed(turns) if eqn.params["reverse"] else turns:
            row = [jax.lax.index_in_dim(x, i, keepdims=False) for x in inputs[carried:]]
            outputs = turn(i)(*inputs[:fixed], *carry, *row)
            carry = outputs[: carried - fixed]
            rows.append(outputs[carried - fixed :])
        rows = rows[::-1] if eqn.params["reverse"] else rows
        return [*carry, *(jnp.stack(column) for column in zip(*rows, strict=True))]

    with jax.disable_jit(False):
        return jax.make_jaxpr(unrolled)(*(var.aval for var in eqn.invars))
