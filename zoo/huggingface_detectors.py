"""Networks of transformers that find things: boxes, points, lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_dense import ALL, RESNET

THREE = {"out_features": ["stage2", "stage3", "stage4"]}
LAST = {"backbone_config": RESNET | {"out_features": ["stage4"]}}
LAYERS = {"num_queries": 6, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
FEW = LAYERS | {"d_model": 64, "encoder_attention_heads": 8, "decoder_attention_heads": 8}
HGNET = {
    "model_type": "hgnet_v2",
    "stem_channels": [3, 4, 8],
    "stage_in_channels": [8, 8, 16, 16],
    "stage_mid_channels": [4, 4, 8, 8],
    "stage_out_channels": [8, 16, 16, 32],
    "stage_num_blocks": [1, 1, 1, 1],
    "stage_numb_of_layers": [2, 2, 2, 2],
    "hidden_sizes": [8, 16, 16, 32],
    "embedding_size": 8,
}
RT = LAYERS | {
    "d_model": 16,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_hidden_dim": 16,
    "encoder_in_channels": [16, 16, 32],
    "decoder_in_channels": [16, 16, 16],
    "num_denoising": 0,
}
RT_RESNET = RT | {"backbone_config": RESNET | {"model_type": "rt_detr_resnet"} | THREE}
RT_HGNET = RT | {"backbone_config": HGNET | THREE}
LAYOUT = RT_HGNET | {
    "num_labels": 3,
    "class_thresholds": [0.3, 0.3, 0.3],
    "class_order": [0, 1, 2],
    "reading_order_config": {
        "hidden_size": 16,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "coordinate_size": 3,
        "shape_size": 2,
        "num_classes": 3,
    },
}
PPLCNET = {
    "model_type": "pp_lcnet_v4",
    "stem_channels": [3, 8, 16],
    "block_configs": [[[3, 16, 16, 1, True]], [[3, 16, 16, 2, False]], [[3, 16, 32, 2, False]], [[3, 32, 32, 2, True]]],
}
VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "out_indices": [1, 2]}
ONE_GROUP = {
    "d_model": 16,
    "decoder_ffn_dim": 16,
    "decoder_layers": 1,
    "decoder_self_attention_heads": 2,
    "decoder_cross_attention_heads": 2,
    "num_queries": 6,
    "group_detr": 1,
}
LONG = {"long": 7, "mid": 5, "short": 3}
ANY = {
    f"{name}_{size}ratio": each
    for size, k in LONG.items()
    for name, each in (
        ("vertical_long_to_small_conv", ((k, 1), (1, 1), (k // 2, 0))),
        ("horizontal_small_to_long_conv", ((1, k), (1, 1), (0, k // 2))),
        ("symmetric_conv_long", ((k, k), (1, 1), (k // 2, k // 2))),
    )
}
TEXT = {
    "neck_out_channels": 32,
    "reduce_factor": 2,
    "intraclass_block_number": 4,
    "intraclass_block_config": ANY | {"reduce_channel": (1, 1, 0), "return_channel": (1, 1, 0)},
    "scale_factor_list": [1, 2, 4, 8],
    "kernel_list": [3, 2, 2],
}
FAMILIES: tuple[tuple[str, Mapping[str, Any], str], ...] = (
    ("Detr", FEW | {"backbone_config": RESNET | ALL}, "Model ForObjectDetection ForSegmentation"),
    ("ConditionalDetr", FEW | {"backbone_config": RESNET | ALL}, "Model ForObjectDetection ForSegmentation"),
    ("DabDetr", FEW | LAST | {"hidden_size": 64}, "Model ForObjectDetection"),
    ("DeformableDetr", FEW | {"backbone_config": RESNET | THREE}, "Model ForObjectDetection"),
    (
        "DeformableDetr",
        FEW | {"backbone_config": RESNET | THREE, "two_stage": True, "with_box_refine": True, "two_stage_num_proposals": 6},
        "ForObjectDetection",
    ),
    ("TableTransformer", FEW | LAST, "Model ForObjectDetection"),
    ("RTDetrResNet", {"embedding_size": 8, "hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1]}, "Backbone"),
    ("RTDetr", RT_RESNET, "Model ForObjectDetection"),
    ("RTDetrV2", RT_RESNET, "Model ForObjectDetection"),
    ("DFine", RT_HGNET, "Model ForObjectDetection"),
    ("Deimv2", RT_HGNET, "Model ForObjectDetection"),
    ("PPDocLayoutV2", LAYOUT, "Model ForObjectDetection"),
    (
        "PPDocLayoutV3",
        RT | {"backbone_config": HGNET | ALL, "x4_feat_dim": 8, "mask_feature_channels": [8, 8], "num_prototypes": 8},
        "Model ForObjectDetection",
    ),
    ("PPDocLayoutV4", RT_HGNET, "Model ForObjectDetection"),
    (
        "LwDetr",
        ONE_GROUP
        | {
            "backbone_config": VIT
            | {"model_type": "lw_detr_vit", "image_size": 64, "num_windows": 4, "window_block_indices": [0]},
            "projector_scale_factors": [1.0],
        },
        "Model ForObjectDetection",
    ),
    (
        "RfDetr",
        ONE_GROUP | {"backbone_config": VIT | {"model_type": "rf_detr_dinov2", "image_size": 56, "num_windows": 2}},
        "Model ForObjectDetection ForInstanceSegmentation",
    ),
    (
        "SuperPoint",
        {"encoder_hidden_sizes": [8, 8, 8, 8], "decoder_hidden_size": 16, "descriptor_decoder_dim": 16},
        "ForKeypointDetection",
    ),
    (
        "VitPose",
        {
            "backbone_config": VIT
            | {"model_type": "vitpose_backbone", "image_size": [64, 64], "patch_size": [16, 16], "out_indices": [2]}
        },
        "ForPoseEstimation",
    ),
    (
        "VitPose",
        {
            "backbone_config": VIT
            | {"model_type": "vitpose_backbone", "image_size": [64, 64], "patch_size": [16, 16], "out_indices": [2]},
            "use_simple_decoder": False,
        },
        "ForPoseEstimation",
    ),
    ("PPOCRV5MobileDet", {}, "Model ForObjectDetection"),
    ("PPOCRV5ServerDet", TEXT | {"backbone_config": HGNET | ALL}, "Model ForObjectDetection"),
    ("PPOCRV6MediumDet", TEXT | {"backbone_config": PPLCNET | ALL}, "Model ForObjectDetection"),
    (
        "PPOCRV6SmallDet",
        {"backbone_config": PPLCNET | ALL, "layer_list_out_channels": [16, 16, 32, 32], "neck_out_channels": 32},
        "Model ForObjectDetection",
    ),
)
