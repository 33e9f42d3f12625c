r"""What GLAS costs beside the passes of its classifier: ratios measured in one run.

    python experiments/benchmarks/glas_throughput.py --weights FILE

- Speed: perturbed passes per second of GLAS on ResNet-50 with S1's settings (k = 15, fusion: 451
  passes) over images per second of the bare compiled classifier at the same batch size. The two
  take turns, and the ratio is that of their medians.
- Memory: temporary bytes of the compiled program, by the number of search points, beside those of
  one chunk's plain forward pass.
"""

import argparse
import functools
import platform
import statistics
import time

import jax
import jax.numpy as jnp

import saljax
from saljax.core import chunks

CHUNK_SIZE = 32


def seconds(run) -> float:
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def temporary_mebibytes(fn, *arguments) -> float:
    analysis = jax.jit(fn).lower(*arguments).compile().memory_analysis()
    assert analysis is not None, "this backend does not tell its memory"
    return analysis.temp_size_in_bytes / 2**20


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="GLAS against its bare classifier.")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--grid", type=int, default=15)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()

    score_fn = saljax.scores.probabilities(saljax.models.load(options.model, options.weights))
    side = saljax.models.info(options.model).input_shape[0]
    image = jax.random.uniform(jax.random.key(0), (side, side, 3))
    passes = 2 * options.grid**2 + 1
    size = chunks.length(passes, CHUNK_SIZE)
    batch = jnp.broadcast_to(image, (size, *image.shape)) + 0.0
    method = functools.partial(saljax.glas, grid=options.grid, chunk_size=CHUNK_SIZE)

    bare = jax.jit(lambda score_fn, images: score_fn(images))
    glas = jax.jit(lambda score_fn, image: method(score_fn, image, 0))
    repeats = -(-passes // size)

    def run_bare():
        for _ in range(repeats):
            out = bare(score_fn, batch)
        return out

    compile_bare = seconds(lambda: bare(score_fn, batch))
    compile_glas = seconds(lambda: glas(score_fn, image))
    of_bare, of_glas = [], []
    for _ in range(options.turns):
        of_bare.append(seconds(run_bare) / (repeats * size))
        of_glas.append(seconds(lambda: glas(score_fn, image)) / passes)
    bare_rate, glas_rate = 1 / statistics.median(of_bare), 1 / statistics.median(of_glas)

    device = jax.devices()[0].device_kind
    print(f"{options.model}, {device}, {platform.machine()}, JAX {jax.__version__}\n")
    print(f"| k = {options.grid}, chunks of {size} | per second |\n|---|---|")
    print(f"| bare classifier, images | {bare_rate:.2f} |")
    print(f"| GLAS, perturbed passes | {glas_rate:.2f} |")
    print(f"| ratio | {glas_rate / bare_rate:.3f} |")
    print(f"| first call: bare, GLAS (s) | {compile_bare:.1f}, {compile_glas:.1f} |\n")

    print(
        "| program | search points | images a chunk | temporary memory (MiB) |\n|---|---|---|---|"
    )
    plain = temporary_mebibytes(bare, score_fn, jnp.zeros((CHUNK_SIZE, *image.shape)))
    print(f"| plain forward | | {CHUNK_SIZE} | {plain:.0f} |")
    for grid in (8, 16, 32):
        points = functools.partial(saljax.glas, grid=grid, chunk_size=CHUNK_SIZE)
        peak = temporary_mebibytes(lambda f, i, points=points: points(f, i, 0), score_fn, image)
        length = chunks.length(2 * grid**2 + 1, CHUNK_SIZE)
        print(f"| GLAS | {grid**2} | {length} | {peak:.0f} |")
