"""Which tensor of ours is which of torchvision's: one explicit table an architecture.

The bird network is a file of its own kind; it is read by a table as well. Transformers but
`vit_b_16` have timm's names, and ConvNeXt both; what Hugging Face's are is in `renaming`.

A table goes from the image to the logits: its first row is a kernel, whose name tells whose the
weights are, its last the bias of the logits.
"""

from typing import NamedTuple

from saljax.models.architectures import (
    convnext,
    googlenet,
    inception,
    mobilenet,
    resnet,
    squeezenet,
    vgg,
    vit,
)

OIHW_TO_HWIO = (2, 3, 1, 0)
OI_TO_IO = (1, 0)
AS_IS = (0,)
HWIO = (0, 1, 2, 3)
TOKENS = (0, 1, 2)
IO = (0, 1)


class Row(NamedTuple):
    """Our tensor `target` is torchvision's `source` with its axes in the order `axes`.

    A `flat` source has all axes but the first joined to one; behind its axes are `ones` of
    length 1.
    """

    target: str
    source: str
    axes: tuple[int, ...]
    flat: bool = False
    ones: int = 0


def _kernel(target: str, source: str) -> Row:
    return Row(f"{target}.kernel", f"{source}.weight", OIHW_TO_HWIO)


def _bias(target: str, source: str) -> Row:
    return Row(f"{target}.bias", f"{source}.bias", AS_IS)


def _conv(target: str, source: str) -> list[Row]:
    return [_kernel(target, source), _bias(target, source)]


def _norm(target: str, source: str) -> list[Row]:
    return [
        Row(f"{target}.scale", f"{source}.weight", AS_IS),
        Row(f"{target}.bias", f"{source}.bias", AS_IS),
        Row(f"{target}.mean", f"{source}.running_mean", AS_IS),
        Row(f"{target}.var", f"{source}.running_var", AS_IS),
    ]


def _linear(target: str, source: str) -> list[Row]:
    return [Row(f"{target}.kernel", f"{source}.weight", OI_TO_IO), _bias(target, source)]


def _grid_linear(target: str, source: str) -> list[Row]:
    kernel = Row(f"{target}.kernel", f"{source}.weight", OIHW_TO_HWIO, flat=True)
    return [kernel, _bias(target, source)]


def _layer_norm(target: str, source: str) -> list[Row]:
    return [Row(f"{target}.scale", f"{source}.weight", AS_IS), _bias(target, source)]


def _resnet(architecture: resnet.Architecture) -> list[Row]:
    blocks, bottleneck = architecture
    rows = [_kernel("conv1", "conv1"), *_norm("bn1", "bn1")]
    for stage, count in enumerate(blocks, start=1):
        for index in range(count):
            at = f"layer{stage}.{index}"
            for layer in (1, 2, 3) if bottleneck else (1, 2):
                conv, norm = f"{at}.conv{layer}", f"{at}.bn{layer}"
                rows += [_kernel(conv, conv), *_norm(norm, norm)]
            if index == 0 and (stage > 1 or bottleneck):
                conv, norm = f"{at}.downsample.0", f"{at}.downsample.1"
                rows += [_kernel(conv, conv), *_norm(norm, norm)]
    return [*rows, *_linear("fc", "fc")]


def _alexnet() -> list[Row]:
    convolutions = {1: 0, 2: 3, 3: 6, 4: 8, 5: 10}
    return [
        *(r for n, at in convolutions.items() for r in _conv(f"conv{n}", f"features.{at}")),
        *_grid_linear("fc6", "classifier.1"),
        *_linear("fc7", "classifier.4"),
        *_linear("fc8", "classifier.6"),
    ]


def _vgg(stages: tuple[int, ...]) -> list[Row]:
    rows, at = [], 0
    for names in vgg.convolutions(stages):
        for name in names:
            rows += _conv(name, f"features.{at}")
            at += 2  # a convolution and its ReLU
        at += 1  # the maximum
    return [
        *rows,
        *_grid_linear("fc6", "classifier.0"),
        *_linear("fc7", "classifier.3"),
        *_linear("fc8", "classifier.6"),
    ]


def _squeezenet(architecture: squeezenet.Architecture) -> list[Row]:
    rows, at = _conv("conv1", "features.0"), 2
    for number in squeezenet.SQUEEZED:
        at += number in architecture.pools
        for layer in ("squeeze", "expand1x1", "expand3x3"):
            rows += _conv(f"fire{number}.{layer}", f"features.{at}.{layer}")
        at += 1
    return [*rows, *_conv("conv10", "classifier.1")]


def _conv_norm(target: str, source: str) -> list[Row]:
    return _pair(target, f"{source}.conv", f"{source}.bn")


def _pair(target: str, conv: str, norm: str) -> list[Row]:
    return [_kernel(f"{target}.conv", conv), *_norm(f"{target}.bn", norm)]


def _googlenet() -> list[Row]:
    rows = [row for number in (1, 2, 3) for row in _conv_norm(f"conv{number}", f"conv{number}")]
    for block in googlenet.BLOCKS:
        at = f"inception{block}"
        for branch in ("branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1"):
            rows += _conv_norm(f"{at}.{branch}", f"{at}.{branch}")
        rows += _conv_norm(f"{at}.branch4", f"{at}.branch4.1")
    return [*rows, *_linear("fc", "fc")]


def _inception() -> list[Row]:
    rows = [row for unit in inception.STEM for row in _conv_norm(unit.name, unit.name)]
    for block, branches in inception.BLOCKS.items():
        for units, ends, _ in branches:
            for unit in (*units, *ends):
                rows += _conv_norm(f"{block}.{unit.name}", f"{block}.{unit.name}")
    return [*rows, *_linear("fc", "fc")]


def _mobilenet() -> list[Row]:
    rows = _pair("stem", "features.0.0", "features.0.1")
    for index, (expansion, _, _) in enumerate(mobilenet.BLOCKS):
        ours, theirs, at = f"block{index}", f"features.{index + 1}.conv", 0
        for layer in ("expand", "depthwise") if expansion > 1 else ("depthwise",):
            rows += _pair(f"{ours}.{layer}", f"{theirs}.{at}.0", f"{theirs}.{at}.1")
            at += 1
        rows += _pair(f"{ours}.project", f"{theirs}.{at}", f"{theirs}.{at + 1}")
    rows += _pair("head", "features.18.0", "features.18.1")
    return [*rows, *_linear("logits", "classifier.1")]


def _convnext(architecture: convnext.Architecture) -> list[Row]:
    rows = [*_conv("stem.conv", "features.0.0"), *_layer_norm("stem.norm", "features.0.1")]
    for stage, depth in enumerate(architecture.depths, start=1):
        if stage > 1:
            ours, theirs = f"shrink{stage}", f"features.{2 * stage - 2}"
            rows += [*_layer_norm(f"{ours}.norm", f"{theirs}.0")]
            rows += _conv(f"{ours}.conv", f"{theirs}.1")
        for index in range(depth):
            ours, theirs = f"stage{stage}.{index}", f"features.{2 * stage - 1}.{index}"
            rows += _conv(f"{ours}.depthwise", f"{theirs}.block.0")
            rows += _layer_norm(f"{ours}.norm", f"{theirs}.block.2")
            rows += _linear(f"{ours}.up", f"{theirs}.block.3")
            rows += _linear(f"{ours}.down", f"{theirs}.block.5")
            rows += [Row(f"{ours}.gamma", f"{theirs}.layer_scale", AS_IS, ones=2)]
    return [*rows, *_layer_norm("norm", "classifier.0"), *_linear("head", "classifier.2")]


def _convnext_timm(architecture: convnext.Architecture) -> list[Row]:
    rows = [*_conv("stem.conv", "stem.0"), *_layer_norm("stem.norm", "stem.1")]
    for stage, depth in enumerate(architecture.depths, start=1):
        at = f"stages.{stage - 1}"
        if stage > 1:
            rows += _layer_norm(f"shrink{stage}.norm", f"{at}.downsample.0")
            rows += _conv(f"shrink{stage}.conv", f"{at}.downsample.1")
        for index in range(depth):
            ours, theirs = f"stage{stage}.{index}", f"{at}.blocks.{index}"
            rows += _conv(f"{ours}.depthwise", f"{theirs}.conv_dw")
            rows += _layer_norm(f"{ours}.norm", f"{theirs}.norm")
            rows += _linear(f"{ours}.up", f"{theirs}.mlp.fc1")
            rows += _linear(f"{ours}.down", f"{theirs}.mlp.fc2")
            rows += [Row(f"{ours}.gamma", f"{theirs}.gamma", AS_IS)]
    return [*rows, *_layer_norm("norm", "head.norm"), *_linear("head", "head.fc")]


def _vit(architecture: vit.Architecture) -> list[Row]:
    rows = [
        *_conv("patch", "conv_proj"),
        Row("class_token", "class_token", TOKENS),
        Row("positions", "encoder.pos_embedding", TOKENS),
    ]
    for index in range(architecture.depth):
        ours, theirs = f"block{index}", f"encoder.layers.encoder_layer_{index}"
        rows += _layer_norm(f"{ours}.norm1", f"{theirs}.ln_1")
        rows += [
            Row(f"{ours}.qkv.kernel", f"{theirs}.self_attention.in_proj_weight", OI_TO_IO),
            Row(f"{ours}.qkv.bias", f"{theirs}.self_attention.in_proj_bias", AS_IS),
        ]
        rows += _linear(f"{ours}.out", f"{theirs}.self_attention.out_proj")
        rows += _layer_norm(f"{ours}.norm2", f"{theirs}.ln_2")
        rows += _linear(f"{ours}.up", f"{theirs}.mlp.0")
        rows += _linear(f"{ours}.down", f"{theirs}.mlp.3")
    return [*rows, *_layer_norm("norm", "encoder.ln"), *_linear("head", "heads.head")]


def _vit_timm(architecture: vit.Architecture) -> list[Row]:
    rows = [
        *_conv("patch", "patch_embed.proj"),
        Row("class_token", "cls_token", TOKENS),
        Row("positions", "pos_embed", TOKENS),
    ]
    for index in range(architecture.depth):
        ours, theirs = f"block{index}", f"blocks.{index}"
        rows += _layer_norm(f"{ours}.norm1", f"{theirs}.norm1")
        rows += _linear(f"{ours}.qkv", f"{theirs}.attn.qkv")
        rows += _linear(f"{ours}.out", f"{theirs}.attn.proj")
        rows += _layer_norm(f"{ours}.norm2", f"{theirs}.norm2")
        rows += _linear(f"{ours}.up", f"{theirs}.mlp.fc1")
        rows += _linear(f"{ours}.down", f"{theirs}.mlp.fc2")
    return [*rows, *_layer_norm("norm", "norm"), *_linear("head", "head")]


def _birds() -> list[Row]:
    """The bird network's file has TensorFlow's order of axes, and folded batch norms."""
    layers = ["stem"]
    for index, (expansion, _, _) in enumerate(mobilenet.BLOCKS):
        names = ("expand", "depthwise", "project")
        layers += [f"block{index}.{name}" for name in names if expansion > 1 or name != "expand"]
    return [
        *(
            row
            for layer in (*layers, "head")
            for row in (
                Row(f"{layer}.conv.kernel", f"{layer}.kernel", HWIO),
                Row(f"{layer}.conv.bias", f"{layer}.bias", AS_IS),
            )
        ),
        Row("logits.kernel", "logits.kernel", IO),
        Row("logits.bias", "logits.bias", AS_IS),
    ]


TABLES: dict[str, tuple[Row, ...]] = {
    **{name: tuple(_resnet(kind)) for name, kind in resnet.ARCHITECTURES.items()},
    "alexnet": tuple(_alexnet()),
    **{name: tuple(_vgg(stages)) for name, stages in vgg.STAGES.items()},
    **{name: tuple(_squeezenet(kind)) for name, kind in squeezenet.ARCHITECTURES.items()},
    "googlenet": tuple(_googlenet()),
    "inception_v3": tuple(_inception()),
    "mobilenet_v2": tuple(_mobilenet()),
    "mobilenet_v2_birds": tuple(_birds()),
    **{name: tuple(_convnext(kind)) for name, kind in convnext.ARCHITECTURES.items()},
    **{
        name: tuple(_vit(kind) if name == "vit_b_16" else _vit_timm(kind))
        for name, kind in vit.ARCHITECTURES.items()
    },
}

OTHERS: dict[str, tuple[Row, ...]] = {
    name: tuple(_convnext_timm(kind)) for name, kind in convnext.ARCHITECTURES.items()
}
"""A second table, where weights have timm's names as well.

The transformers have one each: torchvision's and timm's differ in what their images are scaled by.
"""


def _auxiliary(convolutions: tuple[str, ...], linear: tuple[str, ...]) -> frozenset[str]:
    rows = [row for layer in convolutions for row in _conv_norm(layer, layer)]
    rows += [row for layer in linear for row in _linear(layer, layer)]
    return frozenset(row.source for row in rows)


HEADS = {
    **{name: rows[-1].target.removesuffix(".bias") for name, rows in TABLES.items()},
    "birdlets": "head",
    "birdlets_vit": "head",
    "glas3d": "fc3",
}
"""The layer of each classifier that gives the logits."""

DROPPED = {
    "googlenet": _auxiliary(
        ("aux1.conv", "aux2.conv"), ("aux1.fc1", "aux1.fc2", "aux2.fc1", "aux2.fc2")
    ),
    "inception_v3": _auxiliary(("AuxLogits.conv0", "AuxLogits.conv1"), ("AuxLogits.fc",)),
}
"""Torchvision's names of the auxiliary heads, which a file may have and we have no use for."""
