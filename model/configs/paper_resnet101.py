"""The paper's training: ResNet-101 v2 at 224 pixels, adaptive loss.

    tagforest train DATASET --workdir WORKDIR --config paper_resnet101

Batch 4,096 over all workers, 60 epochs, warm-up from 0.01 by 1.297 an epoch
to 0.08, a tenth every 25 epochs (Wu et al. 2019, arXiv 1901.01703, section
3). The paper took 90 hours on 128 GPUs for 17.6 million images. Where the
paper is silent the released code's values stand (colour strengths).
"""

from model.config import Config


def get_config() -> Config:
    """Returns the paper's settings: the defaults of every section."""
    return Config(name="paper_resnet101")
