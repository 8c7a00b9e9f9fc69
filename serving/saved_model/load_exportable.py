"""What `tagforest train` left -> what a served graph is made from."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from beam_jobs.classes import load_classes
from model.config_sections import DETECTION, SEGMENTATION, TAGS
from model.inputs import preprocessing
from model.network.load_tagger import load_model, weights_fingerprint
from model.scores import tagging
from model.start.load_weights import named_weights
from serving.saved_model.exportable import (
    Exportable,
    ExportableDetector,
    ExportableSegmenter,
    ExportableTagger,
)

# bfloat16 has 8 bits: fused and single ops round at different places.
_MIXED_PRECISION_TOLERANCE = 2e-2


def load_exportable(workdir: Path) -> Exportable:
    """Loads a trained model with its classes and its preprocessing.

    A tagger's calibration and thresholds too, where `tagforest calibrate` has
    run.

    Raises:
        InputError: nothing trained there, or a calibration of other weights.
    """
    model: Any = load_model(workdir)
    config = model.config
    vocabulary, hierarchy = load_classes.load_folder(workdir)
    common = {
        "image_size": config.data.image_size,
        "vocabulary": vocabulary,
        "hierarchy": hierarchy,
        "weights_version": weights_fingerprint(model),
        "config": config.to_json(),
        "weights": named_weights(model),
    }
    if config.network.precision != "float32":
        common["tolerance"] = _MIXED_PRECISION_TOLERANCE
    if config.head.task == TAGS:
        return _tagger(model, workdir, common)
    common["embed"] = partial(model.backbone, training=False)
    common["resize"] = partial(
        preprocessing.crop_and_resize,
        image_size=config.data.image_size,
        framing="whole",
    )
    kinds = {DETECTION: _detector, SEGMENTATION: _segmenter}
    return kinds[config.head.task](model, common)


def _tagger(
    tagger: Any, workdir: Path, common: dict[str, Any]
) -> ExportableTagger:
    data = tagger.config.data
    weights = common["weights_version"]
    return ExportableTagger(
        logits=partial(tagger, training=False),
        embed=partial(tagger.embed, training=False),
        preprocess=partial(
            preprocessing.decode_and_resize,
            image_size=data.image_size,
            crop_fraction=data.crop_fraction,
            framing=data.framing,
        ),
        tagging=tagging.load(workdir, common["vocabulary"], weights),
        one_class=tagger.one_class,
        **common,
    )


def _detector(detector: Any, common: dict[str, Any]) -> ExportableDetector:
    return ExportableDetector(detect=detector.detect, **common)


def _segmenter(segmenter: Any, common: dict[str, Any]) -> ExportableSegmenter:
    from model.network.segmenter import mask_of

    logits = partial(segmenter, training=False)
    return ExportableSegmenter(logits=logits, mask_of=mask_of, **common)
