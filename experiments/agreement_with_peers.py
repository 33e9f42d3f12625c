r"""Do white-box maps agree with captum's and TorchRay's, on the same weights and photographs?

captum (gradients, guided backpropagation, deconvnet, integrated gradients, Grad-CAM) and TorchRay
(excitation backprop, alone and contrastive) are run as they are published and never read. Weights
are those of a ResNet-50 in torchvision's names, loaded into torchvision's network on one side and
into ours on the other; each map is compared raw, signed and with its channels, at its own size.

torch and torchvision are installed beside saljax as CONTRIBUTING.md explains; then

    pip install --no-deps captum==0.9.0 torchray==1.0.0.2 tqdm
    python experiments/agreement_with_peers.py --weights resnet50.safetensors --number 10

TorchRay also imports matplotlib, packaging, importlib_resources and requests. With `--double` all
is computed in 64 bits, which tells a difference in rounding from a difference in kind. Results:
results/agreement_with_peers.md.
"""

import argparse
import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file
from torchvision_logits import import_torchvision

import saljax
from saljax.data.folders import prepare, read_image
from saljax.models.architectures.layers import MEAN, STD

PHOTOS = Path(__file__).parents[2] / "shared" / "real" / "photos"
STEPS = 50
"""Of integrated gradients, captum's default."""

OURS = {
    "gradient": functools.partial(saljax.gradient, reduce=None),
    "guided backprop": functools.partial(saljax.guided_backprop, reduce=None),
    "deconvnet": functools.partial(saljax.deconvnet, reduce=None),
    "integrated gradients": functools.partial(
        saljax.integrated_gradients, num_steps=STEPS, reduce=None, chunk_size=10
    ),
    "Grad-CAM at layer4": functools.partial(saljax.grad_cam, layer="layer4", resize=False),
    "Grad-CAM, resized": functools.partial(saljax.grad_cam, layer="layer4"),
    "excitation backprop at layer3": functools.partial(
        saljax.excitation_backprop, layer="layer3", resize=False
    ),
    "contrastive excitation backprop at layer3": functools.partial(
        saljax.contrastive_excitation_backprop, layer="layer3", resize=False
    ),
}


def network(weights, double, name="resnet50"):
    """A network of torchvision, and the same of RGB in [0, 1]; no ReLU works in place."""
    torchvision = import_torchvision()
    import torch  # pyright: ignore[reportMissingImports]

    class Normalized(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net
            for name, values in (("mean", MEAN), ("std", STD)):
                self.register_buffer(name, torch.tensor(np.float32(values))[None, :, None, None])

        def forward(self, images):
            return self.net((images - self.mean) / self.std)

    net = getattr(torchvision.models, name)()
    tensors = {name: torch.from_numpy(value) for name, value in load_file(weights).items()}
    missing, unexpected = net.load_state_dict(tensors, strict=False)
    assert not unexpected and all(k.endswith("num_batches_tracked") for k in missing), missing
    for module in net.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False
    model = Normalized(net).double() if double else Normalized(net)
    return net.eval(), model.eval()


def peers(net, model):
    """Name -> map of one image (1, 3, H, W) and target; a method may have several peers."""
    from captum import attr  # pyright: ignore[reportMissingImports]

    # The context of excitation backprop wants skip connections as modules, which this sees to.
    from torchray.attribution.excitation_backprop import (  # pyright: ignore[reportMissingImports]
        contrastive_excitation_backprop,
        excitation_backprop,
        update_resnet,
    )

    update_resnet(net)
    cam = attr.LayerGradCam(model, net.layer4)
    integrated = functools.partial(
        attr.IntegratedGradients(model).attribute, n_steps=STEPS, internal_batch_size=10
    )
    at_layer3 = {"saliency_layer": net.layer3}

    def layer_cam(x, target):
        return cam.attribute(x, target, relu_attributions=True)

    def resized_cam(x, target):
        size = tuple(x.shape[2:])
        return attr.LayerAttribution.interpolate(layer_cam(x, target), size, "bilinear")

    return {
        "gradient": {"captum": functools.partial(attr.Saliency(model).attribute, abs=False)},
        "guided backprop": {"captum": attr.GuidedBackprop(model).attribute},
        "deconvnet": {"captum": attr.Deconvolution(model).attribute},
        "integrated gradients": {
            "captum, midpoints": functools.partial(integrated, method="riemann_middle"),
            "captum, Gauss-Legendre": integrated,
        },
        "Grad-CAM at layer4": {"captum": layer_cam},
        "Grad-CAM, resized": {"captum, bilinear": resized_cam},
        "excitation backprop at layer3": {
            "TorchRay": lambda x, target: excitation_backprop(model, x, target, **at_layer3)
        },
        "contrastive excitation backprop at layer3": {
            "TorchRay": lambda x, target: contrastive_excitation_backprop(
                model, x, target, contrast_layer=net.avgpool, classifier_layer=net.fc, **at_layer3
            )
        },
    }


def photographs(number, short_side=256, size=224):
    records = json.loads((PHOTOS / "ilsvrc_boxes.json").read_text())[:number]
    pictures = [read_image(PHOTOS / "ilsvrc" / record["file"]) for record in records]
    images = np.stack([prepare(picture, short_side, size) for picture in pictures])
    return images, [record["label"] for record in records]


def compared(ours, theirs):
    """Correlation, and largest difference over the largest absolute value of theirs."""
    correlation = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
    return correlation, np.abs(ours - theirs).max() / np.abs(theirs).max()


def main():
    parser = argparse.ArgumentParser(description="White-box maps beside captum's and TorchRay's.")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--number", type=int, default=10)
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--methods", nargs="+", default=list(OURS), choices=list(OURS))
    options = parser.parse_args()

    net, model = network(options.weights, options.double)
    torch = __import__("torch")
    score_fn = saljax.models.load("resnet50", options.weights)
    images, targets = photographs(options.number)
    if options.double:
        jax.config.update("jax_enable_x64", True)
        score_fn = jax.tree.map(lambda x: x.astype(jnp.float64), score_fn)
        images = images.astype(np.float64)
    all_peers = peers(net, model)
    tensors = torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))
    with torch.no_grad():
        theirs = model(tensors).numpy()
    ours = np.asarray(jax.jit(lambda f, x: f(x))(score_fn, images))
    print(f"logits: largest difference {np.abs(ours - theirs).max():.1e} of {ours.std():.2f}\n")
    print("| map | peer | correlation, least | median | difference, median | largest |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in options.methods:
        own = [
            np.asarray(saljax.explain(OURS[name], score_fn, images[i : i + 1], targets[i : i + 1]))
            for i in range(len(images))
        ]
        for peer, explain in all_peers[name].items():
            found = []
            for i, target in enumerate(targets):
                saliency = explain(tensors[i : i + 1].clone().requires_grad_(), target=target)
                theirs = np.moveaxis(saliency.detach().numpy(), 1, -1)
                found.append(compared(own[i], theirs.reshape(own[i].shape)))
            correlation, difference = np.array(found).T
            print(
                f"| {name} | {peer} | {correlation.min():.7f} | {np.median(correlation):.7f} | "
                f"{np.median(difference):.1e} | {difference.max():.1e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
