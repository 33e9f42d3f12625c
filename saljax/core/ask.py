"""Ask a score function, and say in one line what is wrong where it does not answer."""

import contextlib
import contextvars
import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from saljax.core import foreign
from saljax.core.types import Images, ScoreFn, Scores

_CALLBACK = (
    "saljax.scores.from_callback(score_fn, num_classes) makes a score function of any function on "
    "the host, for methods that only ask for scores; from_keras, from_onnx and from_sklearn take "
    "models themselves, and from_torch with its gradient"
)
_LINEN = (
    "as a Linen model in training mode does: turn that off, as in "
    "saljax.scores.from_linen(model, variables, train=False)"
)
_REASONS = {
    "TraceContextError": "changes its own state, as an NNX model in training mode does: call "
    "model.eval(), or take saljax.scores.from_nnx(model), which leaves it as it is",
    "ModifyScopeVariableError": f"changes its own state, {_LINEN}",
    "InvalidRngError": f"draws at random, {_LINEN}",
    "TracerArrayConversionError": f"leaves JAX for numpy. {_CALLBACK}",
    "ConcretizationTypeError": "asks for the value of an image (if, float(), .item()), which is "
    f"not known when it is compiled: use jnp.where. {_CALLBACK}",
}
"""By the name of the error: the core imports none of the libraries that raise them."""
_OF_SHAPES = (TypeError, ValueError, IndexError, AssertionError, RuntimeError)
"""What models raise on images of another form than theirs."""


def ask(score_fn: ScoreFn, images: Images) -> Scores:
    """The scores of images.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        images: (N, *spatial, C).

    Raises:
        ValueError: it is a model that is no function of images; or it fails in a way that has a
            remedy, or what it returns are no scores (N, K).
    """
    found = answer(score_fn, images)
    check(found, len(images), foreign.hint(score_fn))
    if (seen := _seen.get()) is not None:
        seen.append(found.shape[1])
    return found


_seen: contextvars.ContextVar[list[int] | None] = contextvars.ContextVar("seen", default=None)


@contextlib.contextmanager
def asked() -> Iterator[list[int]]:
    """How many classes those score functions have that are asked meanwhile."""
    found: list[int] = []
    before = _seen.set(found)
    try:
        yield found
    finally:
        _seen.reset(before)


def answer(fn: Callable[[Images], Any], images: Images) -> Any:
    """What a function of images returns, which need be no scores.

    Raises:
        ValueError: it is a model that is no function of images; or it fails in a way that has a
            remedy.
    """
    foreign.refuse(fn)
    try:
        found = fn(images)
    except Exception as error:
        reason = _reason(error, images.shape, foreign.hint(fn, images.shape))
        if reason is None:
            raise
        first_line = str(error).partition("\n")[0]
        raise ValueError(f"`score_fn` {reason}. ({type(error).__name__}: {first_line})") from error
    if isinstance(images, Tracer) and isinstance(found, np.ndarray):
        raise ValueError(f"`score_fn` {_REASONS['TracerArrayConversionError']}.")
    return found


def _reason(error, shape, hint):
    for kind in type(error).__mro__:
        if kind.__name__ in _REASONS:
            return _REASONS[kind.__name__]
    text = str(error)
    if isinstance(error, ValueError) and "different trace level" in text:
        return "reads an NNX module of outside of it: saljax.scores.from_nnx(model) does not"
    if isinstance(error, TypeError | AttributeError) and re.search("Tracer|ArrayImpl", text):
        return f"does not take arrays of JAX, as functions of torch do not. {_CALLBACK}"
    if hint and (isinstance(error, _OF_SHAPES) or "Shape" in type(error).__name__):
        return f"does not take these images; {hint}"
    if isinstance(error, TypeError) and re.search("shape|dimension|ndim", text):
        return (
            f"does not take images of shape {shape}, which are (N, *spatial, channels): gray "
            "pictures need an axis of channels, image[..., None]; a batch is for saljax.explain, "
            "and one of its images is images[0]"
        )
    return None


@contextlib.contextmanager
def last_line_first() -> Iterator[None]:
    """An error of a function on the host starts with what it says, and not with twenty others."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        first, *others = str(error).strip().splitlines()
        if "callback" not in first or not others:
            raise
        text = f"{others[-1]} (in the function on the host)\n{error}"
        raise jax.errors.JaxRuntimeError(text) from None


def check(scores: Any, number: int | None = None, hint: str = "") -> None:
    """Refuse what are no scores of so many images; `hint` says what may be the reason.

    Raises:
        ValueError: they are not (N, K).
    """
    shape = getattr(scores, "shape", None)
    if shape is None:
        given = f"{type(scores).__name__}{_inside(scores)}"
        if scores is None:
            given = "None; is there a return?"
    elif len(shape) != 2 or number not in (None, shape[0]):
        given = f"shape {shape}" + (f" of {number} images" if number else "")
    else:
        return
    raise ValueError(
        f"`score_fn` must return scores (N, K), a row an image; got {given}. One score an image is "
        f"scores[:, None]; a function of one image is jax.vmap(score_fn).{hint and ' ' + hint}"
    )


def _inside(found):
    names = [repr(name) for name in names_in(found)]
    if not names:
        return "; take the scores out of it"
    return f" of {', '.join(names)}; saljax.scores.select(score_fn, {names[0]}) takes one out of it"


def names_in(found: Any) -> list[str | int]:
    """How the outputs of a model are called, in a dictionary, a record, a tuple or list."""
    if isinstance(found, Mapping):
        return list(found)
    if dataclasses.is_dataclass(found):
        fields = [field.name for field in dataclasses.fields(found)]
        return [name for name in fields if getattr(found, name) is not None]
    if hasattr(found, "_fields"):
        return list(found._fields)
    return list(range(len(found))) if isinstance(found, tuple | list) else []
