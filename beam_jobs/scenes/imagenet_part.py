"""Writes the ImageNet-style part: one tar a synset, one label an image."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from beam_jobs.scenes.catalogue import SceneClass, load_catalogue
from beam_jobs.scenes.composition import compose_scene
from beam_jobs.scenes.drawing import encode_jpeg

_STREAM = 0


def draw_synset(
    count: int, side: int, seed: int, scene_class: SceneClass
) -> list[bytes]:
    """Returns `count` JPEGs, each of one object of the class."""
    offset = int(scene_class.wnid[1:])
    return [
        encode_jpeg(compose_scene([scene_class], rng, side).image)
        for rng in (
            np.random.default_rng([seed, _STREAM, offset, i])
            for i in range(count)
        )
    ]


def write_imagenet(folder: Path, synsets: Iterable[Sequence[bytes]]) -> int:
    """Writes `images/<wnid>.tar` and `words.txt`.

    Args:
        folder: exists and is empty.
        synsets: the JPEGs of each class, in the order of the catalogue.

    Returns:
        The number of images written.
    """
    (folder / "images").mkdir()
    count = 0
    for scene_class, jpegs in zip(load_catalogue(), synsets, strict=True):
        path = folder / "images" / f"{scene_class.wnid}.tar"
        _write_tar(path, scene_class.wnid, jpegs)
        count += len(jpegs)
    lines = [f"{c.wnid}\t{c.names}\n" for c in load_catalogue()]
    (folder / "words.txt").write_text("".join(lines), encoding="utf-8")
    return count


def _write_tar(path: Path, wnid: str, jpegs: Sequence[bytes]) -> None:
    # TarInfo's owner, mode and time are constants, so the bytes are too.
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, jpeg in enumerate(jpegs):
            member = tarfile.TarInfo(f"{wnid}_{number}.JPEG")
            member.size = len(jpeg)
            tar.addfile(member, io.BytesIO(jpeg))
