"""The host loop: named images in, one explanation an image out."""

import itertools
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saljax.core.ask import last_line_first
from saljax.core.compiled import call
from saljax.core.explain import explain
from saljax.core.types import Images, Method, ScoreFn, Scores
from saljax.runs import devices

SHORTEST, LONGEST = 5e-5, 2e-3
"""Seconds between two looks whether something is ready; programs may take less than one of the
longest. Our choice."""
Named = tuple[str, np.ndarray]
ChooseTargets = Callable[[np.ndarray], np.ndarray]


class Ask(NamedTuple):
    """A method, and what it is asked about.

    Attributes:
        method: configured.
        explained: what it explains where it is not what scores the images, such as its logits.
        one_class: it answers one class at a time: a call for each target.
    """

    method: Method
    explained: ScoreFn | None = None
    one_class: bool = False


class Explained(NamedTuple):
    """What is known about one image.

    Attributes:
        name: the name it came with.
        scores: (K,), of the whole image.
        targets: (T,) class indices that were explained.
        saliency: (M, T, *spatial), one map for each method and target.
    """

    name: str
    scores: np.ndarray
    targets: np.ndarray
    saliency: np.ndarray

    @property
    def problem(self) -> str | None:
        """Why this result is not to be trusted, in a few words; None if nothing is wrong."""
        if not np.isfinite(self.scores).all():
            return "the classifier's scores for it are not finite"
        if not np.isfinite(self.saliency).all():
            return "the map is not finite"
        return None


def explain_all(
    asks: Sequence[Ask],
    score_fn: ScoreFn,
    images: Iterable[Named],
    choose_targets: ChooseTargets,
    *,
    batch_size: int,
    key: jax.Array | None = None,
    timed: Callable[[float, int], None] | None = None,
) -> Iterator[Explained]:
    """Explain images of one shape as they come, a batch at a time.

    All batches have the same size (the last one is filled up with its last image), so each method
    is compiled once. A batch goes to all devices when it divides. A random method's key is folded
    from the image's pixels: the map of an image is the same in whatever company it comes.

    Args:
        asks: one or more configured methods, all asked about each image.
        score_fn: images (N, *spatial, C) -> scores (N, K); a pytree, as for `explain`.
        images: pairs of a name and (*spatial, C) float32, drawn as they are needed.
        choose_targets: scores (K,) -> (T,) class indices to explain, T the same for all images.
        batch_size: images in one call of `explain`.
        key: for random methods.
        timed: told, before the first batch is explained, how many seconds a forward pass of one
            image took, and how many targets each has.

    Yields:
        One `Explained` an image, in order.

    Raises:
        ValueError: the maps of the methods are of different sizes; or a method refuses.
    """
    images = iter(images)
    different = list({id(ask.explained): ask.explained for ask in asks}.values())
    score_fn, *subjects = devices.replicate((score_fn, *different), batch_size)
    of = {id(given): there for given, there in zip(different, subjects, strict=True)}
    of[id(None)] = score_fn
    while batch := list(itertools.islice(images, batch_size)):
        names = [name for name, _ in batch]
        pixels = [image for _, image in batch]
        stack, ids = together(pixels + [pixels[-1]] * (batch_size - len(batch)))
        scores = np.asarray(wait(score(score_fn, stack)))
        targets = np.stack([choose_targets(row) for row in scores]).astype(np.int32)
        if timed is not None:
            start = time.monotonic()
            wait(score(score_fn, stack))  # compiled by now
            timed((time.monotonic() - start) / batch_size, targets.shape[1])
            timed = None
        per_method = []
        for method, explained, one_class in asks:
            subject, separate = of[id(explained)], one_class or targets.shape[1] == 1
            asked = list(targets.T) if separate else [targets]
            maps = [explain(method, subject, stack, t, key=key, ids=ids) for t in asked]
            found = np.stack([np.asarray(wait(m)) for m in maps], axis=1)
            per_method.append(found if separate else found[:, 0])
        if len({found.shape for found in per_method}) > 1:
            sizes = ", ".join(str(found.shape[2:]) for found in per_method)
            raise ValueError(f"the maps must be of one size to be shown together; got {sizes}")
        per_image = np.stack(per_method, axis=1)
        for row, name in enumerate(names):
            yield Explained(name, scores[row], targets[row], per_image[row])


def score(score_fn: ScoreFn, images: Images) -> Scores:
    """Scores of a batch, as one compiled program; see `saljax.core.compiled`."""
    return call(score_fn, images)


def together(pixels: Sequence[np.ndarray]) -> tuple[jax.Array, np.ndarray]:
    """A batch on all devices, and for each image a number that its pixels decide.

    Args:
        pixels: images of one shape.

    Returns:
        (N, *spatial, C), and ids (N,) for `explain`.
    """
    ids = np.array([zlib.crc32(image.tobytes()) >> 1 for image in pixels], np.int32)
    return devices.shard(jnp.asarray(np.stack(pixels))), ids


def wait(array: Any) -> Any:
    """Wait in Python, where Ctrl-C is heard, and not inside the runtime, where it is not."""
    pause = SHORTEST
    while not array.is_ready():
        time.sleep(pause)
        pause = min(1.2 * pause, LONGEST)
    with last_line_first():
        return array.block_until_ready()
