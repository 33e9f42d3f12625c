"""What the divergence from the autoregressive prior costs against the side of the grid.

    python experiments/benchmarks/kronecker_kl.py

The divergence and its derivatives by mean and variance, of one map of n x n pixels: by the three
diagonals of the inverse, and by the Cholesky factors of the kernels, as any kernel needs it, with
the kernels as arguments of the program. Operations are those that XLA counts in the compiled
program; the factors and triangular solves of LAPACK, of n^3 too, are not among them. The two take
turns; a time is the shortest of its turns on the processor's clock, since other work can only add.
Slopes are of the logarithms, from `LARGE` on, where a map is larger than the caches.
"""

import argparse
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np

from saljax.ops.kronecker import autoregressive_kernel, autoregressive_kl, kronecker_kl

RHO = 0.9
LARGE = 2048
"""Pixels a side from which on a grid counts for the slope."""

three_diagonals = jax.jit(jax.value_and_grad(autoregressive_kl, (0, 1)))
cholesky = jax.jit(jax.value_and_grad(kronecker_kl, (0, 1)))


def seconds(run, *arguments) -> float:
    start = time.process_time()
    jax.block_until_ready(run(*arguments))
    return time.process_time() - start


def operations(run, *arguments) -> float:
    return run.lower(*arguments).compile().cost_analysis()["flops"]


def slope(sides: np.ndarray, costs: np.ndarray) -> float:
    large = sides >= LARGE
    return np.polyfit(np.log(sides[large]), np.log(costs[large]), 1)[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Cost of the divergence against the grid's side.")
    parser.add_argument(
        "--sides", type=int, nargs="+", default=[56, 112, 224, 512, 1024, 2048, 2896, 4096]
    )
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()

    print(f"{jax.devices()[0].device_kind}, {platform.machine()}, JAX {jax.__version__}\n")
    print(
        "| side | three diagonals, ms | Cholesky, ms | ratio | three diagonals, operations | "
        "Cholesky, operations | values differ by |\n|---|---|---|---|---|---|---|"
    )
    random, costs = np.random.default_rng(0), []
    for n in options.sides:
        mean = jnp.asarray(random.normal(size=(n, n)), jnp.float32)
        variance = jnp.asarray(random.uniform(0.005, 0.02, (n, n)), jnp.float32)
        kernel = autoregressive_kernel(n, RHO)
        runs = [(three_diagonals, mean, variance, RHO), (cholesky, mean, variance, kernel, kernel)]
        (one, _), (other, _) = (run(*arguments) for run, *arguments in runs)
        times = np.min([[seconds(*run) for run in runs] for _ in range(options.turns)], axis=0)
        counts = [operations(*run) for run in runs]
        costs.append([*times, *counts])
        print(
            f"| {n} | {1e3 * times[0]:.2f} | {1e3 * times[1]:.2f} | {times[1] / times[0]:.1f} | "
            f"{counts[0]:.2e} | {counts[1]:.2e} | {abs(float(one) / float(other) - 1):.0e} |",
            flush=True,
        )
    slopes = [slope(np.array(options.sides), column) for column in np.array(costs).T]
    print(
        f"\nSlope from {LARGE} on: time {slopes[0]:.2f} against {slopes[1]:.2f}, operations "
        f"{slopes[2]:.2f} against {slopes[3]:.2f}."
    )
