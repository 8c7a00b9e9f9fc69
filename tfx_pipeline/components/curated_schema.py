"""What good records are like, said and not inferred from them.

A schema inferred from the records that it then judges finds nothing wrong.
"""

# mypy: disable-error-code="arg-type, attr-defined, call-overload, type-arg"
# No `from __future__ import annotations`: TFX reads them as types.
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import (
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Schema

from beam_jobs.classes.load_classes import load_vocabulary
from beam_jobs.dataset import records
from tfx_pipeline.components.dataset_gen import dataset_folder
from tfx_pipeline.places import local_path

_FILE = "schema.pbtxt"
_INT, _FLOAT, _BYTES = (
    schema_pb2.FeatureType.INT,
    schema_pb2.FeatureType.FLOAT,
    schema_pb2.FeatureType.BYTES,
)
# In all records; the rest is there where it is known.
_ALWAYS = (
    records.IMAGE_ID,
    records.LABEL_ID,
    records.LABEL_CONFIDENCE,
    records.LABEL_LEDGER,
)
_CLASSES = (
    records.LABEL_ID,
    records.LABEL_PARENT,
    records.ABSENT_ID,
    records.OBJECT_CLASS,
)
_PARTS = (
    records.LABEL_CONFIDENCE,
    records.ANNOTATION_CONFIDENCE,
    records.OBJECT_BOX,
)


@component
def CuratedSchema(  # noqa: N802 (TFX names a component like a class)
    examples: InputArtifact[Examples],
    path: Parameter[str],
    content: Parameter[str],
    schema: OutputArtifact[Schema],
) -> None:
    """Puts out the schema that the records are checked against.

    Args:
        path: of a schema of the user's own; empty for that of the records'
            feature spec, with the data set's number of classes.
        content: digest of that file and of the code, so that a change is
            seen. Not read.
    """
    if path:
        text = Path(path).read_text(encoding="utf-8")
    else:
        classes = len(load_vocabulary(dataset_folder(examples.uri)))
        text = text_format.MessageToString(make_schema(classes))
    folder = local_path(schema.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FILE).write_text(text, encoding="utf-8")


def make_schema(classes: int) -> schema_pb2.Schema:
    """Returns the schema of records under so many classes."""
    schema = schema_pb2.Schema()
    for name, kind in sorted(_kinds().items()):
        feature = schema.feature.add(name=name, type=kind)
        feature.value_count.min = 1 if name in _ALWAYS else 0
        if name in _ALWAYS:
            feature.presence.min_fraction = 1.0
            feature.presence.min_count = 1
        if name in _CLASSES:
            # As a category: TFDV takes other ids for quantities.
            feature.int_domain.is_categorical = True
            feature.int_domain.min, feature.int_domain.max = 0, classes - 1
        if name in _PARTS:
            feature.float_domain.min, feature.float_domain.max = 0.0, 1.0
    return schema


def _kinds() -> dict[str, int]:
    import tensorflow as tf

    kinds = {tf.int64: _INT, tf.float32: _FLOAT, tf.string: _BYTES}
    spec = records.feature_spec()
    return {name: kinds[feature.dtype] for name, feature in spec.items()}
