"""The training of Tencent's released code, where it differs from the paper.

    tagforest train DATASET --workdir WORKDIR --config released_resnet101

Loss with logarithmic coefficients and floors, summed over the classes, all
negatives kept; batch normalization 0.997 and 1e-5; crops of 0.7 to 1 of the
area; rotation with probability 1/3 and colour with 2/3 (its random number
excludes 3; here the two draws are independent); decay at epochs 25, 50, 75,
100 of 100. The batch size of its script is 1 for each GPU; 4,096 here, as in
the paper.
"""

from model.config import (
    Config,
    DataConfig,
    LossConfig,
    NetworkConfig,
    ScheduleConfig,
)


def get_config() -> Config:
    """Returns the released code's settings."""
    return Config(
        name="released_resnet101",
        data=DataConfig(
            crop_fraction=0.8,
            crop_area=(0.7, 1.0),
            crop_aspect=(0.75, 1.33),
            rotation_probability=1 / 3,
            colour_probability=2 / 3,
        ),
        network=NetworkConfig(
            batch_norm_momentum=0.997, batch_norm_epsilon=1e-5
        ),
        loss=LossConfig(kind="released"),
        schedule=ScheduleConfig(epochs=100),
    )
