"""Figures of a few held-out images, and the images, after every epoch."""

from __future__ import annotations

import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from model.config import Config
from model.monitoring.sample_cards import draw_cards
from model.monitoring.samples import Classes, Judge, held_out
from model.monitoring.step_logs import step_of
from model.network import metrics

_AT = (5, 10)


class SampleBoard(keras.callbacks.Callback):
    """Writes P, R and F1 at 5 and 10 of some images, and shows a few.

    `sample/f1_at_5` and so on over `config.logging.metric_images`, and a
    sheet of the first `config.logging.images` of them with their tags.
    """

    def __init__(
        self,
        writer: tf.summary.SummaryWriter,
        config: Config,
        dataset: str | os.PathLike[str],
        workdir: Path,
    ):
        super().__init__()
        self.settings = config.logging
        self._writer = writer
        self._count = max(self.settings.metric_images, self.settings.images)
        self._classes = Classes.load(workdir)
        self._batches = held_out(
            dataset, config.data, len(self._classes.vocabulary), self._count
        )
        self._judge: Judge | None = None

    def on_epoch_end(self, epoch, logs=None):
        # Compiled once; the model is not known before.
        self._judge = self._judge or Judge(self.model)
        seen = list(self._labels_and_scores(self._judge))
        targets = np.concatenate([t for t, _ in seen])
        scores = np.concatenate([s for _, s in seen])
        count, shown = self.settings.metric_images, self.settings.images
        with self._writer.as_default(step=step_of(self.model)):
            if count:
                means = figures(targets[:count], scores[:count])
                for name, value in means.items():
                    tf.summary.scalar(f"sample/{name}", value)
            if shown:
                images = np.concatenate(self._shown)[:shown]
                sheet = draw_cards(images, targets, scores, self._classes)
                tf.summary.image("sample/tags", sheet[None])
        self._writer.flush()

    def _labels_and_scores(self, judge: Judge):
        """Yields both, batch by batch; keeps the images to show."""
        self._shown: list[np.ndarray] = []
        for batch in judge.judge(self._batches, self._count):
            if sum(map(len, self._shown)) < self.settings.images:
                self._shown.append(batch.images)
            yield batch.targets, batch.scores


def figures(targets: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Returns the means over images of P, R and F1 at 5 and 10.

    Args:
        targets: [images, classes]; above 0 is a positive.
        scores: probabilities [images, classes].
    """
    found = {}
    for k in _AT:
        for name, figure in metrics.FIGURES.items():
            of_images = np.asarray(figure(targets, scores, k))
            found[f"{name}_at_{k}"] = float(np.mean(of_images))
    return found
