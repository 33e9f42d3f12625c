"""Re-evaluate a function with rules for its operations.

A rule is the same value with another derivative; guided backpropagation, excitation backpropagation
and LRP are a few of them each. What has no rule is named, and a rule that matched nothing too.
"""

import contextvars
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax.tree_util import Partial

from saljax.core.program import LOOPS, Program, read, trace
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
    derivatives) are entered, so the derivatives are those of the operations inside. Of functions
    overridden twice, and of methods that are rules themselves, such as guided backpropagation, the
    rules add up: what has one already keeps it, and only the rest needs another.

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


_read_again = contextvars.ContextVar("read_again", default=False)
"""Whether what is traced will be read with more rules: it need not have them all itself."""


def trace_for_rules(fn: Callable, *args: Any) -> Program:
    """Trace a function to read it with rules; those that it has by `override` are kept."""
    token = _read_again.set(True)
    try:
        return trace(fn, *args)
    finally:
        _read_again.reset(token)


@dataclasses.dataclass(frozen=True)
class _Overridden:
    """Hashable where the rules are: the same rules for other weights are the same program."""

    rules: tuple[tuple[tuple[str, ...], Rule], ...]

    def __call__(self, fn, *args):
        complete = not _read_again.get()
        rules: dict[Any, Rule] = {kinds: _ruled(rule) for kinds, rule in self.rules}
        return evaluate(trace_for_rules(fn, *args), args, rules, complete=complete)


def _ruled(rule):
    """The rule, in a call that is not entered when the function is read again."""

    def call(operation, *inputs):
        def inside(*seen):
            seen = iter(seen)
            pairs = zip(inputs, operation.dependent, strict=True)
            return rule(operation, *(next(seen) if dependent else x for x, dependent in pairs))

        inside.__name__ = f"rule:{operation.kind}"
        dependent = zip(inputs, operation.dependent, strict=True)
        return jax.jit(inside)(*(x for x, seen in dependent if seen))

    return call


def evaluate(
    program: Program,
    args: Sequence[Any],
    rules: Rules,
    strict: bool = True,
    complete: bool = True,
) -> Any:
    """Evaluate a traced function with rules.

    Args:
        program: of `trace`.
        args: its arguments; the first is the image.
        rules: see `override`.
        strict: False: operations without a rule keep their own derivative, and only calls with a
            tag inside are entered. That is how activations are read.
        complete: False: what has no rule is not told, since it will be read again.

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
        if kind.startswith("rule:"):  # the one for its kind would have matched
            used.update(kinds for kinds in entries if kind.removeprefix("rule:") in kinds)
        if kind in by_kind:
            kinds, rule = by_kind[kind]
            used.add(kinds)
            return rule(operation, *inputs)
        if strict and complete and kind not in plain and not kind.startswith(("tap:", "rule:")):
            raise ValueError(_no_rule(kind))
        return operation(*inputs)

    outputs = read(program, args, visit, enter="all" if strict else "tagged")
    for kinds in entries:
        if kinds not in used:
            raise ValueError(
                f"the rule for {' or '.join(kinds)} matched nothing; the operations on the image "
                f"are {', '.join(sorted(seen)) or 'none'}"
            )
    return jax.tree.unflatten(program.structure, outputs)


def substitute(fn: Callable, rules: Mapping[str, Rule]) -> Callable:
    """Compute some operations of `fn` in another way, those that depend on any of its arguments.

    Unlike `override` it asks for nothing else, and leaves all derivatives what they were. Calls
    without a derivative of their own are entered; loops and branches are not.

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
        outputs = read(program, (args,), visit, enter="plain")
        return jax.tree.unflatten(program.structure, outputs)

    return substituted


def _no_rule(kind):
    if kind == "pure_callback":
        return (
            "`score_fn` calls a function on the host, which cannot be looked into; use a method "
            "that only asks for scores: glas, rglas, occlusion, rise, lime, ..."
        )
    why = "is a loop or a branch" if kind in LOOPS else "depends on the image"
    return (
        f"`{kind}` {why} and there is no rule for it, so what it does to the signal is unknown; "
        f"give one with saljax.override(score_fn, {{'{kind}': rule, ...}}), or write score_fn "
        "without it (rectifiers as jax.nn.relu, scores as logits and not as probabilities)"
    )
