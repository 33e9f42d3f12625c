r"""What metrics cost beside Quantus and captum: the same weights, photographs, number of passes.

Quantus and captum are run as they are published and never read; pytorch-grad-cam is the peer of
ROAD, since Quantus's does not take a map of one channel for a picture of three. torch and
torchvision are installed beside saljax as CONTRIBUTING.md explains; then

    pip install --no-deps quantus==0.6.0 captum==0.9.0 grad-cam==1.5.7 ttach
    pip install tqdm tabulate scikit-image scikit-learn opencv-python-headless pandas
    taskset -c 0 python experiments/benchmarks/metrics_beside_peers.py \
        --weights resnet18.safetensors

Without --weights it is a small network of convolutions with random weights, at --size pixels, where
what libraries do between the passes counts. On one core all use one thread, and processor time can
be compared on a machine that is not quiet.

The map is the gradient, the largest absolute value of the channels. Every library judges all
photographs in one call; the images that went through the network are counted by it in torch, and
by the definition of the metric here. A first call of ours, which compiles, and the same call again;
the others' first call is of one photograph and not counted. Seconds on the clock and of processor
time; rates of the latter. The metrics are not the same formulas everywhere (METHODS of each say
what differs), so the numbers that come out are not compared. Results:
results/metrics_beside_peers.md.
"""

import argparse
import functools
import math
import os
import platform
import sys
import time
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

import saljax
from saljax import metrics
from saljax.metrics.robustness import parameters

sys.path.insert(0, str(Path(__file__).parents[1]))
from agreement_with_peers import network, photographs  # noqa: E402
from torchvision_logits import import_torchvision  # noqa: E402

METRICS = (
    "faithfulness correlation", "infidelity", "max-sensitivity", "parameter randomization", "ROAD"
)  # fmt: skip
LIBRARIES = "saljax", "quantus", "captum", "pytorch-grad-cam"
SUBSETS, SQUARES, SHIFTS = 50, 48, 10
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
SMALL = ((3, 32, 2), (32, 64, 2), (64, 64, 1))
"""Convolutions of the small network: channels in, out, stride; then a mean and 10 classes."""


def small():
    """The small network in torch and in JAX, with the same weights."""
    import torch  # pyright: ignore[reportMissingImports]

    rng, modules = np.random.default_rng(0), []
    for before, after, stride in SMALL:
        modules += [torch.nn.Conv2d(before, after, 3, stride, padding=1), torch.nn.ReLU()]
    model = torch.nn.Sequential(
        *modules, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 10)
    )
    weights = {}
    for i, module in enumerate(m for m in model if hasattr(m, "weight")):
        shape = tuple(module.weight.shape)
        kernel = rng.normal(0, (2 / math.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
        module.weight.data = torch.from_numpy(kernel.copy())
        module.bias.data.zero_()
        axes = (2, 3, 1, 0) if kernel.ndim == 4 else (1, 0)
        bias = jnp.zeros(shape[0], jnp.float32)
        weights[f"layer{i}"] = {"kernel": jnp.asarray(kernel.transpose(axes)), "bias": bias}
    return Partial(forward, weights), model.eval()


def forward(weights, x):
    for i, (_, _, stride) in enumerate(SMALL):
        own, padding = weights[f"layer{i}"], ((1, 1), (1, 1))
        kinds = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(
            x, own["kernel"], (stride, stride), padding, dimension_numbers=kinds
        )
        x = jax.nn.relu(x + own["bias"])
    own = weights[f"layer{len(SMALL)}"]
    return x.mean((1, 2)) @ own["kernel"] + own["bias"]


def ours(score_fn, images, targets, saliencies):
    """Metric -> what to run, images through the network for each photograph."""
    keyed = {"key": jax.random.key(0)}
    layers = len(parameters.layers(score_fn, images[0], parameters.is_parameter))

    def of_maps(metric, **keywords):
        def one(fn, image, target, saliency):
            return metric(fn, image, target, saliency, **keyed, **keywords)

        return batched(one)

    def of_method(metric, **keywords):
        def one(fn, image, target, saliency):
            del saliency
            return metric(saljax.gradient, fn, image, target, **keyed, **keywords)

        return batched(one)

    def batched(one):
        program = jax.jit(jax.vmap(one, in_axes=(None, 0, 0, 0)))
        return lambda: jax.block_until_ready(program(score_fn, images, targets, saliencies))

    yield (
        "faithfulness correlation",
        of_maps(metrics.faithfulness_correlation, num_samples=SUBSETS, baseline=0.0),
        SUBSETS + 1,
    )
    yield "infidelity", of_maps(metrics.infidelity, num_samples=SQUARES, baseline=0.0), SQUARES + 1
    yield "max-sensitivity", of_method(metrics.max_sensitivity, num_samples=SHIFTS), SHIFTS + 1
    yield "parameter randomization", of_method(metrics.randomization), layers + 1
    yield "ROAD", of_maps(metrics.road, shares=SHARES), 2 * len(SHARES)


def of_quantus(model, images, targets):
    """Metric -> what to run; of infidelity 16 patches in a picture, so that 3 draws are 48."""
    import quantus  # pyright: ignore[reportMissingImports]
    import torch  # pyright: ignore[reportMissingImports]

    x, y = np.ascontiguousarray(np.moveaxis(images, -1, 1)), np.asarray(targets)

    def explain(model, inputs, targets, **_):
        given = torch.as_tensor(np.asarray(inputs), dtype=torch.float32).requires_grad_()
        asked = torch.as_tensor(np.asarray(targets)).long()
        scores = model(given).gather(1, asked[:, None]).sum()
        (found,) = torch.autograd.grad(scores, given)
        return found.abs().amax(1, keepdim=True).numpy()

    quiet = {"disable_warnings": True, "display_progressbar": False}
    every = {
        "faithfulness correlation": lambda: quantus.FaithfulnessCorrelation(
            nr_runs=SUBSETS, subset_size=x[0].size // 20, return_aggregate=False, **quiet
        ),
        "infidelity": lambda: quantus.Infidelity(
            perturb_patch_sizes=[x.shape[-1] // 4], n_perturb_samples=3, **quiet
        ),
        "max-sensitivity": lambda: quantus.MaxSensitivity(
            nr_samples=SHIFTS, lower_bound=0.02, **quiet
        ),
        "parameter randomization": lambda: quantus.MPRT(**quiet),
        "ROAD": lambda: quantus.ROAD(percentages=[100 * s for s in SHARES], **quiet),
    }
    for name, metric in every.items():

        def run(number, metric=metric):
            a = explain(model, x[:number], y[:number])
            metric()(
                model=model, x_batch=x[:number], y_batch=y[:number], a_batch=a,
                explain_func=explain, device="cpu",
            )  # fmt: skip

        yield name, run


def of_captum(model, images, targets):
    """Metric -> what to run."""
    import torch  # pyright: ignore[reportMissingImports]
    from captum import attr  # pyright: ignore[reportMissingImports]
    from captum import metrics as peers  # pyright: ignore[reportMissingImports]

    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))
    y, saliency = torch.as_tensor(targets), attr.Saliency(model)
    rng = np.random.default_rng(0)

    def squares(inputs):
        """As ours: a square of any side and place shows black."""
        inside = torch.zeros_like(inputs)
        most = -(-10 * inputs.shape[-1] // 28)
        for one in inside:
            side = rng.integers(1, most + 1)
            top, left = rng.integers(0, inputs.shape[-1] - side + 1, 2)
            one[:, top : top + side, left : left + side] = 1
        return inside, inputs * (1 - inside)

    def infidelity(number):
        given = x[:number]
        maps = saliency.attribute(given.clone().requires_grad_(), target=y[:number])
        peers.infidelity(
            model, squares, given, maps, target=y[:number], n_perturb_samples=SQUARES,
            max_examples_per_batch=32, normalize=True,
        )  # fmt: skip

    def sensitivity(number):
        peers.sensitivity_max(
            saliency.attribute, x[:number].clone().requires_grad_(), target=y[:number],
            n_perturb_samples=SHIFTS, max_examples_per_batch=32,
        )  # fmt: skip

    yield "infidelity", infidelity
    yield "max-sensitivity", sensitivity


def of_grad_cam(model, images, targets):
    """Metric -> what to run."""
    import_torchvision()
    import torch  # pyright: ignore[reportMissingImports]
    from pytorch_grad_cam.metrics.road import ROADCombined  # pyright: ignore[reportMissingImports]
    from pytorch_grad_cam.utils.model_targets import (  # pyright: ignore[reportMissingImports]
        ClassifierOutputTarget,
    )

    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))
    asked = [ClassifierOutputTarget(int(target)) for target in targets]

    def road(number):
        given = x[:number].clone().requires_grad_()
        scores = model(given).gather(1, torch.as_tensor(targets[:number])[:, None]).sum()
        (found,) = torch.autograd.grad(scores, given)
        maps = found.abs().amax(1).numpy()
        ROADCombined([100 * s for s in SHARES])(x[:number], maps, asked[:number], model)

    yield "ROAD", road


def seconds(run):
    """On the clock, and of processor time."""
    start = time.perf_counter(), time.process_time()
    run()
    return np.subtract((time.perf_counter(), time.process_time()), start)


def line(metric, library, taken, passes, note=""):
    clock, cpu = taken
    cells = f"{clock:.2f} | {cpu:.2f} | {passes} | {passes / cpu:.1f} | {note}"
    print(f"| {metric} | {library} | {cells} |", flush=True)


def main(weights, number, libraries, asked, size):
    import torch  # pyright: ignore[reportMissingImports]

    warnings.simplefilter("ignore")
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    images, targets = photographs(number, *((256, 224) if weights else (size * 8 // 7, size)))
    if weights:
        score_fn = saljax.models.load("resnet18", weights)
        _, model = network(weights, False, "resnet18")
    else:
        score_fn, model = small()
        targets = np.argmax(np.asarray(score_fn(images)), axis=1).tolist()
    given = np.ascontiguousarray(np.moveaxis(images, -1, 1))
    with torch.no_grad():
        apart = np.abs(model(torch.from_numpy(given)).numpy() - np.asarray(score_fn(images))).max()
        bare = seconds(lambda: model(torch.from_numpy(given)))
    passed = []
    model.register_forward_pre_hook(lambda module, inputs: passed.append(len(inputs[0])))
    print(f"{platform.machine()}, {cores} cores, JAX {jax.__version__}, torch ", end="")
    print(f"{torch.__version__}, {number} photographs, scores at most {apart:.1e} apart\n")
    print("| metric | library | s | CPU s | images through the network | a CPU s | |")
    print("|---|---|---|---|---|---|---|", flush=True)
    line("bare forward", "torch", bare, number)
    if "saljax" in libraries:
        y = np.asarray(targets, np.int32)
        saliencies = np.asarray(saljax.explain(saljax.gradient, score_fn, images, y))
        program = jax.jit(lambda fn, x: fn(x))
        bare = lambda: jax.block_until_ready(program(score_fn, images))  # noqa: E731
        bare()
        line("bare forward", "saljax", seconds(bare), number)
        for name, run, passes in ours(score_fn, images, y, saliencies):
            if name not in asked:
                continue
            first = seconds(run)
            note = f"the first call, which compiles, {first[1]:.1f} CPU s"
            line(name, "saljax", seconds(run), number * passes, note)
    peers = {"quantus": of_quantus, "captum": of_captum, "pytorch-grad-cam": of_grad_cam}
    for library, every in peers.items():
        if library not in libraries:
            continue
        for name, run in every(model, images, targets):
            if name not in asked:
                continue
            try:
                run(1)
                passed.clear()
                taken = seconds(functools.partial(run, number))
            except Exception as error:  # noqa: BLE001, another's: the table says what it said
                message = str(error).splitlines()[0][:120] if str(error) else ""
                print(f"| {name} | {library} | {type(error).__name__}: {message} | | | | |")
            else:
                line(name, library, taken, sum(passed))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Metrics beside Quantus and captum.")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--number", type=int, default=4)
    parser.add_argument("--libraries", nargs="+", default=list(LIBRARIES))
    parser.add_argument("--size", type=int, default=64, help="of pictures for the small network")
    parser.add_argument("--metrics", nargs="+", default=list(METRICS))
    options = parser.parse_args()
    main(options.weights, options.number, options.libraries, options.metrics, options.size)
