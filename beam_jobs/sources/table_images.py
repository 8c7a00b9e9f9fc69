"""Rows of tables, whatever their file format -> annotated images."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from typing import Any

from beam_jobs.files import storage
from beam_jobs.images.image_folders import ImageFolders
from beam_jobs.images.image_names import (
    check_address,
    is_encodable,
    is_inside,
    is_url,
    path_id,
    plain_path,
    without_scheme,
)
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.images.origin import make_origin
from beam_jobs.labels.ledger import Source
from beam_jobs.sources.cached_tokens import Confidences
from beam_jobs.sources.cells import (
    LABEL_SEPARATOR,
    class_key,
    confidences_of,
    labels_of,
)
from beam_jobs.sources.csv_columns import Columns, marked
from beam_jobs.sources.reader import AnnotatedImage, Part

# No path or URL is longer; an image in base64 is.
_MOST_LETTERS = 4096


class TableImages:
    """Makes images of the rows of a part.

    Args:
        part: its options say where the images lie (`images`), and, of a table
            that belongs to another source, of which `kind` that is and below
            which folder of it the table lies (`below`).
        columns: of the table.
        kind: of source, by default.
        names: of classes that are numbers.
    """

    def __init__(
        self, part: Part, columns: Columns, kind: str, names: Sequence[str] = ()
    ):
        folders = part.values("images")
        self._part, self.columns, self._names = part, columns, names
        self._folders = ImageFolders(folders) if folders else None
        self._with_ref = not part.labels_only
        self._kind = part.option("kind") or kind
        self._below = part.option("below") or ""
        self._source = Source[self._kind.upper()]
        self._confidences = Confidences()
        self._separator = part.option(LABEL_SEPARATOR.name)

    def image_of(self, row: Sequence[Any], image: Any = None) -> AnnotatedImage:
        """Returns the image of a row.

        Args:
            row: a value a column.
            image: its path or URL; that of the image column by default.

        Raises:
            ValueError: no path that an image can have, or malformed labels.
            AddressError: an address that cannot be read here.
        """
        image = row[self.columns.image] if image is None else image
        if not isinstance(image, str):
            raise ValueError(f"{str(image)[:200]!r}: a URL or a path is needed")
        image = without_scheme(image.strip())
        if len(image) > _MOST_LETTERS or image.startswith("data:"):
            raise ValueError(
                f"{image[:80]!r}: a URL or a path is needed, no image in text"
            )
        check_address(image)
        path = (
            plain_path(image) if _is_named(image) else image.removeprefix("/")
        )
        if not storage.is_remote(image) and not is_inside(path):
            raise ValueError(f"{image[:200]!r}: a URL or a path is needed")
        image, ref = self._find(image)
        image_id = path_id(image)
        if self._below and is_inside(image_id):
            image_id = path_id(posixpath.join(self._below, image_id))
        return self.named(row, image_id)._replace(ref=ref)

    def named(self, row: Sequence[Any], name: str) -> AnnotatedImage:
        """Returns the image of a row under a name, wherever its bytes are.

        Raises:
            ValueError: malformed labels, confidence or split.
        """
        columns = self.columns
        labels = self.labels_in(row)
        if not all(map(is_encodable, labels)):
            raise ValueError("a label holds half a character")
        keys = tuple(class_key(text, self._kind) for text in labels if text)
        sure, split = (1.0,) * len(keys), None
        if columns.confidence is not None:
            said = row[columns.confidence]
            sure = confidences_of(said, len(keys), self._confidences)
        if columns.split is not None:
            split = self._part.split_of(str(row[columns.split] or ""))
        said = ("" if at is None else row[at] for at in columns.origin)
        return AnnotatedImage(
            f"{self._kind}/{name}",
            self._source,
            keys,
            sure,
            split=split,
            origin=make_origin(*said) if columns.origin else None,
        )

    def labels_in(self, row: Sequence[Any]) -> list[str]:
        """Returns the labels of a row as it spells them.

        Raises:
            ValueError: malformed.
        """
        if self.columns.label is None:
            return marked(row, self.columns)
        text = row[self.columns.label]
        return labels_of(text, self._names, self._separator)

    def _find(self, image: str) -> tuple[str, ImageRef | None]:
        """Returns the name that the image has here, and where it lies."""
        if moved := self._moved(image):
            image = moved
        if not _is_named(image):
            with_ref = self._folders and self._with_ref
            return image, ImageRef(image) if with_ref else None
        if self._folders is None:
            inside = is_url(image) or is_inside(image)
            return (image if inside else plain_path(image)), None
        image = path_id(self._folders.complete(self._folders.match(image)))
        return image, self._folders.find(image) if self._with_ref else None

    def _moved(self, image: str) -> str | None:
        """Returns where a whole path that is not here leads to, if it does."""
        elsewhere = image.startswith("/") and not os.path.exists(image)
        return (
            self._folders.moved(image) if self._folders and elsewhere else None
        )


def _is_named(image: str) -> bool:
    """Tells whether an image is looked for in the folders of images."""
    return is_url(image) or not (
        (image.startswith("/") and "?d=" not in image)
        or storage.is_remote(image)
    )
