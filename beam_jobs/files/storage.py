"""Files of local folders and of object stores behind one set of functions.

A path with `://` (gs://, s3://, hdfs://, azfs://) belongs to one of Beam's
file systems, any other path to this machine. Beam is imported only for the
first kind.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from beam_jobs.errors import InputError


def find_file(path: str) -> tuple[str, int]:
    """Returns (path, bytes) of one file.

    Raises:
        InputError: there is none, or it is empty.
    """
    # A local name may hold what is a wildcard elsewhere.
    if os.path.isfile(path):
        found = [(path, os.path.getsize(path))]
    else:
        found = list_files(path)
    if len(found) != 1:
        raise InputError(f"no such file: {path}")
    if not found[0][1]:
        raise InputError(f"{path}: an empty file")
    return found[0]


def sha256(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 (hex) of a file of this machine."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def request_digest(
    listing: Iterable[tuple[str, int]], options: Mapping[str, object]
) -> str:
    """Returns SHA-256 (hex) of options and of file paths, sizes and times."""
    digest = hashlib.sha256(repr(sorted(options.items())).encode())
    for path, size in listing:
        time = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
        line = f"{path}\t{size}\t{time}\n"
        # A local name may be any bytes.
        digest.update(line.encode(errors="surrogatepass"))
    return digest.hexdigest()


PathLike = str | os.PathLike[str]

# What Beam needs for a scheme: (module, how to install it).
_NEEDED = {
    "gs": ("google.cloud.storage", "pip install 'apache-beam[gcp]'"),
    "s3": ("boto3", "pip install boto3"),
    "hdfs": ("hdfs", "pip install 'hdfs<3'"),
    "azfs": ("azure.storage.blob", "pip install 'apache-beam[azure]'"),
}


def is_remote(path: PathLike) -> bool:
    """Returns whether a path names an object store, not this machine."""
    return "://" in os.fspath(path)


def check(path: PathLike) -> None:
    """Checks that paths of this kind can be read and written here.

    Raises:
        InputError: a scheme that Beam does not know, or one whose library is
            not installed.
    """
    if not is_remote(path):
        return
    path = os.fspath(path)
    scheme = path.split("://")[0]
    if scheme not in _NEEDED:
        raise InputError(
            f"{path}: no file system for {scheme}://; there are "
            f"{', '.join(f'{name}://' for name in _NEEDED)} and local folders"
        )
    module, install = _NEEDED[scheme]
    if not _installed(module):
        raise InputError(
            f"{path}: {scheme}:// needs the library {module}; {install}"
        )


def use_options(beam_args: Sequence[str]) -> None:
    """Gives Beam's file systems in this process their options.

    `--s3_endpoint_url`, `--hdfs_host` and the like; workers that Beam starts
    get them from the job.
    """
    if not beam_args and "apache_beam" not in sys.modules:
        return
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    FileSystems.set_options(PipelineOptions(list(beam_args)))


def join(folder: PathLike, *parts: str) -> str:
    """Joins parts of a path.

    Example:
        >>> join("gs://bucket/dataset", "train", "manifest.json")
        'gs://bucket/dataset/train/manifest.json'
    """
    folder = os.fspath(folder)
    if not is_remote(folder):
        return os.path.join(folder, *parts)
    scheme, rest = folder.split("://", 1)
    names = [rest.rstrip("/"), *(part.strip("/") for part in parts)]
    return f"{scheme}://" + "/".join(name for name in names if name)


def open_read(path: PathLike) -> BinaryIO:
    """Opens a file for reading, bytes as they are.

    Raises:
        OSError: it is not there or cannot be read.
        InputError: see `check`.
    """
    path = os.fspath(path)
    if not is_remote(path):
        return open(path, "rb")
    with _errors(path):
        return _file_system(path).open(path, compression_type="uncompressed")


def open_write(path: PathLike) -> BinaryIO:
    """Opens a file for writing, bytes as they are; makes its folder.

    Raises:
        OSError: it cannot be written.
        InputError: see `check`.
    """
    path = os.fspath(path)
    if not is_remote(path):
        _make_parent(path)
        return open(path, "wb")
    with _errors(path):
        return _file_system(path).create(path, compression_type="uncompressed")


def read_text(path: PathLike) -> str:
    """Returns the UTF-8 text of a file.

    Raises:
        OSError: it is not there or cannot be read.
    """
    with _errors(path):
        return read_bytes(path).decode("utf-8")


def read_bytes(path: PathLike) -> bytes:
    """Returns what a file holds.

    Raises:
        OSError: it is not there or cannot be read.
    """
    with _errors(path), open_read(path) as file:
        return file.read()


def write_text(path: PathLike, text: str) -> None:
    """Writes a UTF-8 text; nobody sees half of it.

    Raises:
        OSError: it cannot be written.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: PathLike, content: bytes) -> None:
    """Writes a small file; nobody sees half of it.

    Raises:
        OSError: it cannot be written.
    """
    path = os.fspath(path)
    # An object appears in its store only when it is complete.
    target = path if is_remote(path) else work_file(path)
    with _errors(path), open_write(target) as file:
        file.write(content)
    if target != path:
        os.replace(target, path)


def exists(path: PathLike) -> bool:
    """Returns whether there is a file (locally: or a folder)."""
    path = os.fspath(path)
    if not is_remote(path):
        return os.path.exists(path)
    with _errors(path):
        return bool(_file_system(path).exists(path))


def size(path: PathLike) -> int:
    """Returns the bytes of a file.

    Raises:
        OSError: it is not there.
    """
    path = os.fspath(path)
    if not is_remote(path):
        return os.path.getsize(path)
    with _errors(path):
        return int(_file_system(path).metadata(path).size_in_bytes)


def escape(path: PathLike) -> str:
    """Returns a pattern for `list_files` that matches just this path."""
    return glob.escape(os.fspath(path))


def list_files(*patterns: str) -> list[tuple[str, int]]:
    """Returns (path, bytes) of all files that match a pattern, sorted.

    `*`, `?` and `[...]` match within a name, `**` any folders. What a pattern
    finds is left out if it `is_hidden`; what it names itself is not.
    """
    found: set[tuple[str, int]] = set()
    for pattern in patterns:
        fixed = len(_fixed_part(pattern))
        listed = _match_remote(pattern)
        if not is_remote(pattern):
            listed = (
                (path, os.path.getsize(path))
                for path in glob.iglob(pattern, recursive=True)
                if os.path.isfile(path)
            )
        found.update(file for file in listed if not is_hidden(file[0][fixed:]))
    return sorted(found)


def is_hidden(name: str) -> bool:
    """Tells whether a relative path is nobody's content.

    Its name or a folder's begins with a dot, as those that macOS scatters
    (`._dog.jpg`, `.DS_Store`), or is the `__MACOSX` of its archives.
    """
    if "." not in name and "_" not in name:
        return False
    return any(
        part == "__MACOSX" or (part[:1] == "." and part not in (".", ".."))
        for part in name.split("/")
    )


def _fixed_part(pattern: str) -> str:
    """Returns the folders that a pattern names, up to its first wildcard.

    A name with brackets ends them, as `escape` makes brackets.
    """
    match = re.search(r"[*?\[]", pattern)
    if match is None:
        return pattern
    return pattern[: pattern.rfind("/", 0, match.start()) + 1]


def remove(path: PathLike) -> None:
    """Removes a file; one that is not there is no error."""
    path = os.fspath(path)
    if not is_remote(path):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        return
    with _errors(path):
        system = _file_system(path)
        if system.exists(path):
            system.delete([path])


def remove_tree(path: PathLike) -> None:
    """Removes a folder and all in it; one that is not there is no error."""
    path = os.fspath(path)
    if not is_remote(path):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
        return
    with _errors(path):
        system = _file_system(path)
        if not system.has_dirs():
            names = [name for name, _ in _match_remote(join(path, "**"))]
            if names:
                system.delete(names)
        elif system.exists(path):
            system.delete([path])


def work_file(final: PathLike) -> str:
    """Returns where to write a file before `publish` moves it to its place.

    Beside it for local paths (`<final>.part`; its folder is made), else a
    temporary local file.
    """
    final = os.fspath(final)
    if not is_remote(final):
        _make_parent(final)
        return f"{final}.part"
    descriptor, path = tempfile.mkstemp(
        prefix="tagforest-", suffix=os.path.splitext(final)[1]
    )
    os.close(descriptor)
    return path


def publish(local_temporary: PathLike, final: PathLike) -> None:
    """Moves a complete file of `work_file` to its place, replacing any.

    Raises:
        OSError: it cannot be written; the remote file is not there then.
    """
    final = os.fspath(final)
    if not is_remote(final):
        os.replace(local_temporary, final)
        return
    with _errors(final):
        system = _file_system(final)
        # Only file systems with folders show a file while it is written.
        target = f"{final}.part" if system.has_dirs() else final
        _upload(os.fspath(local_temporary), target)
        if target != final:
            remove(final)
            system.rename([target], [final])
    os.remove(local_temporary)


def _upload(source: str, target: str) -> None:
    try:
        with open(source, "rb") as reader, open_write(target) as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
    except BaseException:
        # Leaving the `with` has closed, and so published, what was written.
        with contextlib.suppress(Exception):
            remove(target)
        raise


def _match_remote(pattern: str) -> Iterator[tuple[str, int]]:
    with _errors(pattern):
        for result in _file_system(pattern).match([pattern]):
            for metadata in result.metadata_list:
                yield metadata.path, int(metadata.size_in_bytes)


def _file_system(path: str) -> Any:
    check(path)
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.value_provider import RuntimeValueProvider

    # Beam sets the options when a job starts; some of its file systems refuse
    # to work without any.
    if not (
        FileSystems._pipeline_options or RuntimeValueProvider.runtime_options
    ):
        use_options(())
    return FileSystems.get_filesystem(path)


@contextlib.contextmanager
def _errors(path: PathLike) -> Iterator[None]:
    """Turns what the clients of object stores raise into an OSError."""
    try:
        yield
    except (InputError, GeneratorExit):
        raise
    except UnicodeDecodeError as error:
        raise OSError(f"{os.fspath(path)}: not UTF-8 text: {error}") from error
    except Exception as error:
        if isinstance(error, OSError) and os.fspath(path) in str(error):
            raise
        raise OSError(f"{os.fspath(path)}: {error}") from error


def _installed(module: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):
        return importlib.util.find_spec(module) is not None
    return False


def _make_parent(path: str) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
