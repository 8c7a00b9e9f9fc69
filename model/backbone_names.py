"""The backbones to choose from (no TensorFlow here)."""

RESNET_V2 = "resnet_v2"
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
