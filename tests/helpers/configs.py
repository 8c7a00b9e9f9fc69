"""Configs that train in a moment."""

from __future__ import annotations

from model.config import (
    Config,
    DataConfig,
    LoggingConfig,
    LossConfig,
    NetworkConfig,
    ScheduleConfig,
)


def tiny_config(**schedule) -> Config:
    """Returns a config for `datasets.write_dataset`."""
    settings = {
        "batch_size": 8,
        "epochs": 2,
        "learning_rate": 0.05,
        "warmup": 0.0,
        "decay": "cosine",
        **schedule,
    }
    return Config(
        name="tiny",
        data=DataConfig(image_size=16, crop_fraction=1.0, reading="records"),
        network=NetworkConfig(
            block="basic",
            blocks=(1,),
            filters=(8,),
            strides=(2,),
            stem_filters=8,
            stem_kernel=3,
        ),
        loss=LossConfig(floor=0.1, reduction="sum"),
        schedule=ScheduleConfig(**settings),
        seed=1,
    )


# What looks at held-out images takes longer than a tiny training.
QUIET = LoggingConfig(
    histograms_every=0,
    metric_images=0,
    images=0,
    projector_images=0,
    hyperparameters=False,
)
