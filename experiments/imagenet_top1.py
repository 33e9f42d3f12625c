"""Top-1 and top-5 of ResNet-50 and ResNet-18 on 400 ILSVRC 2012 validation photographs.

The weights (product-quantised ResNets) and photographs lie in `../shared/real`, outside the
repository, under non-commercial terms; its README states what the weights reach:

    ResNet-50  top-1 72.2 %, top-5 91.5 %   validation 1..1000, original pictures
    ResNet-18  top-1 65.9 %                 the copies of short side 256 that are measured here
               top-5 87.4 %                 original pictures

A figure here should be within two standard errors of the stated one; with 400 photographs a
standard error is 2.2 points for top-1 and 1.4 for top-5.

Cost: 2 minutes of core time, 4 minutes on 2 busy cores. Command:

    python experiments/imagenet_top1.py
"""

import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from saljax import models
from saljax.data.folders import prepare, read_image
from saljax.models.architectures import resnet

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "real"
RESULTS = ROOT / "experiments" / "results" / "imagenet_top1.md"
STATED = {"resnet50": (0.722, 0.915), "resnet18": (0.659, 0.874)}
BATCH = 25


def decoded(name):
    """Return the path of a ResNet's weights, decoded once into the temporary folder."""
    target = Path(tempfile.gettempdir()) / "saljax-real" / f"{name}.safetensors"
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        source = REAL / "weights" / f"{name}_imagenet.codes.npz"
        subprocess.run([sys.executable, REAL / "decode.py", source, target], check=True)
    return target


def photographs(resize, crop):
    """Return images (N, crop, crop, 3) and their classes (N,)."""
    facts = json.loads((REAL / "photos" / "ilsvrc_boxes.json").read_text())
    folder = REAL / "photos" / "ilsvrc"
    images = [prepare(read_image(folder / fact["file"]), resize, crop) for fact in facts]
    return np.stack(images), np.array([fact["label"] for fact in facts])


def hits(forward, score_fn, images, classes):
    """Return whether the class is the first (N,), and whether it is among the first five (N,)."""
    batches = [forward(score_fn, images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    ranked = np.argsort(-np.concatenate(batches), axis=1)
    return ranked[:, 0] == classes, (ranked[:, :5] == classes[:, None]).any(axis=1)


def compiled(score_fn, images):
    """Return the compiled forward pass and the seconds that compiling took."""
    start = time.perf_counter()
    forward = jax.jit(lambda f, x: f(x)).lower(score_fn, images).compile()
    return forward, time.perf_counter() - start


def cost(forwards, score_fn, images, repeats=5):
    """Return per forward pass the least wall and core seconds; taken in turns to share the noise.

    Core seconds tell programs apart even while other jobs take part of the machine.
    """
    taken = [[] for _ in forwards]
    for _ in range(repeats):
        for forward, measured in zip(forwards, taken, strict=True):
            start = np.array([time.perf_counter(), time.process_time()])
            jax.block_until_ready(forward(score_fn, images))
            measured.append(np.array([time.perf_counter(), time.process_time()]) - start)
    return [np.min(measured, axis=0) for measured in taken]


def with_convolutions(score_fn, images):
    """Compile the forward pass with every 1x1 convolution left to XLA's convolution."""

    def convolve(self, x):
        kernel, stride = self.kernel[...], (self.stride, self.stride)
        padding = [(kernel.shape[0] // 2,) * 2] * 2
        return jax.lax.conv_general_dilated(
            x, kernel, stride, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    ours, resnet.Conv.__call__ = resnet.Conv.__call__, convolve
    try:
        return compiled(score_fn, images)[0]
    finally:
        resnet.Conv.__call__ = ours


def accuracy_rows(name):
    about = models.info(name)
    images, classes = photographs(about.resize, about.crop)
    start = time.perf_counter()
    score_fn = jax.block_until_ready(models.load(name, decoded(name)))
    loading = time.perf_counter() - start
    forward, compiling = compiled(score_fn, images[:BATCH])
    print(f"{name}: loaded in {loading:.1f} s, compiled in {compiling:.1f} s")
    measured = hits(forward, score_fn, images, classes)
    for top, right, stated in zip((1, 5), measured, STATED[name], strict=True):
        rate = right.mean()
        error = math.sqrt(rate * (1 - rate) / len(right))
        distance = (rate - stated) / error
        verdict = "yes" if abs(distance) <= 2 else "NO"
        yield (
            f"| {name} | top-{top} | {rate:.1%} ± {error:.1%} ({right.sum()} of {len(right)}) "
            f"| {stated:.1%} | {distance:+.1f} | {verdict} |"
        )
    yield f"| {name} | time | load {loading:.1f} s, compile {compiling:.1f} s | | | |"


def speed_rows(name="resnet50"):
    score_fn = models.load(name, decoded(name))
    for batch in (16, 32):
        images = jnp.full((batch, 224, 224, 3), 0.5)
        forwards = [compiled(score_fn, images)[0], with_convolutions(score_fn, images)]
        (wall, cores), (other_wall, other_cores) = cost(forwards, score_fn, images)
        yield (
            f"| {name} | {batch} | {batch / wall:.1f} | {batch / other_wall:.1f} "
            f"| {cores / batch * 1e3:.0f} | {other_cores / batch * 1e3:.0f} "
            f"| {other_cores / cores:.2f} |"
        )


def main():
    device = jax.devices()[0]
    machine = f"{device.device_kind}, {jax.local_device_count()} device"
    if device.platform == "cpu":
        machine = f"{len(os.sched_getaffinity(0))} cores, {platform.machine()} CPU"
    lines = [
        "# ImageNet accuracy of converted weights",
        "",
        "    python experiments/imagenet_top1.py",
        "",
        f"400 ILSVRC 2012 validation photographs of short side 256, center crop 224, batches of "
        f"{BATCH}. {machine}, JAX {jax.__version__}. Stated figures: `../shared/real/README.md`; "
        "distance in standard errors of the measured figure.",
        "",
        "| model | | measured | stated | distance | within two |",
        "|---|---|---|---|---|---|",
        *accuracy_rows("resnet50"),
        *accuracy_rows("resnet18"),
        "",
        "Forward pass with every 1x1 convolution as a matrix product (MP) and convolution (C): "
        "images/s and core milliseconds an image, best of 5 taken in turns in one process. Other "
        "jobs ran on the machine, so images/s are a lower bound; the ratio is that of core time.",
        "",
        "| model | batch | images/s, MP | images/s, C | core ms, MP | core ms, C | C / MP |",
        "|---|---|---|---|---|---|---|",
        *speed_rows(),
    ]
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
