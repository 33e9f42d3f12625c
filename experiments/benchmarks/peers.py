r"""Perturbed and optimized passes per second beside captum's Occlusion and TorchRay, in one run.

captum and TorchRay are run as they are published and never read. The same ResNet-50 weights are
loaded into torchvision's network on one side and into ours on the other, whose batch norms
`fold_batch_norm` has folded. Everything takes turns in one process, and the rates are those of
medians; the first call of each, which compiles or warms up, is not counted. torch has all cores.
The bare networks, forward and forward and back, stand beside.

torch, torchvision, captum and TorchRay are installed as `agreement_with_peers.py` says; then

    python experiments/benchmarks/peers.py --weights resnet50.safetensors

Results: results/peers.md.
"""

import argparse
import functools
import os
import platform
import statistics
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import saljax
from saljax.models.fold import fold_batch_norm

sys.path.insert(0, str(Path(__file__).parents[1]))
from agreement_with_peers import network  # noqa: E402

BATCH = 32
WINDOW, STRIDE = 32, 16
MASKS = 128
STEPS = 12


def rates(turns, runs):
    """Passes per second of each: name -> (run, passes a call)."""

    def seconds(run):
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    for run, _ in runs.values():
        run()
    times = [[seconds(run) for run, _ in runs.values()] for _ in range(turns)]
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    return {
        name: passes / median
        for (name, (_, passes)), median in zip(runs.items(), medians, strict=True)
    }


def of_torch(weights, image):
    """Runs of torch, captum and TorchRay."""
    net, _ = network(weights, double=False)
    import torch  # pyright: ignore[reportMissingImports]
    from captum.attr import Occlusion  # pyright: ignore[reportMissingImports]
    from torchray.attribution.extremal_perturbation import (  # pyright: ignore[reportMissingImports]
        extremal_perturbation,
    )
    from torchray.attribution.rise import rise  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(os.cpu_count() or 1)
    net.requires_grad_(False)
    x = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))[None])
    batch = x.repeat(BATCH, 1, 1, 1)
    occlusion, windows = Occlusion(net), ((image.shape[0] - WINDOW) // STRIDE + 1) ** 2 + 1

    def forward(images):
        with torch.no_grad():
            net(images)

    def forward_and_back(number):
        images = batch[:number].clone().requires_grad_(True)
        net(images)[:, 0].sum().backward()

    def occluded():
        with torch.no_grad():
            occlusion.attribute(
                x, (3, WINDOW, WINDOW), (3, STRIDE, STRIDE), target=0, perturbations_per_eval=BATCH
            )

    def risen():
        with torch.no_grad():
            rise(net, x, 0, num_masks=MASKS, batch_size=BATCH)

    channels_last = batch.contiguous(memory_format=torch.channels_last)
    return {
        "torch forward": (lambda: forward(batch), BATCH),
        "torch forward, channels last": (lambda: forward(channels_last), BATCH),
        "captum Occlusion": (occluded, windows),
        "TorchRay RISE": (risen, MASKS),
        "torch forward and back, 1 image": (lambda: forward_and_back(1), 1),
        "torch forward and back, 4 images": (lambda: forward_and_back(4), 4),
        "TorchRay extremal perturbation, 1 area": (
            lambda: extremal_perturbation(net, x, 0, areas=[0.1], max_iter=STEPS),
            STEPS,
        ),
        "TorchRay extremal perturbation, 4 areas": (
            lambda: extremal_perturbation(net, x, 0, areas=[0.05, 0.1, 0.2, 0.4], max_iter=STEPS),
            4 * STEPS,
        ),
    }


def of_jax(weights, image):
    """Runs of ours."""
    logits = fold_batch_norm(saljax.models.load("resnet50", weights))
    image = jnp.asarray(image)
    batch = jnp.repeat(image[None], BATCH, axis=0)
    windows = (-(-image.shape[0] // STRIDE)) ** 2 + 1  # those that begin inside the image

    def compiled(method, **keywords):
        program = jax.jit(functools.partial(method, **keywords))
        return lambda: jax.block_until_ready(program(logits, image, 0))

    def extremal(areas):
        return compiled(saljax.extremal_perturbation, areas=areas, num_steps=STEPS)

    forward = jax.jit(lambda fn, images: fn(images))
    back = jax.jit(lambda fn, images: jax.grad(lambda i: fn(i)[:, 0].sum())(images))
    ours = functools.partial(saljax.rise, key=jax.random.key(0))
    return {
        "saljax forward": (lambda: jax.block_until_ready(forward(logits, batch)), BATCH),
        "saljax occlusion": (
            compiled(saljax.occlusion, window=WINDOW, stride=STRIDE, baseline=0.0),
            windows,
        ),
        "saljax rise": (compiled(ours, num_masks=MASKS, baseline=0.0), MASKS),
        "saljax forward and back, 1 image": (
            lambda: jax.block_until_ready(back(logits, batch[:1])),
            1,
        ),
        "saljax forward and back, 4 images": (
            lambda: jax.block_until_ready(back(logits, batch[:4])),
            4,
        ),
        "saljax extremal_perturbation, 1 area": (extremal((0.1,)), STEPS),
        "saljax extremal_perturbation, 4 areas": (extremal((0.05, 0.1, 0.2, 0.4)), 4 * STEPS),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Rates beside captum and TorchRay.")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()

    image = np.random.default_rng(0).random((224, 224, 3), np.float32)
    runs = of_torch(options.weights, image) | of_jax(options.weights, image)
    found = rates(options.turns, runs)
    print(f"{platform.machine()}, {os.cpu_count()} cores, JAX {jax.__version__}\n")
    print("| | passes per second |\n|---|---|")
    for name, rate in found.items():
        print(f"| {name} | {rate:.2f} |")
