"""The job: images leave a data set, downloads and features, with a proof.

The data set comes last: it alone knows all names of an image, so that a job
that was stopped and is started again finds them. Its new folder is built and
proved beside it, and exchanged with it in one step.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from beam_jobs.classes import load_classes
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.card import write_card
from beam_jobs.dataset.manifest import Manifest, ShardInfo, make_manifest
from beam_jobs.dataset_job.finish_dataset import (
    DatasetFacts,
    label_counts,
    write_statistics,
)
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.disk_errors import disk_errors
from beam_jobs.files.folder_lock import hold_output
from beam_jobs.files.swap_folders import check_swap, swap_folders
from beam_jobs.forget import proof, shards
from beam_jobs.forget.downloads import forget_downloads
from beam_jobs.forget.feature_files import forget_features
from beam_jobs.forget.letters import forget_lines, is_value_of, letters_in
from beam_jobs.forget.names import Names, read_names, say
from beam_jobs.forget.options import ForgetOptions
from beam_jobs.forget.shards import Found
from beam_jobs.forget.trainings import find_trainings
from beam_jobs.rejections import DEAD_LETTERS, count_images
from beam_jobs.runners import progress
from beam_jobs.statistics.counts import Statistics


@dataclass(frozen=True)
class Forgotten:
    """What was done.

    Attributes:
        images: records and dead letters of images that went.
        left: images in the data set.
        unknown: ids and URLs that no record has.
        downloads: images removed, by folder.
        features: rows removed, by file.
        saw: folders of trainings and exports of the data set as it was.
    """

    images: int
    left: int
    unknown: list[str] = field(default_factory=list)
    downloads: dict[str, int] = field(default_factory=dict)
    features: dict[str, int] = field(default_factory=dict)
    saw: list[str] = field(default_factory=list)


def forget(options: ForgetOptions, *, show_progress: bool = True) -> Forgotten:
    """Forgets images; started again after a stop, it goes on.

    Raises:
        InputError: wrong options, no data set, another job in the way, other
            images of the same bytes, a shard that is missing or damaged, or
            no image would be left.
        RememberedError: an image is still somewhere; the data set is as it
            was.
    """
    options.check()
    given = read_names(options.images)
    dataset = os.path.realpath(options.dataset)
    Manifest.load(dataset)
    _check_place(dataset)
    lock = storage.join(dataset, dataset_folder.LOCK)
    with (
        disk_errors(dataset),
        hold_output(lock),
        progress.bar("forget", "images", show_progress),
    ):
        # Another job may have made it anew before the lock was held.
        manifest = Manifest.load(dataset)
        dataset_folder.check_shards(dataset)
        _remove_leftovers(dataset)
        job = _Job.find(dataset, manifest, given, options.copies)
        downloads = {
            folder: forget_downloads(folder, job.found.names)
            for folder in options.downloads
        }
        features = {
            path: forget_features(path, job.found.names)
            for path in options.features
        }
        _prove_beside(options, job.found)
        images, made = job.finish()
    fingerprints = {*made.forgotten.get("fingerprints", ())}
    return Forgotten(
        images,
        made.images["out"],
        sorted(set(given) - job.found.matched),
        downloads,
        features,
        [p for f in options.runs for p in find_trainings(f, fingerprints)],
    )


def _check_place(dataset: str) -> None:
    parent = os.path.dirname(dataset)
    if os.path.ismount(dataset) or not os.access(parent, os.W_OK):
        raise InputError(
            f"{dataset} is exchanged as a whole, so {parent} must be writable "
            "and on the same disk"
        )
    try:
        check_swap(parent)
    except OSError as error:
        raise InputError(
            f"{parent}: folders cannot be exchanged there ({error.strerror}); "
            "copy the data set to a local disk"
        ) from error


def _check_own(dataset: str, found: Found) -> None:
    """Checks that shards are files, not links to files that would stay.

    Raises:
        InputError: one is a link.
    """
    for name in sorted(found.gone):
        path = os.path.join(dataset, name)
        if os.path.realpath(path) != path:
            raise InputError(
                f"{path} is a link: {os.path.realpath(path)} would keep the "
                "images; put the file in its place"
            )


def _beside(dataset: str) -> str:
    return f".{os.path.basename(dataset)}.forget-"


def _remove_leftovers(dataset: str) -> None:
    """Removes what a job that was stopped left: a new folder, or an old one."""
    parent = os.path.dirname(dataset)
    for name in os.listdir(parent):
        if name.startswith(_beside(dataset)):
            storage.remove_tree(os.path.join(parent, name))


def _prove_beside(options: ForgetOptions, found: Found) -> None:
    for folder in options.downloads:
        proof.prove(folder, found)
    for path in options.features:
        proof.prove_features(path, found)


@dataclass
class _Job:
    """What is to be done in a data set, and its new folder."""

    dataset: str
    manifest: Manifest
    facts: DatasetFacts
    found: Found
    statistics: Mapping[str, Statistics]

    @classmethod
    def find(
        cls, dataset: str, manifest: Manifest, given: list[str], copies: bool
    ) -> _Job:
        """Looks for the images; changes nothing."""
        vocabulary, hierarchy = load_classes.load_folder(dataset)
        facts = DatasetFacts(
            manifest.request, manifest.options, vocabulary, hierarchy
        )
        names = Names()
        names.add(*given)
        found = shards.find(dataset, manifest, names)
        statistics, others = shards.count_rest(
            dataset, manifest, found, len(vocabulary)
        )
        if others and not copies:
            raise InputError(
                f"{say(others)}: the same bytes under another id: name it too, "
                "or give --copies"
            )
        if others:
            return cls.find(dataset, manifest, [*given, *others], copies)
        if not statistics:
            raise InputError(
                f"no image would be left in {dataset}: remove the folder"
            )
        _check_own(dataset, found)
        return cls(dataset, manifest, facts, found, statistics)

    def finish(self) -> tuple[int, Manifest]:
        """Makes the new folder, proves it, and exchanges it with the old one.

        Returns:
            Images that went, and the manifest of what is there now.
        """
        parent = os.path.dirname(self.dataset)
        new = tempfile.mkdtemp(prefix=_beside(self.dataset), dir=parent)
        # The new one is its owner's alone.
        shutil.copystat(self.dataset, new)
        try:
            gone, made = self._build(new)
            if not gone:
                # Names may still be left where no record has them.
                proof.prove(self.dataset, self.found)
                return 0, self.manifest
            proof.prove(new, self.found)
            swap_folders(new, self.dataset)
        finally:
            storage.remove_tree(new)
        return gone, made

    def _build(self, new: str) -> tuple[int, Manifest]:
        letters = self._write_letters(new)
        if not self.found.gone and not letters:
            return 0, self.manifest
        self._link(new)
        self._write_list(new)
        gone = self.found.records + count_images(letters)
        written, label_bytes = self._write_shards(new)
        old = self.manifest
        rejected = {
            reason: count - letters.get(reason, 0)
            for reason, count in old.rejected.items()
            if count > letters.get(reason, 0)
        }
        infos = _describe(old, written, label_bytes, new)
        made = make_manifest(
            request=old.request,
            options=old.options,
            classes=old.classes,
            images_in=old.images["in"] - gone,
            rejected=rejected,
            shards=infos,
            moved=old.moved,
            kept=old.kept_splits,
        )
        before = old.forgotten
        made = replace(
            made,
            forgotten={
                "images": before.get("images", 0) + gone,
                "fingerprints": [
                    *before.get("fingerprints", ()),
                    old.fingerprint,
                ],
            },
        )
        write_statistics(new, self.facts, self.statistics, rejected)
        write_card(new, made, label_counts(self.statistics.values()))
        made.save(new)
        return gone or sum(letters.values()), made

    def _link(self, new: str) -> None:
        """Puts all files that stay as they are into the new folder too."""
        for path in proof.files_in(self.dataset):
            name = os.path.relpath(path, self.dataset)
            top = name.partition(os.sep)[0]
            stays = top not in _MADE_ANEW and not name.endswith(_UNFINISHED)
            if stays and name not in self.found.gone:
                final = os.path.join(new, name)
                os.makedirs(os.path.dirname(final), exist_ok=True)
                try:
                    os.link(path, final, follow_symlinks=False)
                except OSError:
                    # No links on this disk, or too many to this file.
                    shutil.copy2(path, final, follow_symlinks=False)

    def _write_list(self, new: str) -> None:
        """Writes the images across splits that stay, if there was a list."""
        name = dataset_folder.ACROSS_SPLITS
        path = os.path.join(self.dataset, name)
        if os.path.exists(path):
            ids = storage.read_text(path).splitlines()
            left = [i for i in ids if not self.found.names.match(i)]
            text = "".join(f"{image_id}\n" for image_id in left)
            storage.write_text(os.path.join(new, name), text)

    def _write_letters(self, new: str) -> dict[str, int]:
        """Returns how many dead letters go, by reason."""
        gone, names = {}, self.found.names
        for path in letters_in(os.path.join(self.dataset, DEAD_LETTERS)):
            name = os.path.basename(path)
            final = os.path.join(new, DEAD_LETTERS, name)
            count = forget_lines(path, final, names, is_value_of(names, "item"))
            gone[os.path.splitext(name)[0]] = count
        return {reason: count for reason, count in gone.items() if count}

    def _write_shards(
        self, new: str
    ) -> tuple[dict[str, ShardInfo], dict[str, int]]:
        """Returns what was written by path, and label bytes gone by split."""
        written: dict[str, ShardInfo] = {}
        label_bytes: dict[str, int] = {}
        for shard in shards.describe_shards(
            self.dataset, self.manifest, [*self.found.gone]
        ):
            written[shard.path], less = shards.rewrite_shard(
                os.path.join(self.dataset, shard.path),
                os.path.join(new, shard.path),
                shard,
                self.found.names,
            )
            label_bytes[shard.split] = label_bytes.get(shard.split, 0) + less
        return written, label_bytes


_UNFINISHED = ".part"
# What is not taken over from the old folder.
_MADE_ANEW = (
    dataset_folder.MANIFEST,
    dataset_folder.CARD,
    dataset_folder.ACROSS_SPLITS,
    dataset_folder.STATISTICS,
    dataset_folder.WORK,
    dataset_folder.LOCK,
    DEAD_LETTERS,
)


def _describe(
    old: Manifest,
    written: Mapping[str, ShardInfo],
    label_bytes: Mapping[str, int],
    new: str,
) -> list[ShardInfo]:
    """Returns all shards of the new folder; the first has the label bytes."""
    infos = []
    for split, content in old.splits.items():
        left = content["label_bytes"] - label_bytes.get(split, 0)
        for shard in content["shards"]:
            path = shard["path"]
            info = written.get(path) or shards.describe(new, split, shard)
            if info.records or path not in written:
                infos.append(replace(info, label_bytes=left))
                left = 0
    return infos
