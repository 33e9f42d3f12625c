r"""What the first call costs: tracing and compiling, beside the framework's own compiled gradient.

    python experiments/benchmarks/compile_time.py --models birdlets resnet18 mobilenet_v2_birds

For one image and each family of methods: processor time of the first call of `saljax.explain` less
that of a second one, over the same of `jax.jit(jax.grad(score))` (over `jax.jit(score_fn)` for
methods that only ask for scores), and the largest parts of it as JAX tells them: tracing, lowering,
compiling. Each is measured with JAX's caches emptied. Weights are drawn at random, which changes
nothing. Aim: below 1.5 for gradients and methods that only ask, below 2.5 for optimizations.
"""

import argparse
import collections
import functools
import time

import jax
import jax.numpy as jnp
from flax import nnx

import saljax
from saljax.models import constructors

ASK = {"occlusion": saljax.occlusion, "glas": functools.partial(saljax.glas, grid=5),
       "rise": functools.partial(saljax.rise, num_masks=64)}  # fmt: skip
DERIVE = {
    "gradient": saljax.gradient,
    "smoothgrad": functools.partial(saljax.smoothgrad, num_samples=4),
    "integrated_gradients": functools.partial(saljax.integrated_gradients, num_steps=4),
    "grad_cam": saljax.grad_cam,
}
RULES = {"guided_backprop": saljax.guided_backprop, "lrp": saljax.lrp}
OPTIMIZE = {
    "meaningful_perturbation": functools.partial(saljax.meaningful_perturbation, num_steps=2),
    "extremal_perturbation": functools.partial(saljax.extremal_perturbation, num_steps=2),
    "dynamic_masks": saljax.dynamic_masks,
}
PARTS = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lowering",
    "/jax/core/compile/backend_compile_duration": "compiling",
}


def first(run) -> tuple[float, dict[str, float]]:
    """Processor time of a first call less that of a second, and its parts on the clock."""
    jax.clear_caches()
    spent.clear()
    times = []
    for _ in range(2):
        start = time.process_time()
        jax.block_until_ready(run())
        times.append(time.process_time() - start)
    return times[0] - times[1], {part: spent[part] for part in PARTS.values()}


spent: dict[str, float] = collections.defaultdict(float)


def listen(event: str, duration_secs: float, **_: str | int) -> None:
    if event in PARTS:
        spent[PARTS[event]] += duration_secs


def main(name):
    score_fn = (constructors.BUILD | constructors.OWN)[name](rngs=nnx.Rngs(0))
    score_fn.eval()
    image = jax.random.uniform(jax.random.key(0), saljax.models.info(name).input_shape)
    target = jnp.asarray(1)
    forward = jax.jit(lambda f, x: f(x))
    score = jax.jit(lambda f, x: jax.grad(lambda x: f(x[None])[0, 1])(x))
    bare = {
        "forward": first(functools.partial(forward, score_fn, image[None])),
        "gradient": first(functools.partial(score, score_fn, image)),
    }
    for kind, (seconds, parts) in bare.items():
        show(name, f"the framework's own {kind}", seconds, 1.0, parts)
    for methods, kind in ((ASK, "forward"), (DERIVE | RULES | OPTIMIZE, "gradient")):
        for called, method in methods.items():
            run = functools.partial(saljax.explain, method, score_fn, image[None], target[None])
            try:
                seconds, parts = first(run)
            except ValueError as error:
                print(f"| {name} | {called} | refused: {str(error)[:60]} | | | | |", flush=True)
                continue
            show(name, called, seconds, seconds / bare[kind][0], parts)


def show(name, called, seconds, ratio, parts):
    cells = " | ".join(f"{parts[part]:.1f}" for part in PARTS.values())
    print(f"| {name} | {called} | {seconds:.1f} | {ratio:.2f} | {cells} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Seconds to the first map.")
    parser.add_argument("--models", nargs="+", default=["birdlets"])
    jax.monitoring.register_event_duration_secs_listener(listen)
    print(f"| model | method | CPU s | ratio | {' | '.join(PARTS.values())}, s |\n|{'---|' * 7}")
    for model in parser.parse_args().models:
        main(model)
