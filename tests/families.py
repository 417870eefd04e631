"""One model of each family, for tests that must hold for all of them."""

SMALLEST = [
    *("timm:convnext_atto.d2_in1k", "timm:mobilenetv4_conv_small.e2400_r224_in1k"),
    *("timm:tf_efficientnet_lite0.in1k", "timm:tf_efficientnetv2_b0.in1k", "timm:regnety_016.tv2_in1k"),
    *("timm:resnet18.a1_in1k", "timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k"),
    *("timm:vit_small_patch14_dinov2.lvd142m", "timm:swin_tiny_patch4_window7_224.ms_in22k_ft_in1k"),
    *("timm:tiny_vit_5m_224.dist_in22k_ft_in1k", "timm:eva02_tiny_patch14_224.mim_in22k"),
    *("timm:hgnetv2_b0.ssld_stage2_ft_in1k", "timm:vit_small_patch16_dinov3.lvd1689m"),
    *("timm:caformer_s18.sail_in22k_ft_in1k", "timm:swinv2_cr_tiny_ns_224.sw_in1k"),
    *("mobilenet_v2", "googlenet", "vgg16"),
]
"""A small one of each family of the candidates."""
