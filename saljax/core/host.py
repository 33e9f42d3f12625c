"""Score functions that are computed outside of JAX, on the host."""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from saljax.core.types import ScoreFn

UNREADABLE = (
    "`score_fn` calls a function on the host, which cannot be looked into; use a method that only "
    "asks for scores: glas, rglas, occlusion, rise, lime, ..."
)
"""What is said where a method would look inside."""

Pullback = Callable[[np.ndarray, np.ndarray], np.ndarray]


def from_callback(
    fn: Callable[[np.ndarray], np.ndarray], num_classes: int, *, pullback: Pullback | None = None
) -> ScoreFn:
    """Score function of any black box on the host: torch, TensorFlow, a web service.

    The box is called from inside the compiled program with whole batches: all perturbed images of
    a chunk, for all images of the call, arrive in one array. Forward-only methods work with it;
    with a `pullback`, those too that ask for the gradient with respect to the image, but not those
    that look at layers or change rules.

    Args:
        fn: numpy images (N, *spatial, C) float32 in [0, 1] -> scores (N, num_classes). It must
            answer the same for the same image whatever else is in the batch.
        num_classes: K.
        pullback: the gradient of `fn`: images (N, *spatial, C), what is sent back from the scores
            (N, num_classes) -> what arrives, like the images: sum_k back[n, k] d fn(images)[n, k] /
            d images[n].

    Returns:
        Score function that can be jitted and vmapped; it raises TypeError when a derivative is
        asked for that is not there.

    Raises:
        jax.errors.JaxRuntimeError: when it is called, with a line that says so: `fn` returned
            another shape than (N, num_classes), or raised something itself.
    """
    return Partial(_Host(fn, num_classes, pullback))


@dataclasses.dataclass(frozen=True)
class _Host:
    """The score function of a function on the host; the same for the same function."""

    fn: Callable[[np.ndarray], np.ndarray]
    num_classes: int
    pullback: Pullback | None = None

    def __call__(self, images):
        return (_scores if self.pullback is None else _differentiable)(self, images)

    def answer(self, rank, batch):
        """Scores of images that have this many axes, whatever axes come before them."""
        batch = np.asarray(batch, np.float32)
        leading, shape = batch.shape[:-rank], batch.shape[-rank:]
        found = np.asarray(self.fn(batch.reshape(-1, *shape)), np.float32)
        expected = (math.prod(leading), self.num_classes)
        _check(found, expected, "the callback must return scores", "one row an image")
        return found.reshape(*leading, self.num_classes)

    def sent_back(self, rank, batch, back):
        """What arrives at these images."""
        assert self.pullback is not None
        flat = np.asarray(batch, np.float32).reshape(-1, *batch.shape[-rank:])
        back = np.asarray(back, np.float32).reshape(-1, self.num_classes)
        found = np.asarray(self.pullback(flat, back))
        _check(found, flat.shape, "`pullback` must return an array", "like the images")
        return found.astype(batch.dtype).reshape(batch.shape)


def _check(found, expected, what, like):
    if found.shape != expected:
        raise ValueError(f"{what} of shape {expected}, {like}; got {found.shape}.")


def _on_host(host, images):
    answer = functools.partial(host.answer, images.ndim - 1)
    out = jax.ShapeDtypeStruct((images.shape[0], host.num_classes), jnp.float32)
    return jax.pure_callback(answer, out, images, vmap_method="expand_dims")


_scores = jax.custom_jvp(_on_host, nondiff_argnums=(0,))


@_scores.defjvp
def _(host, primals, tangents):
    raise TypeError(
        "a score function on the host (`from_callback`) has no derivative; use a method that only "
        "asks for scores: glas, rglas, occlusion, rise, lime, ..., or give its `pullback`, as "
        "from_torch does"
    )


_differentiable = jax.custom_vjp(_on_host, nondiff_argnums=(0,))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _sent_back(host, images, back):
    sent = functools.partial(host.sent_back, images.ndim - 1)
    like = jax.ShapeDtypeStruct(images.shape, images.dtype)
    return jax.pure_callback(sent, like, images, back, vmap_method="broadcast_all")


@_sent_back.defjvp
def _(host, primals, tangents):
    raise TypeError("a score function on the host has no second derivative")


_differentiable.defvjp(
    lambda host, images: (_on_host(host, images), images),
    lambda host, images, back: (_sent_back(host, images, back),),
)
