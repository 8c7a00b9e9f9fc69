"""What lies beside the model: names, thresholds and how to make its input."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.config import Config
from serving.formats.graph import INPUT, OUTPUT
from serving.formats.kinds import KINDS, OPENVINO, PLAIN
from serving.formats.openvino_file import RUN_WITH
from serving.formats.options import FormatOptions
from serving.saved_model.exportable import ExportableTagger
from serving.saved_model.served_classes import thresholds_of

LABELS, SETTINGS, SELECTED_TAGS = (
    *("labels.txt", "settings.json", "selected_tags.csv"),
)
_WD_HEADER = ("tag_id", "name", "category", "count")
_GENERAL = 0  # apps tell general tags from characters and ratings


def write(
    tagger: ExportableTagger,
    folder: Path,
    options: FormatOptions,
    counts: Sequence[int] | np.ndarray,
) -> None:
    """Writes `settings.json`, and the names as the layout has them.

    Args:
        counts: training images of each class; 0 where that is not known.
    """
    text = json.dumps(settings(tagger, options), indent=2, sort_keys=True)
    (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")
    names = [c.display_name for c in tagger.vocabulary]
    if options.layout == PLAIN:
        lines = "".join(f"{name}\n" for name in names)
        (folder / LABELS).write_text(lines, encoding="utf-8")
        return
    with (folder / SELECTED_TAGS).open("w", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(_WD_HEADER)
        for index, name in enumerate(names):
            # They show an underscore as a blank, and split at blanks.
            row = (index, name.replace(" ", "_"), _GENERAL, counts[index])
            rows.writerow(row)


def settings(
    tagger: ExportableTagger, options: FormatOptions
) -> Mapping[str, Any]:
    """Returns all that a program must know to use the model."""
    data = Config.from_json(tagger.config).data
    plain, side = options.layout == PLAIN, tagger.image_size
    return {
        "format": options.format,
        "precision": options.precision,
        "file": KINDS[options.format].file,
        "input": {
            "name": INPUT,
            "shape": [None, side, side, 3],
            "type": "uint8" if plain else "float32",
            "channels": "RGB" if plain else "BGR",
            "range": [0, 255],
        },
        "resizing": {
            "framing": data.framing,
            "crop_fraction": data.crop_fraction,
            "side": side,
            "filter": "bilinear, antialiased",
            "square": "the central square of crop_fraction x the short side, "
            "resized to side; whole: all of the image, resized to side",
        },
        "output": {"name": OUTPUT, "shape": [None, len(tagger.vocabulary)]},
        "run_with": RUN_WITH if options.format == OPENVINO else {},
        "model_version": tagger.weights_version,
        "vocabulary_version": tagger.vocabulary.fingerprint,
        "classes": _classes(tagger),
    }


def _classes(tagger: ExportableTagger) -> list[dict[str, Any]]:
    """Returns a row a class; its threshold is None where it is never a tag."""
    thresholds = thresholds_of(tagger.tagging, len(tagger.vocabulary))
    ids = [c.wnid for c in tagger.vocabulary]
    return [
        {
            "id": c.wnid,
            "name": c.display_name,
            "threshold": float(t) if np.isfinite(t) else None,
            "parents": [ids[p] for p in parents],
        }
        for c, t, parents in zip(
            tagger.vocabulary, thresholds, tagger.hierarchy.parents, strict=True
        )
    ]
