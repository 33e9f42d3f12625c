r"""A learned map as the start of an optimized mask: how many steps does it save?

    python experiments/refine.py --number 40 --picture experiments/results/refine.png

On held-out birdlets, for the bundled explainers: the loss of meaningful perturbation (both games)
and of extremal perturbation, against the step, from their own start and from a learned map. For
extremal perturbation (one area) the map's ranks are the start: its highest 4 percent, as a mask.
Printed: the mean loss after 0, 10, 30, 100 and all steps, less that which the usual start ends
with, and the step at which the mean loss first is as low as that. Results: results/refine.md.
"""

import argparse
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from birdlets_all_methods import BLUR, MASK_12
from glas_on_birdlets import SEED, predicted

import saljax
from saljax.data import birdlets
from saljax.runs import classifier
from saljax.runs.explainers import equipped

STEPS, AREA, BATCH = 300, 0.04, 10
AT = (0, 10, 30, 100, STEPS - 1)


def started(method, explainer, score_fn_of_explainer, begin):
    """The method, from what `begin` makes of the learned map."""

    def refined(score_fn, image, target, *, key):
        start = begin(explainer(score_fn_of_explainer, image, target))
        return method(score_fn, image, target, key=key, initial=start)

    return refined


def kept(saliency):
    """A mask that keeps what is relevant: the map, stretched to 0..1."""
    low, high = saliency.min(), saliency.max()
    return (saliency - low) / (high - low)


def removed(saliency):
    """A mask that perturbs what is relevant."""
    return 1 - kept(saliency)


def highest(saliency):
    """A mask that keeps the highest share of the pixels that extremal perturbation may keep."""
    return (saliency > jnp.quantile(saliency, 1 - AREA)).astype(saliency.dtype)


def games():
    """Name, method, what a learned map becomes, and the scores it explains."""
    meaningful = functools.partial(
        saljax.meaningful_perturbation, num_steps=STEPS, details=True, **MASK_12
    )
    for game, begin in (("deletion", removed), ("preservation", kept)):
        yield (
            f"meaningful, {game}",
            functools.partial(meaningful, game=game),
            begin,
            "probabilities",
        )
    extremal = functools.partial(
        extremal_with_key, areas=(AREA,), num_steps=STEPS, step=3, sigma=9.0, max_blur=2 * BLUR,
        details=True,
    )  # fmt: skip
    yield "extremal", extremal, highest, "logits"


def extremal_with_key(score_fn, image, target, *, key, **keywords):
    del key  # it draws nothing
    return saljax.extremal_perturbation(score_fn, image, target, **keywords)


def losses(method, score_fn, images, labels):
    """(images, steps)."""
    found = []
    for first in range(0, len(images), BATCH):
        some = slice(first, first + BATCH)
        ids = np.arange(first, first + BATCH)
        found.append(saljax.explain(method, score_fn, images[some], labels[some], ids=ids).losses)
    return np.concatenate(found)


def main(number, picture):
    known = classifier.load("birdlets", None)
    drawn = [birdlets.sample(SEED, index) for index in range(2 * number)]
    scores = predicted(known.logits, [s.image for s in drawn])
    right = [s for s, row in zip(drawn, scores, strict=True) if row.argmax() == s.label]
    right = right[: min(number, len(right)) // BATCH * BATCH]
    images, labels = np.stack([s.image for s in right]), np.asarray([s.label for s in right])
    steps = " | ".join(str(step if step < STEPS - 1 else STEPS) for step in AT)
    print(f"{len(images)} birds; loss less that of the usual start after {STEPS} steps\n")
    print(f"| method | start | {steps} | as low at step |\n|{'---|' * (len(AT) + 3)}")
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for axis, (name, method, begin, kind) in zip(axes, games(), strict=True):
        score_fn, end = getattr(known, kind), None
        for start in ("its own", "variational", "masking_model", "dre"):
            run = method
            if start != "its own":
                learned = functools.partial(getattr(saljax, start))
                learned = equipped(learned, start, known)
                run = started(method, learned, known.logits, begin)
            curve = losses(run, score_fn, images, labels).mean(axis=0)
            end = curve[-1] if end is None else end
            below = np.flatnonzero(curve <= end)
            cells = " | ".join(f"{curve[step] - end:+.4f}" for step in AT)
            print(f"| {name} | {start} | {cells} | {below[0] if len(below) else '-'} |", flush=True)
            axis.plot(curve, label=start.replace("_", " "))
        axis.set(title=name, xlabel="step", xscale="symlog")
    axes[0].set_ylabel("mean loss")
    axes[-1].legend(title="start")
    if picture:
        figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Learned maps as starts of optimized masks.")
    parser.add_argument("--number", type=int, default=40)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    with jax.default_matmul_precision("highest"):
        main(options.number, options.picture)
