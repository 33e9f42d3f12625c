"""Classifiers by name.

Flax is imported where a model is built and not before: listing the models is as light as JAX.
"""

import difflib
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from saljax.models import labels, published
from saljax.models.published import Progress
from saljax.models.state_dicts import Say


@dataclass(frozen=True)
class ModelInfo:
    """What one needs to know of a classifier before loading it.

    Attributes:
        name: what `load` calls it.
        description: one line for people.
        input_shape: (*spatial, channels) of the images it was trained on; others work.
        resize: short side in pixels that pictures are brought to; None: it takes no pictures.
        crop: side of the central square that is then cut out; None: the whole picture is squeezed
            into a square of side `resize` instead.
        bundled: its weights come with saljax.
        labels: class names in the order of the logits.
        layer: the tagged activation that methods look at unless told otherwise; None: the one that
            they choose.
        published: names of weights that `load` downloads.
        imagenet_mean: its preprocessing makes ImageNet's mean color 0.
    """

    name: str
    description: str
    input_shape: tuple[int, ...]
    resize: int | None
    crop: int | None
    bundled: bool
    labels: tuple[str, ...]
    layer: str | None
    published: tuple[str, ...] = ()
    imagenet_mean: bool = False


def _birdlets(name: str, called: str, layer: str) -> ModelInfo:
    from saljax.data.generated.birdlets import SPECIES

    text = f"small {called} for the generated birds, whose evidence is known"
    return ModelInfo(name, text, (96, 96, 3), 96, None, True, tuple(SPECIES), layer)


def _glas3d() -> ModelInfo:
    text = "small 3-D network for the generated volumes, after the appendix of GLAS"
    names = ("control", "patient")
    return ModelInfo("glas3d", text, (32, 32, 32, 1), None, None, True, names, "block3")


def _imagenet(
    name: str, called: str, layer: str, *, side: int = 224, resize: int = 256
) -> ModelInfo:
    text = f"{called} for ImageNet's 1000 classes, as torchvision builds it"
    names = labels.imagenet()
    downloads = tuple(published.PUBLISHED[name])
    shape = (side, side, 3)
    return ModelInfo(
        name, text, shape, resize, side, False, names, layer, downloads, imagenet_mean=True
    )


def _transformer(size: str, data_efficient: bool) -> ModelInfo:
    kind, letters = "DeiT" if data_efficient else "ViT", {"tiny": "Ti", "small": "S", "base": "B"}
    text = (
        f"{kind}-{letters[size]}/16 for ImageNet's 1000 classes, as timm and Hugging Face have it"
    )
    resize, shape = 256 if data_efficient else 248, (224, 224, 3)
    name, names = f"{kind.lower()}_{size}_patch16_224", labels.imagenet()
    return ModelInfo(
        name, text, shape, resize, 224, False, names, "grid", imagenet_mean=data_efficient
    )


def _birds() -> ModelInfo:
    text = "MobileNetV2 for 964 species of birds and no bird, as TensorFlow builds it"
    names = tuple(str(index) for index in range(965))
    return ModelInfo("mobilenet_v2_birds", text, (224, 224, 3), 224, None, False, names, "head")


_INFO = {
    "birdlets": lambda: _birdlets("birdlets", "network", "block4"),
    "birdlets_vit": lambda: _birdlets("birdlets_vit", "vision transformer", "grid"),
    "glas3d": _glas3d,
    "resnet18": lambda: _imagenet("resnet18", "ResNet-18", "layer4"),
    "resnet34": lambda: _imagenet("resnet34", "ResNet-34", "layer4"),
    "resnet50": lambda: _imagenet("resnet50", "ResNet-50", "layer4"),
    "resnet101": lambda: _imagenet("resnet101", "ResNet-101", "layer4"),
    "alexnet": lambda: _imagenet("alexnet", "AlexNet", "conv5"),
    "vgg16": lambda: _imagenet("vgg16", "VGG-16", "conv5_3"),
    "vgg19": lambda: _imagenet("vgg19", "VGG-19", "conv5_4"),
    "squeezenet1_0": lambda: _imagenet("squeezenet1_0", "SqueezeNet 1.0", "fire9"),
    "squeezenet1_1": lambda: _imagenet("squeezenet1_1", "SqueezeNet 1.1", "fire9"),
    "googlenet": lambda: _imagenet("googlenet", "GoogLeNet", "inception5b"),
    "inception_v3": lambda: _imagenet(
        "inception_v3", "Inception v3", "Mixed_7c", side=299, resize=342
    ),
    "mobilenet_v2": lambda: _imagenet("mobilenet_v2", "MobileNetV2", "head"),
    "mobilenet_v2_birds": _birds,
    "convnext_tiny": lambda: _imagenet("convnext_tiny", "ConvNeXt-T", "stage4", resize=236),
    "convnext_small": lambda: _imagenet("convnext_small", "ConvNeXt-S", "stage4", resize=230),
    "convnext_base": lambda: _imagenet("convnext_base", "ConvNeXt-B", "stage4", resize=232),
    "vit_tiny_patch16_224": lambda: _transformer("tiny", False),
    "vit_small_patch16_224": lambda: _transformer("small", False),
    "vit_base_patch16_224": lambda: _transformer("base", False),
    "deit_tiny_patch16_224": lambda: _transformer("tiny", True),
    "deit_small_patch16_224": lambda: _transformer("small", True),
    "deit_base_patch16_224": lambda: _transformer("base", True),
    "vit_b_16": lambda: _imagenet("vit_b_16", "ViT-B/16", "grid"),
}


def names() -> tuple[str, ...]:
    """Return the names of all classifiers."""
    return tuple(_INFO)


def info(name: str) -> ModelInfo:
    """Return what there is to know of a classifier, without loading it.

    Args:
        name: one of `names()`.

    Raises:
        ValueError: there is none of this name; near names are suggested.
    """
    if name not in _INFO:
        near = difflib.get_close_matches(name, _INFO, n=3) or list(_INFO)
        raise ValueError(f"no model is called {name!r}; did you mean {', '.join(near)}?")
    return _INFO[name]()


def weights_file(
    name: str, weights: str | os.PathLike | None, progress: Progress | None = None
) -> Path:
    """Return the file of a classifier's weights; published ones are fetched once.

    Args:
        name: one of `names()`.
        weights: a file; or one of `info(name).published`, which is fetched into `published.cache()`
            and its SHA-256 checked; or `hf:OWNER/NAME`, see `published.fetch_from_hub`; or None:
            the bundled file.
        progress: called with the bytes there are and the bytes there will be, while fetching.

    Raises:
        OSError: the weights cannot be fetched.
        ValueError: no such model; no weights; what was fetched has the wrong hash; or reading it
            would need torch, which is not there.
    """
    about = info(name)
    if weights is None:
        if not about.bundled:
            whose = f"torchvision's {name}" if published.PUBLISHED.get(name) else "its"
            raise ValueError(
                f"{name} comes without weights: give as weights= a file of {whose} weights, "
                f".safetensors or .pth{_or_published(about)}"
            )
        return Path(str(resources.files("saljax") / "assets" / f"{name}.safetensors"))
    if str(weights).startswith("hf:"):
        return published.fetch_from_hub(Path(weights).as_posix(), progress)
    known = published.PUBLISHED.get(name, {})
    if str(weights).lower() in known:
        return published.fetch(known[str(weights).lower()], published.cache(), progress)
    path = Path(weights)
    if not path.suffix and not path.exists():
        raise ValueError(
            f"{path}: no such weights; expected a file .safetensors or .pth{_or_published(about)}"
        )
    return path


def _or_published(about: ModelInfo) -> str:
    return "".join(f", or {name!r} to download" for name in about.published)


def load(
    name: str,
    weights: str | os.PathLike | None = None,
    progress: Progress | None = None,
    say: Say = lambda text: None,
) -> Any:
    """Load a classifier.

    Args:
        name: one of `names()`.
        weights: a file of weights, in our names or torchvision's, of ConvNeXts and transformers in
            timm's or Hugging Face's: safetensors, or torch's, as trainers leave it, see
            `state_dicts.fitted`. Or a name of published weights, one of `info(name).published`, or
            `hf:OWNER/NAME`, a repository on the Hub that has a model.safetensors; both are
            downloaded once into the user's cache. None: the bundled ones. The number of classes is
            read from the file.
        progress: called with the bytes there are and the bytes there will be (None if unknown),
            while downloading.
        say: told in one line what of the file was passed over, and what was taken off its names.

    Returns:
        score_fn: images (N, *spatial, C), RGB in [0, 1], to logits (N, K). It is a pytree whose
        leaves are the weights, so it can be an argument of a compiled function.

    Raises:
        OSError: the file does not exist, or cannot be read or downloaded.
        ValueError: no such model; no weights; or weights that do not fit.
    """
    return _fill(name, weights_file(name, weights, progress), say)


def _fill(name: str, path: str | os.PathLike, say: Say) -> Any:
    from saljax.models.constructors import BUILD, abstract
    from saljax.models.from_torchvision import convert, guess, sizes_of
    from saljax.models.state_dicts import Layout, fitted
    from saljax.models.tables import HEADS
    from saljax.models.weights import assign, mismatch, read, shapes

    def say_of_file(text):
        say(f"{os.fspath(path)}: {text}")

    tensors = read(path, say_of_file)
    try:
        if name in BUILD:
            tensors = convert(tensors, name, say_of_file)
        else:
            layout = Layout(shapes(abstract(name)), HEADS[name])
            tensors = fitted(tensors, (layout,), say_of_file)
        model = abstract(name, **sizes_of(tensors, name))
        if problem := mismatch(shapes(model), tensors):
            why = guess(tensors, name)
            raise ValueError(f"the weights do not fit {name} ({why}): {problem}")
        return assign(model, tensors)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def convert_file(
    source: str | os.PathLike,
    target: str | os.PathLike,
    name: str,
    say: Say = lambda text: None,
) -> None:
    """Write the weights of a classifier in our own names, checked, as safetensors.

    Args:
        source: any file that `load(name, source)` takes.
        target: where to; ends in `.safetensors`.
        name: one of `names()`.
        say: see `load`.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: no such model, or weights that do not fit.
    """
    from saljax.models.weights import parameters, write

    write(target, parameters(load(name, source, say=say)), {"model": name})
