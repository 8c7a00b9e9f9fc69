"""PredictionService, ModelService and health over gRPC."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from beam_jobs.errors import InputError
from serving.api import contract, protos
from serving.api.errors import RequestError, from_exception, invalid_argument
from serving.api.tensor_proto import TensorError, fill_proto, from_proto
from serving.server import reflection
from serving.server.answers import (
    _SIGNATURE_DEF,
    _fill_spec,
    check_sent,
    known_signature,
    metadata_of,
    run_predict,
    status_of,
)
from serving.server.inference import (
    run_classify,
    run_multi_inference,
    run_regress,
)
from serving.server.model_registry import ModelRegistry
from serving.server.reload import reload_config
from serving.server.request_metrics import RequestMetrics
from serving.server.tls import ServerTls

_MAX_MESSAGE = 1024  # characters of an error, as TensorFlow Serving cuts it
_THREADS = 64
_SHORT_NAMES = ("PredictionService", "ModelService")
_SERVICES = tuple(f"tensorflow.serving.{name}" for name in _SHORT_NAMES)
# TensorFlow Serving has the short names; most clients ask for the full ones.
_HEALTH_NAMES = ("", *_SHORT_NAMES, *_SERVICES)
_NO_TASK = protos.inference_pb2.InferenceTask(
    model_spec=protos.model_pb2.ModelSpec()
)


def _answers(method: Callable) -> Callable:
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

    @_answers
    def Predict(self, request, context):
        """Answers a PredictRequest."""
        name = request.model_spec.name
        with self._metrics.measure(name, "Predict", "GRPC") as served:
            return self._predict(request, context, served)

    def _predict(self, request, context, served):
        spec = request.model_spec
        name, version, label = read_model_spec(request)
        with self._versions.acquire(name, version, label) as loaded:
            served.version = loaded.version
            served.signature = known_signature(loaded, spec.signature_name)
            sent = request.inputs
            defaults = check_sent(loaded, spec.signature_name, sent)
            inputs = {k: _read_tensor(k, v) for k, v in sent.items()}
            outputs = run_predict(
                loaded,
                spec.signature_name,
                defaults | inputs,
                deadline=_deadline_of(context),
                cancelled=_cancellation_of(context),
                output_filter=list(request.output_filter),
            )
            reply = protos.predict_pb2.PredictResponse()
            _fill_spec(reply.model_spec, name, loaded.version)
        reply.model_spec.signature_name = spec.signature_name or contract.TAGS
        for key, array in outputs.items():
            _write_tensor(reply.outputs[key], array)
        return reply

    @_answers
    def Classify(self, request, context):
        """Answers a ClassificationRequest."""
        reply = protos.classification_pb2.ClassificationResponse()
        self._infer("Classify", run_classify, request, reply, context)
        return reply

    @_answers
    def Regress(self, request, context):
        """Answers a RegressionRequest."""
        reply = protos.regression_pb2.RegressionResponse()
        self._infer("Regress", run_regress, request, reply, context)
        return reply

    def _infer(self, api, run, request, reply, context) -> None:
        spec = request.model_spec
        with self._metrics.measure(spec.name, api, "GRPC") as served:
            name, version, label = read_model_spec(request)
            with self._versions.acquire(name, version, label) as loaded:
                served.version = loaded.version
                served.signature = known_signature(loaded, spec.signature_name)
                deadline = _deadline_of(context)
                found = run(
                    loaded, spec.signature_name, request.input, deadline
                )
                reply.result.CopyFrom(found)
                _fill_spec(reply.model_spec, name, loaded.version)
            reply.model_spec.signature_name = (
                spec.signature_name or contract.TAGS
            )

    @_answers
    def MultiInference(self, request, context):
        """Answers a MultiInferenceRequest."""
        # The first task decides which model and version it is.
        tasks = [*request.tasks[:1], _NO_TASK]
        first = next(task for task in tasks if task.HasField("model_spec"))
        name = first.model_spec.name
        with self._metrics.measure(name, "MultiInference", "GRPC") as served:
            name, version, label = read_model_spec(first)
            with self._versions.acquire(name, version, label) as loaded:
                served.version = loaded.version
                deadline = _deadline_of(context)
                return run_multi_inference(loaded, request, deadline)

    @_answers
    def GetModelMetadata(self, request, context):
        """Answers with the signatures of a version."""
        _require_spec(request)
        _check_fields(request.metadata_field)
        name, version, label = read_model_spec(request)
        with self._versions.acquire(name, version, label) as loaded:
            return metadata_of(name, loaded)


class ModelService(protos.model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, versions: ModelRegistry):
        self._versions = versions

    @_answers
    def GetModelStatus(self, request, context):
        """Answers with the state of every version, or of one."""
        _require_spec(request)
        # TensorFlow Serving ignores a label here, and knows no empty name.
        spec = request.model_spec
        return status_of(self._versions, spec.name, _pinned(spec))

    @_answers
    def HandleReloadConfigRequest(self, request, context):
        """Serves the models of the request and no others."""
        return reload_config(self._versions, request)


def read_model_spec(request) -> tuple[str, int | None, str]:
    """Returns name, pinned version and version label of a request.

    Raises:
        RequestError: INVALID_ARGUMENT, no name.
    """
    _require_spec(request)
    spec = request.model_spec
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    return spec.name, _pinned(spec), spec.version_label


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


def _read_tensor(name: str, proto) -> np.ndarray:
    try:
        return from_proto(proto)
    except TensorError as error:
        raise invalid_argument(
            f"tensor parsing error: {name} ({error})"
        ) from error


def _write_tensor(proto, array: np.ndarray) -> None:
    try:
        fill_proto(proto, array)
    except TensorError as error:
        raise RequestError(grpc.StatusCode.UNIMPLEMENTED, str(error)) from error


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

    Args:
        versions: what is served.
        metrics: counts the requests.
        host, port: where; port 0 takes a free one.
        tls: None for none.

    Raises:
        InputError: the port is in use.
    """

    def __init__(
        self,
        versions: ModelRegistry,
        metrics: RequestMetrics,
        host: str,
        port: int,
        tls: ServerTls | None = None,
    ):
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, thread_name_prefix="grpc"),
            # Requests that wait for a thread hold their bytes in memory.
            maximum_concurrent_rpcs=2 * _THREADS,
            options=[
                ("grpc.max_receive_message_length", contract.MAX_REQUEST_BYTES),
                ("grpc.max_send_message_length", -1),
                # Else a second server could share the port unnoticed.
                ("grpc.so_reuseport", 0),
            ],
        )
        protos.prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(versions, metrics), self._server
        )
        protos.model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(versions), self._server
        )
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable(self._server, [*_SERVICES, health.SERVICE_NAME])
        self.port = self._bind(host, port, tls)

    def _bind(self, host: str, port: int, tls: ServerTls | None) -> int:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if tls is None:
                bound = self._server.add_insecure_port(address)
            else:
                credentials = tls.credentials()
                bound = self._server.add_secure_port(address, credentials)
        except RuntimeError:
            bound = 0
        if not bound:
            raise InputError(f"cannot listen on {address} for gRPC")
        return bound

    def start(self) -> None:
        """Answers from now on."""
        self._set_health(health_pb2.HealthCheckResponse.SERVING)
        self._server.start()

    def stop(self, grace_s: float) -> None:
        """Refuses new requests, lets running ones finish for a while."""
        self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self._server.stop(grace_s).wait()

    def _set_health(self, status: int) -> None:
        for name in _HEALTH_NAMES:
            self._health.set(name, status)
