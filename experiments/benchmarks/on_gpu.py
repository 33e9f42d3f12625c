r"""On a GPU: methods beside the bare passes of their classifier, in float32 and bfloat16.

    python experiments/benchmarks/on_gpu.py --weights resnet50.safetensors
    JAX_PLATFORMS=cpu python experiments/benchmarks/on_gpu.py --tiny

ResNet-50 and a batch of 64 photographs of noise, which cost the same. What is printed:

- the roofline: multiplications a second of a large matrix product, bytes a second of a large copy,
  and of the bare passes the operations, the bytes that the compiled program touches, and how near
  they come to the lower of the two bounds;
- passes per second of GLAS, RISE, meaningful and extremal perturbation and of an explanation by
  DRE, over those of the bare pass, forward or forward and back, of the same batch. Counts are
  small and differences of two of them, so that what a method does once is left out;
- whether `saljax.ops.smooth_masks` is one fused kernel, and its time beside the bytes it writes;
- with `--peers`, captum and TorchRay of `peers.py`, on torch's own device.

It begins nothing new once `--seconds` are over, compilation included: what is missing is said.
Each number is the least of `--turns` calls. There is no results page yet: no GPU was at hand.
"""

import argparse
import functools
import pathlib
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np
from learned import drawn
from peers import of_torch, rates

import saljax
from saljax.core.work import multiplications
from saljax.ops import smooth_masks

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def least(turns, run):
    """Seconds of the fastest call, the first, which compiles, left out."""
    jax.block_until_ready(run())
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return min(times)


def limits(turns, side, dtype):
    """Operations a second of a product of matrices, and bytes a second of a copy."""
    a = jnp.ones((side, side), dtype)
    product = least(turns, functools.partial(jax.jit(jnp.matmul), a, a))
    long = jnp.ones(16 * side * side, jnp.float32)
    copy = least(turns, functools.partial(jax.jit(lambda x: x + 1), long))
    return 2 * side**3 / product, 2 * long.nbytes / copy


def forward(score_fn, images):
    return score_fn(images)


def forward_and_back(score_fn, images):
    return jax.grad(lambda x: score_fn(x)[:, 0].astype(jnp.float32).sum())(images)


def bare(turns, name, fn, score_fn, images, found_limits):
    """A row of the roofline, and passes a second."""
    compiled = jax.jit(fn).lower(score_fn, images).compile()
    seconds = least(turns, lambda: compiled(score_fn, images))
    operations = 2 * multiplications(lambda x: fn(score_fn, x), images)
    touched = (compiled.cost_analysis() or {}).get("bytes accessed", float("nan"))
    bound = max(operations / found_limits[0], touched / found_limits[1])
    print(
        f"| {name} | {len(images) / seconds:.1f} | {operations / len(images) / 1e9:.2f} | "
        f"{touched / len(images) / 1e6:.1f} | {operations / seconds / 1e12:.2f} | "
        f"{bound / seconds:.2f} |",
        flush=True,
    )
    return len(images) / seconds


def methods(score_fn, logits, image, tiny):
    """Name, method of a count, what it explains, two counts, whether it goes back."""
    few, many = (8, 24) if tiny else (128, 384)
    steps = (2, 4) if tiny else (5, 15)
    # One pass a point, of light alone; in a grid their number would be a square.
    yield (
        "glas", lambda n: functools.partial(
            saljax.glas, parts="light", points=jnp.full((n, 2), image.shape[0] / 2)
        ), score_fn, (few, many), False,
    )  # fmt: skip
    yield (
        "rise",
        lambda n: functools.partial(saljax.rise, num_masks=n),
        score_fn,
        (few, many),
        False,
    )
    yield (
        "meaningful_perturbation", lambda n: functools.partial(
            saljax.meaningful_perturbation, num_steps=n, init="half"
        ), score_fn, steps, True,
    )  # fmt: skip
    yield (
        "extremal_perturbation", lambda n: functools.partial(
            saljax.extremal_perturbation, num_steps=n
        ), logits, steps, True,
    )  # fmt: skip
    explainer = dict(drawn(logits, image))["dre"]
    yield "dre", lambda n: explainer, logits, (0, 1), False


def smooth(turns, batch, side, bandwidth):
    """Whether smooth masks are one kernel, and how near they are to the speed of writing them."""
    step, sigma = max(1, side // 32), side * 21 / 224
    grid = smooth_masks.grid_shape((side, side), (step, step))
    nodes = jnp.full((batch, *grid), 0.5)

    def masks(nodes):
        return jax.vmap(
            lambda n: smooth_masks.smooth_mask(n, (step, step), (sigma, sigma), (0.0, 0.0))
        )(nodes)

    compiled = jax.jit(masks).lower(nodes).compile()
    text = compiled.as_text() or ""
    entry = text[text.rfind("ENTRY") :]
    kernels = sum(f"{kind}(" in line for line in entry.splitlines() for kind in ("fusion", "call"))
    loops = sum("while(" in line for line in entry.splitlines())
    memory = compiled.memory_analysis()
    assert memory is not None, "this backend does not tell its memory"
    seconds = least(turns, lambda: compiled(nodes))
    written = memory.output_size_in_bytes
    print(
        f"\nsmooth_masks, {batch} masks of {side} x {side}: {kernels} fused kernels and {loops} "
        f"loops, {memory.temp_size_in_bytes / written:.1f} times its output as temporary memory, "
        f"{1e3 * seconds:.2f} ms, {written / bandwidth / seconds:.3f} of the speed of writing it.\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Methods beside bare passes on a GPU.")
    parser.add_argument("--weights", type=pathlib.Path, help="of ResNet-50")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=400)
    parser.add_argument("--dtypes", nargs="*", default=list(DTYPES), choices=list(DTYPES))
    parser.add_argument("--methods", nargs="*", help="some of them alone")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="birdlets, a batch of 2, for a CPU")
    options = parser.parse_args()
    begun = time.perf_counter()

    batch, turns = (2, 1) if options.tiny else (options.batch, options.turns)
    name = "birdlets" if options.tiny else "resnet50"
    model = saljax.models.load(name, options.weights)
    shape = saljax.models.info(name).input_shape
    images = jnp.asarray(np.random.default_rng(0).random((batch, *shape)), jnp.float32)
    targets = jnp.zeros(batch, jnp.int32)
    device = jax.devices()[0]
    print(
        f"{name}, batch {batch}, {device.device_kind}, {platform.machine()}, JAX {jax.__version__}"
    )
    for title in options.dtypes:
        dtype = DTYPES[title]
        peak, bandwidth = found = limits(turns, 256 if options.tiny else 8192, dtype)
        logits = model if title == "float32" else saljax.scores.in_precision(model, dtype)
        score_fn = saljax.scores.probabilities(logits)
        print(f"\n## {title}: {peak / 1e12:.2f} T operations/s, {bandwidth / 1e9:.0f} GB/s\n")
        print("| pass | per second | G operations | MB touched | T operations/s | of its bound |")
        print("|---|---|---|---|---|---|")
        plain = bare(turns, "forward", forward, logits, images, found)
        back = bare(turns, "forward and back", forward_and_back, logits, images, found)
        print("\n| method | passes per second | of the bare ones |\n|---|---|---|")
        for method, of_count, explained, counts, goes_back in methods(
            score_fn, logits, images[0], options.tiny
        ):
            if options.methods and method not in options.methods:
                continue
            if time.perf_counter() - begun > options.seconds:
                print(f"| {method} | no time left | |")
                continue
            taken = [
                least(
                    turns,
                    functools.partial(saljax.explain, of_count(n), explained, images, targets),
                )
                for n in counts
                if n
            ]
            passes = batch * (counts[1] - counts[0])
            rate = passes / (taken[-1] - taken[0] if len(taken) > 1 else taken[0])
            print(
                f"| {method} | {rate:.1f} | {rate / (back if goes_back else plain):.2f} |",
                flush=True,
            )
        if title == "float32":
            smooth(turns, batch, 32 if options.tiny else shape[0], bandwidth)
    if options.peers:
        runs = of_torch(options.weights, np.asarray(images[0]))
        print("\n| peer | passes per second |\n|---|---|")
        for peer, rate in rates(turns, runs).items():
            print(f"| {peer} | {rate:.2f} |", flush=True)
    print(f"\n{time.perf_counter() - begun:.0f} s in all")
