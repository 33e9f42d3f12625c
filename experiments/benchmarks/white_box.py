r"""What white-box methods cost beside one forward-and-backward pass: ratios measured in one run.

    python experiments/benchmarks/white_box.py --weights FILE

All methods explain the same batch with `saljax.explain`; the bare pass is the compiled derivative
of the target's score with respect to the images, of the same batch. They take turns, and a ratio is
that of their medians, of seconds on the clock and of processor time (which counts where other work
shares the machine). Methods of several passes are divided by their number of passes. Compiling is
the first call less a later one, in processor time.
"""

import argparse
import functools
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np

import saljax

PASSES = 2
EBP, CONTRASTIVE = saljax.excitation_backprop, saljax.contrastive_excitation_backprop
METHODS = {
    "gradient": saljax.gradient,
    "input_x_gradient": saljax.input_x_gradient,
    f"smoothgrad, each of {PASSES} passes": functools.partial(
        saljax.smoothgrad, num_samples=PASSES, chunk_size=1
    ),
    f"integrated_gradients, each of {PASSES} passes": functools.partial(
        saljax.integrated_gradients, num_steps=PASSES, chunk_size=1
    ),
    "guided_backprop": saljax.guided_backprop,
    "deconvnet": saljax.deconvnet,
    "lrp": saljax.lrp,
    "grad_cam at layer4": functools.partial(saljax.grad_cam, layer="layer4"),
    "grad_cam_plus_plus at layer4": functools.partial(saljax.grad_cam_plus_plus, layer="layer4"),
    "excitation_backprop at layer3": functools.partial(EBP, layer="layer3"),
    "excitation_backprop at maxpool": functools.partial(EBP, layer="maxpool"),
    "contrastive_excitation_backprop at layer3": functools.partial(CONTRASTIVE, layer="layer3"),
}


@jax.jit
def forward(score_fn, images):
    return score_fn(images)


@jax.jit
def forward_and_backward(score_fn, images, targets):
    def score(images):
        return score_fn(images)[jnp.arange(len(images)), targets].sum()

    return jax.grad(score)(images)


def seconds(run) -> np.ndarray:
    """On the clock, and of processor time."""
    start = time.perf_counter(), time.process_time()
    jax.block_until_ready(run())
    return np.subtract((time.perf_counter(), time.process_time()), start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="White-box methods against one bare pass.")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()

    score_fn = saljax.models.load(options.model, options.weights)
    shape = saljax.models.info(options.model).input_shape
    images = jax.random.uniform(jax.random.key(0), (options.batch, *shape))
    targets = jnp.arange(options.batch)
    runs = {
        "forward": functools.partial(forward, score_fn, images),
        "forward and backward": functools.partial(forward_and_backward, score_fn, images, targets),
    } | {
        name: functools.partial(saljax.explain, method, score_fn, images, targets)
        for name, method in METHODS.items()
    }
    first = {name: seconds(run) for name, run in runs.items()}
    later = {name: [] for name in runs}
    for _ in range(options.turns):
        for name, run in runs.items():
            later[name].append(seconds(run) / (PASSES if "passes" in name else 1))

    medians = {name: np.median(times, axis=0) for name, times in later.items()}
    bare = medians["forward and backward"]
    device = jax.devices()[0].device_kind
    print(f"{options.model}, {device}, {platform.machine()}, JAX {jax.__version__}, ", end="")
    print(f"batches of {options.batch}, {options.turns} turns\n")
    print("| pass or method | s | of a pass | CPU s | of a pass | compiling, CPU s |")
    print("|---|---|---|---|---|---|")
    for name, (clock, cpu) in medians.items():
        compiling = first[name][1] - cpu * (PASSES if "passes" in name else 1)
        ratios = f"{clock:.2f} | {clock / bare[0]:.2f} | {cpu:.2f} | {cpu / bare[1]:.2f}"
        print(f"| {name} | {ratios} | {compiling:.1f} |")
