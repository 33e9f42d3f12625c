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
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from saljax.data import volumes
from saljax.models.architectures.glas3d import Glas3D
from saljax.models.constructors import abstract
from saljax.models.weights import assign, parameters, write
from saljax.training import steps

ASSET = Path(__file__).parent.parent / "saljax" / "assets" / "glas3d.safetensors"


def loss(weights, kept, batch, noise):
    volumes, labels = batch
    network: Any = assign(abstract("glas3d"), weights)
    logits = network(volumes, noise)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), {}


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
    per_epoch = len(images) // args.batch_size
    optimizer = optax.adam(optax.cosine_decay_schedule(args.learning_rate, args.epochs * per_epoch))
    state = steps.begin(parameters(Glas3D(rngs=nnx.Rngs(0))), {}, optimizer)
    shuffle, key = np.random.default_rng(0), jax.random.key(0)
    for epoch in range(args.epochs):
        order, state = shuffle.permutation(len(images)), state._replace(loss=jnp.float32(0))
        for i in range(per_epoch):
            rows = order[i * args.batch_size : (i + 1) * args.batch_size]
            key, own = jax.random.split(key)
            noise = own if epoch >= args.without_dropout else None
            state = steps.step(loss, optimizer, state, (images[rows], labels[rows]), noise)
        score_fn = assign(abstract("glas3d"), state.weights)
        got = steps.hits(score_fn, held_out, truth, 40).mean()
        print(
            f"epoch {epoch + 1}: loss {state.loss / per_epoch:.3f}, held-out accuracy "
            f"{got:.4f}, {time.time() - began:.0f} s",
            flush=True,
        )
    note = {"model": "glas3d", "made_by": "experiments/train_glas3d.py"}
    write(args.out, {name: np.asarray(value) for name, value in state.weights.items()}, note)


if __name__ == "__main__":
    main()
