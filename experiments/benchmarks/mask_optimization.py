r"""What learning a mask costs beside the passes of its classifier: ratios measured in one run.

    python experiments/benchmarks/mask_optimization.py [--weights FILE] [--batch 4 16] [--bf16]

- Steps: steps x images per second of meaningful perturbation (without its start, whose 37 passes
  are forward only) over images per second of one compiled pass forward and back, the gradient of
  the scores with respect to the images, at the same batch size. The two take turns, and the ratio
  is that of their medians.
- One program: the largest batch as one call of `explain` over as many calls with one image each.
- bf16: the same steps with weights and activations of the classifier in bfloat16 (masks, losses
  and Adam stay in float32), and how far its maps are from those in float32.
"""

import argparse
import functools
import platform
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import saljax
from saljax.models.constructors import BUILD
from saljax.models.fold import fold_batch_norm


def in_turns(turns: int, clock, *runs) -> list[float]:
    """Median seconds of each; the first call of each, which compiles, is not counted."""

    def seconds(run):
        start = clock()
        jax.block_until_ready(run())
        return clock() - start

    for run in runs:
        seconds(run)
    times = [[seconds(run) for run in runs] for _ in range(turns)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def single(model, images):
    return jax.nn.softmax(model(images))


def half(model, images):
    return jax.nn.softmax(model(images.astype(jnp.bfloat16)).astype(jnp.float32))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Mask optimization against its bare classifier.")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--weights", help="random ones are as fast; maps need real ones")
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--side", type=int, help="of the images; the model's own if not given")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--cpu-time", action="store_true", help="seconds of CPU, for busy machines")
    options = parser.parse_args()

    if options.weights:
        model = saljax.models.load(options.model, options.weights)
    else:
        model = BUILD[options.model](rngs=nnx.Rngs(0))
    model = fold_batch_norm(model)
    side = options.side or saljax.models.info(options.model).input_shape[0]
    steps, largest = options.steps, max(options.batch)
    # Smooth pictures: white noise is like nothing a classifier knows.
    images = jax.random.uniform(jax.random.key(0), (largest, 8, 8, 3))
    images = jax.image.resize(images, (largest, side, side, 3), "cubic").clip(0, 1)
    score_fns = {"float32": jax.tree_util.Partial(single, model)}
    if options.bf16:
        low = jax.tree.map(lambda weight: weight.astype(jnp.bfloat16), model)
        score_fns["bfloat16"] = jax.tree_util.Partial(half, low)

    clock = time.process_time if options.cpu_time else time.perf_counter
    learn: Any = functools.partial(saljax.meaningful_perturbation, num_steps=steps, init="ones")
    backward = jax.jit(jax.grad(lambda images, score_fn: score_fn(images)[:, 0].sum()))
    device = jax.devices()[0].device_kind
    print(
        f"{options.model}, {side} x {side}, {device}, {platform.machine()}, JAX {jax.__version__}"
    )
    of = "CPU time" if options.cpu_time else "time"
    print(f"{steps} steps, {of}, medians of {options.turns} turns\n")

    print("| classifier in | batch | forward and back, images/s | steps x images/s | ratio |")
    print("|---|---|---|---|---|")
    for precision, score_fn in score_fns.items():
        for size in options.batch:
            batch, targets = images[:size], np.zeros(size, np.int32)

            def bare(batch=batch, score_fn=score_fn):
                for _ in range(steps):
                    gradient = backward(batch, score_fn)
                return gradient

            def masks(batch=batch, targets=targets, score_fn=score_fn):
                return saljax.explain(learn, score_fn, batch, targets)

            of_bare, of_masks = in_turns(options.turns, clock, bare, masks)
            rates = [size * steps / of_bare, size * steps / of_masks]
            ratio = of_bare / of_masks
            print(f"| {precision} | {size} | {rates[0]:.2f} | {rates[1]:.2f} | {ratio:.3f} |")

    score_fn, targets = score_fns["float32"], np.zeros(largest, np.int32)

    def together():
        return saljax.explain(learn, score_fn, images, targets)

    def one_by_one():
        return [saljax.explain(learn, score_fn, image[None], [0]) for image in images]

    of_one_program, of_calls = in_turns(1, clock, together, one_by_one)
    print(f"\n{largest} images as one program: {of_calls / of_one_program:.2f} times as fast as ")
    print(f"{largest} calls of one ({of_one_program:.2f} s against {of_calls:.2f} s)")

    if options.bf16:
        targets = np.asarray(score_fn(images).argmax(axis=1))
        maps, low_maps = (
            np.asarray(saljax.explain(learn, f, images, targets)).reshape(largest, -1)
            for f in score_fns.values()
        )
        pairs = zip(maps, low_maps, strict=True)
        likeness = statistics.median(np.corrcoef(a, b)[0, 1] for a, b in pairs)
        away = np.abs(maps - low_maps).max(axis=1)
        print(f"\nmaps in bfloat16: median correlation {likeness:.4f} with those in float32, ")
        print(f"largest difference {statistics.median(away):.3f} (median over images)")
