"""Teach a classifier other classes: pictures in, weights that `models.load` takes out."""

import functools
import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Int

from saljax.models import transfer, weights
from saljax.ops import augment
from saljax.runs import records, store
from saljax.training import checkpoints, record, steps
from saljax.training.framing import Framed

WARM_UP = 0.05
"""Share of all steps in which the learning rate grows from 0. Our choice."""


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained. All values are our choice.

    Attributes:
        train: `"head"`: only the layer that gives the logits learns; `"all"`: everything.
        epochs: times that every picture is seen.
        batch_size: pictures of a step; all of them where there are fewer.
        learning_rate: of AdamW at its highest, after a linear warm-up over `WARM_UP` of all steps
            and before a cosine down to 0; once more so over the epochs that are added to a run.
        weight_decay: of AdamW, on kernels; biases, and scales of batch norms, have none.
        batch_norm: `"stored"`: batch norms use the statistics they came with, which stay, and if
            all is trained scale and bias learn; right for few pictures and small batches, and
            what is trained is what is explained. `"batch"`: they use those of the batch and move
            the stored ones towards them; what a network that was drawn at random needs.
        least_area: smallest share of a picture that is shown, see `augment.random_resized_crop`.
            Half of the pictures are mirrored.
        seed: of the new head, the order of the pictures and what is cut out of them.
    """

    train: transfer.Part = "all"
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    batch_norm: Literal["stored", "batch"] = "stored"
    least_area: float = 0.35
    seed: int = 0

    def steps(self, pictures: int) -> tuple[int, int]:
        """Return the pictures of a step and the steps of an epoch, for so many pictures."""
        size = min(self.batch_size, pictures)
        return size, pictures // size


class Trained(NamedTuple):
    """What came of a run.

    Attributes:
        weights: file of those of the last epoch.
        best: file of those of the epoch with the most held-out pictures right; of several the last.
        epochs: all of them.
        predicted: what the best say of the held-out pictures, class indices.
    """

    weights: Path
    best: Path
    epochs: list["Epoch"]
    predicted: Int[np.ndarray, " held_out"]


class Epoch(NamedTuple):
    """What one epoch came to: mean loss, and how many of the held-out pictures were right."""

    epoch: int
    loss: float
    correct: int
    held_out: int


def best(epochs: Sequence[Epoch]) -> Epoch:
    """Return the epoch with the most held-out pictures right; of several the last."""
    return max(epochs, key=lambda epoch: (epoch.correct, epoch.epoch))


def train(
    data: Framed,
    name: str,
    recipe: Recipe,
    out: Path,
    *,
    init: Path | None = None,
    report: Callable[[Epoch], None] = lambda epoch: None,
    advance: Callable[[], None] = lambda: None,
) -> Trained:
    """Train a classifier, or go on with a run that was broken off or is to have more epochs.

    In `out` lie afterwards `weights.safetensors` of the last epoch and `best.safetensors` of the
    best one, each with the names of the classes (`.labels.txt`), and `training.json`, what was done
    and what each epoch came to. `checkpoints` holds the state after the last epoch, or at the last
    Ctrl-C; the same call goes on from there. What is random depends on seed and step alone, so the
    weights are the same bit by bit as those of an undisturbed run, see `steps.run`. Called with
    more epochs than before, it first ends what was asked before, then learns for the rest, the
    learning rate up and down once more.

    Args:
        data: the pictures.
        name: of the classifier, one of `models.names()`.
        recipe: how.
        out: folder to write to.
        init: file of weights to start from, see `transfer.start`; None: from scratch.
        report: called after each epoch.
        advance: called after each step, also for those that were done before.

    Returns:
        What came of it.

    Raises:
        ValueError: only a head is to be trained and there is nothing to start from; weights of
            another classifier; `out` has another run, or more epochs; or the loss is no longer
            finite.
        OSError: something cannot be read or written.
    """
    if init is None and recipe.train == "head":
        raise ValueError("to train only the head, give --init: weights that the rest keeps")
    batch_size, per_epoch = recipe.steps(len(data.train))
    rows = steps.order(recipe.seed, len(data.train), batch_size)
    settings = _settings(data, name, recipe, init)
    of_best = out / "best.safetensors"
    with checkpoints.opened(out / "checkpoints") as saved:
        known = [] if saved.latest is None else _known(out, settings)
        ends = [*settings["epochs_before"], recipe.epochs]
        optimizer = _optimizer(recipe, tuple(end * per_epoch for end in ends))
        epochs = [Epoch(**epoch) for epoch in known]

        def write() -> None:
            done = [epoch._asdict() for epoch in epochs]
            record.write(out, settings, done, classes=data.classes)

        model = transfer.start(name, len(data.classes), seed=recipe.seed, init=init)
        blank = transfer.blank(name, model)
        state = steps.begin(*transfer.split(name, model, recipe.train), optimizer)
        if saved.latest is not None:
            state = saved.restore(state)
            del epochs[int(state.step) // per_epoch :]
        write()

        def end_of_epoch(state: steps.State) -> None:
            number, loss = int(state.step) // per_epoch, float(state.loss) / per_epoch
            if not math.isfinite(loss):
                raise ValueError(
                    f"the loss of epoch {number} is not finite; try a lower --learning-rate, and "
                    "another --out"
                )
            saved.save(int(state.step), state)
            score_fn = weights.assign(blank, {**state.kept, **state.weights})
            right = steps.hits(score_fn, data.held_out, data.held_out.labels, batch_size)
            now = Epoch(number, loss, int(right.sum()), len(right))
            if now is best([*epochs, now]):
                _export(of_best, name, data.classes, {**state.kept, **state.weights})
            epochs.append(now)
            write()
            report(epochs[-1])

        for _ in range(int(state.step)):
            advance()
        try:
            if len(epochs) < int(state.step) // per_epoch:  # broken off between save and record
                end_of_epoch(state)
            states = steps.run(
                _loss(blank, recipe, data.side),
                optimizer,
                state,
                lambda step: (data.train[rows(step)], data.train.labels[rows(step)]),
                jax.random.key(recipe.seed),
                recipe.epochs * per_epoch,
                per_epoch,
            )
            for state in states:
                advance()
                if int(state.step) % per_epoch == 0:
                    end_of_epoch(state)
        except KeyboardInterrupt:
            saved.save(int(state.step), state)
            raise
    last = out / "weights.safetensors"
    _export(last, name, data.classes, {**state.kept, **state.weights})
    score_fn = weights.assign(blank, weights.read(of_best))
    predicted = steps.predicted(score_fn, data.held_out, len(data.held_out), batch_size)
    return Trained(last, of_best, epochs, predicted)


@functools.cache  # and the optimizer: another run like this one finds its step compiled
def _loss(blank: Any, recipe: Recipe, side: int) -> steps.Loss:
    def loss(learning, kept, batch, key):
        (images, labels), (of_cut, of_mirror) = batch, jax.random.split(key)
        images = augment.random_resized_crop(images, of_cut, side, recipe.least_area)
        images = augment.mirror(images, of_mirror)
        logits, moved = transfer.forward(
            blank,
            {**kept, **learning},
            images,
            batch_statistics=recipe.batch_norm == "batch",
        )
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), moved

    return loss


@functools.cache
def _optimizer(recipe: Recipe, ends: tuple[int, ...]) -> optax.GradientTransformation:
    """AdamW for a run that had so many steps when it was first asked for, then so many, ..."""

    def up_and_down(num_steps: int) -> optax.Schedule:
        warm_up = round(WARM_UP * num_steps)
        return optax.warmup_cosine_decay_schedule(0.0, recipe.learning_rate, warm_up, num_steps)

    lengths = [end - start for start, end in itertools.pairwise((0, *ends))]
    schedule = optax.join_schedules([*map(up_and_down, lengths)], list(ends[:-1]))

    def kernels(learning):
        return {name: value.ndim > 1 for name, value in learning.items()}

    return optax.adamw(schedule, weight_decay=recipe.weight_decay, mask=kernels)


def _settings(data: Framed, name: str, recipe: Recipe, init: Path | None) -> dict[str, Any]:
    """What decides the result, but for the versions of programs."""
    pictures = hashlib.sha256()
    for frames in (data.train, data.held_out):
        for path, label in zip(frames.names, frames.labels.tolist(), strict=True):
            pictures.update(f"{Path(path).name} {data.classes[label]}\n".encode())
    return {
        "model": name,
        "init": init and f"{init.name}, sha256 {records.sha256(init)}",
        **asdict(recipe),
        "epochs_before": [],
        "image_size": data.side,
        "pictures": len(data.train),
        "held_out": len(data.held_out),
        "sha256_of_names": pictures.hexdigest(),
    }


def _known(out: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The epochs of a folder, which may have been asked for fewer: then `settings` say so too."""
    there, wanted = record.read(out)["settings"], settings["epochs"]
    had = [*there.get("epochs_before", ()), there.get("epochs", wanted)]
    if had[-1] > wanted:
        raise ValueError(f"{out} has a run of {had[-1]} epochs, more than {wanted}")
    epochs = record.same_run(out, settings | {"epochs": had[-1], "epochs_before": had[:-1]})
    settings["epochs_before"] = had if wanted > had[-1] else had[:-1]
    return epochs


def _export(target: Path, name: str, classes: tuple[str, ...], tensors: steps.Weights) -> None:
    store.write(target.with_suffix(".labels.txt"), "\n".join([*classes, ""]).encode())
    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    # One entry: several come in any order, and the same weights would be another file.
    weights.write(target, arrays, {"made_by": f"saljax train classifier --model {name}"})
