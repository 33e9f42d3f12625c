"""Whether the places of a layer reach the scores at all.

In many transformers only the class token is read behind the last attention: what the other tokens
hold there decides nothing, and a map of them is 0.
"""

import math

from saljax.core.axes import Tokens
from saljax.core.survey import Activation, Survey

_APART, _MIXED = 1, 2
"""How a value depends on tokens: each of its tokens on the same one, or in any way."""
_MIXES = ("conv", "cum", "scan", "while", "cond", "sort", "gather", "reduce_window", "rule:")


def reaches(seen: Survey, made: Activation) -> bool:
    """Whether a derivative may arrive at the layer's places from the scores.

    What is not understood is taken to mix the tokens, so that only a clear no is one.
    """
    start = _APART if any(isinstance(axis, Tokens) for axis in made.axes) else _MIXED
    how = {id(made.value): start}
    for flow in seen.flows:
        arrived = [(x, how[x]) for x in flow.inputs if x in how]
        if not arrived or flow.operation.kind == "stop_gradient":
            continue
        after = max(
            state if state == _MIXED else _through(flow.operation, seen.axes[x], seen, flow.outputs)
            for x, state in arrived
        )
        if after:
            how.update((x, max(after, how.get(x, 0))) for x in flow.outputs)
    return any(x in how for x in seen.ends)


def _through(operation, axes, seen, outputs):
    """What an operation makes of tokens that are apart; 0 if it takes none of the places."""
    along = next((i for i, axis in enumerate(axes) if isinstance(axis, Tokens)), None)
    if along is None or operation.kind.startswith(_MIXES):
        return _MIXED
    if operation.kind == "slice":
        first = axes[along].before
        low, high = (operation.settings[name][along] for name in ("start_indices", "limit_indices"))
        return _APART if low < first + math.prod(axes[along].grid) and high > first else 0
    kept = [axis for x in outputs for axis in seen.axes.get(x, ())]
    return _APART if sum(isinstance(axis, Tokens) for axis in kept) == len(outputs) else _MIXED
