"""The transforms of the data set job. Every one is a thin shell.

    ReadImageNet ┐
                 ├─> UniqueImages ─> CheckImages ─> LabelImages ─> shards
    ReadOpenImages ┘

Image bytes never travel between workers: elements carry references, and the
bytes are read where they are checked and again where they are written.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.io import fileio

from beam_jobs import imagenet, open_images, progress
from beam_jobs.annotations import (
    AnnotatedImage,
    Annotation,
    ImageRef,
    Reason,
    Rejection,
)
from beam_jobs.augmentation import augment
from beam_jobs.files import ImageReader
from beam_jobs.hierarchy import Hierarchy
from beam_jobs.images import ImageError, ImageFacts, ImageLimits, check_image
from beam_jobs.records import Label, Source
from beam_jobs.vocabulary import Vocabulary

REJECTED = "rejected"
IMAGES = "images"


@dataclass(frozen=True)
class LabelledImage:
    """An image that will be written.

    Attributes:
        image: id, reference and rotation.
        facts: what the check found.
        labels, absent: as `augmentation.augment` returns them.
    """

    image: AnnotatedImage
    facts: ImageFacts
    labels: tuple[Label, ...]
    absent: tuple[int, ...]


def emit(item) -> Iterator:
    """Yields an item, a Rejection to the output of that name."""
    if isinstance(item, Rejection):
        yield beam.pvalue.TaggedOutput(REJECTED, item)
    else:
        yield item


class ReadImageNet(beam.PTransform):
    """Synset files -> AnnotatedImage, Rejection under `rejected`.

    Args:
        synsets: as `imagenet.find_synsets` returns them.
    """

    def __init__(self, synsets: Mapping[str, list[tuple[str, int]]]):
        super().__init__()
        self._files = [
            (wnid, path, size)
            for wnid, found in synsets.items()
            for path, size in found
        ]

    def expand(self, pipeline):
        return (
            pipeline
            | "Synset files" >> beam.Create(self._files, reshuffle=True)
            | "Read members"
            >> beam.FlatMap(_read_synset).with_outputs(REJECTED, main=IMAGES)
        )


def _read_synset(file: tuple[str, str, int]) -> Iterator:
    for item in imagenet.read_synset_file(*file):
        yield from emit(item)


class ReadOpenImages(beam.PTransform):
    """Open Images files -> AnnotatedImage, Rejection under `rejected`.

    Args:
        files: as `open_images.find_files` returns them.
        wnids: wnid by label name; other label names are left out.
    """

    def __init__(
        self, files: open_images.OpenImagesFiles, wnids: Mapping[str, str]
    ):
        super().__init__()
        self._files = files
        self._wnids = dict(wnids)

    def expand(self, pipeline):
        labels = self._labels(pipeline)
        rotations = (
            pipeline
            | "Image CSVs" >> beam.Create(list(self._files.images))
            | "Read rotations"
            >> beam.FlatMap(_read_rotations).with_outputs(REJECTED, main="rows")
        )
        images = (
            pipeline
            | "Image patterns" >> beam.Create(list(self._files.patterns))
            | fileio.MatchAll(fileio.EmptyMatchTreatment.ALLOW)
            | "Key images" >> beam.FlatMap(_keyed_ref)
        )
        joined = (
            {
                "labels": labels["rows"],
                "rotations": rotations["rows"],
                "refs": images,
            }
            | beam.CoGroupByKey()
            | "Join image"
            >> beam.FlatMapTuple(join_open_image).with_outputs(
                REJECTED, main=IMAGES
            )
        )
        rejected = (
            labels[REJECTED],
            rotations[REJECTED],
            joined[REJECTED],
        ) | "Open Images rejections" >> beam.Flatten()
        return {IMAGES: joined[IMAGES], REJECTED: rejected}

    def _labels(self, pipeline):
        csvs = [(p, Source.OPEN_IMAGES_HUMAN) for p in self._files.human_labels]
        csvs += [
            (p, Source.OPEN_IMAGES_MACHINE) for p in self._files.machine_labels
        ]
        return (
            pipeline
            | "Label CSVs" >> beam.Create(csvs, reshuffle=True)
            | "Read labels"
            >> beam.FlatMap(_read_labels, self._wnids).with_outputs(
                REJECTED, main="rows"
            )
        )


def _read_labels(
    file: tuple[str, Source], wnids: Mapping[str, str]
) -> Iterator:
    path, source = file
    for row in open_images.read_labels(path, source):
        if isinstance(row, Rejection):
            yield from emit(row)
            continue
        # A class that maps to nothing still tells that the image exists.
        wnid = wnids.get(row.label_name, "")
        yield row.image_id, Annotation(wnid, row.confidence, source)


def _read_rotations(path: str) -> Iterator:
    for row in open_images.read_rotations(path):
        yield from emit(row)


def _keyed_ref(metadata) -> Iterator[tuple[str, ImageRef]]:
    image_id = open_images.image_id_of(metadata.path)
    if image_id is not None:
        ref = ImageRef(metadata.path, 0, metadata.size_in_bytes)
        yield image_id, ref


def join_open_image(image_id: str, groups: Mapping[str, Iterable]) -> Iterator:
    """Joins label rows, image rows and files of one ImageID.

    Yields one AnnotatedImage or a Rejection for the image, and a Rejection
    for every further file, or image row without a file, with its id.
    """
    refs = sorted(groups["refs"])
    rotations = sorted(groups["rotations"])
    annotations = tuple(sorted(set(groups["labels"])))
    full_id = f"open_images/{image_id}"
    for ref in refs[1:]:
        detail = f"another file: {refs[0].path}"
        yield from emit(
            Rejection(Reason.DUPLICATE_ID, full_id, detail, ref.path)
        )
    # A further row beside a further file is the same duplicate.
    for _ in rotations[max(len(refs), 1) :]:
        detail = f"{len(rotations)} rows in the image CSVs"
        yield from emit(Rejection(Reason.DUPLICATE_ID, full_id, detail))
    if not refs:
        detail = "named in a CSV, but there is no file"
        yield from emit(Rejection(Reason.MISSING_IMAGE, full_id, detail))
    elif not annotations:
        detail = "no row in any label CSV"
        yield from emit(
            Rejection(Reason.NO_ANNOTATION, full_id, detail, refs[0].path)
        )
    else:
        rotation = rotations[0] if rotations else 0
        yield AnnotatedImage(full_id, refs[0], annotations, rotation)


class UniqueImages(beam.PTransform):
    """Keeps the first image of every id; the others become rejections."""

    def expand(self, images):
        return (
            images
            | "Key by id" >> beam.Map(lambda image: (image.image_id, image))
            | "Same id" >> beam.GroupByKey()
            | "First of id"
            >> beam.FlatMapTuple(_first_of_id).with_outputs(
                REJECTED, main=IMAGES
            )
        )


def _first_of_id(image_id: str, images: Iterable[AnnotatedImage]) -> Iterator:
    first, *others = sorted(images, key=lambda image: image.ref)
    yield first
    for other in others:
        detail = f"first at {first.ref.path}:{first.ref.offset}"
        yield from emit(
            Rejection(Reason.DUPLICATE_ID, image_id, detail, other.ref.path)
        )


class LabelImages(beam.DoFn):
    """AnnotatedImage -> LabelledImage, Rejection under `rejected`.

    Labels come first: they are cheap, and an image without any is never read.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        hierarchy: Hierarchy,
        min_confidence: float,
        limits: ImageLimits,
    ):
        self._vocabulary = vocabulary
        self._hierarchy = hierarchy
        self._min_confidence = min_confidence
        self._limits = limits

    def setup(self):
        self._reader = ImageReader()

    def process(self, image: AnnotatedImage):
        progress.advance(1)
        yield from emit(self.label(image))

    def label(self, image: AnnotatedImage) -> LabelledImage | Rejection:
        """Returns the image with its labels, or why it is rejected."""
        labels, absent = augment(
            image.annotations,
            self._vocabulary,
            self._hierarchy,
            self._min_confidence,
        )
        if not labels:
            return Rejection(
                Reason.NO_LABEL_IN_VOCABULARY,
                image.image_id,
                _describe(image.annotations),
                image.ref.path,
            )
        facts = self._check(image)
        if isinstance(facts, Rejection):
            return facts
        return LabelledImage(image, facts, labels, absent)

    def _check(self, image: AnnotatedImage) -> ImageFacts | Rejection:
        def rejection(reason: Reason, detail: object) -> Rejection:
            path = image.ref.path
            return Rejection(reason, image.image_id, str(detail), path)

        if image.ref.length > self._limits.max_bytes:
            detail = f"{image.ref.length} bytes"
            return rejection(Reason.TOO_MANY_BYTES, detail)
        try:
            data = self._reader.read(image.ref)
            return check_image(data, self._limits, image.rotation)
        except ImageError as error:
            return rejection(error.reason, error)
        except OSError as error:
            return rejection(Reason.UNREADABLE_FILE, error)

    def teardown(self):
        self._reader.close()


def _describe(annotations: Iterable[Annotation]) -> str:
    said = (f"{a.wnid or 'unmapped'}:{a.confidence:g}" for a in annotations)
    counted = collections.Counter(said)
    return "only " + ", ".join(sorted(counted))[:300]
