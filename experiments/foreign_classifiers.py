"""Classifiers of every framework and methods of every family: what works, and what is refused.

    python experiments/foreign_classifiers.py --out experiments/results/foreign_classifiers.md

Small networks with random weights; it needs the frameworks: pip install keras equinox torch onnx
onnxruntime scikit-learn transformers==4.57.6 equimo flaxmodels; rows of those that are missing
are left out. A cell is "yes" where the map of the model's score function is finite and not
constant, else the reason. Nothing is said here of how good a map is.
"""

import argparse
import functools
import os
import pathlib
import tempfile

os.environ["KERAS_BACKEND"] = "jax"

import equinox as eqx
import jax
import numpy as np
from flax import linen, nnx

import saljax

SIZE, CLASSES = 32, 4
IMAGES = np.random.default_rng(0).uniform(size=(1, SIZE, SIZE, 3)).astype("f")
METHODS = {
    "perturbation: `occlusion`": functools.partial(saljax.occlusion, window=8, stride=8),
    "mask optimization: `meaningful_perturbation`": functools.partial(
        saljax.meaningful_perturbation, num_steps=2
    ),
    "gradients: `gradient`": saljax.gradient,
    "layers: `grad_cam`": saljax.grad_cam,
    "other rules: `guided_backprop`": saljax.guided_backprop,
}


class NNX(nnx.Module):
    """With batch norm and dropout, in training as it is built."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(8, CLASSES, rngs=rngs)

    def __call__(self, x):
        """Scores."""
        return self.head(self.drop(nnx.relu(self.norm(self.conv(x)))).mean((1, 2)))


class Linen(linen.Module):
    """In training unless told otherwise."""

    @linen.compact
    def __call__(self, x, train=True):
        """Scores."""
        x = linen.relu(linen.BatchNorm(not train)(linen.Conv(8, (3, 3))(x)))
        return linen.Dense(CLASSES)(x.mean((1, 2)))


class Equinox(eqx.Module):
    """Of one image, channels first."""

    conv: eqx.nn.Conv2d
    head: eqx.nn.Linear

    def __init__(self):
        one, two = jax.random.split(jax.random.key(0))
        self.conv = eqx.nn.Conv2d(3, 8, 3, key=one)
        self.head = eqx.nn.Linear(8, CLASSES, key=two)

    def __call__(self, x):
        """Scores."""
        return self.head(jax.nn.relu(self.conv(x)).mean((1, 2)))


def of_linen():
    module = Linen()
    return module, saljax.scores.from_linen(
        module, module.init(jax.random.key(0), IMAGES), train=False
    )


def of_keras():
    import keras  # pyright: ignore[reportMissingImports]

    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu")(keras.layers.RandomFlip()(image))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(CLASSES)(x))
    return model, saljax.scores.from_keras(model)


def of_torch():
    import torch  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU()]
    layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, CLASSES)]
    module = torch.nn.Sequential(*layers)
    return module, saljax.scores.from_torch(module, CLASSES)


def of_onnx():
    import onnx  # pyright: ignore[reportMissingImports]
    import onnxruntime  # pyright: ignore[reportMissingImports]

    kind, helper = onnx.TensorProto.FLOAT, onnx.helper
    kernel = np.random.default_rng(1).normal(size=(CLASSES, 3, 3, 3)).astype("f")
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("ReduceMean", ["relu"], ["y"], axes=[2, 3], keepdims=0),
    ]
    given = helper.make_tensor_value_info("x", kind, [1, 3, SIZE, SIZE])
    found = helper.make_tensor_value_info("y", kind, [1, CLASSES])
    weights = [onnx.numpy_helper.from_array(kernel, "kernel")]
    graph = helper.make_graph(nodes, "net", [given], [found], weights)
    path = pathlib.Path(tempfile.mkdtemp()) / "net.onnx"
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session, saljax.scores.from_onnx(path)


def of_sklearn():
    from sklearn.ensemble import RandomForestClassifier  # pyright: ignore[reportMissingImports]

    rows = np.random.default_rng(2).uniform(size=(60, IMAGES.size))
    forest = RandomForestClassifier(20, random_state=0).fit(rows, np.arange(60) % CLASSES)
    return forest, saljax.scores.from_sklearn(forest)


def of_nnx():
    model = NNX(nnx.Rngs(0))
    return model, saljax.scores.from_nnx(model)


def of_equinox():
    model = Equinox()
    return model, saljax.scores.from_equinox(model)


def of_nnx_evaluated():
    model = NNX(nnx.Rngs(0))
    model.eval()
    return model, saljax.scores.from_nnx(model)


def of_flax_resnet():
    from transformers import FlaxResNetForImageClassification, ResNetConfig  # pyright: ignore[reportMissingImports]

    model = FlaxResNetForImageClassification(
        ResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 16],
            depths=[1, 1],
            layer_type="basic",
            num_labels=CLASSES,
        ),
        input_shape=(1, SIZE, SIZE, 3),
    )
    return model, saljax.scores.select(saljax.scores.from_linen(model), "logits")


def of_flax_vit():
    from transformers import FlaxViTForImageClassification, ViTConfig  # pyright: ignore[reportMissingImports]

    model = FlaxViTForImageClassification(
        ViTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            image_size=SIZE,
            patch_size=8,
            num_labels=CLASSES,
        )
    )
    return model, saljax.scores.select(saljax.scores.from_linen(model), "logits")


def of_equimo():
    from equimo.models.vit import VisionTransformer  # pyright: ignore[reportMissingImports]

    model = VisionTransformer(
        img_size=SIZE,
        in_channels=3,
        dim=32,
        patch_size=8,
        num_heads=[2],
        depths=[2],
        num_classes=CLASSES,
        key=jax.random.key(0),
    )
    return model, saljax.scores.from_equinox(model)


def of_flaxmodels():
    import flaxmodels  # pyright: ignore[reportMissingImports]

    module = flaxmodels.ResNet18(output="logits", pretrained=None, num_classes=CLASSES)
    variables = module.init(jax.random.key(0), IMAGES, train=False)
    return module, saljax.scores.from_linen(module, variables, train=False)


FRAMEWORKS = {
    "Flax NNX, in evaluation mode": of_nnx_evaluated,
    "Flax NNX, left in training": of_nnx,
    "Flax Linen": of_linen,
    "Equinox": of_equinox,
    "Keras 3, with augmentation": of_keras,
    "PyTorch": of_torch,
    "ONNX, batch fixed at 1": of_onnx,
    "scikit-learn": of_sklearn,
    "transformers' Flax ResNet": of_flax_resnet,
    "transformers' Flax ViT": of_flax_vit,
    "equimo's ViT (Equinox)": of_equimo,
    "flaxmodels' ResNet18 (Linen)": of_flaxmodels,
}


def tried(method, score_fn):
    """Whether it makes a map; else the first line of what it says."""
    try:
        found = np.asarray(saljax.explain(method, score_fn, IMAGES, [1]))
    except Exception as error:
        return str(error).strip().splitlines()[0].partition(";")[0]
    if not np.isfinite(found).all():
        return "not finite"
    return "yes" if found.std() > 0 else "the same everywhere"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    out = parser.parse_args().out
    reasons, given, rows = [], [], []
    for name, make in FRAMEWORKS.items():
        try:
            model, score_fn = make()
        except ImportError as missing:
            print(f"{name}: {missing}", flush=True)
            continue
        given.append(f"- {name}: {tried(saljax.gradient, model)}")
        found = [tried(method, score_fn) for method in METHODS.values()]
        needs = "with one line" if "yes" in found else "refused"
        cells = [name, "unchanged" if given[-1].endswith(": yes") else needs]
        for said in found:
            if said not in ("yes", "the same everywhere", "not finite"):
                if said not in reasons:
                    reasons.append(said)
                said = f"refused ({reasons.index(said) + 1})"
            cells.append(said)
        rows.append("| " + " | ".join(cells) + " |")
        print(rows[-1], flush=True)
    lines = [
        "# Classifiers of other libraries",
        "",
        "By `python experiments/foreign_classifiers.py`, on a CPU: small networks with random",
        "weights, made score functions by their `saljax.scores.from_...`, one line each. *yes*: a",
        "finite map that is not constant. *unchanged*: `gradient` takes the model as it is.",
        "",
        "| | works | " + " | ".join(METHODS) + " |",
        "|---" * (len(METHODS) + 2) + "|",
        *rows,
        "",
        "Reasons, as they are said:",
        "",
        *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1)),
        "",
        "The model itself, given to `gradient` as it is:",
        "",
        *given,
    ]
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
