"""What a training writes for TensorBoard."""

from __future__ import annotations

from dataclasses import dataclass

from model.config_checks import check_types, need_positive, need_range


@dataclass(frozen=True)
class LoggingConfig:
    """What a training writes for TensorBoard; no weight depends on it.

    Attributes:
        every: steps between two points of a curve. Reading a value makes
            the host wait for the device.
        histograms_every: steps between histograms of the class state, with
            one more after each epoch; 0 writes none.
        metric_images: held-out images that P, R and F1 at 5 and 10 are
            computed on after each epoch; 0 is none.
        images: held-out images shown with their tags after each epoch; 0
            is none.
        projector_images: held-out images embedded for the projector at the
            end; 0 is none.
        input_wait: times the delivery of the data.
        hyperparameters: writes the config for the table of several runs.
    """

    every: int = 10
    histograms_every: int = 100
    metric_images: int = 256
    images: int = 8
    projector_images: int = 256
    input_wait: bool = True
    hyperparameters: bool = True

    def __post_init__(self):
        check_types(self)
        need_positive(self, "every")
        need_range(self, "histograms_every", 0, 10**9)
        need_range(self, "metric_images", 0, 10**6)
        need_range(self, "images", 0, 64)
        # The browser draws every one of them.
        need_range(self, "projector_images", 0, 10**4)
