"""What is to be seen of a finding: its image, its tree, where it came from."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.dataset import records
from beam_jobs.dataset.record_index import open_index
from beam_jobs.labels.ledger import Rule, Source, rules_of, sources_of
from model.audit.ranking import Findings, leaf_most
from model.inputs import input_pipeline
from model.inputs.record_reader import RecordReader
from model.scores.scoring import Scored, Split, score_batches

DOUBTFUL, MISSING = "doubtful", "missing"
_SIDE = 256
_REQUESTS = 8


@dataclass(frozen=True)
class Finding:
    """One label that somebody should look at.

    Attributes:
        rank: from 1, by kind.
        kind: `doubtful`, given and probably wrong; or `missing`.
        image_id, wnid, name: of which image and class.
        score, threshold: of the image, and of the class.
        rule, source: of the ledger; "" of a missing label.
        follows: ids of the ancestors that are there for this label alone and
            go with it, or come with it.
        still_there: those of a doubtful label that the image is scored high
            for, the deepest first.
        instead: id of the likeliest label that is not given; "" if none is
            over its threshold.
        picture: name of the picture's file.
    """

    rank: int
    kind: str
    image_id: str
    wnid: str
    name: str
    score: float
    threshold: float
    rule: str
    source: str
    follows: tuple[str, ...]
    still_there: tuple[str, ...]
    instead: str
    picture: str


class Part(NamedTuple):
    """A training and images that it has not seen.

    Attributes:
        split: as `scoring.open_split` opened it.
        dataset, name: of the data set and its split.
        first: number of its first image in the audit.
        number: of the part, for names of files.
    """

    split: Split
    dataset: str
    name: str
    first: int
    number: int = 0


class Picture(NamedTuple):
    """A small JPEG of an image; `name` is of its file."""

    name: str
    data: bytes


def describe(
    part: Part,
    kinds: Mapping[str, Findings],
    thresholds: np.ndarray,
) -> Iterator[tuple[Finding, Picture]]:
    """Yields what is known of the findings of one part, image by image.

    Its images are scored again, a few hundred of all: their tree is judged by
    all their scores.

    Args:
        part: findings of other parts are passed over.
        kinds: the findings of each kind, all ranks.
        thresholds: float64 [classes].
    """
    wanted = _by_place(part, kinds)
    if not wanted:
        return
    places = np.array(sorted(wanted), np.int64)
    pictures = _pictures(part, places)
    for place, image in zip(places, _images(part, places), strict=True):
        picture = Picture(f"{part.number:02d}-{place:08d}.jpg", next(pictures))
        for kind, rank, index, score in wanted[int(place)]:
            about = _about(kind, index, image, part.split, thresholds)
            yield (
                Finding(
                    rank,
                    kind,
                    image.image_id,
                    part.split.vocabulary[index].wnid,
                    part.split.vocabulary[index].display_name,
                    round(score, 6),
                    round(float(thresholds[index]), 6),
                    picture=picture.name,
                    **about,
                ),
                picture,
            )


def _by_place(
    part: Part, kinds: Mapping[str, Findings]
) -> dict[int, list[tuple[str, int, int, float]]]:
    """Returns kind, rank, class and score by place in the part's split."""
    wanted: dict[int, list[tuple[str, int, int, float]]] = {}
    for kind, found in kinds.items():
        numbers = found.images - part.first
        own = (numbers >= 0) & (numbers < len(part.split.places))
        for position in np.flatnonzero(own).tolist():
            place = int(part.split.places[numbers[position]])
            values = found.classes[position], found.scores[position]
            row = (kind, position + 1, int(values[0]), float(values[1]))
            wanted.setdefault(place, []).append(row)
    return wanted


class _Image(NamedTuple):
    """Labels, scores and ledger are [classes]."""

    image_id: str
    labels: np.ndarray
    scores: np.ndarray
    ledger: np.ndarray


def _images(part: Part, places: np.ndarray) -> Iterator[_Image]:
    tagger = part.split.tagger
    batches = input_pipeline.make_eval_dataset(
        part.dataset,
        dataclasses.replace(tagger.config.data, unknown="ignore"),
        classes=len(part.split.vocabulary),
        batch_size=64,
        split=part.name,
        with_features=True,
        places=places,
    )
    for batch in score_batches(tagger, batches, part.split.hierarchy):
        ledger = np.asarray(batch.ledger)
        yield from map(
            _Image, _ids_of(batch), batch.labels, batch.scores, ledger
        )


def _ids_of(batch: Scored) -> Iterable[str]:
    found = batch.features[records.IMAGE_ID].numpy().tolist()
    return [image_id.decode() for image_id in found]


def _about(
    kind: str,
    index: int,
    image: _Image,
    split: Split,
    thresholds: np.ndarray,
) -> dict[str, Any]:
    """Returns rule, source, follows, still_there and instead of a finding."""
    given = image.labels > 0
    hierarchy, vocabulary = split.hierarchy, split.vocabulary
    over = image.scores > thresholds
    rule, source, instead = "", "", ""
    if kind == DOUBTFUL:
        code = int(image.ledger[index])
        rule = Rule(rules_of(code)).name.lower()
        source = Source(sources_of(code)).name.lower()
        follows = _carried(index, given, hierarchy)
        rival = _rival(image, given, over, hierarchy)
        instead = "" if rival is None else vocabulary[rival].wnid
    else:
        follows = [a for a in hierarchy.ancestors(index) if not given[a]]
    still = [a for a in follows if kind == DOUBTFUL and over[a]]
    still.sort(key=lambda a: (-int(hierarchy.depth[a]), a))
    return {
        "rule": rule,
        "source": source,
        "follows": tuple(vocabulary[a].wnid for a in follows),
        "still_there": tuple(vocabulary[a].wnid for a in still),
        "instead": instead,
    }


def _carried(index: int, given: np.ndarray, hierarchy: Hierarchy) -> list[int]:
    """Returns given ancestors that no other leaf-most label has."""
    _, leaves = leaf_most(given[None], hierarchy)
    others = {
        a
        for leaf in leaves.tolist()
        if leaf != index
        for a in (leaf, *hierarchy.ancestors(leaf))
    }
    return [
        a for a in hierarchy.ancestors(index) if given[a] and a not in others
    ]


def _rival(
    image: _Image, given: np.ndarray, over: np.ndarray, hierarchy: Hierarchy
) -> int | None:
    """Returns the likeliest leaf that is not given, if over its threshold."""
    # What has been verified absent is none.
    chosen = hierarchy.is_leaf & ~given & over & (image.labels < 0)
    if not chosen.any():
        return None
    return int(np.argmax(np.where(chosen, image.scores, -1)))


def _pictures(part: Part, places: np.ndarray) -> Iterator[bytes]:
    """Yields small JPEGs of records, a few records in memory at a time."""
    reader = RecordReader(open_index(part.dataset, part.name), _REQUESTS)
    for chosen in np.array_split(places, max(1, len(places) // _REQUESTS)):
        for row in reader.read_all(chosen):
            if not isinstance(row, bytes):
                raise row
            features = tf.train.Example.FromString(row).features.feature
            value = features[records.IMAGE_ENCODED].bytes_list.value
            yield shrink(value[0])


def shrink(encoded: bytes, side: int = _SIDE) -> bytes:
    """Returns a JPEG whose longer side is at most `side` pixels."""
    with Image.open(io.BytesIO(encoded)) as image:
        small = image.convert("RGB")
    small.thumbnail((side, side))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    return out.getvalue()


def save_pictures(pictures: Iterable[Picture], folder: Path) -> None:
    """Writes them into a folder, each once."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        (folder / picture.name).write_bytes(picture.data)
