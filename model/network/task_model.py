"""What tagger, detector and segmenter share: config, backbone, weight decay."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from model.backbone_names import KERAS_HUB, RESNET_V2
from model.config import Config
from model.network.applications import build_application
from model.network.distributed_model import DistributedModel
from model.network.kerashub import build_kerashub
from model.network.resnet import build_backbone
from model.network.weight_average import WeightAverage


class TaskModel(DistributedModel):
    """A backbone with a head; subclasses make the head and its loss.

    Args:
        config: a Config, or its JSON text.
        classes: size of the vocabulary.

    Attributes:
        backbone: images to pooled features; all tasks have the same weights.
        head: what the task needs besides.
        average: of the weights, where one is kept.
    """

    head: keras.layers.Layer

    def __init__(self, config: Config | str, classes: int, **kwargs):
        if isinstance(config, str):
            config = Config.from_json(config)
        super().__init__(
            seed=config.seed,
            accumulation_steps=config.schedule.accumulation_steps,
            pack_bytes=config.schedule.pack_bytes,
            compile_network=config.schedule.jit_compile == "network",
            **kwargs,
        )
        self.config = config
        self.classes = classes
        self.backbone = self.make_backbone(config)
        self.average: WeightAverage | None = None

    def make_backbone(self, config: Config) -> keras.Model:
        """Returns the network; a task may want its maps denser."""
        named = {RESNET_V2: build_backbone, KERAS_HUB: build_kerashub}
        build = named.get(config.network.backbone, build_application)
        return build(config.network, config.data.image_size)

    def train_step(self, data):
        logs = super().train_step(data)
        if self.average is not None:
            # After all that changes weights, which is more than the optimizer.
            self.average.update()
        return logs

    def evaluate(self, *args, **kwargs):
        """As ever, by the average of the weights where one is kept."""
        with self.averaged():
            return super().evaluate(*args, **kwargs)

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Lets the weights be their average meanwhile, where one is kept."""
        if self.average is None:
            return contextlib.nullcontext()
        return self.average.shown()

    def set_prior(self, counts: np.ndarray, images: int) -> None:
        """Lets the untrained head predict each class's frequency.

        Args:
            counts: [classes], images with each class, of `images`.
        """

    def set_leaves(self, is_leaf: np.ndarray) -> None:
        """Tells the loss which classes have no child, where it asks.

        Args:
            is_leaf: bool [classes].
        """

    def keep_classes(self, classes: Sequence[int]) -> None:
        """Lets the head's columns of some classes stay as they are."""
        raise NotImplementedError

    def regularized(self, gradients, weights):
        """Adds the gradient of `weight_decay / 2 * |w|^2` for `sgd`.

        Here and not in the optimizer, so that it passes through the momentum
        as in the paper.
        """
        schedule = self.config.schedule
        if schedule.optimizer != "sgd" or not schedule.weight_decay:
            return gradients
        rate = self.optimizer.scale_loss(schedule.weight_decay)
        normed = ("gamma", "beta")
        return [
            g if w.name in normed else g + tf.cast(rate * w, g.dtype)
            for g, w in zip(gradients, weights, strict=True)
        ]

    def get_config(self):
        return {"config": self.config.to_json(), "classes": self.classes}
