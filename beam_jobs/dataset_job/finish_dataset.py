"""Last stage: statistics, dead letters and the manifest of a data set."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.card import LabelCounts, write_card
from beam_jobs.dataset.manifest import ShardInfo, make_manifest
from beam_jobs.files import storage
from beam_jobs.rejections import publish_dead_letters
from beam_jobs.statistics import page
from beam_jobs.statistics.counts import Statistics


@dataclass(frozen=True)
class DatasetFacts:
    """What the manifest says of the making.

    Attributes:
        request: digest of the options and source files.
        options: as given.
        vocabulary, hierarchy: the classes.
    """

    request: str
    options: Mapping[str, Any]
    vocabulary: Vocabulary
    hierarchy: Hierarchy


@dataclass(frozen=True)
class Outcome:
    """What became of the images, in all stages and parts.

    Attributes:
        images_in: how many there were in the sources.
        rejected: rejections by reason.
        rejections: files of them.
        moved: images that are not in the split of their hash, by reason.
        kept: what there is to say of splits that were kept.
        across: ids of images outside train that are like one of another split.
    """

    images_in: int
    rejected: Iterable[Mapping[str, int]]
    rejections: Iterable[str]
    moved: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)
    across: Sequence[str] = ()


def finish_dataset(
    dataset: str,
    facts: DatasetFacts,
    shards: Sequence[ShardInfo],
    outcome: Outcome,
) -> None:
    """Puts the results of all stages together; the manifest comes last.

    Args:
        dataset: folder of the data set.
        facts: of its making.
        shards: all that were written.
        outcome: of all images.

    Raises:
        UnbalancedError: images in are not images out and images rejected.
    """
    counts: Counter[str] = Counter()
    for part in outcome.rejected:
        counts.update(part)
    manifest = make_manifest(
        request=facts.request,
        options=facts.options,
        classes={
            "count": len(facts.vocabulary),
            "vocabulary": facts.vocabulary.fingerprint,
            "hierarchy": facts.hierarchy.fingerprint,
        },
        images_in=outcome.images_in,
        rejected=counts,
        shards=shards,
        moved=outcome.moved,
        kept=outcome.kept,
    )
    publish_dead_letters(dataset, outcome.rejections)
    if outcome.across:
        path = storage.join(dataset, dataset_folder.ACROSS_SPLITS)
        storage.write_text(path, "".join(f"{i}\n" for i in outcome.across))
    splits = _add_up(shards, len(facts.vocabulary))
    write_statistics(dataset, facts, splits, counts)
    write_card(dataset, manifest, label_counts(splits.values()))
    # Last: a folder without a manifest is no data set, and is made anew.
    manifest.save(dataset)


def _add_up(shards: Iterable[ShardInfo], classes: int) -> dict[str, Statistics]:
    splits: dict[str, Statistics] = {}
    for shard in shards:
        total = splits.setdefault(shard.split, Statistics(classes))
        total.merge(Statistics.from_dict(shard.statistics))
    return splits


def label_counts(splits: Iterable[Statistics]) -> LabelCounts:
    """Returns what the card says of the labels of all splits."""
    rules, sources = Counter[str](), Counter[str]()
    licenses = Counter[str]()
    for part in splits:
        by_rule, by_source = part.labels_by_rule, part.labels_by_source
        rules.update({rule.name.lower(): n for rule, n in by_rule.items()})
        sources.update({s.name.lower(): n for s, n in by_source.items()})
        licenses.update(part.licenses)
    return LabelCounts(rules, sources, licenses)


def write_statistics(
    dataset: str,
    facts: DatasetFacts,
    splits: Mapping[str, Statistics],
    rejected: Mapping[str, int],
) -> None:
    """Writes the statistics of a data set into its folder.

    Args:
        dataset: folder of the data set.
        facts: of its making.
        splits: by name; one without images is left out.
        rejected: by reason.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = page.write(
            splits,
            folder,
            facts.vocabulary,
            rejected,
            hierarchy=facts.hierarchy,
        )
        for path in map(Path, paths):
            final = storage.join(dataset, dataset_folder.STATISTICS, path.name)
            temporary = storage.work_file(final)
            shutil.copyfile(path, temporary)
            storage.publish(temporary, final)
