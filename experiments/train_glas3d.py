"""Train the bundled 3-D network on the generated volumes.

    python experiments/train_glas3d.py        # writes saljax/assets/glas3d.safetensors

The network, its Gaussian dropout and its activations are those of GLAS, appendix A. With noise of
standard deviation 2 from the start it learned nothing in four epochs, so the first epochs go
without. They stand in for the paper's pretraining of the convolutions as an auto-encoder, which is
left out: the paper's brain images were few (429), ours can be drawn at will. It names neither
optimizer nor epochs; both are our choice.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax
from flax import nnx

from saljax.data import volumes
from saljax.models.glas3d import Glas3D
from saljax.models.weights import parameters, write

ASSET = Path(__file__).parent.parent / "saljax" / "assets" / "glas3d.safetensors"


@partial(jax.jit, static_argnums=(0, 1))
def step(graph, optimizer, state, memory, images, labels, noise):
    def loss(state):
        logits = nnx.merge(graph, state)(images, noise)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    value, gradient = jax.value_and_grad(loss)(state)
    updates, memory = optimizer.update(gradient, memory, state)
    return optax.apply_updates(state, updates), memory, value


@partial(jax.jit, static_argnums=0)
def predict(graph, state, images):
    return nnx.merge(graph, state)(images).argmax(axis=-1)


def accuracy(graph, state, images, labels) -> float:
    hits = [
        np.asarray(predict(graph, state, images[i : i + 40])) == labels[i : i + 40]
        for i in range(0, len(labels), 40)
    ]
    return float(np.mean(hits))


def main():
    parser = argparse.ArgumentParser(description="Train the bundled 3-D network.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--without-dropout", type=int, default=4, help="the first epochs")
    parser.add_argument("--subjects", type=int, default=800)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, default=ASSET)
    args = parser.parse_args()

    began = time.time()
    images, labels = volumes.batch(0, range(args.subjects))
    held_out, truth = volumes.batch(1, range(400))
    print(f"{len(images)} volumes drawn in {time.time() - began:.0f} s", flush=True)

    began = time.time()
    graph, state = nnx.split(Glas3D(rngs=nnx.Rngs(0)))
    per_epoch = len(images) // args.batch_size
    optimizer = optax.adam(optax.cosine_decay_schedule(args.learning_rate, args.epochs * per_epoch))
    memory = optimizer.init(state)
    shuffle, key = np.random.default_rng(0), jax.random.key(0)
    for epoch in range(args.epochs):
        order, losses = shuffle.permutation(len(images)), []
        for i in range(per_epoch):
            rows = order[i * args.batch_size : (i + 1) * args.batch_size]
            key, own = jax.random.split(key)
            noise = own if epoch >= args.without_dropout else None
            state, memory, value = step(
                graph, optimizer, state, memory, images[rows], labels[rows], noise
            )
            losses.append(float(value))
        got = accuracy(graph, state, held_out, truth)
        print(
            f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, held-out accuracy "
            f"{got:.4f}, {time.time() - began:.0f} s",
            flush=True,
        )
    note = {"model": "glas3d", "made_by": "experiments/train_glas3d.py"}
    write(args.out, parameters(nnx.merge(graph, state)), note)


if __name__ == "__main__":
    main()
