"""Training of explainers that learn: stage after stage, of a classifier that stays as it is."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from saljax.core import checks
from saljax.core.compiled import split_arrays
from saljax.core.scores import as_pytree
from saljax.core.types import ScoreFn
from saljax.methods.learned.explainer import Stage
from saljax.models import weights
from saljax.runs import devices
from saljax.runs.loop import wait
from saljax.training import ahead, checkpoints, losses, record, steps
from saljax.training.pace import Clock, Pace
from saljax.training.shown import Shown


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an explainer is shown images, of whatever kind it is. All values are our choice.

    Attributes:
        batch_size: images of a step; all of them where there are fewer.
        mirror: swap left and right of half of the images.
        least_area: smallest share of an image that is cut out at random and shown in its place,
            see `augment.random_resized_crop`; 1 shows all of it.
        kept_bytes: what the classifier says of the images, its activations, is computed once and
            not again in each epoch, as far as it takes no more memory than this: the scores, then
            the activations from the coarsest on. Not where images never repeat, or are mirrored or
            cut at random.
    """

    batch_size: int = 64
    mirror: bool = False
    least_area: float = 1.0
    kept_bytes: int = 2 << 30

    def __post_init__(self):
        checks.count(batch_size=self.batch_size)
        checks.not_negative(kept_bytes=self.kept_bytes)
        if not 0 < self.least_area <= 1:
            raise ValueError(f"`least_area` must lie in (0, 1]; got {self.least_area}.")

    def check(self, image_shape: tuple[int, ...]) -> None:
        """Raise ValueError where images (*spatial, C) cannot be mirrored or cut as asked."""
        square = len(image_shape) == 3 and image_shape[0] == image_shape[1]
        if self.augments and not square:
            raise ValueError(
                "`mirror` and `least_area` are for square pictures; the images have shape "
                f"{image_shape}."
            )

    def per_epoch(self, number: int) -> int:
        """Steps of an epoch, for so many images."""
        return number // min(self.batch_size, number)

    @property
    def augments(self) -> bool:
        """Whether an image is shown in another way each time."""
        return self.mirror or self.least_area < 1


class Epoch(NamedTuple):
    """What one epoch came to.

    Attributes:
        stage: its name.
        epoch: of this stage, from 1.
        loss: mean over the steps, with batch norms in training.
        held_out: mean over the images held out, as the explainer is used; None without any.
    """

    stage: str
    epoch: int
    loss: float
    held_out: float | None


def train(
    explainer: Any,
    stages: Sequence[Stage],
    score_fn: ScoreFn,
    shown: Shown,
    recipe: Recipe,
    key: Key[Array, ""],
    *,
    out: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    report: Callable[[Epoch], None] = lambda epoch: None,
    advance: Callable[[Pace | None], None] = lambda pace: None,
) -> Any:
    """Train an explainer, or go on where a run that was broken off had come to.

    In `out` lies afterwards `training.json`, what was done and what each epoch came to;
    `checkpoints` holds the state after the last epoch, or at the last Ctrl-C, and the same call
    goes on from there. What is random depends on key and step alone, so the weights are the same
    bit by bit as those of an undisturbed run, see `steps.run`.

    The classifier's weights are arguments of the compiled step; no derivative is formed for them.

    Args:
        explainer: that has learned nothing yet; it stays as it is.
        stages: of its training, one after the other.
        score_fn: the classifier it is for.
        shown: images to learn from and images to test on.
        recipe: how.
        key: of the order of the images and of everything random in a step.
        out: folder to write to; None: nothing is written.
        settings: what else decides the result, as JSON, by which a run is known again.
        report: called after each epoch.
        advance: called after each step, with None for those that were done before.

    Returns:
        The explainer of the epoch of the last stage with the lowest loss on the images held out;
        without any, of the last epoch.

    Raises:
        ValueError: images of another shape than the explainer's; nothing to do; `out` has another
            run; or a loss is no longer finite.
        OSError: something cannot be read or written.
    """
    recipe.check(explainer.fit.image_shape)
    shape = np.shape(shown.train[np.arange(1)])[1:]
    if shape != explainer.fit.image_shape:
        raise ValueError(
            f"the images have shape {shape}; the explainer is for {explainer.fit.image_shape}."
        )
    for stage in stages:
        checks.not_negative(epochs=stage.epochs)
    stages = [stage for stage in stages if stage.epochs]
    if not stages:
        raise ValueError("no stage has an epoch, so nothing would be learned")
    tensors, begin = weights.parameters(explainer), 0
    with checkpoints.opened(out and out / "checkpoints") as saved:
        run = _Run(explainer, stages, score_fn, shown, recipe, key, saved, report, advance)
        if out is not None:
            run.resume(out, settings or {})
        for stage in stages:
            tensors = run.learn(stage, begin, tensors)
            begin += stage.epochs * run.per_epoch
    return weights.assign(explainer, tensors)


class _Found(NamedTuple):
    """What a checkpoint holds: the state, and of the last stage the best weights and their loss."""

    state: steps.State
    best: steps.Weights
    lowest: Float[Array, ""]

    @property
    def result(self) -> steps.Weights:
        return self.best or _tensors(self.state)


class _Run:
    """What the stages of a run share."""

    def __init__(self, explainer, stages, score_fn, shown, recipe, key, saved, report, advance):
        self.explainer, self.shown, self.recipe, self.saved = explainer, shown, recipe, saved
        self.report, self.advance, self.last = report, advance, stages[-1:]
        self.epochs, self.write = [], lambda: None
        self.arrays, self.rest = split_arrays(as_pytree(score_fn))
        self.size = min(recipe.batch_size, len(shown.train))
        self.per_epoch = recipe.per_epoch(len(shown.train))
        of_order, self.key, self.held_out_key = jax.random.split(key, 3)
        if shown.endless:
            self.rows = lambda step: np.arange(step * self.size, (step + 1) * self.size)
        else:
            seed = int(jax.random.randint(of_order, (), 0, 2**31 - 1))
            self.rows = steps.order(seed, len(shown.train), self.size)
        again = sum(stage.epochs for stage in stages) > 1 and not shown.endless
        self.looks_ahead = again and not recipe.augments

    def resume(self, out, settings):
        """Find what a folder knows of this run, and write there."""
        done = self.saved.latest
        if done is not None:
            known = record.same_run(out, settings)[: done // self.per_epoch]
            self.epochs = [Epoch(**epoch) for epoch in known]
        for _ in range(done or 0):
            self.advance(None)
        self.write = lambda: record.write(out, settings, [e._asdict() for e in self.epochs])
        self.write()

    @functools.cached_property
    def parts(self):
        """What of the classifier's passes is kept."""
        if not self.looks_ahead:
            return ()
        layers, most = self.explainer.fit.layers, self.recipe.kept_bytes
        images = self.shown.train
        return ahead.looked(self.arrays, self.rest, images, layers, self.size, most)

    def learn(self, stage, begin, tensors):
        """One stage, from the step it begins with; what was done before is not done again."""
        end, latest = begin + stage.epochs * self.per_epoch, self.saved.latest or 0
        if latest > end:
            return tensors
        optimizer = losses.optimizer(stage, self.per_epoch)
        in_step, held_out = losses.of_stage(
            blank(self.explainer), self.rest, stage, self.recipe.least_area, self.recipe.mirror
        )
        state = steps.begin(*losses.parted(self.explainer, tensors, stage), optimizer)
        best = _tensors(state) if [stage] == self.last else {}
        found = _Found(state._replace(step=jnp.int32(begin)), best, jnp.float32(jnp.inf))
        if latest > begin:
            found = self.saved.restore(found)
            if latest % self.per_epoch == 0:  # perhaps broken off before it was recorded
                found = self.end_of_epoch(stage, begin, found, held_out)
        if latest == end:
            return found.result
        parts, clock = self.parts, Clock()

        def batch(step):
            rows = self.rows(step).astype(np.int32)
            return self.shown.train[rows], tuple(part[rows] for part in parts)

        states = steps.run(
            in_step, optimizer, found.state, batch, self.key, end, self.per_epoch, (self.arrays,)
        )
        try:
            for state in states:
                found, step = found._replace(state=state), int(state.step)
                loss = float(state.loss) / ((step - 1) % self.per_epoch + 1)
                self.advance(clock.pace(stage.name, loss, self.size, end - step))
                if step % self.per_epoch == 0:
                    with clock.stopped():
                        found = self.end_of_epoch(stage, begin, found, held_out)
        except KeyboardInterrupt:
            self.saved.save(int(found.state.step), found)
            raise
        return found.result

    def end_of_epoch(self, stage, begin, found, held_out):
        """Test, remember the best, save, record; nothing new where all of it was done before."""
        state, number = found.state, int(found.state.step) // self.per_epoch
        new = len(self.epochs) < number
        if new:
            loss, tested = float(state.loss) / self.per_epoch, self.test(held_out, state)
            number -= begin // self.per_epoch
            if not math.isfinite(loss + (tested or 0)):
                raise ValueError(
                    f"the loss of epoch {number} of the stage {stage.name!r} is not finite; try a "
                    "lower learning rate, and another folder"
                )
            self.epochs.append(Epoch(stage.name, number, loss, tested))
        tested = self.epochs[-1].held_out
        if [stage] == self.last and (tested is None or tested < float(found.lowest)):
            lowest = jnp.float32(jnp.inf if tested is None else tested)
            found = _Found(state, _tensors(state), lowest)
        self.saved.save(int(state.step), found)
        self.write()
        if new:
            self.report(self.epochs[-1])
        return found

    def test(self, held_out, state):
        """Mean loss over the images held out; the last batch is filled up with the first ones."""
        images, values = self.shown.held_out, []
        if images is None:
            return None
        size, tensors = min(self.size, len(images)), _tensors(state)
        arrays = devices.replicate(self.arrays, size)
        for first in range(0, len(images), size):
            batch = devices.shard(jnp.asarray(images[np.arange(first, first + size) % len(images)]))
            key = jax.random.fold_in(self.held_out_key, first)
            values.append(wait(held_out(tensors, batch, key, arrays)))
        return float(np.mean(values))


def blank(explainer: Any) -> tuple[Any, Any]:
    """Shapes of an explainer's weights, and its rest: what its steps are compiled for."""
    arrays, rest = split_arrays(explainer)
    return tuple(jax.ShapeDtypeStruct(each.shape, each.dtype) for each in arrays), rest


def _tensors(state):
    return {**state.kept, **state.weights}
