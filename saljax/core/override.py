"""Re-evaluate a function with rules for its operations.

A rule is the same value with another derivative; guided backpropagation, excitation backpropagation
and LRP are a few of them each. What has no rule is named, and a rule that matched nothing too.
"""

import contextvars
import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import jax
from jax.tree_util import Partial

from saljax.core.host import UNREADABLE
from saljax.core.inlined import LOOPS
from saljax.core.program import Program, planned, read, trace
from saljax.core.scores import as_pytree

LINEAR = (
    "conv_general_dilated", "dot_general", "add", "add_any", "sub", "mul", "div", "neg",
    "reduce_sum", "reduce_window_sum", "cumsum",
)  # fmt: skip
"""Operations that are linear in the image, once those of two image-dependent factors are told
apart as "product" and "quotient"; their own derivative is never a surprise."""

MOVES = {
    "reshape", "transpose", "squeeze", "broadcast_in_dim", "concatenate", "pad",
    "slice", "split", "stack", "unstack", "tile", "rev", "dynamic_slice", "dynamic_update_slice",
    "gather", "scatter", "convert_element_type", "reduce_precision", "copy", "copy_p",
    "optimization_barrier", "stop_gradient",
    "min", "max", "select", "reduce_max", "reduce_min", "reduce_window_max", "reduce_window_min",
}  # fmt: skip
"""Operations that move values or choose among them: what arrives is sent back where it was from."""


Others = Literal["refuse", "gradient"]
"""What becomes of operations without a rule: see `override`."""

Rule = Callable[..., Any]
"""rule(operation, *inputs) -> output: the same value with another derivative, as a rule."""
Rules = Mapping[str, Rule | None] | Mapping[str | tuple[str, ...], Rule | None]


def override(fn: Callable, rules: Rules, *, others: Others = "refuse") -> Callable:
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
    derivatives) are entered, so the derivatives are those of the operations inside, and so are
    loops of known length (`scan`), each turn of which is read for itself. Of functions overridden
    twice, and of methods that are rules themselves, such as guided backpropagation, the rules add
    up: what has one already keeps it, and only the rest needs another.

    Args:
        fn: any JAX function; its first argument is the image, everything else is a constant.
        rules: kind of operation (see `Operation`), or several kinds -> rule(operation, *inputs);
            None for what keeps its derivative, and need not occur.
        others: what becomes of an operation that needs a rule and has none: "refuse" raises an
            error that names all of them, "gradient" lets it keep its derivative, and names them in
            a warning.

    Returns:
        A function with the arguments of `fn`; a pytree, so weights in `fn` stay arguments. Under a
        rule made with `jax.custom_vjp` it has no second derivative.

    Raises:
        ValueError: no such `others`; when called: an operation has no rule, or a rule matched
            nothing.
    """
    if others not in get_args(Others):
        raise ValueError(f"`others` must be 'refuse' or 'gradient'; got {others!r}")
    listed = [((k,) if isinstance(k, str) else tuple(k), rule) for k, rule in rules.items()]
    return Partial(_Overridden(tuple(listed), others), as_pytree(fn))


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

    rules: tuple[tuple[tuple[str, ...], Rule | None], ...]
    others: Others

    def __call__(self, fn, *args):
        again = _read_again.get()
        rules: dict[Any, Any] = {kinds: rule and _ruled(rule) for kinds, rule in self.rules}
        others = self.others if not again else "keep" if self.others == "gradient" else "leave"
        program = trace_for_rules(fn, *args)
        return evaluate(program, args, rules, others=others, named=rules)


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


def _kept(operation, inputs):
    """The operation, in a call that says that it needs no rule when the function is read again."""

    def inside(*inputs):
        return operation(*inputs)

    inside.__name__ = f"plain:{operation.kind}"
    return jax.jit(inside)(*inputs)


def evaluate(
    program: Program,
    args: Sequence[Any],
    rules: Rules,
    strict: bool = True,
    others: Literal["refuse", "gradient", "keep", "leave"] = "refuse",
    named: Rules | None = None,
) -> Any:
    """Evaluate a traced function with rules.

    Args:
        program: of `trace`.
        args: its arguments; the first is the image.
        rules: see `override`.
        strict: False: operations without a rule keep their own derivative, and only calls with a
            tag inside are entered. That is how activations are read.
        others: what becomes of what needs a rule and has none, see `override`. Where the function
            will be read again, with more rules, "keep" is what "gradient" is, and "leave" leaves it
            to that reading.
        named: rules whose kinds stand in the advice beside those that are missing.

    Returns:
        What the function returns.

    Raises:
        ValueError: see `override`.
    """
    plan = planned(program, args, "all" if strict else "tagged")
    entries = {kinds if isinstance(kinds, tuple) else (kinds,): r for kinds, r in rules.items()}
    by_kind = {kind: rule for kinds, rule in entries.items() for kind in kinds}
    plain = MOVES if any(kind in by_kind for kind in LINEAR) else MOVES | set(LINEAR)

    def needs_one(operation):
        kind = operation.kind
        easy = operation.kept or kind in plain or kind.startswith(("tap:", "rule:"))
        return strict and kind not in by_kind and not easy

    missing: dict[str, list[Any]] = {}
    for step, operation in plan.visited:
        if needs_one(operation):
            missing.setdefault(operation.kind, []).append(step)
    if missing and others == "refuse":
        raise ValueError(_no_rule(missing, [kind for kinds in named or () for kind in kinds]))
    # What has a rule already would have matched the one for its kind.
    seen = {operation.kind.removeprefix("rule:") for _, operation in plan.visited}
    for kinds, rule in entries.items():
        if rule is not None and seen.isdisjoint(kinds):
            raise ValueError(
                f"the rule for {' or '.join(kinds)} matched nothing; the operations on the image "
                f"are {', '.join(sorted(seen)) or 'none'}"
            )
    if missing and others == "gradient":
        warnings.warn(
            f"{_places(missing)}: no rule for these, so they keep their derivative", stacklevel=2
        )

    again = ("keep", "leave")

    def visit(operation, inputs):
        rule = by_kind.get(operation.kind)
        if rule is not None:
            return rule(operation, *inputs)
        told = operation.kind in by_kind and operation.kind not in MOVES.union(LINEAR)
        if (told and others in again) or (others == "keep" and needs_one(operation)):
            return _kept(operation, inputs)
        return operation(*inputs)

    outputs = plan(jax.tree.leaves(args), visit)
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


def _places(missing):
    """Kinds of operations, each with the first lines that do it."""
    listed = []
    for kind, steps in missing.items():
        lines = list(filter(None, dict.fromkeys(step.place for step in steps)))
        more = ", ..." if len(lines) > 3 else ""
        listed.append(f"`{kind}`" + (f" ({', '.join(lines[:3])}{more})" if lines else ""))
    return ", ".join(listed)


def _no_rule(missing, named):
    if "pure_callback" in missing:
        return UNREADABLE
    rules = ", ".join(f"{kind!r}: rule" for kind in (*named, *missing))
    loops = [kind for kind in missing if kind in LOOPS]
    return (
        f"{_places(missing)}: depends on the image, and there is no rule for it, so what it does "
        "to the signal is unknown"
        + (f" ({', '.join(loops)} is a loop or a branch)" if loops else "")
        + f". Give rules, saljax.override(score_fn, {{{rules}}}), or let it keep its derivative, "
        "others='gradient', or write score_fn without it (scores as logits and not as "
        "probabilities)"
    )
