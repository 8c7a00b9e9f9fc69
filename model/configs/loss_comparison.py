"""One small network under any loss, to tell which one suits a data set.

    tagforest train DATASET --workdir runs/bce --config loss_comparison \
        --set loss.kind=bce

with `paper`, `released`, `bce`, `focal` or `asymmetric`; `--set seed=1` for
another seed. All else is equal: 12 passes, AdamW at one learning rate, the sum
over the classes, so that no loss has a smaller gradient than another.
BENCHMARKS.md has the figures on 64-pixel photographs of 11,166 classes: about
400 images a second on two cores, 12 passes over 21,739 images in 11 minutes.
"""

from model.config import (
    Config,
    DataConfig,
    LossConfig,
    NetworkConfig,
    ScheduleConfig,
)


def get_config() -> Config:
    """Returns the settings that all losses share."""
    return Config(
        name="loss_comparison",
        data=DataConfig(
            image_size=64,
            crop_fraction=1.0,
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
        loss=LossConfig(reduction="sum"),
        schedule=ScheduleConfig(
            batch_size=128,
            epochs=12,
            optimizer="adamw",
            learning_rate=2e-3,
            warmup_learning_rate=2e-4,
            warmup=1.0,
            warmup_stairs=0,
            decay="cosine",
            weight_decay=0.05,
        ),
    )
