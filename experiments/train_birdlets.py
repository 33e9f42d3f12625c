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
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from saljax.data import birdlets
from saljax.models.architectures.birdlets import Birdlets
from saljax.models.constructors import abstract
from saljax.models.weights import assign, parameters, write
from saljax.ops import augment
from saljax.training import steps

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


def loss(weights, kept, batch, key):
    (images, targets), (mirror, exposure) = batch, jax.random.split(key)
    x = augment.mirror(images.astype(jnp.float32) / 255, mirror)
    x = x * jax.random.uniform(exposure, (len(x), 1, 1, 1), minval=0.6, maxval=1.2)
    logits = assign(abstract("birdlets"), weights)(jnp.clip(x, 0, 1))
    return optax.softmax_cross_entropy(logits, targets).mean(), {}


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
    per_epoch = len(images) // args.batch_size
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, args.learning_rate, per_epoch // 2, args.epochs * per_epoch
    )
    optimizer = optax.adamw(schedule, weight_decay=1e-3)
    state = steps.begin(parameters(Birdlets(rngs=nnx.Rngs(0))), {}, optimizer)
    shuffle, key = np.random.default_rng(0), jax.random.key(0)
    for epoch in range(args.epochs):
        order, state = shuffle.permutation(len(images)), state._replace(loss=jnp.float32(0))
        for i in range(per_epoch):
            rows = order[i * args.batch_size : (i + 1) * args.batch_size]
            key, own = jax.random.split(key)
            state = steps.step(loss, optimizer, state, (images[rows], targets[rows]), own)
            if epoch == 0 and i % 50 == 0:
                mean = state.loss / (i + 1)
                print(f"step {i}, mean loss {mean:.3f}, {time.time() - began:.0f} s", flush=True)
        score_fn = assign(abstract("birdlets"), state.weights)
        got = steps.hits(score_fn, held_out, labels, 250).mean()
        print(
            f"epoch {epoch + 1}: loss {state.loss / per_epoch:.3f}, held-out accuracy {got:.4f}, "
            f"{time.time() - began:.0f} s",
            flush=True,
        )
    note = {"model": "birdlets", "made_by": "experiments/train_birdlets.py"}
    write(args.out, {name: np.asarray(value) for name, value in state.weights.items()}, note)


if __name__ == "__main__":
    main()
