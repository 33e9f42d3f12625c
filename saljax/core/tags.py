"""Names for activations, given by whoever wrote the function or by who found them in its trace."""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

from saljax.core.program import Operation, Program, read, trace
from saljax.core.survey import Activation
from saljax.core.types import Images


@jax.jit
def channels_last(x):
    """The identity inside a tag whose channels are known to be last."""
    return x


@functools.cache
def _identity(name: str, told: bool = False):
    def identity(x):
        return channels_last(x) if told else x

    identity.__name__ = f"tap:{name}"
    named = jax.jit(identity)

    # A score function that is the vmap of one example's: the axis of images comes to the front.
    @custom_vmap
    def in_front(x):
        return named(x)

    @in_front.def_vmap
    def _(size, in_batched, x):
        return tap(x), True

    @jax.custom_jvp  # since custom_vmap has no backward pass
    def tap(x):
        return in_front(x)

    tap.defjvp(lambda primals, tangents: (tap(*primals), *tangents))
    return tap


def tag(x: Float[Array, "..."], name: str, channels: int | None = None) -> Float[Array, "..."]:
    """Return `x` unchanged and name it in the traced program.

    The tag is an identity inside a jit called `tap:<name>`: found again by whoever reads the
    traced program, gone without trace from the compiled one.

    Args:
        x: any activation, images along its first axis; without that axis in a function of one
            example of which `score_fn` is the `jax.vmap`.
        name: the layer's name, unique within one score function.
        channels: the axis of `x` that holds the channels; what is named has it last. None: it is
            told from the operations before, see `saljax.layers`, and where these do not tell it is
            the last, as Flax has it.

    Returns:
        `x`.
    """
    if channels is not None:
        return jnp.moveaxis(_identity(name, True)(jnp.moveaxis(x, channels, -1)), -1, channels)
    return _identity(name)(x)


def tag_all(program: Program, images: Images, made: Mapping[str, Activation]) -> Program:
    """The same function with these activations tagged, each under its name.

    Only calls and loops that hold them are entered, so no other derivative changes.
    """
    at = {(one.path, one.output): (name, one) for name, one in made.items()}

    def after(where, outputs):
        named = [at.get((where.path, number)) for number in range(len(outputs))]
        return [x if n is None else _tagged(*n, x) for x, n in zip(outputs, named, strict=True)]

    def visit(operation, inputs):
        if operation.kind.startswith("tap:"):  # its turn, of a loop that is none any more
            told = "channels_last" in operation.inside
            return _identity(operation.kind.removeprefix("tap:"), told)(*inputs)
        return operation(*inputs)

    def again(given):
        enter = frozenset(path for path, _ in at)
        outputs = read(program, (given,), visit, enter=enter, after=after)
        return jax.tree.unflatten(program.structure, outputs)

    return trace(again, images)


def _tagged(name, made, x):
    """The value, named with its images first and without empty axes."""
    first = made.images
    own = [first, *(i for i in made.own if i != first)]
    order = [*own, *(i for i in range(x.ndim) if i not in own)]
    moved = x.transpose(order)
    seen = tag(moved.reshape(moved.shape[: len(own)]), name)
    return seen.reshape(moved.shape).transpose(np.argsort(order).tolist())


def shapes_of(found: Sequence[Operation], number: int = 1) -> dict[str, tuple[int, ...]]:
    """Shapes of the tagged activations among operations on so many images, as `tagged` has them."""
    taps = [o for o in found if o.kind.startswith("tap:")]
    names = [tap.kind.removeprefix("tap:") for tap in taps]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"the tags of `score_fn` must be unique; {', '.join(twice)} is not")
    for name, tap in zip(names, taps, strict=True):
        if tap.shape[:1] != (number,):
            raise ValueError(
                f"images must be along the first axis of what is tagged; of {number} {name!r} has "
                f"shape {tap.shape}"
            )
    return {name: tap.shape[1:] for name, tap in zip(names, taps, strict=True)}


def shape_of(
    shapes: Mapping[str, tuple[int, ...]], layer: str, called: str = "layer"
) -> tuple[int, ...]:
    """The shape of a layer among those `tagged`; `called` is the argument that named it.

    Raises:
        ValueError: it is not there; the message lists those that are.
    """
    if layer not in shapes:
        raise ValueError(
            f"`{called}` must be one of the activations tagged in `score_fn`: "
            f"{', '.join(shapes) or 'none are'}; got {layer!r}. Tag one inside the model with "
            "saljax.tag(x, name), outside of branches and loops of unknown length (lax.cond, "
            "lax.while_loop), which are not looked into"
        )
    return shapes[layer]
