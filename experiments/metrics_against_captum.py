r"""Do infidelity and sensitivity agree with captum's, given the same perturbations?

captum is run as it is published and never read. Both sides have the same weights, a small network
of convolutions with random ones, and the same draws: those of saljax, which its docstrings tell.
torch is installed beside saljax as CONTRIBUTING.md explains; then

    pip install --no-deps captum==0.9.0 tqdm
    python experiments/metrics_against_captum.py

Results: results/metrics_against_captum.md.
"""

import argparse
import functools

import jax
import jax.numpy as jnp
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from captum import metrics as peers  # pyright: ignore[reportMissingImports]
from jax.tree_util import Partial

import saljax

SIDE, CHANNELS, CLASSES, TARGET = 24, 3, 5, 2
SAMPLES, RADIUS = 20, 0.02


def weights(seed):
    rng = np.random.default_rng(seed)
    return {
        "conv": rng.normal(0, 0.3, (5, 5, CHANNELS, 8)).astype(np.float32),
        "head": rng.normal(0, 0.3, (8, CLASSES)).astype(np.float32),
    }


def network(w, images):
    x = jax.lax.conv_general_dilated(
        images, w["conv"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return jnp.tanh(x).mean((1, 2)) @ w["head"]


def torch_network(w):
    conv = torch.tensor(w["conv"]).permute(3, 2, 0, 1).contiguous()
    head = torch.tensor(w["head"])
    return lambda x: torch.tanh(torch.nn.functional.conv2d(x, conv)).mean((2, 3)) @ head


def to_torch(array):
    """(N, H, W, C) -> (N, C, H, W)."""
    return torch.tensor(np.asarray(array)).permute(0, 3, 1, 2).contiguous()


def one(seed):
    w, key = weights(seed), jax.random.key(seed)
    image = jnp.asarray(np.random.default_rng(100 + seed).uniform(size=(SIDE, SIDE, CHANNELS)))
    image = image.astype(jnp.float32)
    score_fn, forward = Partial(network, jax.tree.map(jnp.asarray, w)), torch_network(w)
    gradient = functools.partial(saljax.gradient, reduce=None)
    raw = gradient(score_fn, image, TARGET)
    draws = [jax.random.fold_in(key, i) for i in range(1, SAMPLES + 1)]
    noisy = [jnp.clip(image + 0.2 * jax.random.normal(d, image.shape), 0, 1) for d in draws]
    near = [image + RADIUS * jax.random.uniform(d, image.shape, minval=-1, maxval=1) for d in draws]
    noisy, near, inputs = (to_torch(jnp.stack(x)) for x in (noisy, near, [image]))

    only = torch.tensor([0.0, 1.0, 0.0])[None, :, None, None]

    def green(inputs):
        """The map of one channel, since ours is one, and captum's has the input's shape.

        captum hands on a tuple, and takes one.
        """
        (x,) = inputs
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return (torch.autograd.grad(forward(x)[:, TARGET].sum(), x)[0] * only,)

    found = {}
    for normalize in (False, True):
        ours = saljax.metrics.infidelity(
            score_fn, image, TARGET, raw, key=key, perturbation="gaussian", num_samples=SAMPLES,
            normalize=normalize,
        )  # fmt: skip
        theirs = peers.infidelity(
            forward, lambda x: (x - noisy, noisy), inputs, to_torch(raw[None]), target=TARGET,
            n_perturb_samples=SAMPLES, normalize=normalize,
        )  # fmt: skip
        found[f"infidelity, normalize={normalize}"] = float(ours), float(theirs)
    ours = saljax.metrics.max_sensitivity(
        lambda *given: gradient(*given)[..., 1], score_fn, image, TARGET, key=key,
        num_samples=SAMPLES, radius=RADIUS,
    )  # fmt: skip
    theirs = peers.sensitivity_max(
        green, inputs, lambda x, radius: (near,), perturb_radius=RADIUS, n_perturb_samples=SAMPLES
    )  # fmt: skip
    found["max-sensitivity"] = float(ours), float(theirs)
    return found


def main():
    parser = argparse.ArgumentParser(description="Compare metrics with captum's.")
    parser.add_argument("--number", type=int, default=5, help="networks and images")
    args = parser.parse_args()
    every = [one(seed) for seed in range(args.number)]
    for name in every[0]:
        pairs = np.asarray([found[name] for found in every])
        away = np.abs(pairs[:, 0] - pairs[:, 1]) / pairs[:, 1]
        print(f"| {name} | {pairs[0, 0]:.6g} | {pairs[0, 1]:.6g} | {away.max():.1e} |")


if __name__ == "__main__":
    main()
