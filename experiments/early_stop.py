r"""What optimized masks lose when they stop early: steps saved against agreement.

    python experiments/early_stop.py meaningful_perturbation
    python experiments/early_stop.py extremal_perturbation --steps 400

Held-out birdlets, the bundled classifier. Each tolerance is beside the run of all steps: steps
taken, the probability of the class in what the mask leaves (deletion, meaningful perturbation) or
keeps (extremal perturbation), and the correlation of the map with that of all steps. Results:
results/early_stopping.md.
"""

import argparse
import functools

import jax
import jax.numpy as jnp
import numpy as np

import saljax
from saljax.data import birdlets
from saljax.ops import perturb

SEED = 77
"""Of the pictures; training and its tests use other seeds."""


def judged(score_fn, images, targets, kept):
    """Probabilities of the classes where the image is kept, and blurred elsewhere."""

    def one(image, target, mask):
        return score_fn(saljax.perturb(image, mask, perturb.blurred(4.0))[None])[0, target]

    return np.asarray(jax.jit(jax.vmap(one))(images, targets, kept))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Optimized masks that stop early.")
    parser.add_argument("method", choices=["meaningful_perturbation", "extremal_perturbation"])
    parser.add_argument("--number", type=int, default=4)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--tolerances", type=float, nargs="*", default=[1e-4, 1e-3, 1e-2, 1e-1])
    options = parser.parse_args()

    images, targets = map(jnp.asarray, birdlets.batch(seed=SEED, indices=range(options.number)))
    logits = saljax.models.load("birdlets")
    probabilities = saljax.scores.probabilities(logits)
    deletes = options.method == "meaningful_perturbation"
    function, score_fn = getattr(saljax, options.method), probabilities if deletes else logits

    def explain(tolerance):
        method = functools.partial(
            function, num_steps=options.steps, tolerance=tolerance, details=True
        )
        return saljax.explain(method, score_fn, images, targets)

    full = explain(None)
    print("| tolerance | steps | probability | correlation, mean | least |\n|---|---|---|---|---|")
    for tolerance in (None, *options.tolerances):
        found = full if tolerance is None else explain(tolerance)
        steps = np.sort((~np.isnan(np.asarray(found.losses))).sum(axis=1))
        kept = 1 - found.saliency if deletes else found.masks[:, 0]
        left = judged(probabilities, images, targets, kept).mean()
        pairs = zip(np.asarray(found.saliency), np.asarray(full.saliency), strict=True)
        near = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]
        shown = "none" if tolerance is None else f"{tolerance:g}"
        print(
            f"| {shown} | {', '.join(map(str, steps))} | {left:.3f} | {np.mean(near):.3f} | "
            f"{min(near):.3f} |",
            flush=True,
        )
