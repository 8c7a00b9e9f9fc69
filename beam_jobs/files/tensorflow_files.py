"""Object stores for TensorFlow, which reads data sets on its own.

TensorFlow itself knows gs:// only. tensorflow-io adds s3://, az:// and
hdfs://; it works with the TensorFlow version it was built for, which is the
one of Python 3.10 here. Nothing else needs it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import warnings
from typing import NoReturn

from beam_jobs.errors import InputError
from beam_jobs.files import storage

# Beam and TensorFlow name Azure's store differently.
_TENSORFLOW_SCHEMES = {"azfs": "az"}
_LAST_SECONDS = 10.0


def tensorflow_path(path: storage.PathLike) -> str:
    """Returns the path by which TensorFlow knows a file.

    Example:
        >>> tensorflow_path("azfs://account/container/a.tfrecord")
        'az://account/container/a.tfrecord'
    """
    path = os.fspath(path)
    if not storage.is_remote(path):
        return path
    scheme, rest = path.split("://", 1)
    return f"{_TENSORFLOW_SCHEMES.get(scheme, scheme)}://{rest}"


def register(path: storage.PathLike) -> None:
    """Makes TensorFlow able to read a path.

    An S3 server of one's own is named by AWS_ENDPOINT_URL, as for Beam.

    Raises:
        InputError: neither TensorFlow nor tensorflow-io reads it here.
    """
    if not storage.is_remote(path):
        return
    import tensorflow as tf

    scheme = tensorflow_path(path).split("://")[0]
    if scheme in tf.io.gfile.get_registered_schemes():
        return
    _name_s3_endpoint()
    try:
        # Without its libraries it imports with warnings only.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_io  # noqa: F401
    except ImportError:
        pass
    if scheme not in tf.io.gfile.get_registered_schemes():
        raise InputError(
            f"{os.fspath(path)}: TensorFlow {tf.__version__} reads no "
            f"{scheme}:// here; with Python 3.10 tensorflow-io adds it; else "
            "copy the data set to a local folder, or to gs://"
        )


def end_process(status: int) -> NoReturn:
    """Ends the process with an exit status, whatever its threads still do.

    What is registered with `atexit` runs first, for at most 10 s. Threads are
    not waited for: those of an input that was broken off may wait for each
    other for ever. Also tensorflow-io 0.37.1 aborts (status 134) while it is
    unloaded: https://github.com/tensorflow/io/issues/2039.
    """
    if status == 0 and "tensorflow" not in sys.modules:
        sys.exit(0)
    watchdog = threading.Timer(_LAST_SECONDS, os._exit, [status])
    watchdog.daemon = True
    watchdog.start()
    _flush()
    # Temporary folders, child processes, logs.
    atexit._run_exitfuncs()
    _flush()
    os._exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # Nobody may be listening any more.
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _name_s3_endpoint() -> None:
    """tensorflow-io has a variable of its own; it needs the scheme too."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if name in os.environ:
            os.environ.setdefault("S3_ENDPOINT", os.environ[name])
            return
