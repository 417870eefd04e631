"""Backbones worth probing: what `tuner probe` tries by default. One entry a backbone; no torch, no timm.

Chosen over the families that comparisons at little data find strong, from 2 to 89 million parameters. Evidence:

- Goldblum et al. 2023 (Battle of the Backbones): supervised ConvNeXt and Swin pretrained on ImageNet-21k lead over most
  tasks, small ConvNeXt among the small; self-supervised ViTs follow.
- Oquab et al. 2024 (DINOv2): frozen features that a linear layer reads well.
- Steiner et al. 2022 (How to train your ViT): ViT-S and Ti of the AugReg recipe, from ImageNet-21k.
- Tan and Le 2021 (EfficientNetV2), Qin et al. 2024 (MobileNetV4), Radosavovic et al. 2020 (RegNet): accuracy for their
  size, from phones up.
- Wightman et al. 2021 (ResNet strikes back): ResNets trained by today's recipes.
- Wu et al. 2022 (TinyViT), Cui et al. 2024 (HGNetV2), Yu et al. 2024 (CAFormer), Fang et al. 2023 (EVA-02): first or
  nearly so in timm's table of ImageNet for their size, up to 6, 12, 30 and 90 million parameters.
- Capelle's sweep of fine-tuned networks (fastai_timm): SwinV2-CR and ViT-B of AugReg, each first on one of two sets.
- Simeoni et al. 2025 (DINOv3): frozen features, under a licence of its own that asks for agreement.

ConvNeXtV2 is left out: its weights may not be used commercially. The study's five of torchvision stay. Licences are
those that timm's and torchvision's authors give for the weights; the images behind them have terms of their own. What
is expected of each stands in `known`.
"""

from typing import NamedTuple

__all__ = ["CANDIDATES", "TIMM_MAX_STAGES", "TIMM_PREFIX", "Candidate", "find", "hub_id", "torchvision_url"]

TIMM_PREFIX = "timm:"

TIMM_MAX_STAGES = 6
"""Stages that a model of timm is cut into, at most."""


class Candidate(NamedTuple):
    """A backbone that is worth probing.

    `millions` are its parameters, the 1000-class head included; `image_size` is the side of the images that it was
    trained on, `licence` that of its weights.
    """

    name: str
    family: str
    millions: float
    image_size: int
    licence: str
    num_stages: int


CANDIDATES = (
    Candidate("timm:mobilenetv4_conv_small_050.e3000_r224_in1k", "MobileNetV4", 2.2, 224, "apache-2.0", 5),
    Candidate("timm:convnext_atto.d2_in1k", "ConvNeXt", 3.7, 224, "apache-2.0", 4),
    Candidate("timm:mobilenetv4_conv_small.e2400_r224_in1k", "MobileNetV4", 3.8, 224, "apache-2.0", 5),
    Candidate("timm:tf_efficientnet_lite0.in1k", "EfficientNet-Lite", 4.7, 224, "apache-2.0", 5),
    Candidate("timm:tf_efficientnet_lite1.in1k", "EfficientNet-Lite", 5.4, 240, "apache-2.0", 5),
    Candidate("timm:tf_efficientnet_lite2.in1k", "EfficientNet-Lite", 6.1, 260, "apache-2.0", 5),
    Candidate("timm:tiny_vit_5m_224.dist_in22k_ft_in1k", "TinyViT", 5.4, 224, "apache-2.0", 4),
    Candidate("timm:eva02_tiny_patch14_224.mim_in22k", "EVA-02", 5.5, 224, "mit", 6),
    Candidate("timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k", "ViT", 5.7, 224, "apache-2.0", 6),
    Candidate("timm:hgnetv2_b0.ssld_stage2_ft_in1k", "HGNetV2", 6.0, 224, "apache-2.0", 4),
    Candidate("timm:tf_efficientnetv2_b0.in1k", "EfficientNetV2", 7.1, 192, "apache-2.0", 5),
    Candidate("timm:mobilenetv4_conv_medium.e500_r256_in1k", "MobileNetV4", 9.7, 256, "apache-2.0", 5),
    Candidate("timm:tiny_vit_11m_224.dist_in22k_ft_in1k", "TinyViT", 11.0, 224, "apache-2.0", 4),
    Candidate(
        "timm:mobilenetv4_hybrid_medium.e200_r256_in12k_ft_in1k", "MobileNetV4", 11.1, 256, "apache-2.0", 5
    ),
    Candidate("timm:hgnetv2_b2.ssld_stage2_ft_in1k", "HGNetV2", 11.2, 224, "apache-2.0", 4),
    Candidate("timm:regnety_016.tv2_in1k", "RegNet", 11.2, 224, "bsd-3-clause", 5),
    Candidate("timm:resnet18.a1_in1k", "ResNet", 11.7, 224, "apache-2.0", 5),
    Candidate("timm:convnext_nano.in12k_ft_in1k", "ConvNeXt", 15.6, 224, "apache-2.0", 4),
    Candidate("timm:hgnetv2_b4.ssld_stage2_ft_in1k", "HGNetV2", 19.8, 224, "apache-2.0", 4),
    Candidate("timm:tiny_vit_21m_224.dist_in22k_ft_in1k", "TinyViT", 21.2, 224, "apache-2.0", 4),
    Candidate("timm:tf_efficientnetv2_s.in21k_ft_in1k", "EfficientNetV2", 21.5, 300, "apache-2.0", 5),
    Candidate("timm:eva02_small_patch14_224.mim_in22k", "EVA-02", 21.6, 224, "mit", 6),
    Candidate("timm:vit_small_patch16_dinov3.lvd1689m", "DINOv3", 21.6, 256, "dinov3-license", 6),
    Candidate("timm:vit_small_patch16_224.augreg_in21k_ft_in1k", "ViT", 22.1, 224, "apache-2.0", 6),
    Candidate("timm:vit_small_patch14_dinov2.lvd142m", "DINOv2", 22.1, 518, "apache-2.0", 6),
    Candidate("timm:resnet50.a1_in1k", "ResNet", 25.6, 224, "apache-2.0", 5),
    Candidate("timm:caformer_s18.sail_in22k_ft_in1k", "CAFormer", 26.3, 224, "apache-2.0", 4),
    Candidate("timm:convnext_tiny.dinov3_lvd1689m", "DINOv3", 27.8, 224, "dinov3-license", 4),
    Candidate("timm:swinv2_cr_tiny_ns_224.sw_in1k", "SwinV2", 28.3, 224, "apache-2.0", 4),
    Candidate("timm:swin_tiny_patch4_window7_224.ms_in22k_ft_in1k", "Swin", 28.3, 224, "mit", 4),
    Candidate("timm:convnext_tiny.in12k_ft_in1k", "ConvNeXt", 28.6, 224, "apache-2.0", 4),
    Candidate("timm:swinv2_cr_small_ns_224.sw_in1k", "SwinV2", 49.7, 224, "apache-2.0", 4),
    Candidate("timm:caformer_m36.sail_in22k_ft_in1k", "CAFormer", 56.2, 224, "apache-2.0", 4),
    Candidate("timm:vit_base_patch16_224.augreg2_in21k_ft_in1k", "ViT", 86.6, 224, "apache-2.0", 6),
    Candidate("timm:vit_base_patch14_dinov2.lvd142m", "DINOv2", 86.6, 518, "apache-2.0", 6),
    Candidate("timm:convnext_base.fb_in22k_ft_in1k", "ConvNeXt", 88.6, 224, "apache-2.0", 4),
    Candidate("mobilenet_v2", "MobileNetV2", 3.5, 224, "bsd-3-clause", 5),
    Candidate("googlenet", "GoogLeNet", 6.6, 224, "bsd-3-clause", 4),
    Candidate("resnet18", "ResNet", 11.7, 224, "bsd-3-clause", 5),
    Candidate("resnet50", "ResNet", 25.6, 224, "bsd-3-clause", 5),
    Candidate("vgg16", "VGG", 138.4, 224, "bsd-3-clause", 6),
)
"""Every candidate: timm's by size, then the study's five."""

SMALL_MILLIONS = 10.0
"""Up to here a backbone is `small`."""

_HASHES = {
    "googlenet": "1378be20",
    "mobilenet_v2": "7ebf99e0",
    "resnet18": "f37072fd",
    "resnet50": "11ad3fa6",
    "vgg16": "397923af",
}
_BY_NAME = {candidate.name: candidate for candidate in CANDIDATES}


def hub_id(name: str) -> str | None:
    """The repository on Hugging Face of a candidate that is timm's, None for any other model.

    >>> hub_id("timm:tf_efficientnet_lite0.in1k"), hub_id("resnet18")
    ('timm/tf_efficientnet_lite0.in1k', None)
    """
    own = name in _BY_NAME and name.startswith(TIMM_PREFIX)
    return f"timm/{name.removeprefix(TIMM_PREFIX)}" if own else None


def torchvision_url(name: str) -> str | None:
    """Where the weights of a candidate that is torchvision's come from, None for any other model.

    >>> torchvision_url("resnet18"), torchvision_url("timm:tf_efficientnet_lite0.in1k")
    ('https://download.pytorch.org/models/resnet18-f37072fd.pth', None)
    """
    known = _HASHES.get(name)
    return None if known is None else f"https://download.pytorch.org/models/{name}-{known}.pth"


def find(name: str) -> Candidate | None:
    """The candidate of that name, None for any other model."""
    return _BY_NAME.get(name)
