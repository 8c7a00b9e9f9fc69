"""Tests of serving.api.trace_options."""

import pytest

from beam_jobs.errors import InputError
from serving.api import trace_options
from serving.api.trace_options import TraceOptions, asked_by, why_not


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://a:4318", "http://a:4318/v1/traces"),
        ("https://a/", "https://a/v1/traces"),
        ("http://a:4318/v1/traces", "http://a:4318/v1/traces"),
        ("http://a/otlp/x", "http://a/otlp/x"),
        (None, None),
    ],
)
def test_the_path_of_otlp(endpoint, url):
    assert TraceOptions(endpoint=endpoint).url == url


@pytest.mark.parametrize("wrong", ["a:4318", "grpc://a:4317", "http://", ""])
def test_no_url(wrong):
    with pytest.raises(InputError, match="--traces takes a URL of OTLP"):
        TraceOptions(endpoint=wrong)


@pytest.mark.parametrize("name", ["no_such_package", "no_such_package.at.all"])
def test_without_the_package(monkeypatch, name):
    monkeypatch.setattr(trace_options, "EXPORTER", name)
    with pytest.raises(InputError, match=r"pip install 'tagforest\[otel\]'"):
        TraceOptions(endpoint="http://a")
    assert "tagforest[otel]" in why_not({})


HERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({}, False),
        (HERE, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**HERE, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**HERE, "OTEL_SDK_DISABLED": "True"}, False),
    ],
)
def test_what_the_variables_ask_for(environment, asked):
    assert asked_by(environment) == asked


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (HERE, ""),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, ""),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "not over grpc"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "not over grpc"),
    ],
)
def test_a_protocol_of_another_port(environment, said):
    assert said in why_not(environment) and bool(said) == bool(
        why_not(environment)
    )
