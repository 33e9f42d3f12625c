r"""Do the CAMs agree with pytorch-grad-cam's, on the same weights and photographs?

torch and torchvision are installed beside saljax as CONTRIBUTING.md explains; then

    pip install --no-deps grad-cam==1.5.7 ttach tqdm opencv-python-headless scikit-learn scipy
    python experiments/cams_against_peers.py --weights resnet18.safetensors --number 5

Each map is of a photograph's label, at layer4, and compared at the picture's size as
pytorch-grad-cam gives it: the positive part, from 0 to 1. Difference: the largest of a map.
Results: results/cams_against_peers.md.
"""

import argparse
import functools
from pathlib import Path

import jax
import numpy as np
from agreement_with_peers import network, photographs

import saljax

METHODS = {
    "grad_cam": ("GradCAM", {}),
    "grad_cam_plus_plus": ("GradCAMPlusPlus", {}),
    "hires_cam": ("HiResCAM", {"positive": True}),
    "xgrad_cam": ("XGradCAM", {}),
    "layer_cam": ("LayerCAM", {}),
    "eigen_cam": ("EigenCAM", {}),
    "score_cam": ("ScoreCAM", {}),
    "ablation_cam": ("AblationCAM", {}),
}
DEAR = ("score_cam", "ablation_cam")
"""A pass a channel: on the first photograph only."""


def stretched(saliency):
    """The positive part, from 0 to 1."""
    positive = np.maximum(np.asarray(saliency), 0)
    positive = positive - positive.min()
    return positive / (1e-7 + positive.max())


def main(weights, number, names):
    net, model = network(weights, False, "resnet18")
    import pytorch_grad_cam as peers  # pyright: ignore[reportMissingImports]
    import torch  # pyright: ignore[reportMissingImports]
    from pytorch_grad_cam.utils.model_targets import (  # pyright: ignore[reportMissingImports]
        ClassifierOutputTarget,
    )

    logits = saljax.models.load("resnet18", weights)
    images, targets = photographs(number)
    tensors = torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))
    print("| method | photographs | correlation, least | difference, median | largest |")
    print("|---|---|---|---|---|", flush=True)
    for name in names:
        peer, keywords = METHODS[name]
        method = functools.partial(getattr(saljax, name), layer="layer4", **keywords)
        score_fn = saljax.scores.probabilities(logits) if name == "score_cam" else logits
        theirs = getattr(peers, peer)(model, [net.layer4])
        found = []
        for i in range(1 if name in DEAR else number):
            own = saljax.explain(method, score_fn, images[i : i + 1], targets[i : i + 1])
            asked = [ClassifierOutputTarget(targets[i])]
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
    parser.add_argument("--number", type=int, default=5)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    options = parser.parse_args()
    with jax.default_matmul_precision("highest"):
        main(options.weights, options.number, options.methods)
