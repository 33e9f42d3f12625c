"""Train the bundled classifier of the birdlets.

    python experiments/train_birdlets.py        # writes saljax/assets/birdlets.safetensors

The pictures it learns from, all 96 x 96 and all of seed 0:

- single birds, their species as target;
- single birds whose diagnostic part was repainted in a neutral color, with the uniform target:
  so "no evidence" is something the network knows, and distractors are not evidence;
- single birds of which an equal area elsewhere was repainted, their species as target;
- pairs, one half for each species; flocks, their species.

AdamW, one warm-up and one cosine, mirrored at random and with a random exposure. Held-out accuracy
is on single birds of seed 1. `experiments/birdlets_truth.py` says what the network looks at.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from saljax.data import birdlets
from saljax.models.birdlets import Birdlets
from saljax.models.weights import parameters, write

ASSET = Path(__file__).parent.parent / "saljax" / "assets" / "birdlets.safetensors"
CLASSES = len(birdlets.SPECIES)


def training_pictures(kind: str, indices: range) -> tuple[np.ndarray, np.ndarray]:
    """Pictures as uint8, and their targets as probabilities."""
    images, targets = [], []
    for index in indices:
        target = np.zeros(CLASSES, np.float32)
        if kind in ("pair", "flock"):
            scene = getattr(birdlets, kind)(0, 10**6 + index)
            image = scene.image
            for bird in scene.birds:
                target[bird.label] += 1 / len(scene.birds)
        else:
            bird = birdlets.sample(0, index)
            image = bird.image
            target[bird.label] = 1
            if kind == "neutral":
                part = bird.part_masks[bird.diagnostic_part]
                image = birdlets.repaint(image, part, bird.neutral)
                target[:] = 1 / CLASSES
            if kind == "elsewhere":
                patch = birdlets.elsewhere(bird, index)
                image = birdlets.repaint(image, patch, bird.neutral)
        images.append(np.round(image * 255).astype(np.uint8))
        targets.append(target)
    return np.array(images), np.array(targets)


def training_set(counts: dict[str, int], workers: int) -> tuple[np.ndarray, np.ndarray]:
    start, jobs = 0, []
    for kind, count in counts.items():
        jobs += [
            (kind, range(i, min(i + 250, start + count))) for i in range(start, start + count, 250)
        ]
        start += count
    with ProcessPoolExecutor(workers) as pool:
        drawn = list(pool.map(training_pictures, *zip(*jobs, strict=True)))
    return np.concatenate([d[0] for d in drawn]), np.concatenate([d[1] for d in drawn])


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=(2, 3))
def step(graph, optimizer, state, memory, images, targets, key):
    def loss(state):
        mirror, exposure = jax.random.split(key)
        x = images.astype(jnp.float32) / 255
        flip = jax.random.bernoulli(mirror, shape=(len(x), 1, 1, 1))
        x = jnp.where(flip, x[:, :, ::-1], x)
        x = x * jax.random.uniform(exposure, (len(x), 1, 1, 1), minval=0.6, maxval=1.2)
        logits = nnx.merge(graph, state)(jnp.clip(x, 0, 1))
        return optax.softmax_cross_entropy(logits, targets).mean()

    value, gradient = jax.value_and_grad(loss)(state)
    updates, memory = optimizer.update(gradient, memory, state)
    return optax.apply_updates(state, updates), memory, value


@partial(jax.jit, static_argnums=0)
def predict(graph, state, images):
    return nnx.merge(graph, state)(images).argmax(axis=-1)


def accuracy(graph, state, images, labels) -> float:
    hits = [
        np.asarray(predict(graph, state, images[i : i + 250])) == labels[i : i + 250]
        for i in range(0, len(images), 250)
    ]
    return float(np.concatenate(hits).mean())


def main():
    parser = argparse.ArgumentParser(description="Train the bundled classifier of the birdlets.")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--singles", type=int, default=14000, help="the other kinds in proportion")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw pictures")
    parser.add_argument("--out", type=Path, default=ASSET)
    args = parser.parse_args()

    began = time.time()
    n = args.singles
    counts = dict(single=n, neutral=n // 5, elsewhere=n // 7, pair=n // 5, flock=n // 7)
    images, targets = training_set(counts, args.workers)
    held_out, labels = birdlets.batch(1, range(1000))
    print(f"{len(images)} pictures drawn in {time.time() - began:.0f} s", flush=True)

    began = time.time()
    graph, state = nnx.split(Birdlets(rngs=nnx.Rngs(0)))
    per_epoch = len(images) // args.batch_size
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, args.learning_rate, per_epoch // 2, args.epochs * per_epoch
    )
    optimizer = optax.adamw(schedule, weight_decay=1e-3)
    memory = optimizer.init(state)
    shuffle, key = np.random.default_rng(0), jax.random.key(0)
    for epoch in range(args.epochs):
        order, losses = shuffle.permutation(len(images)), []
        for i in range(per_epoch):
            rows = order[i * args.batch_size : (i + 1) * args.batch_size]
            key, own = jax.random.split(key)
            state, memory, value = step(
                graph, optimizer, state, memory, images[rows], targets[rows], own
            )
            losses.append(float(value))
            if epoch == 0 and i % 50 == 0:
                print(f"step {i}, loss {value:.3f}, {time.time() - began:.0f} s", flush=True)
        got = accuracy(graph, state, held_out, labels)
        print(
            f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, held-out accuracy {got:.4f}, "
            f"{time.time() - began:.0f} s",
            flush=True,
        )
    note = {"model": "birdlets", "made_by": "experiments/train_birdlets.py"}
    write(args.out, parameters(nnx.merge(graph, state)), note)


if __name__ == "__main__":
    main()
