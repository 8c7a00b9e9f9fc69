"""ImageNet's layout, a tar a synset -> a data set of one class an image.

The data set job's reader of ImageNet reads the tars where they lie, and
folders of synsets beside them. Only where no split is given, the images that
are drawn are copied, to a tar for each class and split.
"""

from __future__ import annotations

import functools
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from beam_jobs.classes.wordnet import WNID_PATTERN
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.errors import InputError
from beam_jobs.images.find_images import list_images
from beam_jobs.images.image_names import is_image_name
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.rejections import Rejection
from model.transfer import class_folders, flat_classes
from model.transfer.class_names import names_of_synsets
from model.transfer.options import ClassifyOptions

_TAR = ".tar"
# As the reader knows splits by the folders above a class.
_SPLITS = ("train", "val")

# By id, its tar or folder.
Places = Mapping[str, Path]


def has_tars(options: ClassifyOptions) -> bool:
    """Returns whether classes are tars; raises as `class_folders.folders`."""
    found = class_folders.folders(options)
    return any(
        next(folder.glob(f"*{_TAR}"), None) for folder in found if folder
    )


def build(
    options: ClassifyOptions, out: Path, say: Callable[[str], None]
) -> Manifest:
    """Writes the data set, or returns the one that is there.

    Args:
        out: its folder.
        say: gets a line for what should be known.

    Raises:
        InputError: a tar or folder that no synset names, fewer than two, one
            without images or with fewer than are to be drawn, a broken tar,
            other synsets in one split than in the other; or as the data set
            job.
        JobFailedError: as the data set job.
    """
    train, test = class_folders.folders(options)
    classes = _classes(train)
    beside = flat_classes.beside(out)
    if test is None:
        root = beside / "drawn"
        _write_drawn(classes, options, root)
    else:
        held_out = _classes(test)
        class_folders.check_same((train, classes), (test, held_out))
        for place in (*classes.values(), *held_out.values()):
            if next(_images(place), None) is None:
                raise InputError(f"{place} has no image")
        root = beside / "given"
        _link(root, (train, test))
    names = names_of_synsets(sorted(classes), Path(options.folder))
    source = {"imagenet": [str(root)]}
    return flat_classes.build_of(names, source, out, say)


def _classes(folder: Path) -> Places:
    if not folder.is_dir():
        raise InputError(f"no such folder: {folder}")
    found: dict[str, Path] = {}
    for place in sorted(folder.iterdir()):
        is_tar = place.name.endswith(_TAR)
        if not is_tar and (place.is_file() or place.name.startswith(".")):
            continue
        wnid = place.name.removesuffix(_TAR)
        if not WNID_PATTERN.fullmatch(wnid):
            raise InputError(
                f"{place} is named by no synset, as n01443537{_TAR} is"
            )
        if wnid in found:
            raise InputError(f"{found[wnid]} and {place} are one class")
        found[wnid] = place
    if len(found) < 2:
        raise InputError(
            f"{folder} must hold a tar or folder for each synset, at least "
            f"two; received: {len(found)}"
        )
    return found


def _images(place: Path) -> Iterator[tuple[Path, ImageRef]]:
    """Yields the images of a tar or folder: path, as if unpacked; place."""
    files = [place] if place.name.endswith(_TAR) else sorted(place.rglob("*"))
    for file in files:
        if not file.is_file():
            continue
        for item in list_images(str(file), file.stat().st_size):
            if isinstance(item, Rejection):
                raise InputError(f"{file} cannot be read: {item.detail}")
            name, ref = item
            if is_image_name(name):
                yield place / name, ref


def _write_drawn(classes: Places, options: ClassifyOptions, root: Path) -> None:
    refs = {wnid: dict(_images(place)) for wnid, place in classes.items()}
    empty = [str(classes[wnid]) for wnid, found in refs.items() if not found]
    if empty:
        raise InputError(f"{empty[0]} has no image")
    images = {wnid: sorted(found) for wnid, found in refs.items()}
    drawn = class_folders.draw(images, options)
    for split, chosen in zip(_SPLITS, drawn, strict=True):
        folder = root / split
        folder.mkdir(parents=True, exist_ok=True)
        # Of an earlier call with other classes.
        for old in folder.glob(f"*{_TAR}"):
            if old.name.removesuffix(_TAR) not in classes:
                old.unlink()
        for wnid, paths in chosen.items():
            members = {p.name: refs[wnid][p] for p in paths}
            flat_classes.update(
                folder / f"{wnid}{_TAR}",
                functools.partial(_write_tar, members),
            )


def _write_tar(members: Mapping[str, ImageRef], path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name, ref in members.items():
            with open(ref.path, "rb") as file:
                file.seek(ref.offset)
                content = file.read(ref.length)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _link(root: Path, folders: tuple[Path, Path]) -> None:
    """Gives folders of any name those by which the reader tells splits."""
    root.mkdir(parents=True, exist_ok=True)
    for split, folder in zip(_SPLITS, folders, strict=True):
        link, target = root / split, os.path.abspath(folder)
        if link.is_symlink() and os.readlink(link) == target:
            continue
        link.unlink(missing_ok=True)
        link.symlink_to(target, target_is_directory=True)
