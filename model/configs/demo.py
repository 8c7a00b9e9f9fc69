"""A small tagger for drawn scenes, trained on two CPU cores in minutes.

tagforest train DATASET --workdir WORKDIR --config demo
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
        loss=LossConfig.released(absent_probability=1.0, negative_floor=0.05),
        schedule=ScheduleConfig(
            batch_size=64,
            epochs=12,
            optimizer="adamw",
            learning_rate=2e-3,
            warmup_learning_rate=2e-4,
            warmup_epochs=1.0,
            decay="cosine",
            weight_decay=0.01,
        ),
    )
