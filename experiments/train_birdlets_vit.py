"""Train the bundled vision transformer of the birdlets.

    python experiments/train_birdlets_vit.py    # writes saljax/assets/birdlets_vit.safetensors

The pictures are those of `train_birdlets.py`, fewer: single birds, some also with their diagnostic
part repainted (their target uniform) or with as much elsewhere; pairs and flocks.

Beside the class token, which answers for the picture, the patches answer for themselves: the
species whose diagnostic part they show, or nothing. So says token labeling (Jiang et al., NeurIPS
2021), here with the generator's truth; nobody tells the attention where to look. Three stages, the
cheap ones first, since the blocks cost five times what the stem does:

- the stem learns the patches' answers, without any block;
- the class token learns to read them through the last block, the others still passing on what they
  get, as their last kernels are 0 at first; patches answer by what the last block reads;
- all learn, as the model runs.

The layer with the patches' answers is thrown away. AdamW, one warm-up and one cosine a stage,
mirrored at random, with a random exposure. Held-out accuracy is on single birds of seed 1. The
weights are kept as float16.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from saljax.core import taps
from saljax.data import birdlets
from saljax.models.architectures.vit import BIRDLETS
from saljax.models.constructors import OWN, abstract
from saljax.models.weights import assign, parameters, write
from saljax.training import steps

ASSET = Path(__file__).parent.parent / "saljax" / "assets" / "birdlets_vit.safetensors"
CLASSES = len(birdlets.SPECIES)
LAST = f"block{BIRDLETS.depth - 1}."
SHOWN = 0.15
"""Share of a patch that a part covers for the patch to answer, as its fullest patch does always;
our choice."""


def answers(birds):
    """What each patch shows, (rows, columns) int8: a species, or `CLASSES` for nothing."""
    size, found = BIRDLETS.patch, None
    for bird in birds:
        part = bird.part_masks[bird.diagnostic_part]
        rows = len(part) // size
        covered = part.reshape(rows, size, rows, size).mean(axis=(1, 3))
        found = np.full((rows, rows), CLASSES, np.int8) if found is None else found
        found[covered >= min(SHOWN, covered.max())] = bird.label
    return found


def training_pictures(kind, indices):
    """Pictures as uint8, their targets as probabilities, and what each patch shows."""
    found = []
    for index in indices:
        scene = None if kind == "single" else getattr(birdlets, kind)(0, 10**6 + index)
        birds = scene.birds if scene else (birdlets.sample(0, index),)
        image, target = birds[0].image, np.zeros(CLASSES, np.float32)
        for bird in birds:
            target[bird.label] += 1 / len(birds)
        found.append((image, target, answers(birds)))
        if kind == "single" and index % 3 == 0:
            (bird,) = birds
            without = birdlets.repaint(image, bird.part_masks[bird.diagnostic_part], bird.neutral)
            nothing = np.full_like(found[-1][2], CLASSES)
            found.append((without, np.full_like(target, 1 / CLASSES), nothing))
        if kind == "single" and index % 15 == 1:
            (bird,) = birds
            apart = birdlets.repaint(image, birdlets.elsewhere(bird, index), bird.neutral)
            found.append((apart, *found[-1][1:]))
    images, targets, shown = zip(*found, strict=True)
    return np.round(np.array(images) * 255).astype(np.uint8), np.array(targets), np.array(shown)


def training_set(counts, workers):
    start, jobs = 0, []
    for kind, count in counts.items():
        jobs += [
            (kind, range(i, min(i + 250, start + count))) for i in range(start, start + count, 250)
        ]
        start += count
    with ProcessPoolExecutor(workers) as pool:
        drawn = list(pool.map(training_pictures, *zip(*jobs, strict=True)))
    return tuple(np.concatenate(part) for part in zip(*drawn, strict=True))


def seen(images, shown, key):
    """A batch mirrored at random, with a random exposure."""
    mirror, exposure = jax.random.split(key)
    x, flip = images.astype(jnp.float32) / 255, jax.random.bernoulli(mirror, 0.5, (len(images),))
    x = jnp.where(flip[:, None, None, None], x[:, :, ::-1], x)
    shown = jnp.where(flip[:, None, None], shown[:, :, ::-1], shown)
    x = x * jax.random.uniform(exposure, (len(x), 1, 1, 1), minval=0.6, maxval=1.2)
    return jnp.clip(x, 0, 1), shown


def of_patches(weights, grid, shown):
    """Cross-entropy of the patches' answers; those that show something weigh half, all together."""
    logits = grid @ weights["answers.kernel"] + weights["answers.bias"]
    wrong = optax.softmax_cross_entropy_with_integer_labels(logits, shown.astype(jnp.int32))
    some = (shown < CLASSES).astype(jnp.float32)
    return ((wrong * some).sum() / some.sum() + (wrong * (1 - some)).sum() / (1 - some).sum()) / 2


def model_of(weights) -> Any:
    own = {name: value for name, value in weights.items() if not name.startswith("answers.")}
    return assign(abstract("birdlets_vit"), own)


def loss_of_stem(weights, kept, batch, key):
    images, _, shown = batch
    x, shown = seen(images, shown, key)
    return of_patches(weights, model_of(weights).patches(x), shown), {}


def of_class_token(model, images):
    """Logits, and the patches that the last block reads, while the other blocks do nothing."""
    x, block = model.tokens(model.patches(images)), getattr(model, f"block{BIRDLETS.depth - 1}")
    y, first = block.norm1(x), x[:, 0]
    kernel, bias = block.qkv.kernel[...], block.qkv.bias[...]
    query, rest = (slice(BIRDLETS.width), slice(BIRDLETS.width, None))
    query = y[:, 0] @ kernel[:, query] + bias[None, query]
    query = query.reshape(len(x), BIRDLETS.heads, -1)
    both = (y @ kernel[:, rest] + bias[None, None, rest]).reshape(*y.shape[:2], 2, *query.shape[1:])
    similar = jnp.einsum("nhd,nkhd->nhk", query * query.shape[-1] ** -0.5, both[:, :, 0])
    mixed = jnp.einsum("nhk,nkhd->nhd", jax.nn.softmax(similar), both[:, :, 1])
    first = first + block.out(mixed.reshape(first.shape))
    first = first + block.down(jax.nn.gelu(block.up(block.norm2(first)), approximate=False))
    grid = y[:, 1:].reshape(len(x), model.rows, model.rows, -1)
    return model.head(model.norm(first)), grid


def loss_of_class_token(weights, kept, batch, key):
    images, targets, shown = batch
    x, shown = seen(images, shown, key)
    logits, grid = of_class_token(model_of(weights), x)
    of_picture = optax.softmax_cross_entropy(logits, targets).mean()
    return of_picture + of_patches(weights, grid, shown), {}


def loss(weights, kept, batch, key):
    images, targets, shown = batch
    x, shown = seen(images, shown, key)
    logits, (grid,) = taps.activations(model_of(weights), x, ["grid"])
    of_picture = optax.softmax_cross_entropy(logits, targets).mean()
    return of_picture + of_patches(weights, grid, shown), {}


def trained(loss, weights, pictures, epochs, batch_size, rate, report):
    """Weights after some epochs; `report` is called with the weights after each."""
    per_epoch = len(pictures[0]) // batch_size
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, 60, epochs * per_epoch)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-3)
    )
    state = steps.begin(weights, {}, optimizer)
    shuffle, key = np.random.default_rng(0), jax.random.key(0)
    for epoch in range(epochs):
        order, state = shuffle.permutation(len(pictures[0])), state._replace(loss=jnp.float32(0))
        for i in range(per_epoch):
            rows = order[i * batch_size : (i + 1) * batch_size]
            key, own = jax.random.split(key)
            state = steps.step(loss, optimizer, state, tuple(a[rows] for a in pictures), own)
        report(f"epoch {epoch + 1}: loss {state.loss / per_epoch:.3f}", state.weights)
    return state.weights


def main():
    parser = argparse.ArgumentParser(description="Train the birdlets' vision transformer.")
    parser.add_argument("--epochs", type=int, nargs=3, default=(3, 2, 1), help="of each stage")
    parser.add_argument("--singles", type=int, default=5400, help="the others in proportion")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    parser.add_argument("--out", type=Path, default=ASSET)
    args = parser.parse_args()

    n, began = args.singles, time.time()
    counts = {"single": n, "pair": n // 10, "flock": n // 16}
    pictures = training_set(counts, args.workers)
    held_out, labels = birdlets.batch(1, range(300))
    print(f"{len(pictures[0])} pictures drawn in {time.time() - began:.0f} s", flush=True)

    began = time.process_time()

    def say(text, _):
        print(f"{text}, {time.process_time() - began:.0f} s of processor time", flush=True)

    def score(text, weights):
        got = steps.hits(model_of(weights), held_out, labels, 100).mean()
        say(f"{text}, held-out accuracy {got:.4f}", weights)
        note = {"model": "birdlets_vit", "made_by": "experiments/train_birdlets_vit.py"}
        own = parameters(model_of(weights))
        write(args.out, {name: value.astype(np.float16) for name, value in own.items()}, note)

    weights = dict(parameters(OWN["birdlets_vit"](rngs=nnx.Rngs(0))))
    blank = {
        "answers.kernel": np.zeros((BIRDLETS.width, CLASSES + 1), np.float32),
        "answers.bias": np.zeros(CLASSES + 1, np.float32),
    }
    for name in weights:
        if name.endswith((".out.kernel", ".down.kernel")) and not name.startswith(LAST):
            weights[name] = np.zeros_like(weights[name])
    weights |= blank
    stages = (
        (loss_of_stem, 64, 3e-3, say),
        (loss_of_class_token, 32, 2e-3, score),
        (loss, 16, 1.5e-3, score),
    )
    for epochs, (objective, batch_size, rate, report) in zip(args.epochs, stages, strict=True):
        weights = trained(objective, weights, pictures, epochs, batch_size, rate, report)


if __name__ == "__main__":
    main()
