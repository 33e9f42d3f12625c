"""Names of transformers and ConvNeXts that are those of timm or torchvision under another spelling.

Hugging Face's `ViTForImageClassification` and `ConvNextForImageClassification` become timm's;
torchvision's transformers from before its version 0.14, as its published weights are, become
today's. What stands before such a name stays before it.
"""

import re

import numpy as np

from saljax.models.weights import Tensors

_VIT = (
    (r"(?:vit|deit)\.embeddings\.cls_token", "cls_token"),
    (r"(?:vit|deit)\.embeddings\.position_embeddings", "pos_embed"),
    (r"(?:vit|deit)\.embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"(?:vit|deit)\.encoder\.layer\.(\d+)\.attention\.attention\.", r"blocks.\1.attn."),
    (r"(?:vit|deit)\.encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"blocks.\1.attn.proj."),
    (r"(?:vit|deit)\.encoder\.layer\.(\d+)\.intermediate\.dense\.", r"blocks.\1.mlp.fc1."),
    (r"(?:vit|deit)\.encoder\.layer\.(\d+)\.output\.dense\.", r"blocks.\1.mlp.fc2."),
    (r"(?:vit|deit)\.encoder\.layer\.(\d+)\.layernorm_before\.", r"blocks.\1.norm1."),
    (r"(?:vit|deit)\.encoder\.layer\.(\d+)\.layernorm_after\.", r"blocks.\1.norm2."),
    (r"(?:vit|deit)\.layernorm\.", "norm."),
    (r"classifier\.", "head."),
)
_BLOCK = r"convnext\.encoder\.stages\.(\d+)\.layers\.(\d+)\."
_CONVNEXT = (
    (r"convnext\.embeddings\.patch_embeddings\.", "stem.0."),
    (r"convnext\.embeddings\.layernorm\.", "stem.1."),
    (r"convnext\.encoder\.stages\.(\d+)\.downsampling_layer\.", r"stages.\1.downsample."),
    (rf"{_BLOCK}dwconv\.", r"stages.\1.blocks.\2.conv_dw."),
    (rf"{_BLOCK}layernorm\.", r"stages.\1.blocks.\2.norm."),
    (rf"{_BLOCK}pwconv(\d)\.", r"stages.\1.blocks.\2.mlp.fc\3."),
    (rf"{_BLOCK}layer_scale_parameter", r"stages.\1.blocks.\2.gamma"),
    (r"convnext\.layernorm\.", "head.norm."),
    (r"classifier\.", "head.fc."),
)
_OLD = (
    (r"mlp\.linear_1\.", "mlp.0."),
    (r"mlp\.linear_2\.", "mlp.3."),
)
_START = r"(?<![^.])"  # of the name, or behind a dot
_KNOWN_BY = (
    (r"(?:vit|deit)\.embeddings\.cls_token$", _VIT),
    (r"convnext\.embeddings\.layernorm\.weight$", _CONVNEXT),
    (r"encoder\.layers\.encoder_layer_0\.mlp\.linear_1\.weight$", _OLD),
)


def renamed(tensors: Tensors) -> dict[str, np.ndarray]:
    """Return tensors under the names that the tables know, where they are known by others.

    Query, key and value, which Hugging Face keeps apart, become one; a pooler, which no classifier
    reads, is dropped.

    Args:
        tensors: under any names.
    """
    for mark, spellings in _KNOWN_BY:
        if any(re.search(rf"{_START}{mark}", name) for name in tensors):
            kept = {n: v for n, v in tensors.items() if not re.search(r"\.pooler\.dense\.\w+$", n)}
            return _joined({_spelled(name, spellings): value for name, value in kept.items()})
    return dict(tensors)


def _spelled(name: str, spellings: tuple[tuple[str, str], ...]) -> str:
    for theirs, ours in spellings:
        new, number = re.subn(rf"{_START}{theirs}", ours, name)
        if number:
            return new
    return name


def _joined(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    joined = {}
    for name, value in tensors.items():
        at, _, leaf = name.rpartition(".")
        at, _, part = at.rpartition(".")
        three = [f"{at}.{one}.{leaf}" for one in ("query", "key", "value")]
        if part not in ("query", "key", "value") or not all(one in tensors for one in three):
            joined[name] = value
        elif part == "query":
            joined[f"{at}.qkv.{leaf}"] = np.concatenate([tensors[one] for one in three])
    return joined
