"""Finds what would keep a model version from loading or from being used.

TensorFlow Serving says little when a version does not load: it goes on with
the old one. The rules are those of its source: `core/`,
`servables/tensorflow/saved_model_warmup_util.cc` and `batching/`
(https://github.com/tensorflow/serving).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from beam_jobs.classes import load_classes
from beam_jobs.errors import InputError
from serving.api import contract
from serving.api.version_folders import check_base, version_paths
from serving.saved_model.servable import Servable
from serving.saved_model.warmup import WARMUP_FILE, read_warmup

# Over both transports; REST writes no half-precision numbers.
_DTYPES = ("float32", "float64", "int32", "int64", "bool", "object")
_WARMUP_NAME = Path(WARMUP_FILE).name


@dataclass(frozen=True)
class Finding:
    """Something about a model's folder.

    Attributes:
        is_error: it keeps the version from loading or from answering; else
            it is only worth knowing.
        where: the file or the signature.
        what: what is wrong.
        cure: what to do.
    """

    is_error: bool
    where: str
    what: str
    cure: str


def examine(
    model_dir: Path,
    batch_sizes: Sequence[int] = contract.BATCH_SIZES,
    versions: Collection[int] = (),
) -> list[Finding]:
    """Looks at a model's base folder and at versions in it.

    Args:
        model_dir: `<model_dir>/<version>/saved_model.pb`.
        batch_sizes: that the server is allowed; each should be warmed up.
        versions: which; those that are not there are left out. The highest
            if empty.

    Returns:
        What was found; nothing if all is well.

    Raises:
        InputError: no such folder, or it is a version itself.
    """
    model_dir = Path(model_dir)
    check_base(model_dir)
    found = list(_strangers(model_dir))
    paths = version_paths(model_dir)
    if not paths:
        what = "no folder named by a number: the server waits without end"
        cure = "`tagforest export WORKDIR --out DIR` writes one"
        return [*found, Finding(True, str(model_dir), what, cure)]
    chosen = sorted({*versions} & {*paths}) or [max(paths)]
    for version in chosen:
        which = f"version {version}: " if len(chosen) > 1 else ""
        found += [
            replace(finding, where=which + finding.where)
            for finding in examine_version(paths[version], batch_sizes)
        ]
    return found


def examine_version(
    version_dir: Path, batch_sizes: Sequence[int] = contract.BATCH_SIZES
) -> list[Finding]:
    """Loads a version and replays its warm-up."""
    try:
        servable = Servable(version_dir)
    except InputError as error:
        cure = "export the model again; `tagforest export` checks what it wrote"
        return [Finding(True, str(version_dir), str(error), cure)]
    return [
        *_signatures(servable),
        *_assets(version_dir),
        *_warmup(servable, batch_sizes),
    ]


def _strangers(model_dir: Path) -> Iterator[Finding]:
    if not model_dir.is_dir():
        raise InputError(f"no such folder: {model_dir}")
    versions = {path.name for path in version_paths(model_dir).values()}
    for path in sorted(model_dir.iterdir()):
        hidden = path.name.startswith(".")
        if path.is_dir() and not hidden and path.name not in versions:
            what = "not served: its name is no number, or one that is there"
            cure = "rename it to another number, or move it away"
            yield Finding(False, str(path), what, cure)


def _signatures(servable: Servable) -> Iterator[Finding]:
    if contract.TAGS not in servable.signatures:
        yield Finding(
            True,
            contract.TAGS,
            "no such signature: requests that name none fail; there are "
            f"{sorted(servable.signatures)}",
            "export with `tagforest export`",
        )
    for name, signature in servable.signatures.items():
        for kind in ("inputs", "outputs"):
            for key, info in getattr(signature, kind).items():
                where = f"{name}: {kind[:-1]} {key}"
                yield from _tensor(where, info)


def _tensor(where: str, info) -> Iterator[Finding]:
    if not info.shape or info.shape[0] is not None:
        what = (
            f"its shape is {info.shape}, not [batch, ...]: with "
            "--enable-batching and in rows over REST it fails"
        )
        yield Finding(False, where, what, "give it a first, unknown dimension")
    if info.dtype.name not in _DTYPES:
        what = f"REST cannot carry {info.dtype.name}"
        yield Finding(False, where, what, "cast it to float32 in the graph")


def _assets(version_dir: Path) -> Iterator[Finding]:
    for name in (load_classes.VOCABULARY, load_classes.HIERARCHY):
        if not (version_dir / "assets" / name).is_file():
            yield Finding(
                False,
                f"assets/{name}",
                "missing: nobody can tell which classes the model has",
                "export with `tagforest export`",
            )


def _warmup(
    servable: Servable, batch_sizes: Sequence[int]
) -> Iterator[Finding]:
    path = servable.path / WARMUP_FILE
    if not path.is_file():
        # Such as in assets/, not in assets.extra/.
        elsewhere = sorted(servable.path.rglob(_WARMUP_NAME))
        what = "missing: the first requests of a version will be slow"
        if elsewhere:
            what += f"; {elsewhere[0]} is not read there"
        yield Finding(False, WARMUP_FILE, what, "export again")
        return
    try:
        requests = read_warmup(servable.path)
    except (tf.errors.OpError, DecodeError, InputError) as error:
        reason = str(error).splitlines()[0]
        what = f"cannot be read, so the version does not load: {reason}"
        yield Finding(True, WARMUP_FILE, what, "export again, or delete it")
        return
    # The server stops at the first that fails, and so does this.
    warmed = set()
    for number, (name, inputs) in enumerate(requests):
        try:
            servable.run(name, inputs)
        except (tf.errors.OpError, KeyError, ValueError) as error:
            where = f"{WARMUP_FILE}: request {number}"
            what = f"fails, so the version does not load: {error}"
            yield Finding(True, where, what, "export again, or delete it")
            return
        warmed |= {len(array) for array in inputs.values()}
    cold = sorted(set(batch_sizes) - warmed)
    if cold:
        what = f"batches of {cold} are not warmed up: their first is slow"
        yield Finding(False, WARMUP_FILE, what, "export again")
