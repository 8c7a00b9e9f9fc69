"""The raw annotations that a job reads, found and checked before it runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from beam_jobs import class_mapping, files, imagenet, open_images
from beam_jobs.checks import check_sources
from beam_jobs.class_mapping import ClassChoice
from beam_jobs.errors import InputError
from beam_jobs.open_images import OpenImagesFiles
from beam_jobs.vocabulary import Vocabulary


@dataclass(frozen=True)
class Sources:
    """What was found.

    Attributes:
        synsets: files by wnid, `imagenet.find_synsets` of every folder.
        open_images: `open_images.find_files` of every folder.
    """

    synsets: Mapping[str, list[tuple[str, int]]]
    open_images: tuple[OpenImagesFiles, ...]

    def listing(self) -> list[tuple[str, int]]:
        """Returns (path, bytes) of all files but Open Images' pictures."""
        found = [file for group in self.synsets.values() for file in group]
        for source in self.open_images:
            csvs = [*source.human_labels, *source.machine_labels]
            csvs += [*source.classes, *source.images]
            csvs += [source.overrides] if source.overrides else []
            found += files.list_files(*csvs)
        return sorted(found)

    def pictures(self) -> list[tuple[str, int]]:
        """Returns (path, bytes) of Open Images' pictures."""
        patterns = [p for source in self.open_images for p in source.patterns]
        return files.list_files(*patterns) if patterns else []


def find_sources(
    imagenet_folders: Sequence[str], open_images_folders: Sequence[str]
) -> Sources:
    """Finds and checks all sources.

    Raises:
        InputError: none given, or one that is missing, empty or malformed.
    """
    check_sources(imagenet_folders, open_images_folders)
    synsets: dict[str, list[tuple[str, int]]] = {}
    for folder in imagenet_folders:
        for wnid, found in imagenet.find_synsets(folder).items():
            synsets.setdefault(wnid, []).extend(found)
    found_open = tuple(open_images.find_files(f) for f in open_images_folders)
    sources = Sources(synsets, found_open)
    if not synsets and not sources.pictures():
        wanted = " or ".join(
            pattern for s in found_open for pattern in s.patterns[:1]
        )
        raise InputError(f"no image left to read: nothing matches {wanted}")
    return sources


def choose_classes(
    sources: Sources, vocabulary: Vocabulary | None
) -> list[ClassChoice]:
    """Maps the Open Images classes of all sources to WordNet.

    Raises:
        InputError: a malformed class or override file.
    """
    names: dict[str, str] = {}
    overrides: dict[str, str] = {}
    for source in sources.open_images:
        names |= open_images.read_display_names(source.classes)
        overrides |= class_mapping.read_overrides(source.overrides)
    if not names:
        return []
    wanted = None if vocabulary is None else vocabulary.__contains__
    return class_mapping.map_classes(names, overrides, wanted)


def request_digest(
    listing: Iterable[tuple[str, int]], options: Mapping[str, object]
) -> str:
    """Returns SHA-256 (hex) of options and of file paths, sizes and times."""
    digest = hashlib.sha256(repr(sorted(options.items())).encode())
    for path, size in listing:
        time = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
        digest.update(f"{path}\t{size}\t{time}\n".encode())
    return digest.hexdigest()
