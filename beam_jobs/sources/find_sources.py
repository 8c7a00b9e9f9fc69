"""The raw annotations that a job reads: found, checked, cut into parts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, make_dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file
from beam_jobs.images.find_images import ListedFolder
from beam_jobs.option_fields import Option, Options
from beam_jobs.sources import (
    captions,
    coco,
    corrections,
    csv_tables,
    cvat,
    folders,
    imagenet,
    label_studio,
    masks,
    open_images,
    parquet,
    tencent,
    voc,
    webdataset,
    yolo,
)
from beam_jobs.sources.reader import (
    IMAGES,
    ROOT,
    SPLIT,
    AnnotatedImage,
    Context,
    Found,
    PackedImage,
    Part,
    Read,
    Reader,
    SourceOption,
)

# Their order is that of the options in the help.
READERS: tuple[Reader, ...] = (
    imagenet.FOLDERS,
    imagenet.LISTS,
    open_images.READER,
    tencent.LISTS,
    tencent.RECORDS,
    coco.READER,
    voc.READER,
    masks.READER,
    csv_tables.READER,
    parquet.READER,
    webdataset.READER,
    captions.READER,
    label_studio.READER,
    yolo.READER,
    cvat.READER,
    folders.READER,
    corrections.READER,
)
_BY_NAME = {reader.name: reader for reader in READERS}
# Every option of the command that is about sources, each once.
OPTIONS: tuple[SourceOption, ...] = tuple(
    dict.fromkeys(
        [
            *(reader.option for reader in READERS),
            *(option for reader in READERS for option in reader.takes),
        ]
    )
)


def _field(option: SourceOption) -> tuple[str, Any, Any]:
    said = Option(
        option.help,
        path=option.check is not None,
        choices=option.choices,
        panel="Sources",
    )
    if option.repeated:
        return option.name, Annotated[tuple[str, ...], said], field(default=())
    return option.name, Annotated[str | None, said], field(default=None)


if TYPE_CHECKING:

    @dataclass(frozen=True)
    class SourcePaths(Options):
        """What the user named to read: a tuple of texts an option."""

        def __init__(self, **values: Any): ...

        def __getattr__(self, name: str) -> Any: ...

else:
    SourcePaths = make_dataclass(
        "SourcePaths",
        map(_field, OPTIONS),
        bases=(Options,),
        namespace={
            "__doc__": "What the user named to read, by `SourceOption.name`.",
            # Pickle looks there for the class.
            "__module__": __name__,
        },
        frozen=True,
    )


def named(paths: SourcePaths) -> Iterator[tuple[SourceOption, str]]:
    """Yields all that the user named, with the option that it is for."""
    for option in OPTIONS:
        value = getattr(paths, option.name)
        values = (value,) if isinstance(value, str) else value or ()
        yield from ((option, value) for value in values)


def check_sources(paths: SourcePaths) -> None:
    """Checks that there is a source, and that every local one exists.

    Raises:
        InputError: none given, or one that is missing.
    """
    given = list(named(paths))
    if not any(option.name in _BY_NAME for option, _ in given):
        usages = ", ".join(reader.option.usage for reader in READERS)
        raise InputError(f"nothing to read: name a source with {usages}")
    for option, value in given:
        if option.check is not None:
            option.check(value, option.what)


@dataclass(frozen=True)
class Sources:
    """What was found.

    Attributes:
        parts: in an order that depends on the sources alone.
        listing: (path, bytes) of every file that will be read, but for the
            images that lists and tables name; sorted.
        display_names: English name by class key, `oi:/m/0bt9lr` -> `Dog`, as
            far as known before reading; other keys hold their name.
        overrides: WordNet id by class key, as the user wishes it.
        wnids: WordNet ids among the class keys, as far as known; sorted.
        keys_hold_names: only reading tells which class keys there are.
        estimated_images: about how many images there are.
        image_folders: of images that are in no listing.
        listed_images: what these folders are now, if they were listed.
        notes: what the user should know of them, a line each.
        passed_over: files by suffix that lie there and are not read.
        has_splits: one of them says the split of some images.
        packed_bytes: of files whose images are unpacked for the job.
    """

    parts: tuple[Part, ...]
    listing: tuple[tuple[str, int], ...]
    display_names: Mapping[str, str]
    overrides: Mapping[str, str]
    wnids: tuple[str, ...]
    keys_hold_names: bool
    estimated_images: int
    image_folders: tuple[str, ...] = ()
    listed_images: tuple[ListedFolder, ...] = ()
    notes: tuple[str, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    has_splits: bool = False
    packed_bytes: int = 0


def find_sources(
    paths: SourcePaths,
    labels_only: bool = False,
    keep_splits: bool = False,
    boxes: bool = False,
) -> Sources:
    """Finds and checks all sources.

    Args:
        paths: what to read.
        labels_only: look for no images; AnnotatedImages have no `ref`.
        keep_splits: AnnotatedImages have their `split`.
        boxes: and the boxes of their objects.

    Raises:
        InputError: none given, or one that is missing, empty or malformed.
    """
    check_sources(paths)
    given = list(named(paths))
    _check_needed(given, labels_only)
    if boxes:
        _check_boxes(given)
    wanted = Context((), labels_only, keep_splits, boxes)
    found = _find_each(given, wanted)
    if not labels_only and all(f.images == 0 for _, _, f in found):
        raise InputError(
            "no image left to read: no image file in "
            + " or ".join(f"{path} ({r.option.help})" for r, path, _ in found)
        )
    sources = _together(found, _files_named(given))
    if labels_only:
        return sources
    packed = filter(is_packed, sources.parts)
    return replace(
        sources,
        image_folders=_image_folders(given, [f for _, _, f in found]),
        packed_bytes=sum(size for _, size in _listing(packed)),
    )


# Who found what at which path.
_FoundAt = tuple[Reader, str, Found]


def _find_each(given: _Given, wanted: Context) -> list[_FoundAt]:
    """Returns what each reader finds at each of its paths."""
    found: list[_FoundAt] = []
    roots = _roots(given)
    for option, path in given:
        if reader := _BY_NAME.get(option.name):
            one = reader.find(path, _context(reader, given, wanted))
            if not wanted.labels_only and (
                root := roots.get((option.name, path))
            ):
                parts = [_under(part, root) for part in one.parts]
                one = replace(one, parts=parts)
            found.append((reader, path, one))
    return found


def _together(found: list[_FoundAt], files: set[tuple[str, int]]) -> Sources:
    """Returns what all readers found, and further files that are read."""
    parts = [part for _, _, f in found for part in f.parts]
    names: dict[str, str] = {}
    wishes: dict[str, str] = {}
    passed_over: Counter[str] = Counter()
    for _, _, one in found:
        names |= one.display_names
        wishes |= one.overrides
        passed_over.update(one.passed_over)
        files |= {*one.files}
    return Sources(
        parts=tuple(parts),
        listing=tuple(sorted(_listing(parts) | files)),
        display_names=names,
        overrides=wishes,
        wnids=tuple(sorted({wnid for _, _, f in found for wnid in f.wnids})),
        keys_hold_names=any(r.keys_hold_names for r, _, _ in found),
        estimated_images=sum(_estimate(r, f) for r, _, f in found),
        notes=tuple(note for _, _, f in found for note in f.notes),
        passed_over=passed_over,
        has_splits=any(f.has_splits for _, _, f in found)
        or any(part.option(SPLIT) for part in parts),
    )


def _files_named(given: _Given) -> set[tuple[str, int]]:
    """Returns files of options that are no sources, as a dictionary."""
    return {
        storage.find_file(path)
        for option, path in given
        if option.name not in _BY_NAME and option.check is check_file
    }


def read_part(part: Part) -> Read:
    """Yields what a part says, and a Rejection for all it says wrongly."""
    items = _BY_NAME[part.reader].read(part)
    split, root = part.option(SPLIT), part.option(ROOT)
    return _completed(items, split, root) if split or root else items


def _completed(items: Read, split: str | None, root: str | None) -> Read:
    """Adds what a part tells of all its images."""
    for item in items:
        if isinstance(item, PackedImage):
            yield item._replace(image=_complete(item.image, split, root))
        elif isinstance(item, AnnotatedImage):
            yield _complete(item, split, root)
        else:
            yield item


def _complete(
    image: AnnotatedImage, split: str | None, root: str | None
) -> AnnotatedImage:
    if root:
        kind, _, name = image.image_id.partition("/")
        image = image._replace(image_id=f"{kind}/{root}/{name}")
    return image._replace(split=image.split or split)


def _roots(given: _Given) -> dict[tuple[str, str], str]:
    """Returns what tells apart the ids of images, by option and path.

    Of several folders of images of one source an image may have the same path
    in two: its id then begins with the end of its folder's path, as long as
    all of them differ. Images of --images are the same whoever names them.
    """
    has_images = any(option is IMAGES for option, _ in given)
    roots: dict[tuple[str, str], str] = {}
    for name in dict.fromkeys(option.name for option, _ in given):
        reader = _BY_NAME.get(name)
        if reader is None or not reader.own_images:
            continue
        if IMAGES in reader.takes and has_images:
            continue
        folders = {p: _folder_of(p) for o, p in given if o.name == name}
        ends = _different_ends(set(folders.values()))
        roots |= {(name, path): ends[f] for path, f in folders.items()}
    return roots


def _folder_of(path: str) -> str:
    # A Parquet or webdataset source may be either; a COCO file is a file.
    is_folder = os.path.isdir(path)
    return os.path.normpath(path if is_folder else os.path.dirname(path) or ".")


def _different_ends(folders: Collection[str]) -> dict[str, str]:
    if len(folders) == 1:
        return dict.fromkeys(folders, "")
    parts = {folder: folder.split(os.sep) for folder in folders}
    for length in range(1, max(map(len, parts.values())) + 1):
        ends = {f: "/".join(p[-length:]).lstrip("/") for f, p in parts.items()}
        if len(set(ends.values())) == len(folders):
            break
    return ends


def _under(part: Part, root: str) -> Part:
    return replace(part, options=(*part.options, (ROOT, root)))


def is_packed(part: Part) -> bool:
    """Tells whether a part may yield `PackedImage`s."""
    return _BY_NAME[part.reader].packed


def _image_folders(given: _Given, found: Iterable[Found]) -> tuple[str, ...]:
    named_ones = [path for option, path in given if option is IMAGES]
    own = [folder for one in found for folder in one.image_folders]
    return tuple(dict.fromkeys([*named_ones, *own]))


_Given = list[tuple[SourceOption, str]]


def _check_needed(given: _Given, labels_only: bool) -> None:
    """Checks that what a reader needs beside its paths was given."""
    names = {option.name for option, _ in given}
    for reader in READERS:
        for option in reader.needs if reader.name in names else ():
            skipped = option.for_images and labels_only
            if option.name not in names and not skipped:
                raise InputError(f"{reader.option.flag} needs {option.needed}")


def _check_boxes(given: _Given) -> None:
    """Checks that each source has boxes: an image without is background."""
    for option, _ in given:
        reader = _BY_NAME.get(option.name)
        if reader is not None and not reader.boxes:
            knows = ", ".join(r.option.flag for r in READERS if r.boxes)
            raise InputError(f"--boxes is for {knows}; received: {option.flag}")


def _context(reader: Reader, given: _Given, wanted: Context) -> Context:
    options = tuple(
        (option.name, value)
        for option, value in given
        if option in reader.takes
        and not (option.for_images and wanted.labels_only)
    )
    return replace(wanted, options=options)


def _listing(parts: Iterable[Part]) -> set[tuple[str, int]]:
    whole = {file for part in parts for file in part.files}
    # Of a text that is cut into parts the last end is its size.
    ends: dict[str, int] = {}
    for part in parts:
        if not part.files:
            ends[part.path] = max(part.end, ends.get(part.path, 0))
    return whole | set(ends.items())


def _estimate(reader: Reader, found: Found) -> int:
    if found.images is not None or not reader.bytes_an_image:
        return found.images or 0
    size = sum(size for _, size in _listing(found.parts))
    return size // reader.bytes_an_image
