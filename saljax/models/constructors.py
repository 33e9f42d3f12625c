"""The classifiers, and each as shapes alone."""

import functools
import inspect
from collections.abc import Callable
from functools import partial

from flax import nnx

from saljax.models.architectures import convnext, resnet, squeezenet, vgg, vit
from saljax.models.architectures.alexnet import AlexNet
from saljax.models.architectures.birdlets import NUM_SPECIES, Birdlets
from saljax.models.architectures.glas3d import Glas3D
from saljax.models.architectures.googlenet import GoogLeNet
from saljax.models.architectures.inception import InceptionV3
from saljax.models.architectures.mobilenet import MobileNetV2

BUILD: dict[str, Callable[..., nnx.Module]] = {
    **{name: partial(resnet.ResNet, kind) for name, kind in resnet.ARCHITECTURES.items()},
    "alexnet": AlexNet,
    **{name: partial(vgg.VGG, stages) for name, stages in vgg.STAGES.items()},
    **{
        name: partial(squeezenet.SqueezeNet, kind)
        for name, kind in squeezenet.ARCHITECTURES.items()
    },
    "googlenet": GoogLeNet,
    "inception_v3": InceptionV3,
    "mobilenet_v2": MobileNetV2,
    "mobilenet_v2_birds": partial(MobileNetV2, num_classes=965, tensorflow=True),
    **{name: partial(convnext.ConvNeXt, kind) for name, kind in convnext.ARCHITECTURES.items()},
    **{name: partial(vit.ViT, kind) for name, kind in vit.ARCHITECTURES.items()},
}
"""Name -> constructor; all take `num_classes` and `rngs`, AlexNet and VGG `hidden` as well,
ConvNeXt and ViT `depth`."""

OWN: dict[str, Callable[..., nnx.Module]] = {
    "birdlets": Birdlets,
    "birdlets_vit": partial(vit.ViT, vit.BIRDLETS, num_classes=NUM_SPECIES),
    "glas3d": Glas3D,
}
"""Those that have no weights but ours; they take `num_classes` and `rngs`."""


def _usual(build: Callable[..., nnx.Module]) -> dict[str, object]:
    """What a constructor takes where it is not told otherwise."""
    kind, given = (build.func, build.keywords) if isinstance(build, partial) else (build, {})
    parameters = inspect.signature(getattr(kind, "__init__", kind)).parameters
    return {name: parameter.default for name, parameter in parameters.items()} | given


@functools.cache
def abstract(name: str, **sizes: int) -> nnx.Module:
    """Return a classifier of shapes alone: nothing random is drawn for weights from a file.

    Args:
        name: a key of `BUILD` or of `OWN`.
        **sizes: `num_classes`, `hidden`, `depth`, as its constructor takes them.

    Returns:
        The model, with `jax.ShapeDtypeStruct` for every parameter. One object is given to all who
        ask, since tracing a hundred layers takes a second: leave it as it is.
    """
    build = (BUILD | OWN)[name]
    usual = _usual(build)
    unusual = {size: number for size, number in sizes.items() if usual.get(size) != number}
    if unusual != sizes:
        return abstract(name, **unusual)
    return nnx.eval_shape(lambda: build(rngs=nnx.Rngs(0), **sizes))
