"""Networks of Hugging Face's transformers that have convolutions over pictures, small and from their configuration.

`FAMILIES` here are what classifies and reads text, plain and with its head. huggingface_dense.py has what answers at every place,
huggingface_detectors.py what finds things, huggingface_prompted.py what is told something besides.

Not here, and why:
Dinat                       needs natten, which is compiled for one version of torch and has no wheel for a CPU
HieraForPreTraining         its answer is a loss, of a mask that it draws; so are all other classes that answer by that alone
LightGlue                   its first answer has an entry for each picture of a pair, and none for the pair
OmDetTurbo                  takes the words for all pictures as one array, which has no axis of pictures
ChameleonVQVAE, Emu3VQVAE, SLANetSLAHead, PPDocLayoutV2ReadingOrder    have no forward of a picture: they are parts
GlmImageVQVAE, Videomt, Tvp, Sam2Video and other networks of films     take films, or pictures cut up into a list of patches
Sam3, Sam3Tracker, Sam3LiteText     their encoder of pictures is here, Sam3Vision; what follows has what Sam2 has
language models with an eye         (Florence2, Janus, Chameleon, Gemma3n, DeepSeek, GOT, Step3p7 ...) take words first; of the
                            encoders those with convolutions of their own are here
vision transformers         (ViT, DeiT, BEiT, DINOv2, YOLOS, CLIP ...) cut patches with their only convolution; with a head of
                            convolutions they are here, and so are those that have stages: Swin, Swinv2, Hiera
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from huggingface_dense import FAMILIES as DENSE
from huggingface_dense import SAM_ENCODER
from huggingface_detectors import FAMILIES as DETECTORS
from huggingface_prompted import made, prompted
from torch import nn
from torch_networks import compare as compare

STAGES = {"depths": [1, 1, 2, 1]}
WIDTHS = {"hidden_sizes": [8, 16, 16, 32], **STAGES}
HEADS = {"num_attention_heads": [1, 1, 1, 1]}
BLOCKS = {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 2]}
NARROW = {"width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320}
WINDOWS = {"image_size": 64, "embed_dim": 12, "depths": [1, 2], "num_heads": [2, 2], "window_size": 4}
FOCAL = {"embed_dim": 8, "hidden_sizes": [16, 32, 64, 64], **STAGES}
THREE_STAGES = {"hidden_sizes": [16, 32, 32], "num_attention_heads": [1, 2, 2], "depths": [1, 1, 1], "key_dim": [8, 8, 8]}
# What the class of the configuration begins with, its options, and the networks that it makes, without that. CNNs first, then
# hybrids, whose convolutions are read too.
FAMILIES: tuple[tuple[str, Mapping[str, Any], str], ...] = (
    ("ResNet", BLOCKS, "Model Backbone ForImageClassification"),
    ("RegNet", BLOCKS | {"groups_width": 8, "layer_type": "y"}, "Model ForImageClassification"),
    ("ConvNext", WIDTHS, "Model Backbone ForImageClassification"),
    ("ConvNextV2", WIDTHS, "Model Backbone ForImageClassification"),
    ("DINOv3ConvNext", WIDTHS, "Model Backbone"),
    ("MobileNetV1", {"depth_multiplier": 0.25}, "Model ForImageClassification"),
    ("MobileNetV2", {"depth_multiplier": 0.35}, "Model ForImageClassification ForSemanticSegmentation"),
    ("EfficientNet", NARROW, "Model ForImageClassification"),
    ("AlignVision", NARROW, "Model"),
    ("Bit", {"embedding_size": 32, "hidden_sizes": [128, 128], "depths": [1, 2]}, "Model Backbone ForImageClassification"),
    ("HGNetV2", {}, "Backbone ForImageClassification"),
    ("TextNet", {}, "Model Backbone ForImageClassification"),
    ("PPLCNet", {"scale": 0.25}, "Backbone ForImageClassification"),
    ("PPLCNetV3", {"scale": 0.25}, "Backbone"),
    ("PPLCNetV4", {}, "Backbone"),
    ("PoolFormer", WIDTHS, "Model ForImageClassification"),
    ("TimmWrapper", {"architecture": "resnet18"}, "Model ForImageClassification"),
    ("TimmBackbone", {"backbone": "mobilenetv3_small_050", "out_indices": [2, 4]}, ""),
    ("FocalNet", FOCAL, "Model Backbone ForImageClassification ForMaskedImageModeling"),
    ("FocalNet", FOCAL | {"use_conv_embed": True}, "Model"),
    ("Levit", THREE_STAGES, "Model ForImageClassification ForImageClassificationWithTeacher"),
    ("Cvt", {"embed_dim": [8, 16, 32], "num_heads": [1, 2, 2], "depth": [1, 2, 3]}, "Model ForImageClassification"),
    ("MobileViT", {}, "Model ForImageClassification ForSemanticSegmentation"),
    ("MobileViTV2", {"width_multiplier": 0.5}, "Model ForImageClassification ForSemanticSegmentation"),
    ("SwiftFormer", {"depths": [1, 1, 1, 1], "embed_dims": [8, 16, 16, 32]}, "Model ForImageClassification"),
    ("Pvt", WIDTHS | HEADS | {"image_size": 64}, "Model ForImageClassification"),
    ("PvtV2", WIDTHS | HEADS, "Model Backbone ForImageClassification"),
    ("Segformer", WIDTHS | HEADS | {"decoder_hidden_size": 16}, "Model ForImageClassification ForSemanticSegmentation"),
    ("Swin", WINDOWS, "Model Backbone ForImageClassification ForMaskedImageModeling"),
    ("Swinv2", WINDOWS, "Model Backbone ForImageClassification ForMaskedImageModeling"),
    (
        "Hiera",
        {"image_size": [64, 64], "embed_dim": 8, "depths": [1, 1, 1, 1]} | {"num_heads": [1, 1, 1, 1]},
        "Model Backbone ForImageClassification",
    ),
    (
        "Florence2Vision",
        {
            "depths": [1, 1, 1, 1],
            "embed_dim": [8, 8, 16, 16],
            "num_heads": [1, 1, 2, 2],
            "num_groups": [1, 1, 2, 2],
            "window_size": 4,
        },
        "Backbone",
    ),
    ("PPOCRV5MobileRec", {"head_out_channels": 50}, "Model ForTextRecognition"),
    ("PPOCRV5ServerRec", {"head_out_channels": 50}, "Model ForTextRecognition"),
    ("PPOCRV6SmallRec", {"head_out_channels": 50}, "Model ForTextRecognition"),
    ("PPOCRV6TinyRec", {"head_out_channels": 50}, "Model ForTextRecognition"),
    ("SLANet", {"max_text_length": 6, "hidden_size": 16}, "Backbone ForTableRecognition"),
    (
        "SLANeXt",
        {
            "max_text_length": 6,
            "hidden_size": 16,
            "vision_config": SAM_ENCODER,
            "post_conv_in_channels": 16,
            "post_conv_out_channels": 16,
        },
        "Backbone ForTableRecognition",
    ),
    (
        "Mgpstr",
        {
            "image_size": [64, 64],
            "patch_size": 16,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_bpe_labels": 20,
            "num_wordpiece_labels": 20,
        },
        "ForSceneTextRecognition",
    ),
)


def networks() -> Iterator[tuple[str, nn.Module]]:
    for family, options, tasks in (*FAMILIES, *DENSE, *DETECTORS):
        for task in tasks.split(" "):
            yield f"transformers:{family}{task}", made(family, options, task)
    yield from prompted()
