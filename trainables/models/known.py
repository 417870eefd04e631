"""What is known of a backbone before any image is looked at: how well it fine-tunes, and what an epoch of it costs.

`expected` is its error after fine-tuning in those of an average network of T. Capelle's sweep (fastai_timm: 86 models
of timm on two sets of images): 0.8 is a fifth fewer errors. Where the sweep had the same weights it is `measured`
there; else it follows from the error on `ImageNet` (timm's table, corrected labels), the size and the kind; where
there is no such error, from `size` and kind alone. What these leave unexplained of its logarithm has the standard
deviation `SPREAD`. Seconds are those of an image at 224 px in those of ResNet-50, by timm's tables: on a processor
(answering, Intel i7-12700H) and on a GPU (training, NVIDIA RTX 3090; where that was not run, as on the processor).

`benchmarks/quality/known_backbones.py` prints the rows and the formula.
"""

import math
from typing import NamedTuple

from trainables.models.candidates import TIMM_PREFIX, find

__all__ = ["ATTENTION", "KNOWN", "SPREAD", "WIDE", "Known", "family_of", "known_of", "relative_seconds"]


class Known(NamedTuple):
    """What is known of a backbone; `processor` and `gpu` are None where nobody timed it."""

    expected: float
    basis: str
    processor: float | None
    gpu: float | None


SPREAD = 0.15
"""Standard deviation of the logarithm of a network's error around what is expected of it."""

KNOWN = {
    "timm:mobilenetv4_conv_small_050.e3000_r224_in1k": Known(1.44, "ImageNet", None, None),
    "timm:convnext_atto.d2_in1k": Known(1.25, "ImageNet", 0.28, 0.43),
    "timm:mobilenetv4_conv_small.e2400_r224_in1k": Known(1.28, "ImageNet", 0.12, 0.19),
    "timm:tf_efficientnet_lite0.in1k": Known(1.24, "ImageNet", 0.31, 0.57),
    "timm:tf_efficientnet_lite1.in1k": Known(1.21, "ImageNet", 0.35, 0.74),
    "timm:tf_efficientnet_lite2.in1k": Known(1.18, "ImageNet", 0.38, 0.81),
    "timm:tiny_vit_5m_224.dist_in22k_ft_in1k": Known(1.02, "ImageNet", 0.64, 0.98),
    "timm:eva02_tiny_patch14_224.mim_in22k": Known(1.07, "size", 0.52, 0.79),
    "timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k": Known(1.03, "measured", 0.39, 0.53),
    "timm:hgnetv2_b0.ssld_stage2_ft_in1k": Known(1.18, "ImageNet", 0.20, 0.30),
    "timm:tf_efficientnetv2_b0.in1k": Known(1.18, "ImageNet", 0.38, 0.48),
    "timm:mobilenetv4_conv_medium.e500_r256_in1k": Known(1.11, "ImageNet", 0.36, 0.55),
    "timm:tiny_vit_11m_224.dist_in22k_ft_in1k": Known(0.94, "ImageNet", 0.83, 1.27),
    "timm:mobilenetv4_hybrid_medium.e200_r256_in12k_ft_in1k": Known(1.01, "ImageNet", 0.49, 0.74),
    "timm:hgnetv2_b2.ssld_stage2_ft_in1k": Known(1.08, "ImageNet", 0.42, 0.64),
    "timm:regnety_016.tv2_in1k": Known(1.09, "ImageNet", 0.60, 1.87),
    "timm:resnet18.a1_in1k": Known(1.17, "ImageNet", 0.49, 0.35),
    "timm:convnext_nano.in12k_ft_in1k": Known(0.98, "ImageNet", 0.88, 0.97),
    "timm:hgnetv2_b4.ssld_stage2_ft_in1k": Known(1.00, "ImageNet", 0.79, 1.21),
    "timm:tiny_vit_21m_224.dist_in22k_ft_in1k": Known(0.87, "ImageNet", 1.34, 2.04),
    "timm:tf_efficientnetv2_s.in21k_ft_in1k": Known(0.95, "ImageNet", 0.88, 1.39),
    "timm:eva02_small_patch14_224.mim_in22k": Known(0.92, "size", 1.49, 2.26),
    "timm:vit_small_patch16_dinov3.lvd1689m": Known(0.92, "size", 1.14, 1.15),
    "timm:vit_small_patch16_224.augreg_in21k_ft_in1k": Known(0.82, "measured", 1.14, 1.15),
    "timm:vit_small_patch14_dinov2.lvd142m": Known(0.91, "size", 1.78, 2.70),
    "timm:resnet50.a1_in1k": Known(1.27, "measured", 1.00, 1.00),
    "timm:caformer_s18.sail_in22k_ft_in1k": Known(0.86, "ImageNet", 1.10, 1.67),
    "timm:convnext_tiny.dinov3_lvd1689m": Known(0.95, "size", 1.15, 1.49),
    "timm:swinv2_cr_tiny_ns_224.sw_in1k": Known(0.81, "measured", 2.31, 2.42),
    "timm:swin_tiny_patch4_window7_224.ms_in22k_ft_in1k": Known(0.88, "ImageNet", 2.45, 1.88),
    "timm:convnext_tiny.in12k_ft_in1k": Known(0.91, "ImageNet", 1.15, 1.49),
    "timm:swinv2_cr_small_ns_224.sw_in1k": Known(0.67, "measured", 4.59, 4.05),
    "timm:caformer_m36.sail_in22k_ft_in1k": Known(0.79, "ImageNet", 3.61, 5.49),
    "timm:vit_base_patch16_224.augreg2_in21k_ft_in1k": Known(0.70, "measured", 3.66, 3.10),
    "timm:vit_base_patch14_dinov2.lvd142m": Known(0.78, "size", 5.43, 8.26),
    "timm:convnext_base.fb_in22k_ft_in1k": Known(0.73, "measured", 3.35, 3.60),
    "mobilenet_v2": Known(1.30, "ImageNet", 0.20, 0.53),
    "googlenet": Known(1.20, "size", None, None),
    "resnet18": Known(1.12, "measured", 0.49, 0.35),
    "resnet50": Known(1.06, "ImageNet", 1.00, 1.00),
    "vgg16": Known(1.16, "ImageNet", 6.00, 2.23),
}
"""What is known of each candidate."""

_CONSTANT, _WIDE, _ATTENTION, _LOG_MILLIONS = 0.398, -0.068, -0.063, -0.116
ATTENTION = ("vit", "swin", "former", "eva", "beit", "deit", "coat")
"""Parts of the names of networks with attention."""

WIDE = ("in21k", "in22k", "in12k", "lvd")
"""Parts of a tag that say that a network saw more than ImageNet's thousand classes before."""

_BY_ARCHITECTURE = {name.partition(".")[0]: known for name, known in KNOWN.items()}


def known_of(name: str, millions: float) -> Known:
    """What is known of the model `name` of so many `millions` of parameters: of a candidate, or by its kind and size.

    A candidate's name without its tag is that candidate: `timm:NAME` means the weights that timm takes by default.

    >>> known_of("timm:tf_efficientnet_lite0", 4.7) == known_of("timm:tf_efficientnet_lite0.in1k", 4.7)
    True
    >>> known_of("timm:nobody_knows_it", 25.0).basis
    'size'
    """
    if name in KNOWN:
        return KNOWN[name]
    architecture, _, tag = name.partition(".")
    if not tag and architecture in _BY_ARCHITECTURE:
        return _BY_ARCHITECTURE[architecture]
    own = architecture.removeprefix(TIMM_PREFIX)
    logarithm = _CONSTANT + _LOG_MILLIONS * math.log(max(millions, 0.1))
    logarithm += _ATTENTION * any(part in own for part in ATTENTION)
    logarithm += _WIDE * any(part in tag for part in WIDE)
    return Known(math.exp(logarithm), "size", None, None)


def relative_seconds(name: str, device: str) -> float | None:
    """Seconds of an image of the model `name` in those of ResNet-50; None where nobody timed it."""
    known = KNOWN.get(name) or (None if "." in name else _BY_ARCHITECTURE.get(name))
    if known is None:
        return None
    return known.processor if device == "cpu" else known.gpu


def family_of(name: str) -> str:
    """The family of a candidate, or of another model the first part of its name.

    >>> family_of("timm:resnet18.a1_in1k"), family_of("timm:regnetx_002")
    ('ResNet', 'regnetx')
    """
    candidate = find(name) or find(f"{name}.in1k")
    return candidate.family if candidate else name.removeprefix(TIMM_PREFIX).partition("_")[0]
