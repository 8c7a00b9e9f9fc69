"""Fixtures: an object store on this machine."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(name="s3", scope="session")
def fixture_s3():
    """Returns `s3://bucket`, kept by a server on the loopback address."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    server_module = pytest.importorskip(
        "moto.server", reason="moto[s3] is not installed"
    )
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        # Set by what is tested; to be undone here.
        patch.delenv("S3_ENDPOINT", raising=False)
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield "s3://bucket"
    server.stop()
