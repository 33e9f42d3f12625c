"""The weights of a classifier among what trainers save with them: prefixes, copies, counters."""

import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

WRAPPERS = ("module", "_orig_mod")
"""What torch's data parallel and its compiler put into names, anywhere."""
COPIES = {"ema", "averaged", "average", "avg", "swa", "shadow", "teacher", "momentum"}
"""Words in the names of copies that trail behind the weights."""

Say = Callable[[str], None]
Named = dict[str, np.ndarray]


class Layout(NamedTuple):
    """The names of a classifier's tensors, and the layer of them that gives the logits."""

    names: Collection[str]
    head: str

    @property
    def body(self) -> set[str]:
        """All names but the head's."""
        return {name for name in self.names if not name.startswith(f"{self.head}.")}


def is_copy(name: str) -> bool:
    """Whether a name speaks of a copy, such as a moving average."""
    return not COPIES.isdisjoint(re.split(r"[._]", name.lower()))


def fitted(tensors: Named, layouts: Sequence[Layout], say: Say) -> Named:
    """Find the weights of a classifier among named tensors.

    Taken off are the wrappers of torch and what else stands before all of its names, such as
    `model.` or `backbone.`; passed over are copies and counters beside it; and a head that is a
    list with one layer of weights, such as dropout and `fc.1`, is read as that layer.

    Args:
        tensors: under any names.
        layouts: the names that will do, one classifier's in several conventions.
        say: told in one line what was done, where anything was.

    Returns:
        Tensors under the names of the first layout whose body is there; what is neither of it nor
        passed over stays as it is. Where no body is complete, all tensors, without what their names
        have in common.

    Raises:
        ValueError: the weights are there several times, or others beside them; or there is no
            head, or one of several layers.
    """
    tensors, taken = _unwrapped(tensors)
    for layout in layouts:
        prefixes = _prefixes(tensors, layout.body)
        if prefixes:
            break
    else:
        return _without_what_is_common(tensors, layouts)
    prefix, *others = [one for one in prefixes if not is_copy(one)] or prefixes
    if others:
        those = ", ".join(map(repr, (prefix, *others)))
        raise ValueError(f"the weights are there several times, under {those}; keep one of them")
    inside = {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
    inside, head = _with_head(inside, layout)
    outside = {name: value for name, value in tensors.items() if not name.startswith(prefix)}
    passed = [
        name
        for name, value in (*inside.items(), *outside.items())
        if name not in layout.names and (is_copy(name) or (value.size == 1 and "." not in name))
    ]
    strange = [name for name in outside if name not in passed]
    if strange:
        raise ValueError(
            f"the weights lie under {prefix!r}, and beside them is {', '.join(strange[:2])}; keep "
            "those of the classifier alone"
        )
    taken += [prefix] if prefix else []
    said = [f"taken off the names: {', '.join(taken)}"] if taken else []
    said += [f"passed over: {_listed(passed)}"] if passed else []
    said += [f"{head} is read as {layout.head}"] if head != layout.head else []
    if said:
        say("; ".join(said))
    return {name: value for name, value in inside.items() if name not in passed}


def _without_what_is_common(tensors: Named, layouts: Sequence[Layout]) -> Named:
    """Names without what all have in front, where those of a layout come out."""
    common = os.path.commonprefix(list(tensors))
    plain = {name[common.rfind(".") + 1 :]: value for name, value in tensors.items()}
    return plain if any(not plain.keys().isdisjoint(one.names) for one in layouts) else tensors


def _unwrapped(tensors: Named) -> tuple[Named, list[str]]:
    """Names without counters and the wrappers of torch, unless two names became one."""
    tensors = {k: v for k, v in tensors.items() if not k.endswith(".num_batches_tracked")}
    plain = {".".join(p for p in k.split(".") if p not in WRAPPERS): v for k, v in tensors.items()}
    if len(plain) < len(tensors):
        return tensors, []
    return plain, [f"{w}." for w in WRAPPERS if any(w in name.split(".") for name in tensors)]


def _prefixes(tensors: Named, body: set[str]) -> list[str]:
    """What stands before all names of the body, shortest first."""
    one = min(body)
    ends = (name.removesuffix(one) for name in tensors if f".{name}".endswith(f".{one}"))
    found = {prefix for prefix in ends if all(prefix + name in tensors for name in body)}
    return sorted(found, key=lambda prefix: (len(prefix), prefix))


def _with_head(tensors: Named, layout: Layout) -> tuple[Named, str]:
    """Tensors with the head under its own name, and the name that it had."""
    if any(name.startswith(f"{layout.head}.") and name in layout.names for name in tensors):
        return tensors, layout.head
    top = layout.head.split(".")[0]
    root = layout.head if any(name.startswith(f"{top}.") for name in layout.body) else top
    inside = [name for name in tensors if name.startswith(f"{root}.")]
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in inside))
    if not layers:
        raise ValueError(
            f"these are features without a head: there is no {layout.head}, the layer that gives "
            "the logits"
        )
    if len(layers) > 1:
        raise ValueError(f"the head has several layers ({', '.join(layers)}); it must be one")
    renamed = {
        f"{layout.head}.{name.rpartition('.')[2]}" if name in inside else name: value
        for name, value in tensors.items()
    }
    return renamed, layers[0]


def _listed(names: Iterable[str]) -> str:
    """Names of single numbers, and of copies what they begin with."""
    shown = dict.fromkeys(f"{n.split('.')[0]}.*" if is_copy(n) and "." in n else n for n in names)
    return ", ".join(shown)
