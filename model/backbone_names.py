"""The backbones to choose from (no TensorFlow here)."""

from __future__ import annotations

from importlib.util import find_spec

from beam_jobs.errors import InputError

RESNET_V2 = "resnet_v2"
# Any image backbone of KerasHub, as `network.preset` describes it.
KERAS_HUB = "keras_hub"
# Networks of keras.applications, and the pixels that their published weights
# want: `tf` [-1, 1], `caffe` blue first without the mean, `torch` normalized,
# or 0 to 255, which the network scales of its `own`.
APPLICATIONS = {
    **dict.fromkeys(
        (
            *("Xception", "InceptionV3", "InceptionResNetV2"),
            *("MobileNet", "MobileNetV2", "NASNetMobile", "NASNetLarge"),
            *("ResNet50V2", "ResNet101V2", "ResNet152V2"),
        ),
        "tf",
    ),
    **dict.fromkeys(
        ("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152"), "caffe"
    ),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), "torch"),
    **dict.fromkeys(
        (
            *("MobileNetV3Small", "MobileNetV3Large"),
            *(f"EfficientNetB{i}" for i in range(8)),
            *(f"EfficientNetV2{size}" for size in "SML"),
            *(f"EfficientNetV2B{i}" for i in range(4)),
            *("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase"),
            *("ConvNeXtLarge", "ConvNeXtXLarge"),
        ),
        "own",
    ),
}


def check_kerashub() -> None:
    """Raises InputError unless KerasHub is installed."""
    if find_spec("keras_hub") is None:
        raise InputError(
            f"network.backbone {KERAS_HUB} needs KerasHub: "
            "pip install 'tagforest[kerashub]'"
        )
