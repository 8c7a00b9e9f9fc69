"""The component that tags new images with the model that was pushed."""

# mypy: disable-error-code="arg-type, attr-defined, call-overload, type-arg"
# No `from __future__ import annotations`: TFX reads them as types.

from tfx.dsl.component.experimental.annotations import (
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import InferenceResult, PushedModel

from serving.bulk.bulk_tag import tag_in_bulk
from serving.bulk.options import BulkOptions
from tfx_pipeline.components.pusher import DESTINATION
from tfx_pipeline.places import local_path


@component
def Tagging(  # noqa: N802 (TFX names a component like a class)
    pushed_model: InputArtifact[PushedModel],
    images: Parameter[str],
    listing: Parameter[str],
    answers: OutputArtifact[InferenceResult],
) -> None:
    """Tags folders of images by the bulk job; nothing where none was pushed.

    Args:
        images: folders or patterns, a line each.
        listing: digest of what lies there. Not read.
        answers: `tags/`, as `tagforest bulk` writes them.
    """
    local_path(answers.uri).mkdir(parents=True, exist_ok=True)
    version = pushed_model.get_string_custom_property(DESTINATION)
    if not version:
        return
    out = str(local_path(answers.uri) / "bulk")
    options = BulkOptions(version, images.splitlines(), out)
    manifest = tag_in_bulk(options, ())
    answers.set_int_custom_property("images", manifest.images["out"])
    answers.set_int_custom_property("rejected", manifest.images["rejected"])
