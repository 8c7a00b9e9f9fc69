"""The raw annotations that a job reads: found, checked, cut into parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from beam_jobs.classes import class_map
from beam_jobs.classes.load_classes import read_dictionary
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file, check_folder
from beam_jobs.option_fields import Option, Options
from beam_jobs.sources import (
    coco,
    csv_tables,
    imagenet,
    open_images,
    tencent,
    voc,
)
from beam_jobs.sources.reader import Part, Read, check_start, cut_text

_FOLDERS = {
    "imagenet": "ImageNet source",
    "open_images": "Open Images source",
    "voc": "Pascal VOC source",
}
_FILES = {
    "imagenet_lists": "ImageNet list",
    "tencent_lists": "Tencent list",
    "tencent_records": "Tencent records",
    "coco": "COCO source",
    "csv": "CSV source",
}


def _paths(text: str) -> Any:
    return Option(text, path=True, panel="Sources")


@dataclass(frozen=True)
class SourcePaths(Options):
    """What the user named to read."""

    imagenet: Annotated[
        tuple[str, ...],
        _paths("Folder with <wnid>.tar files or <wnid>/ folders of images."),
    ] = ()
    imagenet_lists: Annotated[
        tuple[str, ...], _paths("List of images as n01443537/n01443537_2.JPEG.")
    ] = ()
    open_images: Annotated[
        tuple[str, ...], _paths("Folder with Open Images CSVs and images/.")
    ] = ()
    tencent_lists: Annotated[
        tuple[str, ...],
        _paths(
            "Tencent ML-Images list: file name or URL, class:confidence ..."
        ),
    ] = ()
    tencent_records: Annotated[
        tuple[str, ...],
        _paths("Tencent ML-Images TFRecord file, or a folder of them."),
    ] = ()
    coco: Annotated[
        tuple[str, ...], _paths("COCO JSON file of instances.")
    ] = ()
    voc: Annotated[
        tuple[str, ...],
        _paths("Pascal VOC folder: Annotations/ and JPEGImages/."),
    ] = ()
    csv: Annotated[
        tuple[str, ...],
        _paths("CSV with a column of images and one of labels."),
    ] = ()
    images: Annotated[
        tuple[str, ...],
        _paths("Folder of the images that lists, COCO files and CSVs name."),
    ] = ()
    dictionary: Annotated[
        str | None,
        _paths(
            "Published dictionary, from Tencent's class index to WordNet id. "
            "Default: the vocabulary, if it is one."
        ),
    ] = None


def check_sources(paths: Mapping[str, str | Iterable[str] | None]) -> None:
    """Checks that there is a source, and that every local one exists.

    Args:
        paths: what the user named, by the attribute of `SourcePaths`;
            attributes may be left out.

    Raises:
        InputError: none given, or one that is missing.
    """
    named = {kind: _listed(paths.get(kind)) for kind in _FOLDERS | _FILES}
    if not any(named.values()):
        raise InputError(
            "nothing to read: name a source with --imagenet FOLDER or "
            f"--open-images FOLDER, or with {_others()}"
        )
    for kind, what in (_FOLDERS | {"images": "images"}).items():
        for folder in _listed(paths.get(kind)):
            check_folder(folder, what)
    for kind, what in (_FILES | {"dictionary": "dictionary"}).items():
        for path in _listed(paths.get(kind)):
            check_file(path, what)


def _listed(value: str | Iterable[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _others() -> str:
    names = [*_FILES, "voc"]
    return ", ".join("--" + name.replace("_", "-") for name in names)


__all__ = ["Part", "SourcePaths", "Sources", "find_sources", "read_part"]

# Every reader by the kind of its parts.
_READERS: Mapping[str, Callable[[Part], Read]] = {
    imagenet.KIND: imagenet.read_part,
    imagenet.LIST_KIND: imagenet.read_list,
    open_images.LABELS_KIND: open_images.read_labels,
    open_images.BOXES_KIND: open_images.read_boxes,
    open_images.ROTATIONS_KIND: open_images.read_rotations,
    open_images.PICTURES_KIND: open_images.read_pictures,
    tencent.LIST_KIND: tencent.read_list,
    tencent.KIND: tencent.read_part,
    coco.KIND: coco.read_part,
    voc.KIND: voc.read_part,
    csv_tables.KIND: csv_tables.read_part,
}
# Typical bytes per image, to guess how many there are.
_IMAGE_BYTES = {
    imagenet.LIST_KIND: 30,
    open_images.LABELS_KIND: 200,
    tencent.LIST_KIND: 120,
    tencent.KIND: 130_000,
    coco.KIND: 3800,
    csv_tables.KIND: 60,
}


@dataclass(frozen=True)
class Sources:
    """What was found.

    Attributes:
        parts: the pieces of work, in an order that depends on the sources
            alone.
        listing: (path, bytes) of every file that will be read, but for the
            pictures that lists and tables name; sorted.
        display_names: English name by class key, `oi:/m/0bt9lr` -> `Dog`, as
            far as known before reading; other keys hold their name.
        overrides: WordNet id by class key, as the user wishes it.
        estimated_images: about how many images there are.
    """

    parts: tuple[Part, ...]
    listing: tuple[tuple[str, int], ...]
    display_names: Mapping[str, str]
    overrides: Mapping[str, str]
    estimated_images: int


@dataclass
class _Found:
    """What is being found."""

    parts: list[Part] = field(default_factory=list)
    further_files: list[tuple[str, int]] = field(default_factory=list)
    display_names: dict[str, str] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)
    pictures: int = 0


def find_sources(paths: SourcePaths, labels_only: bool = False) -> Sources:
    """Finds and checks all sources.

    Args:
        paths: what to read.
        labels_only: look for no pictures; AnnotatedImages have no `ref`.

    Raises:
        InputError: none given, or one that is missing, empty or malformed.
    """
    check_sources(vars(paths))
    _check_needed(paths, labels_only)
    found = _Found()
    for folder in paths.imagenet:
        parts = imagenet.find_parts(folder, labels_only)
        found.pictures += imagenet.estimate_images(parts)
        found.parts += parts
    _find_lists(paths, labels_only, found)
    _find_objects(paths, labels_only, found)
    for name in paths.csv:
        found.parts += csv_tables.find_parts(
            name, _options(paths, labels_only), labels_only
        )
    _find_open_images(paths.open_images, labels_only, found)
    listing = _listing(found.parts) | set(found.further_files)
    return Sources(
        parts=tuple(found.parts),
        listing=tuple(sorted(listing)),
        display_names=found.display_names,
        overrides=found.overrides,
        estimated_images=max(found.pictures, _estimate(found.parts)),
    )


def read_part(part: Part) -> Read:
    """Yields what a part says, and a Rejection for all it says wrongly."""
    return _READERS[part.kind](part)


def _check_needed(paths: SourcePaths, labels_only: bool) -> None:
    """Checks that what a source needs beside it was given."""
    for name in ("tencent_lists", "tencent_records"):
        if getattr(paths, name) and paths.dictionary is None:
            option = "--" + name.replace("_", "-")
            raise InputError(
                f"{option} needs the published dictionary, from class index "
                "to WordNet id: name it with --dictionary FILE or as "
                "--vocabulary FILE"
            )
    read_dictionary(paths.dictionary)
    for name in ("imagenet_lists", "tencent_lists", "coco"):
        if getattr(paths, name) and not paths.images and not labels_only:
            option = "--" + name.replace("_", "-")
            raise InputError(
                f"{option} needs the folder of its pictures: name it with "
                "--images FOLDER"
            )


def _options(paths: SourcePaths, labels_only: bool) -> list[tuple[str, str]]:
    options = [("images", folder) for folder in paths.images]
    if labels_only:
        options = [("labels_only", "yes")]
    if paths.dictionary is not None:
        options.append(("dictionary", paths.dictionary))
    return options


def _find_lists(paths: SourcePaths, labels_only: bool, found: _Found) -> None:
    options = _options(paths, labels_only)
    if paths.dictionary is not None:
        found.further_files.append(storage.find_file(paths.dictionary))
    for kind, names, what in (
        (imagenet.LIST_KIND, paths.imagenet_lists, imagenet.LIST_WHAT),
        (tencent.LIST_KIND, paths.tencent_lists, tencent.WHAT),
    ):
        for name in names:
            parts = cut_text(kind, *storage.find_file(name), options)
            check_start(parts[0], _READERS[kind], what)
            found.parts += parts
    for name in paths.tencent_records:
        found.parts += tencent.find_parts(name, options)


def _find_objects(paths: SourcePaths, labels_only: bool, found: _Found) -> None:
    for name in paths.coco:
        found.parts += coco.find_parts(name, _options(paths, labels_only))
    for folder in paths.voc:
        parts = voc.find_parts(folder, labels_only)
        found.pictures += sum(len(part.files) for part in parts)
        found.parts += parts


def _find_open_images(
    folders: Sequence[str], labels_only: bool, found: _Found
) -> None:
    patterns: list[str] = []
    for folder in folders:
        source = open_images.find_files(folder)
        texts, pictures = open_images.find_parts(source, labels_only)
        found.parts += texts + pictures
        found.pictures += sum(len(part.files) for part in pictures)
        patterns.append(source.patterns[0])
        names = open_images.read_display_names(source.classes)
        wnids = class_map.read_overrides(source.overrides)
        found.display_names |= {f"oi:{k}": v for k, v in names.items()}
        # A row may also wish a class of another source: `coco:dog`.
        found.overrides |= {
            f"oi:{k}" if k.startswith("/") else k: v for k, v in wnids.items()
        }
        others = [*source.classes]
        others += [source.overrides] if source.overrides else []
        found.further_files += [storage.find_file(path) for path in others]
    only_open_images = all(
        part.kind.startswith("open_images") for part in found.parts
    )
    if only_open_images and not labels_only and not found.pictures:
        raise InputError(
            "no image left to read: nothing matches " + " or ".join(patterns)
        )


def _listing(parts: Iterable[Part]) -> set[tuple[str, int]]:
    whole = {file for part in parts for file in part.files}
    ends: dict[str, int] = {}
    for part in parts:
        if not part.files:
            ends[part.path] = max(part.end, ends.get(part.path, 0))
    return whole | set(ends.items())


def _estimate(parts: Iterable[Part]) -> int:
    return sum(
        _bytes_of(part) // _IMAGE_BYTES[part.kind]
        for part in parts
        if part.kind in _IMAGE_BYTES
    )


def _bytes_of(part: Part) -> int:
    if part.files:
        return sum(size for _, size in part.files)
    return part.end - part.start
