"""HandleReloadConfigRequest of ModelService."""

from __future__ import annotations

from beam_jobs.errors import InputError
from serving import protos
from serving.errors import invalid_argument
from serving.models_config import models_of
from serving.server.model_registry import ModelRegistry


def reload_config(registry: ModelRegistry, request):
    """Answers a ReloadConfigRequest.

    Returns:
        A ReloadConfigResponse with status OK.

    Raises:
        RequestError: INVALID_ARGUMENT for a config that is none, or as
            `ModelRegistry.reload` does.
    """
    config = request.config
    if config.WhichOneof("config") != "model_config_list":
        raise invalid_argument(
            "ServerModelConfig type not supported by "
            "HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported"
        )
    try:
        models = models_of(config)
    except InputError as error:
        raise invalid_argument(str(error)) from error
    registry.reload(models)
    reply = protos.model_management_pb2.ReloadConfigResponse()
    reply.status.SetInParent()
    return reply
