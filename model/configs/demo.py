"""A small tagger for drawn scenes, trained on two CPU cores in minutes.

    tagforest train DATASET --workdir WORKDIR --config demo

The loss is the released code's. Two of its numbers differ, since a batch
holds 64 images and not 4,096: every class without a positive is updated
(0.1), and its least weight is 0.05 (0.001), or the many batches without a
class would hardly teach that it can be absent.

Measured on 4,063 scenes of 258 classes, 457 held out: F1@5 0.461 (most
frequent tags 0.369, ceiling 0.576), best-scored leaf right for 67 %.
"""

from model.config import (
    Config,
    DataConfig,
    LossConfig,
    NetworkConfig,
    ScheduleConfig,
)


def get_config() -> Config:
    """Returns the demo's settings."""
    return Config(
        name="demo",
        data=DataConfig(
            image_size=64,
            crop_fraction=1.0,
            crop_area=(0.7, 1.0),
            rotation_probability=0.0,
            colour_probability=0.0,
        ),
        network=NetworkConfig(
            block="basic",
            blocks=(1, 1, 1, 1),
            filters=(32, 64, 128, 256),
            strides=(1, 2, 2, 2),
            stem_filters=32,
            stem_kernel=5,
            stem_stride=4,
        ),
        loss=LossConfig.released(
            absent_probability=1.0, positive_floor=0.2, negative_floor=0.2
        ),
        schedule=ScheduleConfig(
            batch_size=64,
            epochs=16,
            optimizer="adamw",
            learning_rate=2e-3,
            warmup_learning_rate=2e-4,
            warmup_epochs=1.0,
            decay="cosine",
            weight_decay=0.01,
        ),
    )
