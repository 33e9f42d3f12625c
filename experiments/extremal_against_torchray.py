r"""Does extremal perturbation find what TorchRay's finds, on the same weights and photographs?

TorchRay is run as it is published and never read. Weights in torchvision's names go into
torchvision's network on one side and into ours on the other. For each photograph and area: the
logit of the class that each mask keeps, measured by ours without mirroring, the mean of the masks,
their correlation and their overlap above 0.5 (intersection over union); and what a step costs both,
by the clock and in CPU time, which other work on the machine inflates less. Compilation is not
counted.

Hundreds of steps through a piecewise linear network carry differences of rounding a long way. How
far is measured beside: "nudged" is ours from the same photograph with noise of 1e-6 on it.

torch, torchvision and TorchRay are installed as `agreement_with_peers.py` says; then

    python experiments/extremal_against_torchray.py --weights resnet18.safetensors --steps 10 100

With `--pictures FOLDER` the masks of both are drawn over the photographs. Results:
results/extremal_against_torchray.md.
"""

import argparse
import functools
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file
from torchvision_logits import import_torchvision

import saljax
from saljax.data.folders import prepare, read_image
from saljax.models.architectures.layers import MEAN, STD
from saljax.ops import perturb
from saljax.report import grids

PHOTOS = Path(__file__).parents[2] / "shared" / "real" / "photos"
MEAN_COLOR = jnp.asarray(MEAN, jnp.float32)


def photographs(number):
    """The first of the validation set, and their annotated classes."""
    records = json.loads((PHOTOS / "ilsvrc_boxes.json").read_text())[:number]
    pictures = [read_image(PHOTOS / "ilsvrc" / record["file"]) for record in records]
    return [prepare(p, 256, 224) for p in pictures], [record["label"] for record in records]


def torchrays(name, weights, areas):
    """Photograph, target and number of steps -> masks (areas, H, W) of TorchRay."""
    torchvision = import_torchvision()
    import torch  # pyright: ignore[reportMissingImports]
    from torchray.attribution.extremal_perturbation import (  # pyright: ignore[reportMissingImports]
        extremal_perturbation,
    )

    net = getattr(torchvision.models, name)()
    tensors = {key: torch.from_numpy(value) for key, value in load_file(weights).items()}
    missing, unexpected = net.load_state_dict(tensors, strict=False)
    assert not unexpected and all(k.endswith("num_batches_tracked") for k in missing), missing
    net.eval().requires_grad_(False)

    def masks(image, target, num_steps):
        normalized = (image - np.float32(MEAN)) / np.float32(STD)
        x = torch.from_numpy(np.ascontiguousarray(normalized.transpose(2, 0, 1))[None])
        # What it returns are the masks before the last of its steps.
        settings = {"areas": list(areas), "max_iter": num_steps + 1}
        found, _ = extremal_perturbation(net, x, target, **settings)
        return found.detach().numpy()[:, 0]

    return masks


@jax.jit
def reached(score_fn, image, target, masks):
    """Logits of the class in what each mask keeps, whose surroundings are the mean color."""
    around = perturb.baseline_image(image, MEAN_COLOR)
    levels = perturb.blur_pyramid(image, 8, 20.0, around)
    kept = jax.vmap(perturb.between, in_axes=(None, 0))(levels, masks)
    return score_fn(kept)[:, target]


def timed(run, *given):
    clock, cpu = time.perf_counter(), time.process_time()
    result = jax.block_until_ready(run(*given))
    return result, np.array([time.perf_counter() - clock, time.process_time() - cpu])


def compared(ours, theirs):
    correlation = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
    a, b = ours > 0.5, theirs > 0.5
    return correlation, (a & b).sum() / max((a | b).sum(), 1)


def main():
    parser = argparse.ArgumentParser(description="Extremal perturbation beside TorchRay's.")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--number", type=int, default=4)
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--areas", type=float, nargs="+", default=[0.025, 0.05, 0.1, 0.2])
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()

    areas = tuple(options.areas)
    theirs_of = torchrays(options.model, options.weights, areas)
    score_fn = saljax.models.load(options.model, options.weights)
    images, targets = photographs(options.number)
    for num_steps in options.steps:
        method = functools.partial(
            saljax.extremal_perturbation,
            areas=areas,
            num_steps=num_steps,
            baseline=MEAN_COLOR,
            details=True,
            nodes="corner",  # where TorchRay has them
        )
        program = jax.jit(method).lower(score_fn, jnp.asarray(images[0]), 0).compile()
        print(f"\n{options.model}, {num_steps} steps, {len(areas)} areas in one batch\n")
        print("| photograph | area | logit: ours | nudged | TorchRay | mean: ours | TorchRay "
              "| r, IoU: TorchRay | nudged |")  # fmt: skip
        print(f"|{'---|' * 9}", flush=True)
        spent, agreement, reach = np.zeros((2, 2)), [], []
        for number, (image, target) in enumerate(zip(images, targets, strict=True), start=1):
            noise = 1e-6 * np.random.default_rng(number).standard_normal(image.shape, np.float32)
            found, of_ours = timed(program, score_fn, jnp.asarray(image), target)
            ours = np.asarray(found.masks)
            nudged = np.asarray(program(score_fn, jnp.asarray(image + noise), target).masks)
            theirs, of_theirs = timed(theirs_of, image, target, num_steps)
            spent += [of_ours, of_theirs]
            kept = [ours, nudged, theirs]
            logits = [reached(score_fn, image, target, jnp.asarray(masks)) for masks in kept]
            for i, area in enumerate(areas):
                agreement.append([compared(ours[i], theirs[i]), compared(ours[i], nudged[i])])
                reach.append([float(of_one[i]) for of_one in logits])
                of_theirs_and_nudged = (f"{r:.4f}, {overlap:.3f}" for r, overlap in agreement[-1])
                print(
                    f"| {number} | {area} | {' | '.join(f'{logit:.2f}' for logit in reach[-1])} | "
                    f"{ours[i].mean():.3f} | {theirs[i].mean():.3f} | "
                    f"{' | '.join(of_theirs_and_nudged)} |",
                    flush=True,
                )
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                rows = [
                    grids.comparison(image, list(masks), [f"area {a}" for a in areas], whose)
                    for whose, masks in (("saljax", ours), ("TorchRay", theirs))
                ]
                picture = grids.png(grids.grid(rows))
                (options.pictures / f"{number}_{num_steps}.png").write_bytes(picture)
        per_step = spent / len(images) / [[num_steps], [num_steps + 1]]
        of_ours, *others = np.transpose(reach)
        print()
        for whose, agree, logit in zip(
            ("TorchRay", "nudged"), np.median(agreement, axis=0), reversed(others), strict=True
        ):
            away = logit - of_ours
            print(
                f"ours and {whose}: median r {agree[0]:.4f}, IoU {agree[1]:.3f}; "
                f"logit higher than ours by {away.mean():.2f}, {np.abs(away).mean():.2f} in size"
            )
        for whose, (clock, cpu) in zip(("saljax", "TorchRay"), per_step, strict=True):
            print(f"{whose}: {1 / clock:.2f} steps a second, {1000 * cpu:.0f} ms of CPU time each")


if __name__ == "__main__":
    main()
