"""Networks of transformers that are told something beside the pictures, always the same: a text, a point, another picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from huggingface_dense import ALL, DEPTH, EDGETAM, SAM, SAM2, SWIN, VIT
from torch import nn
from torch_networks import torchvision

BERT = VIT | {"model_type": "bert", "vocab_size": 30, "num_hidden_layers": 1}
CLIP = VIT | {"model_type": "clip_text_model", "vocab_size": 30, "num_hidden_layers": 1, "projection_dim": 16}
LAST = {"out_features": ["stage2", "stage3", "stage4"]}
FEW = {"num_queries": 6, "encoder_layers": 1, "decoder_layers": 2}
GROUNDED = FEW | {
    "backbone_config": SWIN | LAST,
    "text_config": BERT,
    "d_model": 32,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
}
PROMPTED = {
    "prompt_encoder_config": {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
    "mask_decoder_config": {"hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16, "vit_dim": 16},
}
MAPS = {"fpn_hidden_size": 16, "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]}
WORDS = {"input_ids": torch.tensor([[2, 5, 6, 3]]), "attention_mask": torch.ones(1, 4, dtype=torch.int64)}
POINT = {"input_points": torch.tensor([[[[20.0, 30.0]]]])}
SUPERPOINT = {
    "model_type": "superpoint",
    "encoder_hidden_sizes": [8, 8, 8, 8],
    "decoder_hidden_size": 16,
    "descriptor_decoder_dim": 16,
    "max_keypoints": 12,
    "keypoint_threshold": 0.0,
}
# As in huggingface_networks.py, and what the network is told.
FAMILIES: tuple[tuple[str, Mapping[str, Any], str, Mapping[str, torch.Tensor]], ...] = (
    (
        "OneFormer",
        {
            "backbone_config": SWIN | ALL,
            "num_queries": 6,
            "strides": [4, 8, 16, 32],
            "conv_dim": 32,
            "mask_dim": 32,
            "hidden_dim": 32,
            "encoder_feedforward_dim": 16,
            "dim_feedforward": 16,
            "encoder_layers": 1,
            "decoder_layers": 3,
            "query_dec_layers": 1,
            "num_attention_heads": 2,
            "task_seq_len": 7,
        },
        "Model ForUniversalSegmentation",
        {"task_inputs": torch.arange(7.0)[None]},
    ),
    ("GroundingDino", GROUNDED, "Model ForObjectDetection", WORDS),
    ("MMGroundingDino", GROUNDED, "Model ForObjectDetection", WORDS),
    ("Sam", PROMPTED | {"vision_config": SAM}, "Model", POINT),
    ("SamHQ", PROMPTED | {"vision_config": SAM}, "Model", POINT),
    ("Sam2", PROMPTED | {"vision_config": SAM2 | MAPS}, "Model", POINT),
    ("EdgeTam", PROMPTED | {"vision_config": EDGETAM | MAPS}, "Model", POINT),
    ("PromptDepthAnything", DEPTH, "ForDepthEstimation", {"prompt_depth": torch.rand(1, 1, 16, 16)}),
    (
        "CLIPSeg",
        {
            "vision_config": VIT | {"image_size": 64, "patch_size": 16},
            "text_config": CLIP,
            "projection_dim": 16,
            "reduce_dim": 8,
            "extract_layers": [1, 2, 3],
            "decoder_num_attention_heads": 2,
            "decoder_intermediate_size": 16,
        },
        "ForImageSegmentation",
        {"conditional_embeddings": torch.rand(1, 16)},
    ),
    (
        "SegGpt",
        {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": [128, 64],
            "mlp_dim": 32,
            "pretrain_image_size": 64,
            "decoder_hidden_size": 8,
            "merge_index": 0,
            "intermediate_hidden_state_indices": [0, 1],
        },
        "ForImageSegmentation",
        {"prompt_pixel_values": torch.rand(1, 3, 64, 64), "prompt_masks": torch.rand(1, 3, 64, 64)},
    ),
)
PAIRS: tuple[tuple[str, Mapping[str, Any], str], ...] = (
    ("EfficientLoFTR", {}, "Model ForKeypointMatching"),
    (
        "SuperGlue",
        {
            "keypoint_detector_config": SUPERPOINT,
            "hidden_size": 16,
            "keypoint_encoder_sizes": [8, 8],
            "gnn_layers_types": ["self", "cross"],
            "num_attention_heads": 2,
        },
        "ForKeypointMatching",
    ),
)


class Prompted(nn.Module):
    """`network`, told the same beside every picture."""

    def __init__(self, network: nn.Module, told: Mapping[str, torch.Tensor]):
        super().__init__()
        self.network, self.told = network, dict(told)

    def forward(self, pixel_values):
        told = {name: each.expand(len(pixel_values), *each.shape[1:]) for name, each in self.told.items()}
        return self.network(pixel_values=pixel_values, **told)


class Paired(nn.Module):
    """`network`, which compares two pictures, given each and its mirror image."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, pixel_values):
        return self.network(torch.stack([pixel_values, pixel_values.flip(-1)], 1))


def prompted() -> Iterator[tuple[str, nn.Module]]:
    for family, options, tasks, told in FAMILIES:
        for task in tasks.split(" "):
            yield f"transformers:{family}{task}", Prompted(made(family, options, task), told)
    for family, options, tasks in PAIRS:
        for task in tasks.split(" "):
            yield f"transformers:{family}{task}", Paired(made(family, options, task))


def made(family: str, options: Mapping[str, Any], task: str) -> nn.Module:
    torchvision()  # transformers imports it
    import transformers

    config = getattr(transformers, f"{family}Config")(**options)
    return getattr(transformers, f"{family}{task}")(config)
