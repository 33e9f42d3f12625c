"""Train the bundled captioner of generated birds.

    python experiments/train_captions.py        # writes saljax/assets/captions.safetensors

Captioned pictures of seed 0, 96 x 96; the convolutions start as those of the bundled classifier of
birdlets. The LSTM is given the true words before (teacher forcing) and learns the next, the end
included. AdamW, one warm-up and one cosine, mirrored at random and with a random exposure.

Held-out are pictures of seed 1: the share of words that are the most probable after the true words
before them, and of captions that are exact when each word follows the captioner's own.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from saljax import models
from saljax.data import captions
from saljax.models.captions import Captioner, describe
from saljax.models.weights import assign, parameters, write

ASSET = Path(__file__).parent.parent / "saljax" / "assets" / "captions.safetensors"


def pictures(seed: int, number: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Pictures as uint8, words (N, LONGEST) filled up with the end, and the captions."""
    drawn = [captions.sample(seed, index)[:2] for index in range(number)]
    images = np.array([np.round(image * 255).astype(np.uint8) for image, _ in drawn])
    texts = [" ".join(words) for _, words in drawn]
    words = np.zeros((number, captions.LONGEST), np.int32)
    for row, text in zip(words, texts, strict=True):
        row[: len(text.split())] = captions.encode(text)
    return images, words, texts


def losses(graph, state, images, words):
    """Of each word and the end (N, LONGEST + 1), whether it counts, and whether it comes first."""
    end = captions.VOCABULARY.index(captions.END)
    wanted = jnp.pad(words, ((0, 0), (0, 1)), constant_values=end)
    counts = jnp.pad(words != end, ((0, 0), (1, 0)), constant_values=True)
    logits = nnx.merge(graph, state)(images, words)
    values = optax.softmax_cross_entropy_with_integer_labels(logits, wanted)
    return values, counts, logits.argmax(axis=-1) == wanted


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=(2, 3))
def step(graph, optimizer, state, memory, images, words, key):
    def loss(state):
        mirror, exposure = jax.random.split(key)
        x = images.astype(jnp.float32) / 255
        flip = jax.random.bernoulli(mirror, shape=(len(x), 1, 1, 1))
        x = jnp.where(flip, x[:, :, ::-1], x)
        x = x * jax.random.uniform(exposure, (len(x), 1, 1, 1), minval=0.6, maxval=1.2)
        values, counts, _ = losses(graph, state, jnp.clip(x, 0, 1), words)
        return values.mean(where=counts)

    value, gradient = jax.value_and_grad(loss)(state)
    updates, memory = optimizer.update(gradient, memory, state)
    return optax.apply_updates(state, updates), memory, value


@partial(jax.jit, static_argnums=0)
def right(graph, state, images, words):
    _, counts, first = losses(graph, state, images.astype(jnp.float32) / 255, words)
    return jnp.sum(first & counts), counts.sum()


def held_out(graph, state, images, words, texts) -> tuple[float, float]:
    """Shares of words and of captions that are right."""
    chunks = [slice(i, i + 250) for i in range(0, len(images), 250)]
    hits, words_in_all = np.sum([right(graph, state, images[c], words[c]) for c in chunks], axis=0)
    captioner = nnx.merge(graph, state)
    said = [text for c in chunks for text in describe(captioner, images[c] / np.float32(255))]
    exact = np.mean([one == other for one, other in zip(said, texts, strict=True)])
    return float(hits / words_in_all), float(exact)


def main():
    parser = argparse.ArgumentParser(description="Train the captioner of generated birds.")
    parser.add_argument("--pictures", type=int, default=14000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--held-out", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=ASSET)
    args = parser.parse_args()

    began = time.time()
    images, words, _ = pictures(0, args.pictures)
    test = pictures(1, args.held_out)
    print(f"{len(images)} pictures drawn in {time.time() - began:.0f} s", flush=True)

    began = time.time()
    captioner = Captioner(rngs=nnx.Rngs(0))
    fresh, known = parameters(captioner), parameters(models.load("birdlets"))
    shared = {name: known[name] for name in fresh if name.startswith(("stem", "block"))}
    graph, state = nnx.split(assign(captioner, fresh | shared))
    per_epoch = len(images) // args.batch_size
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, args.learning_rate, per_epoch // 2, args.epochs * per_epoch
    )
    optimizer = optax.adamw(schedule, weight_decay=1e-3)
    memory = optimizer.init(state)
    shuffle, key = np.random.default_rng(0), jax.random.key(0)
    for epoch in range(args.epochs):
        order, values = shuffle.permutation(len(images)), []
        for i in range(per_epoch):
            rows = order[i * args.batch_size : (i + 1) * args.batch_size]
            key, own = jax.random.split(key)
            state, memory, value = step(
                graph, optimizer, state, memory, images[rows], words[rows], own
            )
            values.append(float(value))
            if epoch == 0 and i % 25 == 0:
                print(f"step {i}, loss {value:.3f}, {time.time() - began:.0f} s", flush=True)
        got, exact = held_out(graph, state, *test)
        print(
            f"epoch {epoch + 1}: loss {np.mean(values):.4f}, held-out words {got:.4f}, "
            f"exact captions {exact:.4f}, {time.time() - began:.0f} s",
            flush=True,
        )
    note = {"model": "captions", "made_by": "experiments/train_captions.py"}
    write(args.out, parameters(nnx.merge(graph, state)), note)


if __name__ == "__main__":
    main()
