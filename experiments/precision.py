"""Does a classifier that computes in bfloat16 give the maps of float32, and how much faster?

For each method: rank and linear correlation of the two maps of an image, worst and median over the
images; how often the maximum stays where it is; and time, the least of three calls, in one run.

    python experiments/precision.py
    python experiments/precision.py --model resnet50 --weights FILE --data FOLDER --number 16

On a CPU, which computes bfloat16 through float32, there is nothing to win.
"""

import argparse
import functools
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import saljax
from saljax import metrics, scores
from saljax.data import birdlets, folders
from saljax.runs.classifier import load

METHODS = {
    "grad_cam": saljax.grad_cam,
    "contrastive_excitation_backprop": saljax.contrastive_excitation_backprop,
    "gradient": saljax.gradient,
    "integrated_gradients": functools.partial(saljax.integrated_gradients, num_steps=16),
    "lrp": saljax.lrp,
    "occlusion": saljax.occlusion,
    "rise": functools.partial(saljax.rise, num_masks=256),
    "glas": functools.partial(saljax.glas, grid=9),
}
OF_LOGITS = {"contrastive_excitation_backprop", "lrp"}


def pictures(known, data: Path | None, number: int) -> np.ndarray:
    """Birdlets, or photographs as the classifier takes them."""
    about = known.about
    if data is None:
        return np.asarray(birdlets.batch(3, range(number), size=about.input_shape[0])[0])
    found = folders.list_images(data)[:number]
    prepared = [
        folders.prepare(folders.read_image(path), about.resize or about.input_shape[0], about.crop)
        for path in found
    ]
    return np.stack(prepared)


def timed(method, score_fn, images, targets):
    """The maps, and seconds an image."""
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        maps = jax.block_until_ready(saljax.explain(method, score_fn, images, targets))
        seconds.append(time.perf_counter() - start)
    return maps, min(seconds[1:]) / len(images)


@jax.jit
@jax.vmap
def alike(one, other):
    same = jnp.argmax(one) == jnp.argmax(other)
    return metrics.spearman(one, other), metrics.pearson(one, other), same


def main() -> None:
    asked = argparse.ArgumentParser(description="float32 beside bfloat16")
    asked.add_argument("--model", default="birdlets")
    asked.add_argument("--weights", type=Path)
    asked.add_argument("--data", type=Path)
    asked.add_argument("--number", type=int, default=8)
    given = asked.parse_args()
    known = load(given.model, given.weights)
    images = pictures(known, given.data, given.number)
    half = known._replace(logits=scores.in_precision(known.logits, jnp.bfloat16))
    logits, rounded = (np.asarray(jax.jit(k.logits)(images)) for k in (known, half))
    targets = logits.argmax(1)
    agree = (rounded.argmax(1) == targets).mean()
    device, apart = jax.devices()[0].device_kind, np.abs(logits - rounded).max()
    print(f"{given.model}, {len(images)} images, {device}: the first choice is the same for")
    print(
        f"{100 * agree:.0f} %, logits are up to {apart:.2g} apart, of {np.abs(logits).max():.2g}."
    )
    print("\n| method | rank correlation, median | worst | linear, median | worst", end=" ")
    print("| maximum stays | s an image, float32 | bfloat16 |\n|---|---|---|---|---|---|---|---|")
    for name, method in METHODS.items():
        single, of_half = (
            k.logits if name in OF_LOGITS else k.probabilities for k in (known, half)
        )
        maps, seconds = timed(method, single, images, targets)
        others, of_others = timed(method, of_half, images, targets)
        rank, linear, same = map(np.asarray, alike(maps, others))
        cells = [np.median(rank), rank.min(), np.median(linear), linear.min()]
        values = " | ".join(f"{x:.4f}" for x in cells)
        clock = f"{seconds:.3f} | {of_others:.3f}"
        print(f"| {name} | {values} | {100 * same.mean():.0f} % | {clock} |", flush=True)


if __name__ == "__main__":
    main()
