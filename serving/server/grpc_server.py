"""PredictionService, ModelService and health over gRPC."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from beam_jobs.errors import InputError
from serving.api import contract, protos
from serving.api.errors import RequestError, from_exception, invalid_argument
from serving.api.server_options import ServerOptions
from serving.api.tensor_proto import TensorError, fill_proto, from_proto
from serving.server import (
    answers,
    grpc_connections,
    reflection,
    served,
)
from serving.server.grpc_gate import Gate
from serving.server.inference import (
    run_classify,
    run_multi_inference,
    run_regress,
)
from serving.server.loaded_version import LoadedVersion
from serving.server.model_registry import ModelRegistry
from serving.server.reload import reload_config
from serving.server.request_metrics import RequestMetrics
from serving.server.tls import LiveTls

_MAX_MESSAGE = 1024  # characters of an error, as TensorFlow Serving cuts it
_SIGNATURE_DEF = "signature_def"
_SHORT_NAMES = ("PredictionService", "ModelService")
_SERVICES = tuple(f"tensorflow.serving.{name}" for name in _SHORT_NAMES)
# TensorFlow Serving has the short names; most clients ask for the full ones.
_HEALTH_NAMES = ("", *_SHORT_NAMES, *_SERVICES)
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_LAST_WORDS_S = 0.3
_WRITING_S = 0.05
# What `--grpc-channel-arguments` overrides.
_OPTIONS: Mapping[str, Any] = {
    "grpc.max_receive_message_length": contract.MAX_REQUEST_BYTES,
    "grpc.max_send_message_length": -1,
    # Else a second server could share the port unnoticed.
    "grpc.so_reuseport": 0,
    # Clients and what is between ping each 10 s and less, to keep long calls;
    # gRPC takes two pings in 5 minutes for an attack.
    "grpc.http2.max_ping_strikes": 0,
}
_NO_TASK = protos.inference_pb2.InferenceTask(
    model_spec=protos.model_pb2.ModelSpec()
)


def _handler(method: Callable) -> Callable:
    """Turns an exception of a handler into its gRPC status."""

    @functools.wraps(method)
    def handler(self, request, context):
        try:
            return method(self, request, context)
        except Exception as raised:
            error = from_exception(raised)
        message = error.message
        if len(message) > _MAX_MESSAGE:
            message = message[:_MAX_MESSAGE] + "...TRUNCATED"
        context.abort(error.code, message)

    return handler


class PredictionService(
    protos.prediction_service_pb2_grpc.PredictionServiceServicer
):
    """What TensorFlow Serving's service of this name answers."""

    def __init__(self, versions: ModelRegistry, metrics: RequestMetrics):
        self._versions = versions
        self._metrics = metrics

    @_handler
    def Predict(self, request, context):
        """Answers a PredictRequest."""
        content = functools.partial(_read_inputs, request.inputs)
        asked = request, content, _write_outputs
        return self._run("Predict", answers.predict, *asked, context)

    @_handler
    def Classify(self, request, context):
        """Answers a ClassificationRequest."""
        write = protos.classification_pb2.ClassificationResponse
        asked = request, request.input
        return self._run("Classify", run_classify, *asked, write, context)

    @_handler
    def Regress(self, request, context):
        """Answers a RegressionRequest."""
        write = protos.regression_pb2.RegressionResponse
        asked = request, request.input
        return self._run("Regress", run_regress, *asked, write, context)

    @_handler
    def MultiInference(self, request, context):
        """Answers a MultiInferenceRequest."""
        # The first task decides which model and version it is.
        tasks = [*request.tasks[:1], _NO_TASK]
        first = next(task for task in tasks if task.HasField("model_spec"))
        asked = first, request, _write_whole
        return self._run("MultiInference", run_multi_inference, *asked, context)

    def _run(self, api, method, asked, content, write, context):
        """Returns the reply of a method, and counts the request.

        Writing belongs to the request: its time, and errors, are its own.
        """
        name = asked.model_spec.name
        served.headers.set(context.invocation_metadata)
        with self._metrics.measure(name, api, "GRPC") as found:
            request = read_request(asked, content, context)
            result = answers.run(self._versions, request, method)
            spec = protos.model_pb2.ModelSpec(
                name=request.model, signature_name=request.signature_name
            )
            spec.version.value = found.version
            return write(result=result, model_spec=spec)

    @_handler
    def GetModelMetadata(self, request, context):
        """Answers with the signatures of a version."""
        _require_spec(request)
        _check_fields(request.metadata_field)
        asked = read_request(request, None, context)
        version, signatures = answers.run(
            self._versions, asked, answers.metadata
        )
        table = protos.get_model_metadata_pb2.SignatureDefMap()
        for key, signature in signatures.items():
            table.signature_def[key].CopyFrom(signature)
        reply = protos.get_model_metadata_pb2.GetModelMetadataResponse()
        reply.model_spec.name = asked.model
        reply.model_spec.version.value = version
        reply.metadata[_SIGNATURE_DEF].Pack(table)
        return reply


class ModelService(protos.model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, versions: ModelRegistry):
        self._versions = versions

    @_handler
    def GetModelStatus(self, request, context):
        """Answers with the state of every version, or of one."""
        _require_spec(request)
        # TensorFlow Serving ignores a label here, and knows no empty name.
        spec = request.model_spec
        reply = protos.get_model_status_pb2.GetModelStatusResponse()
        for state in self._versions.states_of(spec.name, _pinned(spec)):
            entry = reply.model_version_status.add()
            entry.version, entry.state = state.version, state.state
            entry.status.error_message = state.error
            if state.error:
                entry.status.error_code = grpc.StatusCode.UNKNOWN.value[0]
        return reply

    @_handler
    def HandleReloadConfigRequest(self, request, context):
        """Serves the models of the request and no others."""
        return reload_config(self._versions, request)


def read_request(
    asked, content, context: grpc.ServicerContext
) -> answers.Request:
    """Returns what a message with a `model_spec` asks for.

    Args:
        asked: the message.
        content: what the method reads of it.
        context: tells the deadline, and that the client has gone.

    Raises:
        RequestError: INVALID_ARGUMENT, no name.
    """
    _require_spec(asked)
    spec = asked.model_spec
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    return answers.Request(
        model=spec.name,
        version=_pinned(spec),
        label=spec.version_label,
        signature_name=spec.signature_name or contract.TAGS,
        content=content,
        output_filter=list(getattr(asked, "output_filter", ())),
        deadline=_deadline_of(context),
        cancelled=_cancellation_of(context),
    )


def _require_spec(request) -> None:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")


def _pinned(spec) -> int | None:
    return spec.version.value if spec.HasField("version") else None


def _check_fields(fields: Collection[str]) -> None:
    if not fields:
        raise invalid_argument(
            "GetModelMetadataRequest must specify at least one metadata_field"
        )
    for field in fields:
        if field != _SIGNATURE_DEF:
            raise invalid_argument(
                f"Metadata field {field} is not supported; "
                f"allowed: {_SIGNATURE_DEF}"
            )


def _read_inputs(
    sent: Mapping[str, Any], loaded: LoadedVersion, name: str
) -> dict[str, np.ndarray]:
    # Names first: what is not wanted is not worth reading.
    inputs = answers.check_sent(loaded, name, sent)
    for key, proto in sent.items():
        try:
            inputs[key] = from_proto(proto)
        except TensorError as error:
            raise invalid_argument(
                f"tensor parsing error: {key} ({error})"
            ) from error
    return inputs


def _write_outputs(result: Mapping[str, np.ndarray], model_spec):
    reply = protos.predict_pb2.PredictResponse(model_spec=model_spec)
    for key, array in result.items():
        try:
            fill_proto(reply.outputs[key], array)
        except TensorError as error:
            raise RequestError(
                grpc.StatusCode.UNIMPLEMENTED, str(error)
            ) from error
    return reply


def _write_whole(result, model_spec):
    """Returns a reply that names the version of each of its parts."""
    return result


def _deadline_of(context: grpc.ServicerContext) -> float:
    left = context.time_remaining()
    # Without a deadline some versions of gRPC say None, others a time that is
    # too long to wait for.
    if left is None or left > threading.TIMEOUT_MAX / 2:
        return float("inf")
    return time.monotonic() + left


def _cancellation_of(context: grpc.ServicerContext) -> threading.Event:
    cancelled = threading.Event()
    # Called, too, when the answer is on its way.
    context.add_callback(cancelled.set)
    return cancelled


class GrpcServer:
    """The gRPC side of the server, bound but not yet answering.

    Raises:
        InputError: the port is in use, or the Unix socket cannot be made.
    """

    def __init__(
        self,
        versions: ModelRegistry,
        metrics: RequestMetrics,
        options: ServerOptions,
        tls: LiveTls | None = None,
    ):
        self._versions = versions
        self._gate = Gate(options.most_requests, metrics)
        self._server = grpc.server(
            self._gate.threads,
            interceptors=[self._gate],
            options=[*{**_OPTIONS, **options.grpc_channel_arguments}.items()],
        )
        protos.prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(versions, metrics), self._server
        )
        protos.model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(versions), self._server
        )
        self._is_draining = False
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable(self._server, [*_SERVICES, health.SERVICE_NAME])
        host, port = options.host, options.grpc_port
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.port = self._bind(where, tls)
        self._addresses: list[int | str] = [self.port]
        if path := options.grpc_socket_path:
            self._bind(f"unix:{path}", tls)
            self._addresses.append(str(path))

    def _bind(self, address: str, tls: LiveTls | None) -> int:
        try:
            if tls is None:
                bound = self._server.add_insecure_port(address)
            else:
                credentials = tls.credentials()
                bound = self._server.add_secure_port(address, credentials)
        except RuntimeError:  # Older versions of gRPC return 0 instead.
            bound = 0
        if not bound:
            raise InputError(f"cannot listen on {address} for gRPC")
        return bound

    def start(self) -> None:
        """Answers from now on; its health is that of the models."""
        self._versions.on_change(self._set_health)
        self._set_health()
        self._server.start()

    def drain(self) -> None:
        """Answers on, but its health says no."""
        self._is_draining = True
        self._set_health()

    def stop(self, grace_s: float) -> None:
        """Refuses calls, lets those that run finish, closes the port.

        Once more, it does nothing.
        """
        if self._gate.is_closed:
            return
        self.drain()
        self._gate.is_closed = True
        end = time.monotonic() + grace_s
        # First those that ask without pause are answered "no".
        time.sleep(_LAST_WORDS_S)
        while self._gate.threads.calls and time.monotonic() < end:
            time.sleep(0.01)
        # A call has ended a moment before its answer is written.
        time.sleep(_WRITING_S)
        for address in self._addresses:
            grpc_connections.cut(address)
        self._server.stop(0).wait()

    def _set_health(self) -> None:
        serves = self._versions.is_ready and not self._is_draining
        status = _SERVING if serves else _NOT_SERVING
        for name in _HEALTH_NAMES:
            self._health.set(name, status)
