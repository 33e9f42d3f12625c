"""Re-evaluate a function with rules for its operations: the one way saljax looks inside.

A traced function is a list of operations. Reading it again, operation by operation, shows every
ReLU and every skip connection whatever framework wrote them. No other file knows jaxprs.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from saljax.core.scores import as_pytree

LINEAR = (
    "conv_general_dilated", "dot_general", "add", "add_any", "sub", "mul", "div", "neg",
    "reduce_sum", "reduce_window_sum", "cumsum",
)  # fmt: skip
"""Operations that are linear in the image, once those of two image-dependent factors are told
apart as "product" and "quotient"; their own derivative is never a surprise."""

_MOVES = {
    "reshape", "transpose", "squeeze", "broadcast_in_dim", "concatenate", "pad",
    "slice", "split", "stack", "unstack", "tile", "rev", "dynamic_slice", "dynamic_update_slice",
    "gather", "scatter", "convert_element_type", "reduce_precision", "copy", "copy_p",
    "optimization_barrier", "stop_gradient",
    "min", "max", "select", "reduce_max", "reduce_min", "reduce_window_max", "reduce_window_min",
}  # fmt: skip
"""Operations that move values or choose among them: what arrives is sent back where it was from."""

_LOOPS = {"scan", "while", "cond", "shard_map"}
_IMAGE, _ZERO, _OTHER = "image", "zero", "other"


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation on values that depend on the image; calling it with its inputs computes it.

    Attributes:
        kind: the name of JAX's primitive, or "relu" for max(x, 0) however it was written (its one
            input is x), "min" for min(x, c) as in a ReLU6, "maximum" and "minimum" for all others,
            "product" and "quotient" where more than one factor depends on the image (a gate,
            attention), "select" for a fixed choice, "tap:<name>" for a tag.
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


Rule = Callable[..., Any]
"""rule(operation, *inputs) -> output: the same value with another derivative, as a rule."""
Rules = Mapping[str, Rule] | Mapping[str | tuple[str, ...], Rule]


def override(fn: Callable, rules: Rules) -> Callable:
    """Replace operations that depend on the image, wherever `fn` does them.

    `fn` is traced and evaluated again; where an operation on image-dependent values has a rule, the
    rule is called instead. A ReLU that also lets through what is negative, but at half strength:

        @jax.custom_vjp
        def kind_relu(x):
            return jax.nn.relu(x)

        def backward(x, gradient):
            return (jnp.where(x > 0, gradient, gradient / 2),)

        kind_relu.defvjp(lambda x: (kind_relu(x), x), backward)
        kind = saljax.override(score_fn, {"relu": lambda operation, x: kind_relu(x)})
        saljax.gradient(kind, image, target)

    Nothing is missed in silence. Each image-dependent operation must have a rule, or move values
    about (reshape, slice, max pooling, ...), or be linear (`LINEAR`); as soon as one linear
    operation has a rule, all linear ones that occur need one. Calls (jit, remat, custom
    derivatives) are entered, so the derivatives are those of the operations inside.

    Args:
        fn: any JAX function; its first argument is the image, everything else is a constant.
        rules: kind of operation (see `Operation`), or several kinds -> rule(operation, *inputs).

    Returns:
        A function with the arguments of `fn`; a pytree, so weights in `fn` stay arguments. Under a
        rule made with `jax.custom_vjp` it has no second derivative.

    Raises:
        ValueError: when called: an operation has no rule, or a rule matched nothing.
    """
    listed = [((k,) if isinstance(k, str) else tuple(k), rule) for k, rule in rules.items()]
    return Partial(_Overridden(tuple(listed)), as_pytree(fn))


@dataclasses.dataclass(frozen=True)
class _Overridden:
    """Hashable where the rules are: the same rules for other weights are the same program."""

    rules: tuple[tuple[tuple[str, ...], Rule], ...]

    def __call__(self, fn, *args):
        return evaluate(trace(fn, *args), args, dict(self.rules))


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


def opened(fn: Callable, *args: Any) -> tuple[list[Any], Callable]:
    """Arrays that `fn` closes over, and the same function of these and its arguments."""
    program = trace(lambda together: fn(*together), args)

    def of_all(given, *args):
        closed = program.closed.replace(consts=given)
        outputs = _start(Program(closed, program.structure), (args,), _apply, enter_all=False)
        return jax.tree.unflatten(program.structure, outputs)

    return program.closed.consts, of_all


def operations(program: Program, *args: Any) -> list[Operation]:
    """All operations that depend on the first argument, in order, without computing anything."""
    found = []

    def record(operation, inputs):
        found.append(operation)
        return operation(*inputs)

    jax.eval_shape(lambda *a: _start(program, a, record, enter_all=True), *args)
    return found


def evaluate(program: Program, args: Sequence[Any], rules: Rules, strict: bool = True) -> Any:
    """Evaluate a traced function with rules.

    Args:
        program: of `trace`.
        args: its arguments; the first is the image.
        rules: see `override`.
        strict: False: operations without a rule keep their own derivative, and only calls with a
            tag inside are entered. That is how activations are read.

    Returns:
        What the function returns.

    Raises:
        ValueError: see `override`.
    """
    entries = {kinds if isinstance(kinds, tuple) else (kinds,): r for kinds, r in rules.items()}
    by_kind = {kind: (kinds, rule) for kinds, rule in entries.items() for kind in kinds}
    plain = _MOVES if any(kind in by_kind for kind in LINEAR) else _MOVES | set(LINEAR)
    seen, used = set(), set()

    def visit(operation, inputs):
        kind = operation.kind
        seen.add(kind)
        if kind in by_kind:
            kinds, rule = by_kind[kind]
            used.add(kinds)
            return rule(operation, *inputs)
        if strict and kind not in plain and not kind.startswith("tap:"):
            raise ValueError(_no_rule(kind))
        return operation(*inputs)

    outputs = _start(program, args, visit, enter_all=strict)
    for kinds in entries:
        if kinds not in used:
            raise ValueError(
                f"the rule for {' or '.join(kinds)} matched nothing; the operations on the image "
                f"are {', '.join(sorted(seen)) or 'none'}"
            )
    return jax.tree.unflatten(program.structure, outputs)


def substitute(fn: Callable, rules: Mapping[str, Rule]) -> Callable:
    """Compute some operations of `fn` in another way, those that depend on any of its arguments.

    Unlike `override` it asks for nothing else. Calls are entered; loops and branches are not.

    Args:
        fn: any JAX function.
        rules: kind of operation -> rule(operation, *inputs).

    Returns:
        A function with the arguments of `fn`.
    """

    def visit(operation, inputs):
        rule = rules.get(operation.kind)
        return operation(*inputs) if rule is None else rule(operation, *inputs)

    def substituted(*args):
        program = trace(lambda together: fn(*together), args)
        outputs = _start(program, (args,), visit, enter_all=True)
        return jax.tree.unflatten(program.structure, outputs)

    return substituted


def _apply(operation, inputs):
    return operation(*inputs)


def _no_rule(kind):
    if kind == "pure_callback":
        return (
            "`score_fn` calls a function on the host, which cannot be looked into; use a method "
            "that only asks for scores: glas, rglas, occlusion, rise, lime, ..."
        )
    why = "is a loop or a branch" if kind in _LOOPS else "depends on the image"
    return (
        f"`{kind}` {why} and there is no rule for it, so what it does to the signal is unknown; "
        f"give one with saljax.override(score_fn, {{'{kind}': rule, ...}}), or write score_fn "
        "without it (rectifiers as jax.nn.relu, scores as logits and not as probabilities)"
    )


def _start(program, args, visit, enter_all):
    leaves = jax.tree.leaves(args)
    images = len(jax.tree.leaves(args[0]))
    marks = [_IMAGE] * images + [_OTHER] * (len(leaves) - images)
    return _read(program.closed, leaves, marks, visit, enter_all)[0]


def _read(closed, inputs, marks, visit, enter_all):
    """Values and marks of the outputs; a mark tells what depends on the image and what is 0."""
    jaxpr = getattr(closed, "jaxpr", closed)
    known = dict(zip(jaxpr.invars, zip(inputs, marks, strict=True), strict=True))
    consts = getattr(closed, "consts", ())
    known |= {var: (value, _OTHER) for var, value in zip(jaxpr.constvars, consts, strict=True)}

    def value_of(atom):
        if _is_literal(atom):
            return atom.val, _ZERO if np.ndim(atom.val) == 0 and atom.val == 0 else _OTHER
        return known[atom]

    for eqn in jaxpr.eqns:
        atoms = [value_of(atom) for atom in eqn.invars]
        inputs, marks = [value for value, _ in atoms], [mark for _, mark in atoms]
        called = _called(eqn)
        operation = _operation(eqn, marks)
        if _IMAGE not in marks:
            stays = eqn.primitive.name in ("broadcast_in_dim", "convert_element_type")
            outputs, mark = operation(*inputs), _ZERO if stays and marks[0] == _ZERO else _OTHER
        elif called is not None and not _is_tap(eqn) and (enter_all or _has_tap(called)):
            read = _read(called, inputs, marks, visit, enter_all)
            known |= zip(eqn.outvars, zip(*read, strict=True), strict=True)
            continue
        else:
            if operation.kind == "relu":
                inputs = [x for x, mark in atoms if mark == _IMAGE]
            # No derivative goes through integers and truth values, so they need no rule.
            smooth = any(jnp.issubdtype(v.aval.dtype, jnp.inexact) for v in eqn.outvars)
            outputs = visit(operation, inputs) if smooth else operation(*inputs)
            mark = _IMAGE
        outputs = [outputs] if len(eqn.outvars) == 1 else outputs
        known |= {var: (x, mark) for var, x in zip(eqn.outvars, outputs, strict=True)}
    return tuple(zip(*map(value_of, jaxpr.outvars), strict=True))


def _operation(eqn, marks):
    def compute(*inputs):
        outputs = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
        many = eqn.primitive.multiple_results
        return outputs[0] if many and len(eqn.outvars) == 1 else outputs

    dependent = tuple(mark == _IMAGE for mark in marks)
    shape = eqn.outvars[0].aval.shape if eqn.outvars else ()
    kind = _kind(eqn, marks, dependent)
    if kind == "relu":
        return Operation(kind, (True,), shape, jax.nn.relu, eqn.params)
    return Operation(kind, dependent, shape, compute, eqn.params)


def _kind(eqn, marks, dependent):
    name = eqn.primitive.name
    if _is_tap(eqn):
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


def _is_tap(eqn):
    return str(eqn.params.get("name", "")).startswith("tap:")


def _has_tap(closed):
    inner = [(eqn, _called(eqn)) for eqn in getattr(closed, "jaxpr", closed).eqns]
    return any(_is_tap(eqn) or (c is not None and _has_tap(c)) for eqn, c in inner)


def _called(eqn):
    """The function that a call runs on the call's own inputs; None where it is no call.

    Found by structure, since the names of calls drift: one inner function, same inputs.
    """
    inner = [value for value in eqn.params.values() if hasattr(value, "eqns")]
    if len(inner) != 1 or eqn.primitive.name in _LOOPS:
        return None
    takes = getattr(inner[0], "jaxpr", inner[0]).invars
    same = [(v.aval.shape, v.aval.dtype) for v in takes] == [
        (v.aval.shape, v.aval.dtype) for v in eqn.invars
    ]
    return inner[0] if same else None
