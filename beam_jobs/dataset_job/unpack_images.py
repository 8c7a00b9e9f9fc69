"""Bytes that readers hand on -> a file of the job."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from beam_jobs.files import storage
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.rejections import Rejection
from beam_jobs.sources.reader import AnnotatedImage, PackedImage


def unpack_images(
    items: Iterable[AnnotatedImage | PackedImage | Rejection], path: str
) -> Iterator[AnnotatedImage | Rejection]:
    """Yields all items; packed images lie in the file once all are read.

    Args:
        items: what a reader yields.
        path: of the file; it is not made where no image is packed.

    Raises:
        OSError: it cannot be written.
    """
    temporary, offset = storage.work_file(path), 0
    with open(temporary, "wb") as file:
        for item in items:
            if isinstance(item, PackedImage):
                file.write(item.data)
                ref = ImageRef(path, offset, len(item.data))
                offset += len(item.data)
                yield item.image._replace(ref=ref)
            else:
                yield item
    if offset:
        storage.publish(temporary, path)
    else:
        os.remove(temporary)
