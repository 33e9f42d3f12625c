"""From one image to many: the only vmap over images."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from saljax.core import checks, chunks, foreign
from saljax.core.ask import ask, asked, last_line_first
from saljax.core.compiled import at_once, closed
from saljax.core.keys import RandomKey, own
from saljax.core.types import Images, Method, ScoreFn
from saljax.ops import images as image_ops


def explain(
    method: Method,
    score_fn: ScoreFn,
    images: Images | Float[np.ndarray, "batch *spatial channels"],
    targets: Int[Array, "batch *classes_asked"]
    | np.ndarray
    | Sequence[int]
    | Sequence[Sequence[int]],
    *,
    key: RandomKey | None = None,
    ids: Int[Array, " batch"] | np.ndarray | None = None,
    batch_size: int | None = None,
    progress: Callable[[int, int], Any] | None = None,
    **unknown: Any,
) -> Any:
    """Explain many images with a method that explains one, as one compiled program.

        score_fn = saljax.scores.probabilities(saljax.models.load("birdlets"))
        targets = score_fn(images).argmax(1)
        maps = saljax.explain(functools.partial(saljax.glas, grid=9), score_fn, images, targets)

    The program is compiled once for a method, its hyperparameters, the structure of `score_fn` and
    the shapes; equal `functools.partial`s share it, and other weights of the same architecture do
    too. Arrays are its arguments, never its constants: weights, array-valued hyperparameters, and
    what either function closes over. So a map is always that of the weights of now, however they
    were changed. It depends on its image, target, id and key alone: not on batch size, order or
    devices.

    Where `images` are sharded over their first axis, each device runs the program on its own
    images, and no data moves between devices (other axes are gathered first):

        mesh = jax.make_mesh((8,), ("data",))
        images = jax.device_put(images, NamedSharding(mesh, PartitionSpec("data")))

    Memory grows with N times the method's `chunk_size`, or with `batch_size` times it: many images
    are explained that many at a time, by one program, the last batch filled with copies of its last
    image. Their maps are the same.

        method = functools.partial(saljax.rise, num_masks=500)
        maps = saljax.explain(method, score_fn, images, targets, batch_size=8, progress=print)

    Args:
        method: a method of saljax, or one with its signature; hyperparameters are given with
            `functools.partial(saljax.glas, sigma_light=3.0)`.
        score_fn: images (N, *spatial, C) -> scores (N, K): any JAX callable, see `saljax.scores`
            for models of other libraries. It is the fastest as a pytree with its weights as leaves:
            an NNX module (after `model.eval()`), `jax.tree_util.Partial(model.apply, variables)` of
            Linen, whatever `saljax.scores` makes. A function that closes over weights, such as
            `lambda x: model(x)`, is traced at each call, see `saljax.core.compiled`.
        images: (N, *spatial, C), in [0, 1]. Those in half precision are explained in float32; a
            classifier that computes in half precision converts inside its score function. Shapes
            that look like (N, 1 or 3, *spatial), and colors far below 0, are warned of.
        targets: class indices (N,), or (N, T) for methods that answer several classes at once.
        key: for random methods, of any generator; `jax.random.key(0)` if not given. Image i uses
            `fold_in(own(key), ids[i])`, see `saljax.core.keys`.
        ids: (N,) integers that name the images; 0..N-1 if not given.
        batch_size: images in work at once, in a loop on the host; images of numpy are copied to the
            device batch by batch. None: all of them.
        progress: called after each batch with the number of images done and N.
        **unknown: none; a hyperparameter that is given here is told where it goes.

    Returns:
        Maps (N, *spatial), or (N, T, *spatial); larger is more important. A method that was asked
        for its details gives a record whose arrays all have the axis of images first.

    Raises:
        ValueError: `targets` or `ids` do not go with the images or are no whole numbers of 32 bits,
            or targets are one-hot, or classes that do not exist; images are integers, or colors of
            0 to 255; the method has no such hyperparameter; `key` is no key, or the method has one
            already; `batch_size` is none, or given inside a jit or for sharded images. Inside a
            jit a class that does not exist gives a map of NaN. So does an image with NaN
            everywhere, and the maps of the others are what they are.
    """
    _check_method(method, unknown)
    if batch_size is not None:
        checks.count(batch_size=batch_size)
        return _in_batches(
            method, score_fn, images, targets, key, ids, batch_size, progress or (lambda *_: None)
        )
    if progress is not None:
        raise ValueError("`progress` goes with `batch_size`; all at once there is none to tell.")
    # Of numpy's a copy: the program runs on when this call has returned and they may change.
    images = jnp.array(images, copy=not isinstance(images, jax.Array))
    image_ops.check(images)
    foreign.warn_of_normalized(images)
    number = images.shape[0]
    targets = _whole("targets", targets, number)
    ids = jnp.arange(number) if ids is None else _whole("ids", ids, number)
    if images.dtype.itemsize < 4:
        images = images.astype(jnp.float32)
    _refuse_one_hot(score_fn, images, targets)
    threefry = jax.random.key(0, impl="threefry2x32") if key is None else own(key)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(threefry, ids)
    devices = _sharded(images)
    if devices is not None:
        images, targets, keys = devices.put((images, targets, keys), PartitionSpec(devices.axis))
    every = _with_keys if "key" in inspect.signature(method).parameters else _without_keys
    run = Partial(every, method, score_fn)
    arrays, program = closed(run, images, targets, keys, within=devices or at_once)
    if devices is not None:
        arrays = devices.put(arrays, PartitionSpec())
    with last_line_first(), asked() as classes:
        found = _explain(arrays, images, targets, keys, program=program)
    _refuse_no_class(targets, _classes.setdefault(program, max(classes, default=None)))
    foreign.warn_of_channels_first(images.shape)
    return found


def _in_batches(method, score_fn, images, targets, key, ids, batch_size, progress):
    """As `explain`, a batch after the other."""
    number = len(images)
    if isinstance(images, Tracer) or _sharded(images) is not None:
        raise ValueError(
            "`batch_size` is a loop on the host; inside a jit, or for sharded images, give fewer "
            "of them."
        )
    targets = _whole("targets", targets, number)
    ids = jnp.arange(number) if ids is None else _whole("ids", ids, number)
    _refuse_one_hot(score_fn, images, targets)
    parts = []
    for start in range(0, max(number, 1), batch_size):
        rows = np.minimum(np.arange(start, start + batch_size), number - 1)[: number or 0]
        found = explain(method, score_fn, images[rows], targets[rows], key=key, ids=ids[rows])
        parts.append(jax.block_until_ready(found))
        progress(min(start + batch_size, number), number)
    return jax.tree.map(lambda *each: jnp.concatenate(each)[:number], *parts)


def _check_method(method, unknown):
    """Tell what is no method, where hyperparameters go, and which there are."""
    given = method.keywords if isinstance(method, functools.partial) else {}
    function = method.func if isinstance(method, functools.partial) else method
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    kinds = [p.kind for p in parameters]
    ordered = [k for k in kinds if k <= Parameter.POSITIONAL_OR_KEYWORD]
    if len(ordered) < 3 and Parameter.VAR_POSITIONAL not in kinds:
        raise ValueError(
            "`method` must be a function of (score_fn, image, target), such as saljax.grad_cam, "
            "and comes before the classifier; got "
            f"{repr(method) if isinstance(method, str) else type(method).__name__}."
        )
    name = getattr(function, "__name__", type(function).__name__)
    for keyword in unknown:
        raise ValueError(
            f"`explain` has no `{keyword}`. If it is a hyperparameter of the method: "
            f"functools.partial({name}, {keyword}=...)."
        )
    if "key" in given:
        raise ValueError("give `key` to `explain`, which makes of it one for each image.")
    if Parameter.VAR_KEYWORD in kinds:
        return
    known = [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY]
    names = {p.name for p in parameters}
    for keyword in given:
        if keyword not in names:
            raise ValueError(f"{name} has no `{keyword}`; it has {', '.join(known) or 'none'}.")


@functools.partial(jax.jit, static_argnames="program")
def _explain(arrays, images, targets, keys, *, program):
    return program(arrays, images, targets, keys)


def _with_keys(method, score_fn, images, targets, keys):
    with chunks.images_at_once(len(images)):
        return jax.vmap(lambda x, t, k: method(score_fn, x, t, key=k))(images, targets, keys)


def _without_keys(method, score_fn, images, targets, keys):
    with chunks.images_at_once(len(images)):
        return jax.vmap(lambda x, t: method(score_fn, x, t))(images, targets)


def _whole(name, values, number):
    """Whole numbers, one or one row an image, as int32."""
    if values is None:
        raise ValueError(f"`{name}` must be whole numbers; got None.")
    if not isinstance(values, jax.Array):
        values = np.asarray(values, np.int32 if np.size(values) == 0 else None)
    if not jnp.issubdtype(values.dtype, jnp.integer):
        raise ValueError(f"`{name}` must be whole numbers; got {values.dtype}.")
    if isinstance(values, np.ndarray) and np.any(values != values.astype(np.int32)):
        raise ValueError(f"`{name}` must fit 32 bits; got {values.min()} to {values.max()}.")
    if values.shape[:1] != (number,) or values.ndim > (2 if name == "targets" else 1):
        one = " One image is images[None], and its target [target]." if values.size == 1 else ""
        raise ValueError(
            f"`{name}` must have one entry an image, {number} of them; got shape {values.shape}."
            f"{one}"
        )
    return jnp.asarray(values).astype(jnp.int32)


_classes: dict[Any, int | None] = {}
"""How many classes there are, seen while a program was traced."""


def _refuse_no_class(targets, number):
    if number is None or isinstance(targets, Tracer) or not targets.is_fully_addressable:
        return
    there = np.asarray(targets)
    if there.size and not 0 <= there.min() <= there.max() < number:
        wrong = there[(there < 0) | (there >= number)][0]
        raise ValueError(f"`targets` must be classes in 0..{number - 1}; got {wrong}.")


def _refuse_one_hot(score_fn, images, targets):
    """Rows of zeros with a single one would be read as T classes an image, 0 and 1."""
    if targets.ndim < 2 or isinstance(targets, Tracer) or not targets.is_fully_addressable:
        return
    rows, width = np.asarray(targets), targets.shape[1]
    one_hot = ((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all()
    if not one_hot or width < 2 or (width == 2 and (rows == rows[:1]).all()):
        return  # of two classes, (0, 1) for all images is a good question
    one = jax.ShapeDtypeStruct((1, *images.shape[1:]), images.dtype)
    if jax.eval_shape(functools.partial(ask, score_fn), one).shape[1] == width:
        raise ValueError(
            f"`targets` are class indices; got {width} zeros and ones an image, which looks "
            "one-hot: give targets.argmax(axis=1)."
        )


@dataclasses.dataclass(frozen=True)
class _Devices:
    """A mesh, and its axis along which images are sharded."""

    mesh: Any
    axis: Any

    def put(self, arrays, spec):
        put = jax.device_put if isinstance(self.mesh, Mesh) else jax.sharding.reshard
        return put(arrays, NamedSharding(self.mesh, spec))

    def __call__(self, run, arrays, *by_image):
        """Run on each device for its own images.

        Under shard_map a data-dependent loop ends on each device for itself; under the partitioner
        its condition would be a reduction over all devices at every step.
        """
        spec = PartitionSpec(self.axis)
        specs = (PartitionSpec(), *(spec for _ in by_image))
        sharded = jax.shard_map(
            run, mesh=self.mesh, in_specs=specs, out_specs=spec, check_vma=False
        )
        return sharded(arrays, *by_image)


def _sharded(images):
    """The devices over which images are sharded; in a jit, those of a mesh of explicit axes.

    Other tracers have no sharding yet, and the compiler finds one for them.
    """
    sharding = getattr(images, "sharding", jax.typeof(images).sharding)
    if not isinstance(sharding, NamedSharding):
        return None
    sharded = len(sharding.spec) > 0 and sharding.spec[0] is not None
    return _Devices(sharding.mesh, sharding.spec[0]) if sharded else None
