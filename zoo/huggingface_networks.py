"""Networks of Hugging Face's transformers that have convolutions, one of each family and small, from their configuration."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch_networks import compare as compare
from torchvision_ops import torchvision

STAGES = {"depths": [1, 1, 2, 1]}
WIDTHS = {"hidden_sizes": [8, 16, 16, 32], **STAGES}
HEADS = {"num_attention_heads": [1, 1, 1, 1]}
# The class without "For...", its options, and what it is for. CNNs first, then hybrids, whose convolutions are read too.
FAMILIES: dict[str, tuple[dict[str, object], str]] = {
    "ResNet": ({"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 2]}, "ImageClassification"),
    "RegNet": (
        {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 2], "groups_width": 8, "layer_type": "y"},
        "ImageClassification",
    ),
    "ConvNext": (WIDTHS, "ImageClassification"),
    "ConvNextV2": (WIDTHS, "ImageClassification"),
    "MobileNetV1": ({"depth_multiplier": 0.25}, "ImageClassification"),
    "MobileNetV2": ({"depth_multiplier": 0.35}, "SemanticSegmentation"),
    "EfficientNet": ({"width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320}, "ImageClassification"),
    "Bit": ({"embedding_size": 32, "hidden_sizes": [128, 128], "depths": [1, 2]}, "ImageClassification"),
    "HGNetV2": ({}, "ImageClassification"),
    "TextNet": ({}, "ImageClassification"),
    "PoolFormer": (WIDTHS, "ImageClassification"),
    "Levit": (
        {"hidden_sizes": [16, 32, 32], "num_attention_heads": [1, 2, 2], "depths": [1, 1, 1], "key_dim": [8, 8, 8]},
        "ImageClassification",
    ),
    "MobileViT": ({}, "ImageClassification"),
    "SwiftFormer": ({"depths": [1, 1, 1, 1], "embed_dims": [8, 16, 16, 32]}, "ImageClassification"),
    "PvtV2": (WIDTHS | HEADS, "ImageClassification"),
    "Segformer": (WIDTHS | HEADS | {"decoder_hidden_size": 16}, "SemanticSegmentation"),
}


def networks() -> Iterator[tuple[str, nn.Module]]:
    torchvision()  # transformers imports it
    import transformers

    for family, (options, task) in FAMILIES.items():
        config = getattr(transformers, f"{family}Config")(**options)
        yield f"transformers:{family}", getattr(transformers, f"{family}For{task}")(config)
