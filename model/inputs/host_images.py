"""Decoding on the host: TensorFlow's pixels, faster.

Fresh memory costs a third of the decoding where the system must first clear
it page by page: every thread uses its own again.
"""

from __future__ import annotations

import threading

import numpy as np
import simplejpeg
import tensorflow as tf

from beam_jobs.errors import InputError
from model.inputs import preprocessing

_JPEG_START = b"\xff\xd8\xff"
_COLOURS = ("Gray", "YCbCr")


class Workspace(threading.local):
    """Memory that a thread uses again for its next image."""

    def __init__(self) -> None:
        self._blocks: dict[str, np.ndarray] = {}

    def take(self, name: str, size: int, dtype: type) -> np.ndarray:
        """Returns at least `size` values, as they were left.

        Args:
            name: of the use; another one gets other memory.
        """
        block = self._blocks.get(name)
        if block is None or len(block) < size:
            block = self._blocks[name] = np.empty(size, dtype)
        return block


def decode(encoded: bytes, workspace: Workspace) -> np.ndarray:
    """Returns the very pixels of `preprocessing.decode`.

    Args:
        encoded: a JPEG; the other formats of `preprocessing.decode` work as
            well, slowly.

    Returns:
        uint8 [height, width, 3], RGB; may lie in the workspace, until the
        next call.

    Raises:
        ValueError: no image, or a broken one.
    """
    if encoded[:3] == _JPEG_START:
        try:
            return _decode_jpeg(encoded, workspace)
        except ValueError:
            pass  # TensorFlow may know it, and judges what is broken.
    try:
        # The GPU is the training's; a copy there and back would wait for it.
        with tf.device("CPU"):
            return preprocessing.decode(tf.constant(encoded)).numpy()
    except tf.errors.OpError as error:
        # TensorFlow names the node before what is wrong, the operation behind.
        reason = str(error).split("} ", 1)[-1].split(" [Op:")[0]
        raise ValueError(reason) from error


def decode_record(
    encoded: bytes, name: bytes, workspace: Workspace | None = None
) -> np.ndarray:
    """Decodes the image of a record, see `decode`.

    Args:
        name: id of the record.
        workspace: by default the result has memory of its own.

    Raises:
        InputError: it cannot be decoded.
    """
    try:
        return decode(encoded, workspace or Workspace())
    except ValueError as error:
        raise InputError(
            f"record {name.decode(errors='replace')}: its image "
            f"({len(encoded)} bytes) cannot be decoded: {error}; the data "
            "set is damaged, make it again with `tagforest dataset`"
        ) from error


def _decode_jpeg(encoded: bytes, workspace: Workspace) -> np.ndarray:
    """Decodes as libjpeg does by default: accurately, smooth upsampling."""
    height, width, colours, _ = simplejpeg.decode_jpeg_header(encoded)
    # CMYK and the like: converted as TensorFlow does, or not at all.
    if colours not in _COLOURS:
        raise ValueError(f"a JPEG in {colours}")
    pixels = workspace.take("pixels", 3 * height * width, np.uint8)
    return simplejpeg.decode_jpeg(encoded, "RGB", buffer=pixels)
