"""Where a server sends a span of each request."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options

EXPORTER = "opentelemetry.exporter.otlp.json.http"
_GENERAL = "OTEL_EXPORTER_OTLP_"
_SPECIAL = "OTEL_EXPORTER_OTLP_TRACES_"
# A collector takes both at one port; gRPC has another.
_PROTOCOLS = ("", "http/json", "http/protobuf")


@dataclass(frozen=True)
class TraceOptions(Options):
    """Where spans go; nowhere where `endpoint` is None.

    Raises:
        InputError: no URL, or OpenTelemetry is not installed.
    """

    endpoint: Annotated[
        str | None,
        Option(
            "OTLP over HTTP, as http://localhost:4318: a span a request.",
            flag="--traces",
            metavar="URL",
            panel="Traces",
        ),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.endpoint is None:
            return
        url = urlsplit(self.endpoint)
        if url.scheme not in ("http", "https") or not url.netloc:
            raise InputError(
                "--traces takes a URL of OTLP over HTTP, as "
                f"http://localhost:4318; received: {self.endpoint!r}"
            )
        if not is_installed():
            raise InputError(
                "--traces needs OpenTelemetry's exporter; "
                "`pip install 'tagforest[otel]'` gets it"
            )

    @property
    def url(self) -> str | None:
        """The endpoint with OTLP's path, if it has none."""
        if self.endpoint and urlsplit(self.endpoint).path in ("", "/"):
            return f"{self.endpoint.rstrip('/')}/v1/traces"
        return self.endpoint


def is_installed() -> bool:
    """Returns whether spans can be sent."""
    try:
        return importlib.util.find_spec(EXPORTER) is not None
    except ModuleNotFoundError:  # Of a package that it is in.
        return False


def asked_by(environment: Mapping[str, str]) -> bool:
    """Returns whether OpenTelemetry's own variables ask for spans.

    Args:
        environment: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    endpoints = (f"{kind}ENDPOINT" for kind in (_GENERAL, _SPECIAL))
    is_given = any(environment.get(name) for name in endpoints)
    return exporter == "otlp" or (not exporter and is_given)


def why_not(environment: Mapping[str, str]) -> str:
    """Returns what keeps spans from being sent as the variables say, or ""."""
    general = environment.get(f"{_GENERAL}PROTOCOL", "")
    protocol = environment.get(f"{_SPECIAL}PROTOCOL", general)
    if protocol not in _PROTOCOLS:
        return f"OTLP goes over http/json here, not over {protocol}"
    if not is_installed():
        return "`pip install 'tagforest[otel]'` gets what sends them"
    return ""
