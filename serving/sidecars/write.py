"""Sidecars on disk: found, read, replaced as a whole. Images stay unopened."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from beam_jobs.images.image_names import SUFFIXES
from serving.sidecars.options import FULL, SidecarOptions
from serving.sidecars.words import Word
from serving.sidecars.xmp import SidecarError, with_tags

_MOST_BYTES = 64 * 1024**2


def sidecar_of(image: Path, options: SidecarOptions) -> Path:
    """Returns where an image's sidecar lies.

    Raises:
        SidecarError: another image would have the same one.
    """
    if options.names == FULL:
        return image.with_name(image.name + ".xmp")
    twin = next(filter(Path.exists, _twins(image)), None)
    # Some file systems take small letters and capitals for the same.
    if twin is not None and not twin.samefile(image):
        raise SidecarError(
            f"it would be of {twin.name} too; --xmp-names full tells them apart"
        )
    return image.with_suffix(".xmp")


def write_sidecar(
    image: Path,
    tags: Sequence[Word],
    versions: tuple[str, str],
    options: SidecarOptions,
) -> Path:
    """Writes an image's tags beside it; see `with_tags`.

    Args:
        versions: of model and vocabulary.

    Returns:
        The sidecar.

    Raises:
        SidecarError: one is there that is left as it is, or it cannot be
            written; the text names it.
    """
    path = image.with_suffix(".xmp")
    try:
        path = sidecar_of(image, options)
        # Behind a link lies the file that others read.
        _replace(Path(os.path.realpath(path)), tags, versions)
    except SidecarError as error:
        raise SidecarError(f"{path}: {error}") from error
    except OSError as error:
        detail = error.strerror or str(error)
        raise SidecarError(f"{path}: {detail}") from error
    return path


def _replace(
    path: Path, tags: Sequence[Word], versions: tuple[str, str]
) -> None:
    there = path.exists()
    if there and path.stat().st_size > _MOST_BYTES:
        raise SidecarError(f"it has over {_MOST_BYTES} bytes")
    old = path.read_bytes() if there else None
    new = with_tags(old, tags, *versions)
    if new == old:
        return
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        part.write_bytes(new)
        if there:
            shutil.copymode(path, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _twins(image: Path) -> list[Path]:
    """Returns what other images would have the same stem."""
    endings = [e for s in SUFFIXES for e in (s, s.upper())]
    return [image.with_suffix(e) for e in endings if e != image.suffix]
