"""Logits of torchvision's ResNets for seeded random weights: what the parity test compares with.

    python experiments/torchvision_logits.py tests/models/golden/torchvision_logits.npz

Made with torch 2.13.0 and torchvision 0.28.0. Weights and images come from numpy's generator, so
the test draws them again without torch; only the logits are stored.
"""

import sys

import numpy as np

from saljax.models.from_torchvision import source_shapes
from saljax.models.resnet import ARCHITECTURES, MEAN, STD

NUM_CLASSES = 10


def seeded_weights(name, seed=0):
    """Draw every tensor of a ResNet under torchvision's names: He kernels, lively statistics.

    No batch norm is the identity, and none is like another: an exchanged pair would show.
    """
    rng = np.random.default_rng(seed)
    tensors = {}
    for key, shape in source_shapes(name, NUM_CLASSES).items():
        if len(shape) > 1:
            value = rng.standard_normal(shape, np.float32) * np.sqrt(2 / np.prod(shape[1:]))
        elif key.endswith("running_var"):
            value = rng.uniform(0.5, 1.5, shape)
        elif key.endswith("weight"):  # below 1, so that thirty residual blocks do not explode
            value = rng.uniform(0.1, 0.8, shape)
        else:
            value = rng.uniform(-0.2, 0.2, shape)
        tensors[key] = value.astype(np.float32)
    return tensors


def seeded_images(shape=(2, 64, 64, 3), seed=1):
    """Draw images (N, height, width, 3), uniform in [0, 1)."""
    return np.random.default_rng(seed).random(shape, np.float32)


def torchvision_model(name, tensors):
    """Return torchvision's model with these weights, for inference; every key must fit."""
    import torch  # pyright: ignore[reportMissingImports]

    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        # A torchvision wheel built for another torch lacks its compiled operators and will not
        # import without these two; no classifier calls them.
        if not torch._C._dispatch_has_kernel(f"torchvision::{operator}"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
    import torchvision  # pyright: ignore[reportMissingImports]

    model = getattr(torchvision.models, name)(num_classes=len(tensors["fc.bias"]))
    model.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()}, strict=False)
    missing = set(dict(model.state_dict())) ^ set(tensors)
    assert all(key.endswith("num_batches_tracked") for key in missing), missing
    return model.eval()


def logits_of(model, images):
    """Return a torchvision model's logits (N, classes) of images in [0, 1]."""
    import torch  # pyright: ignore[reportMissingImports]

    normalized = np.moveaxis((images - MEAN) / STD, -1, 1)
    with torch.no_grad():
        return model(torch.from_numpy(np.ascontiguousarray(normalized))).numpy()


def main(target):
    images = seeded_images()
    logits = {
        name: logits_of(torchvision_model(name, seeded_weights(name)), images)
        for name in ARCHITECTURES
    }
    np.savez(target, **logits)
    for name, value in logits.items():
        print(f"{name}: {value.shape}, from {value.min():.3f} to {value.max():.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
