"""What a traced function is a list of: operations on the image, and where they are."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Visit = Callable[["Operation", list[Any]], Any]
"""visit(operation, inputs) -> outputs: what is done with an operation on the image."""


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation on values that depend on the image; calling it with its inputs computes it.

    Attributes:
        kind: the name of JAX's primitive, or

            "relu": max(x, 0) however it was written; its one input is x;
            "leaky_relu", "silu", "gelu", "elu", "selu", "softplus", "mish", "hard_swish": the
            smooth rectifiers, however they were written, and "logistic", "hard_sigmoid"; their one
            input is x;
            "norm": what is divided by the root of a sum of its own squares, from the mean to that
            division: layer, group, instance and RMS normalization. Scale and shift are part of it
            where they are folded into it. Its first input is x, the others are constants;
            "softmax": an exponential over its sum; its first input is x;
            "min": min(x, c) as in a ReLU6; "maximum" and "minimum": all others;
            "product" and "quotient": where more than one factor depends on the image (a gate,
            attention); "select": a fixed choice; "tap:<name>": a tag; "rule:<kind>": an operation
            that has a rule already.
        dependent: for each input, whether it depends on the image.
        shape: of the (first) output.
        settings: what JAX's primitive is set to, such as the strides of a convolution; of one made
            of several, those of the last.
        kept: its derivative was asked for, see `saljax.override`, so it needs no rule.
    """

    kind: str
    dependent: tuple[bool, ...]
    shape: tuple[int, ...]
    compute: Callable = dataclasses.field(repr=False)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    kept: bool = False
    within: Callable[..., Any] | None = dataclasses.field(default=None, repr=False)

    def __call__(self, *inputs):
        """Compute the operation, for these or for other inputs, such as clipped weights."""
        return self.compute(*inputs)

    @property
    def inside(self) -> tuple[str, ...]:
        """Names of the functions that are called inside, if it is a call."""
        jaxpr = self.settings.get("jaxpr")
        return tuple(str(eqn.params.get("name", "")) for eqn in getattr(jaxpr, "eqns", ()))

    def apart(self, visit: Visit) -> Callable[..., Any]:
        """The operation as a function that does as `visit` says with each one it is made of.

        A norm whose scale has no derivative:

            def fixed(part, inputs):
                outputs = part(*inputs)
                return jax.lax.stop_gradient(outputs) if part.kind in ("rsqrt", "sqrt") else outputs

            rules = {"norm": lambda operation, *inputs: operation.apart(fixed)(*inputs)}
        """
        if self.within is None:
            return lambda *inputs: visit(self, list(inputs))
        return functools.partial(self.within, visit)


Path = tuple[int, ...]
"""Where an operation is in a traced function: its number there, after those of the calls around."""


class Where(NamedTuple):
    """A place in a traced function, the same however it is read.

    Attributes:
        path: of the operation, or of the call.
        scope: names that are open there, of `jax.named_scope`, such as "ResNet/layer4/conv1".
        call: the name of the function, if it is a call that was entered.
        turns: in which turns of the loops around it is, ":0" in the first of one.
    """

    path: Path = ()
    scope: str = ""
    call: str | None = None
    turns: str = ""


After = Callable[[Where, list[Any]], list[Any]]
"""after(where, outputs) -> outputs: what is done with what an operation, or a call, gave."""
