"""Dynamic masks beside GLAS and Grad-CAM on fundus photographs (S0, figures 3, 4 and 6).

The classifier is a ResNet-18 trained on ImageNet with a linear head that tells pathological myopia
from other eyes (its README states 97.25 % on 400 validation images). Photographs, weights and head
lie in `../shared/real`, outside the repository, under research terms: the picture that is made of
them is written to a folder of yours and never into the repository.

For the photographs of myopia that the classifier is surest of: each map, and three numbers. Kept
is the probability of myopia where the image is multiplied by the map, which dynamic masks optimize;
insertion and deletion are RISE's. The center, a map that falls off from the middle, is beside them.

    python experiments/fundus_masks.py --weights resnet18.safetensors --out out/fundus
"""

import argparse
import csv
import functools
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import saljax
from saljax import metrics, models
from saljax.data.folders import prepare, read_image
from saljax.metrics.faithfulness import baselines
from saljax.ops import maps, perturb
from saljax.report import grids
from saljax.runs import store

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "real"
RESULTS = ROOT / "experiments" / "results" / "fundus_masks.md"
MYOPIA = 1


def classifier(weights: Path):
    """The fundus classifier, giving logits."""
    network = models.load("resnet18", weights)
    network.fc = nnx.Linear(512, 2, rngs=nnx.Rngs(0))
    with np.load(REAL / "weights" / "resnet18_fundus_head.npz") as head:
        weight, bias = head["weight"].T, head["bias"]
        network.fc.kernel, network.fc.bias = (nnx.Param(jnp.asarray(x)) for x in (weight, bias))
    return network


def photographs():
    """Images (N, 224, 224, 3), and their labels (N,)."""
    with open(REAL / "photos" / "fundus_labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    images = [
        prepare(read_image(REAL / "photos" / "fundus" / row["imgName"]), 224, 224) for row in rows
    ]
    return np.stack(images), np.array([int(row["Label"]) for row in rows])


def center(score_fn, image, target):
    """The reference that knows nothing: brightest in the middle."""
    spatial = image.shape[:-1]
    middle = jnp.array([(n - 1) / 2 for n in spatial], jnp.float32)
    return saljax.gaussian_mask(spatial, middle, spatial[0] / 4)


@jax.jit
def judge(score_fn, images, saliencies):
    """Kept, insertion and deletion of maps (N, H, W)."""

    def one(image, saliency):
        shown = perturb.perturb(image, maps.normalize(saliency), perturb.mean_color)
        areas = metrics.insertion_deletion(
            score_fn, image, MYOPIA, saliency, step=224 * 8,
            deletion_baseline=baselines.imagenet_mean,
        )  # fmt: skip
        return score_fn(shown[None])[0, MYOPIA], areas.insertion, areas.deletion

    return jax.vmap(one)(images, saliencies)


def main():
    parser = argparse.ArgumentParser(description="Dynamic masks on fundus photographs.")
    parser.add_argument("--weights", type=Path, required=True, help="ResNet-18 of ImageNet")
    parser.add_argument("--number", type=int, default=4, help="photographs explained")
    parser.add_argument("--steps", type=int, default=50, help="of each mask of dynamic masks")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "fundus")
    args = parser.parse_args()

    logits = classifier(args.weights)
    score_fn = saljax.scores.probabilities(logits)
    everything, labels = photographs()
    forward = jax.jit(lambda f, x: f(x))
    chunks = [np.asarray(forward(score_fn, c)) for c in np.split(everything, 4)]
    scores = np.concatenate(chunks)
    right = (scores.argmax(axis=1) == labels).mean()
    sure = np.argsort(np.where(labels == MYOPIA, -scores[:, MYOPIA], 1.0), kind="stable")
    images = jnp.asarray(everything[sure[: args.number]])
    targets = [MYOPIA] * args.number

    configured = {
        "center": (center, score_fn),
        "glas": (functools.partial(saljax.glas, grid=10), score_fn),
        "grad_cam": (functools.partial(saljax.grad_cam, layer="layer4"), logits),
        "dynamic_masks": (
            functools.partial(saljax.dynamic_masks, num_steps=args.steps),
            score_fn,
        ),
        "hierarchical_dynamic_masks": (
            functools.partial(saljax.hierarchical_dynamic_masks, num_steps=args.steps),
            score_fn,
        ),
    }
    nothing = jax.vmap(lambda image: perturb.baseline_image(image, perturb.mean_color))(images)
    of_nothing = np.asarray(forward(score_fn, nothing))[:, MYOPIA]
    of_black = float(forward(score_fn, images[:1] * 0)[0, MYOPIA])
    lines = [
        "# Dynamic masks on fundus photographs",
        "",
        f"    python experiments/fundus_masks.py --number {args.number} --steps {args.steps}",
        "",
        f"Right on {100 * right:.1f} % of the {len(labels)} photographs. Means over the "
        f"{args.number} of myopia that the classifier is surest of; ± is one standard error; "
        "seconds include compilation. The classifier gives myopia "
        f"{100 * of_nothing.mean():.0f} % for pictures of nothing but the photographs' mean "
        f"colors, and {100 * of_black:.0f} % for a black one.",
        "",
        "| method | kept | insertion | deletion | seconds a photograph |",
        "|---|---|---|---|---|",
    ]
    found = {}
    for name, (method, explained) in configured.items():
        began = time.perf_counter()
        found[name] = jax.block_until_ready(saljax.explain(method, explained, images, targets))
        seconds = (time.perf_counter() - began) / args.number
        cells = [
            f"{v.mean():.3f} ± {v.std(ddof=1) / len(v) ** 0.5:.3f}"
            for v in map(np.asarray, judge(score_fn, images, found[name]))
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {seconds:.1f} |")
        print(lines[-1], flush=True)
    RESULTS.write_text("\n".join(lines) + "\n")
    names = list(found)
    rows = [
        grids.comparison(
            np.asarray(image),
            [np.asarray(found[name][i]) for name in names],
            [name.replace("_", " ") for name in names],
            f"pathological myopia  {100 * scores[sure[i], MYOPIA]:.1f} %",
        )
        for i, image in enumerate(images)
    ]
    store.write(args.out / "fundus.png", grids.png(grids.grid(rows)))


if __name__ == "__main__":
    main()
