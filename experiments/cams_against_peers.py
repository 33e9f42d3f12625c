r"""Do the CAMs agree with pytorch-grad-cam's, on the same weights and photographs?

torch and torchvision are installed beside saljax as CONTRIBUTING.md explains; then

    pip install --no-deps grad-cam==1.5.7 ttach tqdm opencv-python-headless scikit-learn scipy
    python experiments/cams_against_peers.py --weights resnet18.safetensors --number 2

Each map is of a photograph's label, at layer4, and compared at the picture's size as
pytorch-grad-cam gives it: the positive part, from 0 to 1. Difference: the largest of a map. Where
its formula is another, or it makes the map larger in another order, ours is also compared when it
does as theirs does ("theirs" in the name). Results: results/cams_against_peers.md.
"""

import argparse
import contextlib
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from agreement_with_peers import network, photographs

import saljax
from saljax.methods.cams.grad_cam import finish, read
from saljax.ops import images

EPSILON = 1e-6
"""In the denominator of Grad-CAM++'s alpha, in theirs."""


def plus_plus_as_theirs(score_fn, image, target):
    activation, g = read(score_fn, image, target, "layer4", None)
    total = activation.sum((0, 1), keepdims=True)
    alpha = jnp.where(g == 0, 0, g**2 / (2 * g**2 + total * g**3 + EPSILON))
    weights = (alpha * jax.nn.relu(g)).sum((0, 1))
    return finish(activation @ weights, image, True)


def eigen_cam_as_theirs(score_fn, image, target):
    """Cut at 0 before it is made larger."""
    small = saljax.eigen_cam(score_fn, image, target, layer="layer4", resize=False)
    return images.resize(jax.nn.relu(small), image.shape[:-1])


def at_layer4(name, **keywords):
    return functools.partial(getattr(saljax, name), layer="layer4", **keywords)


SOFTMAX = {"channel_softmax": True, "baseline": 0.0}
"""Theirs multiplies what the classifier is given, colors from 0 to 1 here: black."""
METHODS = {
    "grad_cam": (at_layer4("grad_cam"), "GradCAM"),
    "hires_cam": (at_layer4("hires_cam", positive=True), "HiResCAM"),
    "xgrad_cam": (at_layer4("xgrad_cam"), "XGradCAM"),
    "layer_cam": (at_layer4("layer_cam"), "LayerCAM"),
    "grad_cam_plus_plus": (at_layer4("grad_cam_plus_plus"), "GradCAMPlusPlus"),
    "grad_cam_plus_plus, theirs": (plus_plus_as_theirs, "GradCAMPlusPlus"),
    "eigen_cam": (at_layer4("eigen_cam"), "EigenCAM"),
    "eigen_cam, theirs": (eigen_cam_as_theirs, "EigenCAM"),
    "ablation_cam": (at_layer4("ablation_cam"), "AblationCAM"),
    "score_cam": (at_layer4("score_cam"), "ScoreCAM"),
    "score_cam, theirs": (at_layer4("score_cam", **SOFTMAX), "ScoreCAM"),
    "score_cam, theirs, corners ours": (at_layer4("score_cam", **SOFTMAX), "ScoreCAM"),
}
"""Ours, and the class of theirs."""


@contextlib.contextmanager
def corners(torch, ours):
    """With `ours` the masks of theirs are made larger as we and the authors do it: by half pixels.

    `torch.nn.UpsamplingBilinear2d`, which it calls, aligns the corners.
    """
    aligned = torch.nn.UpsamplingBilinear2d
    if ours:
        half = functools.partial(torch.nn.Upsample, mode="bilinear", align_corners=False)
        torch.nn.UpsamplingBilinear2d = half
    try:
        yield
    finally:
        torch.nn.UpsamplingBilinear2d = aligned


def stretched(saliency):
    """The positive part, from 0 to 1."""
    positive = np.maximum(np.asarray(saliency), 0)
    positive = positive - positive.min()
    return positive / (1e-7 + positive.max())


def main(weights, number, names, size):
    net, model = network(weights, False, "resnet18")
    import pytorch_grad_cam as peers  # pyright: ignore[reportMissingImports]
    import torch  # pyright: ignore[reportMissingImports]
    from pytorch_grad_cam.utils.model_targets import (  # pyright: ignore[reportMissingImports]
        ClassifierOutputTarget,
    )

    logits = saljax.models.load("resnet18", weights)
    pictures, targets = photographs(number, size * 8 // 7, size)
    tensors = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pictures, -1, 1)))
    print("| method | photographs | correlation, least | difference, median | largest |")
    print("|---|---|---|---|---|", flush=True)
    for name in names:
        method, peer = METHODS[name]
        score_fn = saljax.scores.probabilities(logits) if name == "score_cam" else logits
        theirs = getattr(peers, peer)(model, [net.layer4])
        found = []
        for i in range(number):
            own = saljax.explain(method, score_fn, pictures[i : i + 1], targets[i : i + 1])
            asked = [ClassifierOutputTarget(targets[i])]
            with corners(torch, name.endswith("corners ours")):
                other = theirs(input_tensor=tensors[i : i + 1], targets=asked)[0]
            a, b = stretched(own[0]), stretched(other)
            found.append((np.corrcoef(a.ravel(), b.ravel())[0, 1], np.abs(a - b).max()))
        correlation, difference = np.array(found).T
        print(
            f"| {name} | {len(found)} | {correlation.min():.6f} | {np.median(difference):.1e} | "
            f"{difference.max():.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="CAMs beside pytorch-grad-cam's.")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--number", type=int, default=2)
    parser.add_argument("--size", type=int, default=224, help="of pictures, in pixels")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    options = parser.parse_args()
    with jax.default_matmul_precision("highest"):
        main(options.weights, options.number, options.methods, options.size)
