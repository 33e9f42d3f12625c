"""Logits of torchvision's classifiers for seeded random weights: what parity is tested with.

    python experiments/torchvision_logits.py tests/models/golden/torchvision_logits.npz [NAME ...]

Made with torch 2.13.0 and torchvision 0.28.0. Weights and images come from numpy's generator, so
the test draws them again without torch; only the logits are stored. AlexNet's and VGG's hidden
linear layers have 32 units instead of 4096, the transformer two blocks and ConvNeXt one in each
stage, on both sides, which changes no wiring.
"""

import sys
from pathlib import Path

import numpy as np

from saljax.models.architectures import resnet
from saljax.models.architectures.convnext import ARCHITECTURES as convnext_architectures
from saljax.models.architectures.layers import MEAN, STD
from saljax.models.constructors import BUILD
from saljax.models.from_torchvision import source_shapes
from saljax.models.tables import DROPPED

WITHOUT = ("mobilenet_v2_birds", "convnext_small", "convnext_base")
NAMES = [name for name in BUILD if name not in WITHOUT and "_patch16_" not in name]
"""Those of torchvision; a ConvNeXt with one block a stage is the others' as well."""
NUM_CLASSES = 10
HIDDEN = 32
SHAPES = {
    **{name: (64, 64) for name in resnet.ARCHITECTURES},
    "alexnet": (127, 95),
    "inception_v3": (91, 107),
    "vit_b_16": (224, 224),
}
"""Height and width of the images that a classifier is compared at, where they are not `SHAPE`."""
SHAPE = (64, 80)
GAIN = (0.1, 0.8)
GAINS = {"googlenet": (0.7, 1.6), "inception_v3": (0.7, 1.6), "mobilenet_v2": (0.5, 1.3)}
"""Scales of batch norms: below 1, so that thirty residual blocks do not explode; around 1 where
not every layer has a shortcut, so that something of the image arrives at the logits (and is cut
off at 6 on the way), yet low enough that torch's rounding changes them by 1e-5 at most."""


def sizes(name):
    """Return the sizes of a classifier that is small enough to be drawn in every test."""
    narrow = name == "alexnet" or name.startswith("vgg")
    flat = {"vit_b_16": {"depth": 2}, "convnext_tiny": {"depth": 1}}
    return {"num_classes": NUM_CLASSES} | ({"hidden": HIDDEN} if narrow else flat.get(name, {}))


def seeded_weights(name, seed=0):
    """Draw every tensor of a classifier under torchvision's names: He kernels, lively statistics.

    No batch norm is the identity, and none is like another: an exchanged pair would show.
    """
    rng = np.random.default_rng(seed)
    tensors = {}
    for key, shape in source_shapes(name, **sizes(name)).items():
        if key in ("class_token", "encoder.pos_embedding"):
            value = rng.standard_normal(shape, np.float32)
        elif len(shape) > 1:
            value = rng.standard_normal(shape, np.float32) * np.sqrt(2 / np.prod(shape[1:]))
        elif key.endswith("running_var"):
            value = rng.uniform(0.5, 1.5, shape)
        elif key.endswith("weight"):
            value = rng.uniform(*GAINS.get(name, GAIN), shape)
        else:
            value = rng.uniform(-0.2, 0.2, shape)
        tensors[key] = value.astype(np.float32)
    return tensors


def seeded_images(shape=(2, 64, 64, 3), seed=1):
    """Draw images (N, height, width, 3), uniform in [0, 1)."""
    return np.random.default_rng(seed).random(shape, np.float32)


def images_for(name):
    """Draw the two images that a classifier is compared at."""
    return seeded_images((2, *SHAPES.get(name, SHAPE), 3))


def import_torchvision():
    """Return the module torchvision; ImportError where it, or torch, is not installed."""
    import torch  # pyright: ignore[reportMissingImports]

    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        # A torchvision wheel built for another torch lacks its compiled operators and will not
        # import without these two; no classifier calls them.
        if not torch._C._dispatch_has_kernel(f"torchvision::{operator}"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
    import torchvision  # pyright: ignore[reportMissingImports]

    return torchvision


def torchvision_model(name, tensors):
    """Return torchvision's model with these weights, for inference; every key must fit.

    Auxiliary heads are there, with torch's random weights.
    """
    torchvision = import_torchvision()
    import torch  # pyright: ignore[reportMissingImports]

    if "depth" in sizes(name):
        model = _flat(torchvision, name, sizes(name)["depth"])
        model.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()})
        return model.eval()
    options = {}
    if name in DROPPED:  # published weights go with this transformation
        options = {"aux_logits": True, "transform_input": True, "init_weights": False}
    model = getattr(torchvision.models, name)(num_classes=NUM_CLASSES, **options)
    if "hidden" in sizes(name):
        layers = [layer for layer in model.classifier if isinstance(layer, torch.nn.Linear)]
        for layer, outputs in zip(layers, (HIDDEN, HIDDEN, NUM_CLASSES), strict=True):
            inputs = layer.in_features if layer is layers[0] else HIDDEN
            narrow = torch.nn.Linear(inputs, outputs)
            layer.weight, layer.bias = narrow.weight, narrow.bias
    model.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()}, strict=False)
    missing = (set(dict(model.state_dict())) ^ set(tensors)) - DROPPED.get(name, frozenset())
    assert all(key.endswith("num_batches_tracked") for key in missing), missing
    return model.eval()


def _flat(torchvision, name, depth):
    if name == "vit_b_16":
        sizes = {"hidden_dim": 768, "mlp_dim": 3072, "num_heads": 12, "num_classes": NUM_CLASSES}
        return torchvision.models.VisionTransformer(224, 16, num_layers=depth, **sizes)
    from torchvision.models import convnext  # pyright: ignore[reportMissingImports]

    widths = convnext_architectures[name].widths
    ends = zip(widths, (*widths[1:], None), strict=True)
    stages = [convnext.CNBlockConfig(width, after, depth) for width, after in ends]
    return convnext.ConvNeXt(stages, num_classes=NUM_CLASSES)


def logits_of(model, images):
    """Return a torchvision model's logits (N, classes) of images in [0, 1]."""
    import torch  # pyright: ignore[reportMissingImports]

    normalized = np.moveaxis((images - MEAN) / STD, -1, 1)
    with torch.no_grad():
        return model(torch.from_numpy(np.ascontiguousarray(normalized))).numpy()


def main(target, *names):
    stored = {}
    if Path(target).exists():
        with np.load(target) as file:
            stored = dict(file)
    for name in names or NAMES:
        logits = logits_of(torchvision_model(name, seeded_weights(name)), images_for(name))
        stored[name] = logits
        print(f"{name}: {logits.shape}, from {logits.min():.3f} to {logits.max():.3f}")
    np.savez(target, **{name: stored[name] for name in NAMES if name in stored})


if __name__ == "__main__":
    main(*sys.argv[1:])
