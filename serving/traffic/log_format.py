"""One line of a request log: JSON, one object a request.

    {"type": "tagforest_request_log", "time": 1767225600.25, "model": ...,
     "version": 3, "signature": "serving_default", "api": "Predict",
     "entrypoint": "GRPC", "status": "OK", "ms": 12.3, "sample": 0.1,
     "weights": "9f2c...", "images": [{"valid": true,
     "wnids": ["n02084071", ...], "scores": [0.98, ...],
     "is_tag": [true, ...], "bytes": 10240, "height": 375, "width": 500,
     "brightness": 117.2, "contrast": 58.1}, ...]}

`time` is in seconds since 1970, when the request came; `sample` the share of
requests that are logged; `weights` the fingerprint that answers call
`model_version`. A request that failed has no images, and a field is left out
where nothing is known.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from beam_jobs.images.quick_look import quick_look
from serving.api import contract

TYPE = "tagforest_request_log"
# Of an image: the best classes, and those after them that are tags; where
# classes have many above them, the leaves come late.
BEST_CLASSES = 20
MOST_CLASSES = 64
# Longer files are not put into a line.
MOST_FILE_BYTES = 1024**2
FILE = "b64"

_USED = (
    contract.IMAGE_BYTES,
    *(contract.VALID, contract.WNIDS, contract.SCORE_VALUES),
    *(contract.IS_TAG, contract.MODEL_VERSION),
)

Arrays = Mapping[str, np.ndarray]


def used(arrays: Arrays) -> dict[str, np.ndarray]:
    """Returns those inputs or outputs that a line is made of."""
    # Scores of all classes are megabytes, and have no names.
    unnamed = contract.WNIDS not in arrays
    return {
        name: arrays[name]
        for name in _USED
        if name in arrays
        if not (unnamed and name == contract.SCORE_VALUES)
    }


def image_rows(
    inputs: Arrays, outputs: Arrays, with_files: bool = False
) -> list[dict[str, Any]]:
    """Returns what a line says of each image of a request.

    Args:
        inputs, outputs: of a signature, by name, one row an image.
        with_files: also the files, but for those of over `MOST_FILE_BYTES`.
    """
    tags = _tags(outputs)
    looks = _looks(inputs, with_files)
    count = max(len(tags), len(looks))
    return [
        {**part, **look}
        for part, look in zip(
            tags or [{}] * count, looks or [{}] * count, strict=True
        )
    ]


def _tags(outputs: Arrays) -> list[dict[str, Any]]:
    valid = outputs.get(contract.VALID)
    wnids, scores = (
        outputs.get(name) for name in (contract.WNIDS, contract.SCORE_VALUES)
    )
    if wnids is None or scores is None or wnids.ndim != 2:
        rows = [] if valid is None else valid.tolist()
        return [{contract.VALID: bool(ok)} for ok in rows]
    wnids, scores = wnids[:, :MOST_CLASSES], scores[:, :MOST_CLASSES]
    # Empty names fill the places of classes that were not asked for.
    kept = wnids != b""
    columns: dict[str, list[Any]] = {
        contract.WNIDS: wnids.tolist(),
        contract.SCORE_VALUES: scores.astype(np.float64).round(6).tolist(),
    }
    is_tag = outputs.get(contract.IS_TAG)
    if is_tag is not None:
        is_tag = is_tag[:, :MOST_CLASSES]
        columns[contract.IS_TAG] = is_tag.tolist()
        kept[:, BEST_CLASSES:] &= is_tag[:, BEST_CLASSES:]
    else:
        kept[:, BEST_CLASSES:] = False
    rows = [
        {name: [*compress(column[n], keep)] for name, column in columns.items()}
        for n, keep in enumerate(kept.tolist())
    ]
    for row in rows:
        row[contract.WNIDS] = [wnid.decode() for wnid in row[contract.WNIDS]]
    if valid is None:
        return rows
    return [
        {contract.VALID: ok, **row}
        for ok, row in zip(valid.tolist(), rows, strict=True)
    ]


def _looks(inputs: Arrays, with_files: bool) -> list[dict[str, Any]]:
    images = inputs.get(contract.IMAGE_BYTES)
    # Another model may call something else so.
    if images is None or images.ndim != 1 or images.dtype != object:
        return []
    return [_look(encoded, with_files) for encoded in images.tolist()]


def _look(encoded: bytes, with_files: bool) -> dict[str, Any]:
    found = {
        k: v for k, v in vars(quick_look(encoded)).items() if v is not None
    }
    if with_files and len(encoded) <= MOST_FILE_BYTES:
        found[FILE] = base64.b64encode(encoded).decode()
    return found


def weights_of(outputs: Arrays) -> str:
    """Returns the fingerprint of the weights that answered; "" if unknown."""
    versions = outputs.get(contract.MODEL_VERSION)
    if versions is None or not len(versions):
        return ""
    return bytes(versions[0]).decode(errors="replace")


def to_line(
    facts: Mapping[str, Any], images: Sequence[Mapping[str, Any]]
) -> bytes:
    """Returns a line with its end.

    Args:
        facts: of the request; what is None or empty is left out.
        images: as `image_rows` returns them.
    """
    known = {k: v for k, v in facts.items() if v not in (None, "")}
    content = {"type": TYPE, **known}
    if images:
        content["images"] = images
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def rotated(path: Path, number: int) -> Path:
    """Returns the name of the file that was full `number` files ago."""
    return path.with_name(f"{path.name}.{number}") if number else path
