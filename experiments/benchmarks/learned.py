r"""What explainers that learn cost, in use and in training: ratios measured in one run.

    python experiments/benchmarks/learned.py --weights FILE
    python experiments/benchmarks/learned.py --weights FILE --training --batch 16

An explanation is one call of `saljax.explain` of a whole batch, beside the bare classifier's
forward pass of the same batch and, with `--optimized`, one step of meaningful perturbation (of the
300 its paper takes): what 15 steps take longer than 5, over 10.
A step of training is beside the classifier's own forward-and-backward pass of the same batch, with
the derivative of the loss with respect to all weights, as when it was trained; what explainers ask
of the classifier, passes forward alone and back to the picture, stands there too. They have learned
nothing, which costs the same. They take turns; a ratio is that of medians, of seconds on the clock
and of processor time (which counts where other work shares the machine).
"""

import argparse
import functools
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import saljax
from saljax.core.compiled import split_arrays
from saljax.core.scores import as_pytree
from saljax.methods.learned.explainer import fit_to
from saljax.methods.learned.kinds import KINDS, build
from saljax.models import weights
from saljax.training import explainers, losses, steps


@jax.jit
def forward(score_fn, images):
    return score_fn(images)


@jax.jit
def forward_and_backward(score_fn, images, labels):
    graph, state = nnx.split(score_fn)

    def loss(state):
        logits = nnx.merge(graph, state)(images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    return jax.grad(loss)(state)


@jax.jit
def to_picture(score_fn, images):
    return jax.grad(lambda images: jax.nn.log_softmax(score_fn(images))[:, 0].sum())(images)


def in_use(score_fn, images, targets, optimized):
    """Name -> what to run."""
    probabilities = saljax.scores.probabilities(score_fn)
    yield "forward", functools.partial(forward, score_fn, images)
    for name, explainer in drawn(score_fn, images[0]):
        yield name, functools.partial(saljax.explain, explainer, score_fn, images, targets)
    for number in (5, 15) if optimized else ():
        method = functools.partial(saljax.meaningful_perturbation, num_steps=number)
        explain = functools.partial(saljax.explain, method, probabilities, images, targets)
        yield f"meaningful perturbation, {number} steps", explain


def in_training(score_fn, images, targets, optimized):
    """As `in_use`; the classifier's activations are computed in the step, none are kept."""
    del optimized
    bare = functools.partial(forward_and_backward, score_fn, images, targets)
    yield "forward and backward", bare
    yield "forward alone", functools.partial(forward, score_fn, images)
    yield "forward, and back to the picture", functools.partial(to_picture, score_fn, images)
    arrays, rest = split_arrays(as_pytree(score_fn))
    for name, explainer in drawn(score_fn, images[0]):
        stage = KINDS[name].stages()[-1]
        optimizer = losses.optimizer(stage, 10)
        loss, _ = losses.of_stage(explainers.blank(explainer), rest, stage, 1.0, False)
        tensors = weights.parameters(explainer)
        state = steps.begin(*losses.parted(explainer, tensors, stage), optimizer)
        batch, key = (images, ()), jax.random.key(0)
        yield name, functools.partial(steps.step, loss, optimizer, state, batch, key, (arrays,))


def drawn(score_fn, image):
    for name, kind in KINDS.items():
        fit = fit_to(score_fn, image, kind.layers(score_fn, image))
        yield name, build(kind, fit, {}, jax.random.key(0))


def seconds(run) -> np.ndarray:
    """On the clock, and of processor time."""
    start = time.perf_counter(), time.process_time()
    jax.block_until_ready(run())
    return np.subtract((time.perf_counter(), time.process_time()), start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Explainers that learn against a bare pass.")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--optimized", action="store_true")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()

    score_fn = saljax.models.load(options.model, options.weights)
    shape = saljax.models.info(options.model).input_shape
    images = jax.random.uniform(jax.random.key(0), (options.batch, *shape))
    targets = jnp.arange(options.batch, dtype=jnp.int32)
    runs = list(
        (in_training if options.training else in_use)(score_fn, images, targets, options.optimized)
    )
    for _, run in runs:
        seconds(run)  # compiles
    taken = {name: [] for name, _ in runs}
    for _ in range(options.turns):
        for name, run in runs:
            taken[name].append(seconds(run))
    medians = {name: np.median(times, axis=0) for name, times in taken.items()}
    if options.optimized and not options.training:
        few, more = list(medians.values())[-2:]
        medians["meaningful perturbation, each further step"] = (more - few) / 10
    bare = medians[runs[0][0]]
    device = jax.devices()[0].device_kind
    print(f"{options.model}, {device}, {platform.machine()}, JAX {jax.__version__}, ", end="")
    print(f"batches of {options.batch}, {options.turns} turns\n")
    print("| | s | of the bare pass | CPU s | of the bare pass | images a second |")
    print("|---|---|---|---|---|---|")
    for name, (clock, cpu) in medians.items():
        ratios = f"{clock:.2f} | {clock / bare[0]:.2f} | {cpu:.2f} | {cpu / bare[1]:.2f}"
        print(f"| {name} | {ratios} | {options.batch / clock:.1f} |")
