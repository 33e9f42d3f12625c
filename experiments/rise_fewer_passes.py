r"""RISE with fewer passes: how near the map is to that of very many masks.

    python experiments/rise_fewer_passes.py
    python experiments/rise_fewer_passes.py --number 4 --reference 4096 --masks 256 1024

On held-out birdlets, of the bundled classifier: maps of N masks, drawn independently or stratified,
divided by the expectation or by the coverage, beside the mean of maps of many masks of other keys;
then maps with a tolerance, which say when they have enough. Results:
results/rise_fewer_passes.md.
"""

import argparse
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

import saljax
from saljax.data import birdlets

SEED = 77
"""Of the pictures; training and its tests use other seeds."""


def correlation(found, reference):
    pairs = zip(np.asarray(found), reference, strict=True)
    return np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="RISE: masks against agreement.")
    parser.add_argument("--number", type=int, default=4)
    parser.add_argument("--reference", type=int, default=4096)
    parser.add_argument("--masks", type=int, nargs="*", default=[256, 1024])
    parser.add_argument("--keys", type=int, default=2)
    parser.add_argument("--tolerances", type=float, nargs="*", default=[0.31, 0.2])
    options = parser.parse_args()

    images, targets = birdlets.batch(seed=SEED, indices=range(options.number))
    score_fn = saljax.scores.probabilities(saljax.models.load("birdlets"))

    def explain(seed, **settings):
        method = functools.partial(saljax.rise, details=True, **settings)
        return saljax.explain(
            method, score_fn, jnp.asarray(images), targets, key=jax.random.key(seed)
        )

    references = [
        np.asarray(
            explain(seed, num_masks=options.reference, divide_by="coverage", sampling=how).saliency
        )
        for seed, how in ((100, "independent"), (101, "stratified"))
    ]
    reference, agree = np.mean(references, axis=0), correlation(*references)
    # Two maps of as much noise correlate by r: their mean with the truth by sqrt(2 r / (1 + r)).
    print(f"{options.number} birdlets; the reference has {2 * options.reference} masks, and its ")
    print(f"correlation with endlessly many is about {math.sqrt(2 * agree / (1 + agree)):.4f}.\n")
    print("| masks | divided by | sampling | correlation | error claimed | spread over keys |")
    print("|---|---|---|---|---|---|")
    for number in options.masks:
        for divide_by in ("expectation", "coverage"):
            for how in ("independent", "stratified"):
                found = [
                    explain(seed, num_masks=number, divide_by=divide_by, sampling=how)
                    for seed in range(options.keys)
                ]
                near = np.mean([correlation(f.saliency, reference) for f in found])
                claimed = np.sqrt(np.mean([np.square(f.standard_error) for f in found]))
                spread = np.sqrt(np.var([f.saliency for f in found], axis=0, ddof=1).mean())
                print(
                    f"| {number} | {divide_by} | {how} | {near:.3f} | {claimed:.4f} | "
                    f"{spread:.4f} |",
                    flush=True,
                )
    print("\n| tolerance | promises | sampling | divided by | masks of each | correlation |")
    print("|---|---|---|---|---|---|")
    for tolerance in options.tolerances:
        for how, divide_by in (("independent", "coverage"), ("stratified", "coverage")):
            found = explain(
                7, num_masks=options.reference, tolerance=tolerance, sampling=how,
                divide_by=divide_by,
            )  # fmt: skip
            near = correlation(found.saliency, reference)
            print(
                f"| {tolerance} | {math.sqrt(1 - tolerance**2):.3f} | {how} | {divide_by} | "
                f"{', '.join(map(str, found.num_masks.tolist()))} | {near:.3f} |",
                flush=True,
            )
