"""Reader of captions: nouns that are surely a class become labels.

COCO's JSON (https://cocodataset.org/#format-data), or a table with a column of
captions. What a sentence says is less sure than what somebody marked, so the
labels have a source and a confidence of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from beam_jobs.classes.caption_nouns import nouns_of
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Rejection
from beam_jobs.sources import coco, csv_tables
from beam_jobs.sources.csv_columns import (
    IMAGE_COLUMN,
    LABEL_COLUMN,
)
from beam_jobs.sources.reader import (
    IMAGES,
    AnnotatedImage,
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
    check_start,
    malformed,
)
from beam_jobs.sources.table_images import TableImages

# Over the default of --min-confidence, under what people marked.
CONFIDENCE = 0.8
COLUMNS = ("caption", "captions", "text", "description", "sentence", "comment")
_JSON, _PARQUET = ".json", ".parquet"


def find(path: str, context: Context) -> Found:
    """Finds a file; images of a table lie beside it if no folder is named.

    Raises:
        InputError: no such file, neither such JSON nor such a table, or no
            sound row near its start.
    """
    path, size = storage.find_file(path)
    if path.lower().endswith(_JSON):
        lists = "images and annotations"
        return coco.find_object("captions", path, lists, context)
    if path.lower().endswith(_PARQUET):
        raise InputError(f"{path}: captions of Parquet are read with --parquet")
    columns = csv_tables.columns_of(path, context.options, COLUMNS)
    found = csv_tables.cut_table("captions", (path, size), columns, context)
    check_start(found.parts[0], read, "a row with an image and its caption")
    return found


def read(part: Part) -> Read:
    """Yields the images with the nouns of their captions, each once.

    They have the ids that `--coco` and `--csv` give them, so labels of both
    are joined.
    """
    if part.files:
        yield from coco.read_images(
            part, _join_captions, (), Source.CAPTIONS, CONFIDENCE
        )
        return
    columns = csv_tables.columns_of(part.path, part.options, COLUMNS)
    images = CaptionedImages(part, columns, "csv")
    yield from csv_tables.read_table(part, images)


def note(path: str) -> str:
    """Returns what the user should know of a table without labels."""
    return f"{path}: no labels: those of its captions are taken"


def captioned(
    image_id: str, captions: Sequence[str], image: AnnotatedImage | None = None
) -> AnnotatedImage:
    """Returns what captions say of an image.

    Args:
        image_id: of the image.
        captions: sentences in English.
        image: what else is known of it.
    """
    image = image or AnnotatedImage(image_id, Source.CAPTIONS)
    keys = tuple(dict.fromkeys(k for text in captions for k in _keys(text)))
    return image._replace(
        source=Source.CAPTIONS,
        classes=keys,
        confidences=(CONFIDENCE,) * len(keys),
    )


def _keys(caption: str) -> list[str]:
    return [f"captions:{name}" for name in nouns_of(caption)]


class CaptionedImages(TableImages):
    """Images of a table whose labels are in sentences."""

    def named(self, row: Sequence[Any], name: str) -> AnnotatedImage:
        image = super().named(row, name)
        value = row[self.columns.label or 0]
        texts = value if isinstance(value, list) else [value or ""]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"caption {str(value)[:80]!r}: a text is needed")
        return captioned(image.image_id, texts, image)

    def labels_in(self, row: Sequence[Any]) -> list[str]:
        return []


def _join_captions(
    path: str, content: dict[str, list], classes: dict[str, dict[str, None]]
) -> Iterator[Rejection]:
    for index, entry in enumerate(content["annotations"]):
        item = f"annotations[{index}]"
        if not coco.has(entry, "image_id", "caption"):
            yield malformed(path, item, "no image_id or caption")
        elif coco.id_of(entry["image_id"]) not in classes:
            yield coco.in_no_image(path, item, entry)
        else:
            found = dict.fromkeys(_keys(str(entry["caption"])))
            classes[coco.id_of(entry["image_id"])] |= found


READER = Reader(
    SourceOption(
        "captions",
        "captions",
        "COCO captions, or a table of images and captions: sure nouns are "
        "labels.",
        check_file,
    ),
    find,
    read,
    bytes_an_image=600,
    takes=(IMAGES, IMAGE_COLUMN, LABEL_COLUMN),
    keys_hold_names=True,
)
