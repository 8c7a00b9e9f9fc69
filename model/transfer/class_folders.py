"""Folders of images, one a class -> a data set of one class an image.

The data set job reads, checks and writes the images as ever. It is given the
classes and the split of each image, so that a folder is a class and stays it:
names are not looked up in WordNet, and no class brings others along.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from beam_jobs import split_names
from beam_jobs.classes.own_classes import own_id, plain_name
from beam_jobs.classes.wordnet import WNID_PATTERN
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.errors import InputError
from beam_jobs.images.image_names import is_image_name
from model.transfer import flat_classes
from model.transfer.class_names import names_of_synsets
from model.transfer.options import ClassifyOptions

# What Caltech-101 and Caltech-256 have beside their classes.
_NO_CLASSES = ("clutter", "background_google")
# `001.ak47`, as Caltech-256 numbers its folders.
_NUMBER = re.compile(r"\d+\.(?=.)")
_HEADER = ("image", "label", "split")

Images = Mapping[str, list[Path]]


@dataclass(frozen=True)
class Listing:
    """What was found.

    Attributes:
        ids: class id by the name of its folder.
        train, held_out: images by the name of their folder.
        left_out: folders that are no classes.
    """

    ids: Mapping[str, str]
    train: Images
    held_out: Images
    left_out: tuple[str, ...]


def list_images(options: ClassifyOptions) -> Listing:
    """Finds the images, and draws the split where none is given.

    Raises:
        InputError: no such folder, no classes in it, a class without images
            or with fewer than are to be drawn, or two folders of one name.
    """
    train, test = folders(options)
    classes, left_out = _classes(train)
    ids = _ids(classes)
    if test is None:
        return Listing(ids, *draw(classes, options), left_out)
    held_out, others = _classes(test)
    check_same((train, classes), (test, held_out))
    return Listing(ids, classes, held_out, (*left_out, *others))


def check_same(
    train: tuple[Path, Collection[str]], test: tuple[Path, Collection[str]]
) -> None:
    """Raises InputError unless two folders have classes of the same names."""
    for (folder, names), (_, others) in ((test, train), (train, test)):
        if alone := sorted(set(names) - set(others)):
            raise InputError(
                f"{folder} alone has the classes {', '.join(alone[:5])}: the "
                "same ones are needed in both"
            )


def build(listing: Listing, out: Path, say: Callable[[str], None]) -> Manifest:
    """Writes the data set, or returns the one that is there.

    Args:
        out: its folder.
        say: gets a line for what should be known.

    Raises:
        InputError, JobFailedError: as the data set job.
    """
    names = {i: plain_name(_NUMBER.sub("", n)) for n, i in listing.ids.items()}
    synsets = [i for i in names if WNID_PATTERN.fullmatch(i)]
    root = _root(listing)
    names |= names_of_synsets(synsets, Path(root))
    table = flat_classes.beside(out) / "images.csv"
    flat_classes.update(table, lambda path: _write_table(listing, path))
    # Of an image the id is its path below.
    source = {"csv": [str(table)], "images": [root]}
    return flat_classes.build_of(names, source, out, say)


def _root(listing: Listing) -> str:
    """Returns the folder that all images lie below."""
    every = (*listing.train.values(), *listing.held_out.values())
    folders = {os.path.abspath(i.parent) for images in every for i in images}
    return os.path.commonpath(folders)


def _write_table(listing: Listing, path: Path) -> None:
    root = _root(listing)
    splits = (
        (split_names.TRAIN, listing.train),
        (split_names.VALIDATION, listing.held_out),
    )
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(_HEADER)
        for split, images in splits:
            for name in sorted(images):
                for image in images[name]:
                    inside = os.path.relpath(image.absolute(), root)
                    rows.writerow((inside, listing.ids[name], split))


def folders(options: ClassifyOptions) -> tuple[Path, Path | None]:
    """Returns the folder of train, and that of test if there is one.

    Raises:
        InputError: no such folder.
    """
    train = Path(options.folder)
    if not train.is_dir():
        raise InputError(f"no such folder: {train}")
    if options.test is not None:
        return train, Path(options.test)
    found = {
        split_names.FOLDERS[p.name.lower()]: p
        for p in sorted(train.iterdir())
        if p.is_dir() and p.name.lower() in split_names.FOLDERS
    }
    if split_names.TRAIN not in found:
        return train, None
    # Who has both tests on test.
    for split in (split_names.TEST, split_names.VALIDATION):
        if split in found:
            return found[split_names.TRAIN], found[split]
    return found[split_names.TRAIN], None


def _classes(folder: Path) -> tuple[Images, tuple[str, ...]]:
    if not folder.is_dir():
        raise InputError(f"no such folder: {folder}")
    classes: dict[str, list[Path]] = {}
    left_out = []
    for inside in sorted(folder.iterdir()):
        if not inside.is_dir() or inside.name.startswith("."):
            continue
        if _NUMBER.sub("", inside.name).lower() in _NO_CLASSES:
            left_out.append(str(inside))
            continue
        classes[inside.name] = sorted(
            p
            for p in inside.rglob("*")
            if is_image_name(p.name) and not p.name.startswith(".")
        )
    if len(classes) < 2:
        raise InputError(
            f"{folder} must hold a folder for each class, at least two; "
            f"received: {len(classes)}"
        )
    empty = [name for name, images in classes.items() if not images]
    if empty:
        raise InputError(
            f"{folder} has {len(empty)} classes without an image: "
            f"{', '.join(empty[:5])}"
        )
    return classes, tuple(left_out)


def _ids(classes: Images) -> dict[str, str]:
    ids: dict[str, str] = {}
    names: dict[str, str] = {}
    for name in classes:
        plain = _NUMBER.sub("", name)
        found = plain if WNID_PATTERN.fullmatch(plain) else own_id(plain)
        if not found:
            raise InputError(f"the folder {name!r} has no name for a class")
        if found in names:
            raise InputError(
                f"two folders are one class, {found}: {names[found]!r} and "
                f"{name!r}; rename one"
            )
        ids[name], names[found] = found, name
    return ids


def draw(classes: Images, options: ClassifyOptions) -> tuple[Images, Images]:
    """Draws so many images of each class, by a hash of seed and name.

    Returns:
        Those of train, and those held out.

    Raises:
        InputError: a class has too few.
    """
    train, held_out = {}, {}
    for name, images in classes.items():
        needed = options.train_per_class + 1
        if len(images) < needed:
            raise InputError(
                f"{name} has {len(images)} images; {needed} at least are "
                f"needed for --train-per-class {options.train_per_class}; "
                "or name a folder for --test"
            )
        drawn = sorted(images, key=lambda p: _rank(options.seed, name, p.name))
        train[name] = sorted(drawn[: options.train_per_class])
        rest = drawn[options.train_per_class :]
        held_out[name] = sorted(rest[: options.test_per_class])
    return train, held_out


def _rank(seed: int, *names: str) -> bytes:
    return hashlib.sha256(f"{seed}/{'/'.join(names)}".encode()).digest()
