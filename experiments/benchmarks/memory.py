r"""Does a map's memory depend on its masks or steps? What compiled programs take for themselves.

    python experiments/benchmarks/memory.py --weights resnet50.safetensors

Temporary bytes of each compiled program (arguments, weights among them, and results aside) beside
those of one chunk's plain pass of the same batch: forward for the methods that search, forward and
back to the images for those that optimize. Nothing is run. Results: results/memory.md.
"""

import argparse
import functools
import platform

import jax
import jax.numpy as jnp

import saljax

CHUNK = 32
AREAS = (0.025, 0.05, 0.1, 0.2)


def mebibytes(fn, *arguments) -> float:
    analysis = jax.jit(fn).lower(*arguments).compile().memory_analysis()
    assert analysis is not None, "this backend does not tell its memory"
    return analysis.temp_size_in_bytes / 2**20


def forward(score_fn, images):
    return score_fn(images)


def forward_and_back(score_fn, images):
    return jax.grad(lambda images: score_fn(images)[:, 0].sum())(images)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Memory of maps beside one plain pass.")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--weights", required=True)
    options = parser.parse_args()

    logits = saljax.models.load(options.model, options.weights)
    shape = saljax.models.info(options.model).input_shape
    key, image = jax.random.key(0), jnp.zeros(shape)
    searched = {
        f"rise, {number} masks": functools.partial(saljax.rise, key=key, num_masks=number)
        for number in (800, 8000)
    } | {f"glas, k = {k}": functools.partial(saljax.glas, grid=k) for k in (15, 30)}
    optimized = {
        f"extremal_perturbation, {len(areas)} areas, {steps} steps": functools.partial(
            saljax.extremal_perturbation, areas=areas, num_steps=steps
        )
        for areas in (AREAS[:1], AREAS)
        for steps in (8, 800)
    }
    print(f"{options.model}, {jax.devices()[0].device_kind}, {platform.machine()}, "
          f"JAX {jax.__version__}\n")  # fmt: skip
    print("| program | images at a time | MiB | of the plain pass |\n|---|---|---|---|")

    def compared(plain, batch, methods):
        base = mebibytes(plain, logits, jnp.zeros((batch, *shape)))
        print(f"| plain {plain.__name__.replace('_', ' ')} | {batch} | {base:.0f} | 1 |")
        for name, method in methods.items():
            peak = mebibytes(lambda f, i, method=method: method(f, i, 0), logits, image)
            print(f"| {name} | {batch} | {peak:.0f} | {peak / base:.2f} |", flush=True)

    compared(
        forward, CHUNK, {n: functools.partial(m, chunk_size=CHUNK) for n, m in searched.items()}
    )
    for areas in (AREAS[:1], AREAS):
        of_areas = {n: m for n, m in optimized.items() if m.keywords["areas"] == areas}
        compared(forward_and_back, len(areas), of_areas)
