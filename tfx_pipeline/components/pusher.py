"""The component that puts a blessed model where the server looks."""

# mypy: disable-error-code="arg-type, attr-defined, call-overload, type-arg"
# No `from __future__ import annotations`: TFX reads them as types.

from tfx.dsl.component.experimental.annotations import (
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import (
    InfraBlessing,
    Model,
    ModelBlessing,
    PushedModel,
)
from tfx.utils import path_utils

from serving.saved_model.push import push
from tfx_pipeline.components.serve_check import BLESSED
from tfx_pipeline.places import local_path

DESTINATION, IS_NEW = "pushed_destination", "is_new"


@component
def Pusher(  # noqa: N802 (TFX names a component like a class)
    model: InputArtifact[Model],
    model_blessing: InputArtifact[ModelBlessing],
    infra_blessing: InputArtifact[InfraBlessing],
    model_dir: Parameter[str],
    keep: Parameter[int],
    again: Parameter[str],
    pushed_model: OutputArtifact[PushedModel],
) -> None:
    """Copies a model that both gates have blessed to its next version.

    Args:
        model_dir: the folder that a server watches.
        keep: versions that stay there; 0 for all.
        again: changes where a pushed version has gone. Not read: an
            unchanged push would be taken from the cache.
        pushed_model: where it went, and whether it was not there before.
    """
    local_path(pushed_model.uri).mkdir(parents=True, exist_ok=True)
    both = (model_blessing, infra_blessing)
    if not all(b.get_int_custom_property(BLESSED) for b in both):
        return
    folder = local_path(path_utils.serving_model_path(model.uri))
    version, is_new = push(folder, local_path(model_dir), keep)
    pushed_model.set_string_custom_property(DESTINATION, str(version))
    pushed_model.set_string_custom_property("pushed_version", version.name)
    pushed_model.set_int_custom_property(IS_NEW, int(is_new))
