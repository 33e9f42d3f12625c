r"""What images that stop early save the others of their batch.

    python experiments/benchmarks/early_stopping.py

Meaningful perturbation with a tolerance on the bundled classifier of birdlets: each image ends when
its loss no longer falls. One program of 16 images, with `saljax.core.loops.while_loop` and with
`jax.lax.while_loop` in its place, takes turns with itself. Results: results/early_stopping.md.
"""

import argparse
import functools
import statistics
import time
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

import saljax
from saljax.core import optimize
from saljax.data import birdlets

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A batch whose images stop at different times.")
    parser.add_argument("--number", type=int, default=16)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()

    images, targets = birdlets.batch(seed=77, indices=range(options.number))
    score_fn = saljax.scores.probabilities(saljax.models.load("birdlets"))
    keys = jax.random.split(jax.random.key(0), options.number)
    given = score_fn, jnp.asarray(images), jnp.asarray(targets), keys

    def program(tolerance):
        method = functools.partial(
            saljax.meaningful_perturbation,
            num_steps=options.steps, tolerance=tolerance, mask_size=12, details=True,
        )  # fmt: skip

        def run(score_fn, images, targets, keys):
            return jax.vmap(lambda i, t, key: method(score_fn, i, t, key=key))(
                images, targets, keys
            )

        return jax.jit(run).lower(*given).compile()

    programs = {"all steps": program(None), "shrinking batch": program(options.tolerance)}
    with mock.patch.object(optimize, "while_loop", jax.lax.while_loop):
        programs["until the last"] = program(options.tolerance)
    seconds = {name: [] for name in programs}
    found = {}
    for _ in range(options.turns):
        for name, run in programs.items():
            start = time.perf_counter()
            found[name] = jax.block_until_ready(run(*given))
            seconds[name].append(time.perf_counter() - start)
    taken = {n: (~np.isnan(np.asarray(f.losses))).sum(axis=1) for n, f in found.items()}
    print(f"steps of each image: {sorted(taken['shrinking batch'].tolist())}\n")
    print("| loop | steps, all images | seconds |\n|---|---|---|")
    for name in programs:
        print(f"| {name} | {taken[name].sum()} | {statistics.median(seconds[name]):.1f} |")
    maps = [np.asarray(found[name].saliency) for name in ("shrinking batch", "until the last")]
    print(
        f"\nlargest difference of the maps of the two loops: {np.abs(maps[0] - maps[1]).max():.1e}"
    )
