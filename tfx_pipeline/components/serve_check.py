"""The component that tries a model in the local server before it is pushed."""

# mypy: disable-error-code="arg-type, attr-defined, call-overload, type-arg"
# No `from __future__ import annotations`: TFX reads them as types.
import json

from tfx.dsl.component.experimental.annotations import (
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import InfraBlessing, Model, ModelBlessing
from tfx.utils import path_utils

from beam_jobs.option_fields import from_mapping
from serving.api.serve_check_options import ServeCheckOptions
from serving.server.serve_check import serve_check
from tfx_pipeline.places import local_path

BLESSED, REASON = "blessed", "reason"


@component
def ServeCheck(  # noqa: N802 (TFX names a component like a class)
    model: InputArtifact[Model],
    model_blessing: InputArtifact[ModelBlessing],
    options: Parameter[str],
    infra_blessing: OutputArtifact[InfraBlessing],
) -> None:
    """Serves the model on loopback; blesses it where its answers hold.

    A model that the gate has refused is not tried.

    Args:
        options: `ServeCheckOptions` as JSON.
        infra_blessing: `blessed`, what was measured, and why not.
    """
    local_path(infra_blessing.uri).mkdir(parents=True, exist_ok=True)
    if not model_blessing.get_int_custom_property(BLESSED):
        infra_blessing.set_int_custom_property(BLESSED, 0)
        infra_blessing.set_string_custom_property(REASON, "not tried")
        return
    limits = from_mapping(ServeCheckOptions, json.loads(options))
    folder = local_path(path_utils.serving_model_path(model.uri))
    found = serve_check(folder, limits)
    infra_blessing.set_int_custom_property(BLESSED, int(not found.reasons))
    infra_blessing.set_string_custom_property(REASON, "; ".join(found.reasons))
    for name in ("latency_ms", "slowest_ms", "memory_mb"):
        infra_blessing.set_float_custom_property(name, getattr(found, name))
