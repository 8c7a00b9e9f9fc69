"""Processes that hold on to each other while they start; no TensorFlow."""

import contextlib
import socket
import subprocess
import sys

import pytest

HOLDING_ON = """
import socket, sys
from model.workers.lifeline import holding_on
other = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
with holding_on({"worker 1 at b:2": other}):
    print("starting", flush=True)
    sys.stdin.readline()
print("started")
"""


@pytest.fixture(name="started")
def fixture_started():
    """Returns a process that starts, and its connection to this one."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        process = stack.enter_context(
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    HOLDING_ON,
                    str(server.getsockname()[1]),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(process.kill)
        connection = stack.enter_context(server.accept()[0])
        assert process.stdout.readline() == "starting\n"
        yield process, connection


def test_one_that_ends_ends_the_others(started):
    process, connection = started
    connection.close()
    assert process.wait(60) == 75
    assert process.stderr.read() == (
        "error: worker 1 at b:2 ended as all were starting; start all again "
        "with the same command\n"
    )


def test_one_that_has_begun_may_close(started):
    process, connection = started
    connection.sendall(b"begun")
    connection.close()
    out, _ = process.communicate("\n", 60)
    assert (process.returncode, out) == (0, "started\n")


def test_one_that_begins_says_so(started):
    process, connection = started
    process.communicate("\n", 60)
    assert connection.recv(100) == b"begun"
