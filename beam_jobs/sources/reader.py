"""The contract of readers: what they are told, find, and yield.

A reader is one file beside this one with a `Reader`, a row in
`find_sources.READERS` and a member of `labels.ledger.Source`; the options of
the command, their checks and the estimates follow from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from beam_jobs.errors import InputError
from beam_jobs.files.checks import check_file, check_folder
from beam_jobs.files.text_files import BadRow, read_lines
from beam_jobs.images.image_names import AddressError, path_id
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.images.origin import Origin
from beam_jobs.images.regions import Regions
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.split_names import parse_split, split_of_file, split_of_folders

# Option of a part: what tells apart the ids of several paths of one source.
ROOT = "root"
# A part is some seconds of work: what a worker that dies costs.
_FILES_BYTES = 64 << 20
_FILES_COUNT = 4096
# Files of text, an image each: opening them is the work, not their bytes.
SMALL_FILES = 2000
ROWS_CHECKED = 1000
_KEEP_SPLITS = "keep_splits"
_LABELS_ONLY = "labels_only"
_BOXES = "boxes"
# Of a part whose images are all in this split.
SPLIT = "split"


class AnnotatedImage(NamedTuple):
    """Something that a source says of one image.

    Several may speak of the same image: one names its file, one its rotation,
    others its classes. They are joined by `image_id`.

    Attributes:
        image_id: `<source>/<id>`, unique in the data set.
        source: who speaks.
        classes: class keys, a WordNet id (`n02084071`) or `<source>:<name>` as
            the source spells it (`oi:/m/0bt9lr`, `coco:dog`).
        confidences: one a class; 0 is verified absent, else over 0 to 1.
        ref: where its bytes lie, if this source knows.
        rotation: degrees to turn it counter-clockwise to be upright, if this
            source knows.
        split: of `split_names.SPLITS`, if this source puts it in one and the
            job keeps that; see `Part.split_of`.
        origin: licence, author and URL, as far as this source knows them; the
            URL in `image_id` is not said again.
        regions: its boxes, if the job keeps them, or its mask.
    """

    image_id: str
    source: Source
    classes: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()
    ref: ImageRef | None = None
    rotation: int | None = None
    split: str | None = None
    origin: Origin | None = None
    regions: Regions | None = None


class PackedImage(NamedTuple):
    """An image whose bytes lie in no file as they are.

    Attributes:
        image: what the source says of it; its `ref` is None.
        data: the image file.
    """

    image: AnnotatedImage
    data: bytes


Read = Iterator[AnnotatedImage | PackedImage | Rejection]


@dataclass(frozen=True)
class Part:
    """What one worker reads of a source; small, and picklable.

    Attributes:
        reader: who reads it, a name of `find_sources.READERS`.
        path: its file, or the first of its files.
        start, end: the lines of a text whose first byte lies in
            [start, end); -1 is the end of the file.
        files: (path, bytes) of files that are read as a whole.
        options: (name, value) for the reader; a name may stand twice.
    """

    reader: str
    path: str
    start: int = 0
    end: int = -1
    files: tuple[tuple[str, int], ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> str | None:
        """Returns the first value of an option, None if it is not given."""
        return next(iter(self.values(name)), None)

    def values(self, name: str) -> tuple[str, ...]:
        """Returns all values of an option."""
        return tuple(value for key, value in self.options if key == name)

    @property
    def labels_only(self) -> bool:
        """Whether no image is looked for: AnnotatedImages have no `ref`."""
        return self.option(_LABELS_ONLY) is not None

    @property
    def keeps_splits(self) -> bool:
        """Whether the job keeps the splits of the sources."""
        return self.option(_KEEP_SPLITS) is not None

    @property
    def boxes(self) -> bool:
        """Whether the job keeps the boxes of objects."""
        return self.option(_BOXES) is not None

    def split_of(self, name: str) -> str | None:
        """Returns the split that a source names, None where none is kept.

        Raises:
            ValueError: the name of no split.
        """
        return parse_split(name) if self.keeps_splits else None

    def split_of_path(self, path: str) -> str | None:
        """Returns the split of a path's folders, None where none is kept."""
        return split_of_folders(path) if self.keeps_splits else None

    def lines(self) -> Iterator[str | BadRow]:
        """Yields the lines of a text part, without their ends."""
        return read_lines(self.path, self.start, self.end)


def group_files(
    reader: str,
    found: Iterable[tuple[str, int]],
    options: Iterable[tuple[str, str]] = (),
    max_bytes: int = _FILES_BYTES,
    max_files: int = _FILES_COUNT,
) -> list[Part]:
    """Returns parts of whole files, in their order.

    A part is closed when it holds `max_bytes` or more, or `max_files`.
    """
    groups: list[list[tuple[str, int]]] = [[]]
    total = 0
    for path, size in found:
        if total >= max_bytes or len(groups[-1]) >= max_files:
            groups.append([])
            total = 0
        groups[-1].append((path, size))
        total += size
    return [
        Part(reader, group[0][0], files=tuple(group), options=tuple(options))
        for group in groups
        if group
    ]


@dataclass(frozen=True)
class SourceOption:
    """An option of the command that tells readers what to read, or how.

    Attributes:
        name: field of `SourcePaths`; `--name` of the command, with dashes.
        what: what it names, for messages.
        help: of the command.
        check: `check_folder` or `check_file`; None if it names no path.
        repeated: it may be given several times.
        needed: ends the refusal of a reader that goes without.
        for_images: nobody needs it for labels alone.
        choices: the words allowed; any text if there are none.
    """

    name: str
    what: str
    help: str
    check: Callable[[str, str], None] | None
    repeated: bool = True
    needed: str = ""
    for_images: bool = False
    choices: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return "--" + self.name.replace("_", "-")

    @property
    def usage(self) -> str:
        """The option as it is typed, and what it takes."""
        of_path = "FOLDER" if self.check is check_folder else "FILE"
        return f"{self.flag} {of_path if self.check else 'TEXT'}"


IMAGES = SourceOption(
    "images",
    "images",
    "Folder of the images that lists, COCO files and CSVs name.",
    check_folder,
    needed="the folder of its images: name it with --images FOLDER",
    for_images=True,
)
DICTIONARY = SourceOption(
    "dictionary",
    "dictionary",
    "Published dictionary, from Tencent's class index to WordNet id. "
    "Default: the vocabulary, if it is one.",
    check_file,
    repeated=False,
    needed="the published dictionary, from class index to WordNet id: name "
    "it with --dictionary FILE or as --vocabulary FILE",
)


@dataclass(frozen=True)
class Context:
    """What a reader is told beside its paths.

    Attributes:
        options: (name, value) of the options that it takes, for its parts.
        labels_only: it finds no images, and yields no `ref`.
        keep_splits: it says in which split its images are.
        boxes: it says where their objects are.
    """

    options: tuple[tuple[str, str], ...] = ()
    labels_only: bool = False
    keep_splits: bool = False
    boxes: bool = False

    @property
    def images_beside(self) -> bool:
        """Whether images are looked for, and no folder of them was named."""
        return not self.labels_only and IMAGES.name not in dict(self.options)

    def part_options(self, *further: tuple[str, str]) -> list[tuple[str, str]]:
        """Returns the options of parts; flags are there if they are so."""
        only = [(_LABELS_ONLY, "yes")] if self.labels_only else []
        kept = [(_KEEP_SPLITS, "yes")] if self.keep_splits else []
        return [*self.box_option(further), *only, *kept, *self.options]

    def box_option(
        self, further: Iterable[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        """Returns options, with the flag for boxes if they are wanted."""
        return [*further, *([(_BOXES, "yes")] if self.boxes else [])]

    def split_option(self, path: str) -> list[tuple[str, str]]:
        """Returns the option of parts whose file's name says their split."""
        split = split_of_file(path) if self.keep_splits else None
        return [(SPLIT, split)] if split else []

    def file_options(self, path: str) -> list[tuple[str, str]]:
        """Returns the options of parts of a file that has no split inside."""
        return [*self.part_options(), *self.split_option(path)]


@dataclass(frozen=True)
class Found:
    """What a reader finds at one path, before anything is read.

    Attributes:
        parts: in an order that depends on the path alone.
        images: about how many there are; None if only reading tells.
        files: (path, bytes) of files that decide the result and are in no
            part.
        display_names: English name by class key, where the key holds none.
        overrides: WordNet id by class key, as the user wishes it.
        wnids: WordNet ids among the class keys, as far as known.
        image_folders: of the images that its parts name, if they are its own.
        notes: what the user should know of it, a line each.
        passed_over: files by suffix that lie there and are not read.
        has_splits: it says the split of some images.
    """

    parts: list[Part]
    images: int | None = None
    files: tuple[tuple[str, int], ...] = ()
    display_names: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    wnids: tuple[str, ...] = ()
    image_folders: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    has_splits: bool = False


@dataclass(frozen=True)
class Reader:
    """What reads one kind of source.

    Attributes:
        option: names its paths; its name is that of the reader.
        find: finds and checks one path, quickly, and cuts it into parts;
            raises InputError for what is missing, empty or malformed.
        read: yields all that a part says, and a Rejection for each thing
            that it says wrongly; never raises for that.
        bytes_an_image: typical bytes of the parts by image, to guess how many
            there are where `Found.images` does not tell.
        takes: further options; their values are in `Context.options`.
        needs: those of them that it does not work without.
        keys_hold_names: class keys are `<source>:<name>`, and reading alone
            tells which there are.
        packed: it yields `PackedImage`s.
        own_images: they lie where the source does, unless --images is given.
        boxes: it knows those of the objects.
    """

    option: SourceOption
    find: Callable[[str, Context], Found]
    read: Callable[[Part], Read]
    bytes_an_image: int = 0
    takes: tuple[SourceOption, ...] = ()
    needs: tuple[SourceOption, ...] = ()
    keys_hold_names: bool = False
    packed: bool = False
    own_images: bool = False
    boxes: bool = False

    @property
    def name(self) -> str:
        """Its name in parts and in `SourcePaths`."""
        return self.option.name


def image_in_file(
    part: Part, file: tuple[str, int], source: Source, keys: tuple[str, ...]
) -> AnnotatedImage:
    """Returns the image of a file of a part; its id is its path in the folder.

    Args:
        part: its option `folder` is that of the source, with / at its end.
        file: path and bytes.
        source: who speaks.
        keys: its classes.
    """
    path, size = file
    name = path.removeprefix(part.option("folder") or "")
    return AnnotatedImage(
        f"{source.kind}/{path_id(name)}",
        source,
        keys,
        (1.0,) * len(keys),
        None if part.labels_only else ImageRef(path, 0, size),
        split=part.split_of_path(name),
    )


def malformed(path: str, place: str | int, error: object) -> Rejection:
    """Returns the dead letter of an entry of a file.

    Args:
        path: of the file.
        place: of the entry in it.
        error: what is wrong; an image with an `AddressError` counts as one.
    """
    is_image = isinstance(error, AddressError)
    reason = Reason.BAD_URL if is_image else Reason.MALFORMED_RECORD
    return Rejection(reason, f"{path}:{place}", str(error), path)


def check_start(
    part: Part, read: Callable[[Part], Iterable[object]], what: str
) -> None:
    """Checks that one of the first 1000 rows is sound.

    Raises:
        InputError: none is; says what is wrong with the first (file:line).
    """
    first: Rejection | None = None
    for item in itertools.islice(read(part), ROWS_CHECKED):
        if not isinstance(item, Rejection):
            return
        first = first or item
    if first is None:
        raise InputError(f"{part.path}: {what} is needed; received: no row")
    raise InputError(
        f"{first.item}: {first.detail}; {what} is needed, and none of the "
        "first rows is one"
    )
