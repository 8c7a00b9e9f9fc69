"""The model of a config's task."""

from __future__ import annotations

from model.config import Config
from model.config_sections import DETECTION, SEGMENTATION, TAGS
from model.network.detector import Detector
from model.network.segmenter import Segmenter
from model.network.tagger import Tagger
from model.network.task_model import TaskModel

_KINDS = {TAGS: Tagger, DETECTION: Detector, SEGMENTATION: Segmenter}


def make_model(config: Config, classes: int) -> TaskModel:
    """Returns the untrained model of `config.head.task`.

    Args:
        classes: size of the vocabulary.
    """
    return _KINDS[config.head.task](config, classes)
