"""Where an artifact's address is found by programs that know paths alone."""

from __future__ import annotations

from pathlib import Path

# Vertex AI mounts Cloud Storage there in every container:
# https://cloud.google.com/vertex-ai/docs/pipelines/gcs-fuse
_MOUNT, _SCHEME = "/gcs/", "gs://"


def local_path(address: str) -> Path:
    """Returns the path of a local folder, or of one on Cloud Storage.

    Example:
        >>> local_path("gs://bucket/root"), local_path("/tmp/root")
        (PosixPath('/gcs/bucket/root'), PosixPath('/tmp/root'))
    """
    if address.startswith(_SCHEME):
        return Path(_MOUNT + address.removeprefix(_SCHEME))
    return Path(address)
