"""The card of a data set: what it is, for people and for other tools.

A file of Croissant 1.1: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from beam_jobs.classes import load_classes
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.files import storage
from beam_jobs.split_names import CALIBRATION, TEST, TRAIN, VALIDATION

_TEXT, _IMAGE = "sc:Text", "sc:ImageObject"
_INT, _FLOAT = "cr:Int64", "cr:Float32"
# Of each feature of a record: type, whether it is a list, what it says.
FIELDS = {
    records.IMAGE_ENCODED: (_IMAGE, False, "JPEG file"),
    records.IMAGE_ID: (_TEXT, False, "<source>/<id>, unique in the data set"),
    records.IMAGE_HEIGHT: (_INT, False, "pixels"),
    records.IMAGE_WIDTH: (_INT, False, "pixels"),
    records.IMAGE_LICENSE: (_TEXT, False, "licence, if the source says one"),
    records.IMAGE_AUTHOR: (_TEXT, False, "author, if the source says one"),
    records.IMAGE_SOURCE_URL: (_TEXT, False, "URL, if the source says one"),
    records.LABEL_ID: (_INT, True, "class indices, ascending"),
    records.LABEL_CONFIDENCE: (_FLOAT, True, "of each label, over 0 to 1"),
    records.LABEL_LEDGER: (_INT, True, "of each label, 8 x source + rule"),
    records.LABEL_PARENT: (_INT, True, "of labels that a rule took from it"),
    records.ABSENT_ID: (_INT, True, "classes verified absent"),
    records.OBJECT_CLASS: (_INT, True, "class index of each object"),
    records.OBJECT_BOX: (_FLOAT, True, "ymin, xmin, ymax, xmax of each, parts"),
    records.OBJECT_FLAG: (_INT, True, "of each, 1 difficult, 2 a crowd"),
    records.IMAGE_MASK: (_IMAGE, False, "PNG of class indices + 1"),
    records.ANNOTATION_ID: (_INT, True, "annotations that a label hides"),
    records.ANNOTATION_CONFIDENCE: (_FLOAT, True, "of each of them"),
    records.ANNOTATION_SOURCE: (_INT, True, "of each of them"),
}
_CLASS_FIELDS = {
    "index": (_INT, "position of the class in the model's output"),
    "wnid": (_TEXT, "WordNet 3.0 id, or own:<name>"),
    "name": (_TEXT, "names, with commas between"),
}
_CROISSANT_SPLITS = {
    TRAIN: "cr:TrainingSplit",
    VALIDATION: "cr:ValidationSplit",
    TEST: "cr:TestSplit",
}
# Licences of hostile sources may be as many as images.
_MOST_LICENSES = 100
# The standard one of 1.1.
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


@dataclass(frozen=True)
class LabelCounts:
    """What is counted over all splits.

    Attributes:
        rules: labels by rule, in lower case.
        sources: labels by source, likewise.
        licenses: images by licence.
    """

    rules: Mapping[str, int]
    sources: Mapping[str, int]
    licenses: Mapping[str, int]


def write_card(dataset: str, manifest: Manifest, counts: LabelCounts) -> None:
    """Writes the card beside the manifest; equal data give equal bytes.

    Args:
        dataset: folder of the data set; its vocabulary is written.
        manifest: to be written after it.
        counts: of the labels and licences.
    """
    card = make_card(manifest, counts, _file_object(dataset))
    text = json.dumps(card, indent=2, ensure_ascii=False)
    path = storage.join(dataset, dataset_folder.CARD)
    storage.write_text(path, text + "\n")


def make_card(
    manifest: Manifest, counts: LabelCounts, vocabulary: dict[str, Any]
) -> dict[str, Any]:
    """Returns the content of the card.

    Args:
        manifest, counts: as of `write_card`.
        vocabulary: its file, as the card describes one.
    """
    labels = _describe_labels(counts.rules)
    licenses = sorted(counts.licenses, key=lambda k: (-counts.licenses[k], k))
    card = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.1",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": f"tagforest-{manifest.fingerprint[:12]}",
        "identifier": f"sha256:{manifest.fingerprint}",
        "description": (
            f"{manifest.images['out']} images with labels of "
            f"{manifest.classes['count']} classes, closed under WordNet's "
            f"hierarchy. {labels}"
        ),
        "license": licenses[:_MOST_LICENSES],
        "rai:dataAnnotationProtocol": labels,
        "rai:dataCollectionRawData": _counted(counts.sources, "labels"),
        "distribution": [vocabulary, *map(_file_set, _ordered(manifest))],
        "recordSet": [
            _classes(),
            *(_records(split) for split, _ in _ordered(manifest)),
            _table("labels_by_rule", "rule", counts.rules),
            _table("labels_by_source", "source", counts.sources),
            _table("images_by_license", "license", counts.licenses),
        ],
    }
    # A property without a value is none.
    card["recordSet"] = [r for r in card["recordSet"] if r.get("data", True)]  # type: ignore[attr-defined]
    return {name: value for name, value in card.items() if value}


def _describe_labels(rules: Mapping[str, int]) -> str:
    added = {name: n for name, n in rules.items() if name != "annotated"}
    text = (
        f"{sum(rules.values())} labels: {rules.get('annotated', 0)} annotated"
    )
    return f"{text}, the others added by rules: {_counted(added, 'labels')}."


def _counted(counts: Mapping[str, int], what: str) -> str:
    said = (f"{name} {counts[name]} {what}" for name in sorted(counts))
    return ", ".join(said) or "none"


def _ordered(manifest: Manifest) -> list[tuple[str, Mapping[str, Any]]]:
    splits = manifest.splits
    return [(s, splits[s]) for s in dataset_folder.SPLITS if s in splits]


def _file_object(dataset: str) -> dict[str, Any]:
    name = load_classes.VOCABULARY
    with storage.open_read(storage.join(dataset, name)) as file:
        data = file.read()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": "the classes",
        "contentUrl": name,
        "contentSize": f"{len(data)} B",
        "encodingFormat": "text/tab-separated-values",
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _file_set(split: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    name, content = split
    # The digests of the manifest are of records, not of files.
    return {
        "@type": "cr:FileSet",
        "@id": f"{name}-shards",
        "name": f"{name}-shards",
        "description": (
            f"{len(content['shards'])} TFRecord files, {content['images']} "
            f"records, {content['bytes']} bytes"
        ),
        "encodingFormat": "application/x-tfrecord",
        "includes": f"{name}/{name}-*.tfrecord",
    }


def _classes() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "the classes; their parents are in hierarchy.tsv",
        "key": {"@id": "classes/index"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"classes/{name}",
                "name": name,
                "description": description,
                "dataType": kind,
                "source": {
                    "fileObject": {"@id": load_classes.VOCABULARY},
                    "extract": {"column": name},
                },
            }
            for name, (kind, description) in _CLASS_FIELDS.items()
        ],
    }


def _records(split: str) -> dict[str, Any]:
    fields = []
    for name, (kind, repeated, description) in FIELDS.items():
        field: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"{split}/{name}",
            "name": name,
            "description": description,
            "dataType": kind,
            "source": {
                "fileSet": {"@id": f"{split}-shards"},
                "extract": {"column": name},
            },
        }
        if repeated:
            field["repeated"] = True
        if kind is _INT and repeated and name.endswith(("/id", "/parent")):
            field["references"] = {"field": {"@id": "classes/index"}}
        fields.append(field)
    found = {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"images of the split {split}: a tf.train.Example each",
        "key": {"@id": f"{split}/{records.IMAGE_ID}"},
        "field": fields,
    }
    if split != CALIBRATION:
        found["dataType"] = _CROISSANT_SPLITS[split]
    return found


def _table(name: str, of: str, counts: Mapping[str, int]) -> dict[str, Any]:
    what = name.partition("_")[0]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"{what} of all splits, by {of}",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "dataType": kind,
            }
            for column, kind in ((of, _TEXT), (what, _INT))
        ],
        "data": [
            {f"{name}/{of}": text, f"{name}/{what}": counts[text]}
            for text in sorted(counts)[:_MOST_LICENSES]
        ],
    }
