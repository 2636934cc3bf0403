"""Networks of transformers that answer at every place: segmentation, depth, matting, larger pictures, codes of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ALL = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
RESNET = {
    "model_type": "resnet",
    "embedding_size": 8,
    "hidden_sizes": [8, 16, 16, 32],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
}
VIT = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
DINOV2 = VIT | {"model_type": "dinov2", "image_size": 28, "patch_size": 4, "reshape_hidden_states": False} | ALL
DINOV3 = VIT | {"model_type": "dinov3_vit", "image_size": 64, "patch_size": 16, "return_class_token": True} | ALL
NECK = {"neck_hidden_sizes": [4, 8, 8, 16], "fusion_hidden_size": 8}
SWIN = {
    "model_type": "swin",
    "image_size": 64,
    "embed_dim": 8,
    "depths": [1, 1, 2, 1],
    "num_heads": [1, 1, 1, 1],
    "window_size": 4,
}
BIT = {
    "model_type": "bit",
    "embedding_size": 32,
    "hidden_sizes": [128, 128, 128],
    "depths": [1, 1, 1],
    "out_features": ["stage1", "stage2", "stage3"],
}
HYBRID = {
    "is_hybrid": True,
    "neck_hidden_sizes": [128, 128, 8, 16],
    "fusion_hidden_size": 8,
    "backbone_featmap_shape": [1, 128, 4, 4],
    "backbone_config": BIT,
    "image_size": 64,
}
DEPTH = NECK | {"backbone_config": DINOV2, "patch_size": 4, "reassemble_hidden_size": 16, "head_hidden_size": 8}
BEIT = {"image_size": 64, "patch_size": 16, "out_indices": [1, 2, 3, 4], "auxiliary_channels": 8}
VITDET = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 64,
    "window_block_indices": [0],
    "window_size": 2,
    "residual_block_indices": [1],
}
UPSCALING = {"image_size": 16, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
DETR = {
    "model_type": "detr",
    "d_model": 32,
    "num_queries": 6,
    "decoder_layers": 1,
    "encoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 16,
    "backbone_config": RESNET,
}
SAM_ENCODER = {
    "hidden_size": 16,
    "output_channels": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 64,
    "window_size": 2,
    "global_attn_indexes": [1],
    "mlp_dim": 32,
}
SAM = SAM_ENCODER | {"num_pos_feats": 8}
HIERA = {
    "hidden_size": 8,
    "image_size": [64, 64],
    "blocks_per_stage": [1, 1, 2, 1],
    "embed_dim_per_stage": [8, 16, 32, 64],
    "num_attention_heads_per_stage": [1, 1, 2, 2],
    "window_size_per_stage": [8, 4, 4, 2],
    "global_attention_blocks": [3],
    "window_positional_embedding_background_size": [2, 2],
}
SAM2 = {
    "backbone_config": HIERA | {"model_type": "sam2_hiera_det_model"},
    "backbone_channel_list": [64, 32, 16, 8],
    "fpn_hidden_size": 8,
}
EDGETAM = {
    "backbone_config": {
        "model_type": "timm_wrapper",
        "architecture": "repvit_m1",
        "num_classes": 2,
        "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
    },
    "fpn_hidden_size": 8,
}
SAPIENS = VIT | {
    "image_size": 64,
    "patch_size": 16,
    "num_key_value_attention_heads": 1,
    "num_first_full_attention_layers": 1,
    "num_last_full_attention_layers": 1,
    "num_labels": 3,
}
SHUFFLED = {
    "head_config": {
        "use_pixel_shuffle": True,
        "upsample_out_channels": [8, 8],
        "conv_out_channels": [8],
        "scale_conv_out_channels": [8],
        "scale_final_hidden_sizes": [8, 4],
    }
}
TRANSPOSED = {"head_config": {"upsample_out_channels": [8, 8], "conv_out_channels": [8]}}
CODES = {
    "base_channels": 32,
    "channel_multiplier": [1, 2],
    "num_res_blocks": 1,
    "embed_dim": 8,
    "latent_channels": 8,
    "num_embeddings": 16,
}
DEPTH_PRO = {
    k: VIT | {"model_type": "dinov2", "image_size": 32, "patch_size": 4}
    for k in ("image_model_config", "patch_model_config", "fov_model_config")
}
FAMILIES: tuple[tuple[str, Mapping[str, Any], str], ...] = (
    (
        "UperNet",
        {"backbone_config": RESNET | ALL, "hidden_size": 16, "auxiliary_channels": 8, "auxiliary_in_channels": 16},
        "ForSemanticSegmentation",
    ),
    (
        "GLPN",
        {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 1, 1], "decoder_hidden_size": 8},
        "Model ForDepthEstimation",
    ),
    ("DPT", VIT | NECK | {"image_size": 64, "backbone_out_indices": [0, 1, 2, 3]}, "ForDepthEstimation ForSemanticSegmentation"),
    ("DPT", VIT | HYBRID | {"backbone_out_indices": [0, 1, 2, 3]}, "Model ForDepthEstimation ForSemanticSegmentation"),
    ("DepthAnything", DEPTH, "ForDepthEstimation"),
    ("PromptDepthAnything", DEPTH, "ForDepthEstimation"),
    (
        "ZoeDepth",
        NECK
        | {
            "backbone_config": VIT
            | {"model_type": "beit", "image_size": 64, "patch_size": 8, "reshape_hidden_states": False}
            | ALL,
            "bottleneck_features": 8,
            "bin_embedding_dim": 8,
            "num_attractors": [4, 2, 2, 1],
        },
        "ForDepthEstimation",
    ),
    (
        "DepthPro",
        DEPTH_PRO
        | {
            "patch_size": 32,
            "fusion_hidden_size": 8,
            "intermediate_hook_ids": [2, 1],
            "intermediate_feature_dims": [8, 8],
            "scaled_images_feature_dims": [8, 8, 8],
            "use_fov_model": True,
        },
        "Model ForDepthEstimation",
    ),
    (
        "CHMv2",
        {
            "backbone_config": DINOV3,
            "post_process_channels": [8, 8, 8, 8],
            "fusion_hidden_size": 8,
            "head_hidden_size": 8,
            "number_output_channels": 8,
        },
        "ForDepthEstimation",
    ),
    (
        "Tipsv2Dpt",
        NECK
        | {
            "backbone_config": VIT
            | {"model_type": "tipsv2_vision_model", "image_size": 56, "reshape_hidden_states": False}
            | ALL,
            "num_depth_bins": 8,
        },
        "ForDensePrediction ForDepthEstimation ForNormalEstimation ForSemanticSegmentation",
    ),
    ("Sapiens2", SAPIENS | SHUFFLED, "ForPoseEstimation ForNormalEstimation ForPointmapEstimation ForImageMatting"),
    ("Sapiens2", SAPIENS | TRANSPOSED, "ForSemanticSegmentation"),
    ("Swin2SR", UPSCALING, "Model ForImageSuperResolution"),
    ("Swin2SR", UPSCALING | {"resi_connection": "3conv", "upsampler": "nearest+conv", "upscale": 4}, "ForImageSuperResolution"),
    (
        "VitMatte",
        {
            "backbone_config": VITDET | {"model_type": "vitdet", "num_channels": 4, "out_features": ["stage2"]},
            "hidden_size": 16,
            "convstream_hidden_sizes": [4, 8, 8],
            "fusion_hidden_sizes": [8, 8, 8, 8],
        },
        "ForImageMatting",
    ),
    ("VitDet", VITDET | {"use_relative_position_embeddings": True}, "Model Backbone"),
    (
        "MaskFormer",
        {"backbone_config": SWIN | ALL, "fpn_feature_size": 32, "mask_feature_size": 32, "decoder_config": DETR},
        "Model ForInstanceSegmentation",
    ),
    (
        "Mask2Former",
        {
            "backbone_config": SWIN | ALL,
            "feature_size": 32,
            "mask_feature_size": 32,
            "hidden_dim": 32,
            "encoder_feedforward_dim": 16,
            "dim_feedforward": 16,
            "encoder_layers": 1,
            "decoder_layers": 2,
            "num_attention_heads": 2,
            "num_queries": 6,
        },
        "Model ForUniversalSegmentation",
    ),
    ("Eomt", VIT | {"image_size": 64, "num_blocks": 1, "num_upscale_blocks": 1, "num_queries": 6}, "ForUniversalSegmentation"),
    (
        "EomtDinov3",
        VIT | {"image_size": 64, "num_blocks": 1, "num_upscale_blocks": 1, "num_queries": 6},
        "ForUniversalSegmentation",
    ),
    ("Beit", VIT | BEIT, "ForSemanticSegmentation"),
    ("Data2VecVision", VIT | BEIT, "ForSemanticSegmentation"),
    ("SamVision", SAM, "Model"),
    ("SamHQVision", SAM, "Model"),
    ("Sam2Vision", SAM2, "Model"),
    ("Sam2HieraDet", HIERA, "Model"),
    (
        "Sam3Vision",
        {
            "backbone_config": {
                "model_type": "sam3_vit_model",
                "hidden_size": 16,
                "intermediate_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": 56,
                "pretrain_image_size": 28,
                "window_size": 2,
                "global_attn_indexes": [1],
            },
            "fpn_hidden_size": 8,
        },
        "Model",
    ),
    ("EdgeTamVision", EDGETAM, "Model"),
    (
        "PPFormulaNetVision",
        SAM | {"post_conv_in_channels": 16, "post_conv_mid_channels": 8, "post_conv_out_channels": 8, "decoder_hidden_size": 8},
        "Model",
    ),
    ("JanusVQVAE", CODES, ""),
    ("FlavaImageCodebook", {"hidden_size": 8}, ""),
    (
        "UVDoc",
        {"backbone_config": {"model_type": "uvdoc_backbone", "out_features": [f"stage{at}" for at in range(1, 7)]}},
        "Model",
    ),
    ("UVDocBackbone", {}, ""),
)
