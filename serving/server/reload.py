"""Other models while a server runs: by a request, or by a file that changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beam_jobs.errors import InputError
from serving.api import protos
from serving.api.errors import RequestError, invalid_argument
from serving.api.models_config import models_of, read_config
from serving.server.model_registry import ModelRegistry

_log = logging.getLogger(__name__)


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
        registry.reload(models_of(config))
    except InputError as error:
        raise invalid_argument(str(error)) from error
    reply = protos.model_management_pb2.ReloadConfigResponse()
    reply.status.SetInParent()
    return reply


@contextmanager
def watching(
    path: Path, registry: ModelRegistry, poll_s: float
) -> Iterator[None]:
    """Reloads the file again and again while the block runs.

    As in TensorFlow Serving, it overrides what a ReloadConfigRequest said, and
    a file that is wrong is logged and changes nothing.

    Args:
        poll_s: seconds between two looks; 0 for none.
    """
    if not poll_s:
        yield
        return
    stop = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(path, registry, poll_s, stop), daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        stop.set()


def _watch(
    path: Path, registry: ModelRegistry, poll_s: float, stop: threading.Event
) -> None:
    said = ""
    while not stop.wait(poll_s):
        message = ""
        try:
            registry.reload(models_of(read_config(path)))
        except (InputError, RequestError) as error:
            message = str(error)
        # A file that stays wrong is told once.
        if message and message != said:
            _log.error("%s changes nothing: %s", path, message)
        said = message
