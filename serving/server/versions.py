"""Which version of a model is served: load, watch, swap without a gap.

As TensorFlow Serving does by default, the highest number in the base folder
is served, or what a policy says. A new version must be ready before the old one
goes; one that fails to load leaves the old one serving; requests that run
finish on theirs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from grpc import StatusCode

from beam_jobs.errors import InputError
from serving.errors import RequestError, invalid_argument
from serving.saved_model.servable import Servable
from serving.server.batching import Arrays, Batcher, BatchingOptions
from serving.version_folders import find_versions, require_versions
from serving.version_policy import VersionPolicy

_log = logging.getLogger(__name__)

LOADING, AVAILABLE, UNLOADING, END = 10, 30, 40, 50


class LoadedVersion:
    """A servable with its queues."""

    def __init__(self, servable: Servable, options: BatchingOptions):
        self.servable = servable
        self._options = options
        self._lock = threading.Lock()
        self._batchers: dict[str, Batcher] = {}

    @property
    def version(self) -> int:
        """The number of the version's folder."""
        return self.servable.version

    def run(
        self, signature_name: str, inputs: Arrays, deadline: float
    ) -> dict[str, np.ndarray]:
        """Runs a request together with others of the same signature."""
        return self._batcher(signature_name).submit(inputs, deadline)

    def close(self) -> None:
        """Answers what is queued, then refuses."""
        for batcher in self._batchers.values():
            batcher.close()

    def _batcher(self, signature_name: str) -> Batcher:
        with self._lock:
            if signature_name not in self._batchers:
                self._batchers[signature_name] = Batcher(
                    lambda rows: self.servable.run(signature_name, rows),
                    self._options,
                )
            return self._batchers[signature_name]


@dataclass(frozen=True)
class VersionState:
    """One version's state, in TensorFlow Serving's numbers."""

    version: int
    state: int
    error: str = ""


class VersionManager:
    """Keeps the versions of a base folder loaded that a policy names.

    Args:
        base: `<base>/<version>/saved_model.pb`.
        name: of the model.
        options: batching of every version.
        poll_s: seconds between two looks at the folder.
        policy: which versions.
        labels: names for some of them, such as `stable`.
    """

    def __init__(
        self,
        base: Path,
        name: str,
        options: BatchingOptions | None = None,
        poll_s: float = 1.0,
        policy: VersionPolicy | None = None,
        labels: Mapping[str, int] | None = None,
    ):
        self.base = Path(base)
        self.name = name
        self.labels = dict(labels or {})
        self._policy = policy or VersionPolicy()
        self._options = options or BatchingOptions()
        self._poll_s = poll_s
        self._changed = threading.Condition()
        self._loaded: dict[int, LoadedVersion] = {}
        self._in_flight: dict[int, int] = {}
        self._states: dict[int, VersionState] = {}
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Loads the versions and watches for others.

        Raises:
            InputError: there is none, one cannot be loaded, or a label's
                version is not among them.
        """
        found = require_versions(self.base)
        wanted = self._policy.choose(found)
        self._check_labels(wanted, found)
        for version in reversed(wanted):
            self._load(version)
            if version not in self._loaded:
                raise InputError(self._states[version].error)
        self._watcher.start()

    def _check_labels(self, wanted: list[int], found: list[int]) -> None:
        if not wanted:
            raise InputError(
                f"none of the versions {list(self._policy.specific)} is in "
                f"{self.base}; there are {found}"
            )
        for label, version in self.labels.items():
            if version not in wanted:
                raise InputError(
                    f"label {label}: version {version} is not served; there "
                    f"are {found}, of which {wanted} are"
                )

    def close(self) -> None:
        """Stops watching and lets the running requests finish."""
        self._stop.set()
        if self._watcher.ident:
            self._watcher.join()
        for version in list(self._loaded):
            self._unload(version)

    @property
    def is_ready(self) -> bool:
        """Whether a version answers."""
        with self._changed:
            return bool(self._loaded)

    def states(self) -> list[VersionState]:
        """Returns every version that was ever tried, highest first."""
        with self._changed:
            return [self._states[v] for v in sorted(self._states)[::-1]]

    def states_of(
        self, name: str, version: int | None = None
    ) -> list[VersionState]:
        """Returns the states of a model by name, or of one of its versions.

        Raises:
            RequestError: NOT_FOUND.
        """
        states = self.states() if name == self.name else []
        if version is not None:
            states = [s for s in states if s.version == version]
        if not states:
            which = "" if version is None else f" version {version}"
            raise RequestError(
                StatusCode.NOT_FOUND,
                f"Could not find any versions of model {name}{which}",
            )
        return states

    @contextmanager
    def acquire(
        self, name: str, version: int | None = None, label: str = ""
    ) -> Iterator[LoadedVersion]:
        """Holds a version for one request.

        Args:
            name: of the model.
            version: None for the highest.
            label: of the version, instead of its number.

        Raises:
            RequestError: NOT_FOUND, unknown name or a version not available;
                INVALID_ARGUMENT, unknown label.
        """
        loaded = self._take(name, version, label)
        try:
            yield loaded
        finally:
            with self._changed:
                self._in_flight[loaded.version] -= 1
                self._changed.notify_all()

    def _take(
        self, name: str, version: int | None, label: str
    ) -> LoadedVersion:
        with self._changed:
            if label and name == self.name:
                version = self._labelled(label)
            known = self._loaded if name == self.name else {}
            if version is None and known:
                version = max(known)
            if version is None or version not in known:
                wanted = (
                    f"Latest({name})"
                    if version is None
                    else f"Specific({name}, {version})"
                )
                raise RequestError(
                    StatusCode.NOT_FOUND,
                    f"Servable not found for request: {wanted}",
                )
            count = self._in_flight.get(version, 0)
            self._in_flight[version] = count + 1
            return known[version]

    def _labelled(self, label: str) -> int:
        if label not in self.labels:
            raise invalid_argument(
                f"Unrecognized servable version label: {label}"
            )
        return self.labels[label]

    def _watch(self) -> None:
        while not self._stop.wait(self._poll_s):
            try:
                self._poll()
            except Exception:
                _log.exception("looking for versions in %s failed", self.base)

    def _poll(self) -> None:
        if not self.base.is_dir():
            _log.warning("%s is gone; the loaded version stays", self.base)
            return
        wanted = self._policy.choose(find_versions(self.base))
        for version in reversed(wanted):
            if version not in self._loaded and not self._has_failed(version):
                self._load(version)
        # Where none of the wanted ones loads, the old ones go on.
        if not wanted or set(wanted) & set(self._loaded):
            for version in sorted(set(self._loaded) - set(wanted)):
                self._unload(version)

    def _has_failed(self, version: int) -> bool:
        state = self._states.get(version)
        return state is not None and bool(state.error)

    def _load(self, version: int) -> None:
        self._note(version, LOADING)
        try:
            servable = Servable(self.base / str(version))
            servable.warm_up()
        except Exception as error:
            _log.error("version %d does not load: %s", version, error)
            self._note(version, END, str(error))
            return
        self._note(version, AVAILABLE)
        with self._changed:
            self._loaded[version] = LoadedVersion(servable, self._options)
        _log.info("%s: serving version %d", self.name, version)

    def _unload(self, version: int) -> None:
        with self._changed:
            old = self._loaded.pop(version)
            self._note(version, UNLOADING)
            while self._in_flight.get(version, 0):
                self._changed.wait()
        old.close()
        self._note(version, END)

    def _note(self, version: int, state: int, error: str = "") -> None:
        with self._changed:
            self._states[version] = VersionState(version, state, error)
