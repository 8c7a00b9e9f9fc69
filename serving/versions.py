"""Which version of a model is served: load, watch, swap without a gap.

As TensorFlow Serving does by default, the highest number in the base folder
is served. A new version must be ready before the old one goes; one that fails
to load leaves the old one serving; requests that run finish on theirs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from grpc import StatusCode

from beam_jobs.errors import InputError
from serving.batching import Arrays, Batcher, BatchingOptions
from serving.errors import RequestError
from serving.servable import Servable
from serving.version_folders import find_versions

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
    """Keeps the highest version of a base folder loaded.

    Args:
        base: `<base>/<version>/saved_model.pb`.
        name: of the model.
        options: batching of every version.
        poll_s: seconds between two looks at the folder.
    """

    def __init__(
        self,
        base: Path,
        name: str,
        options: BatchingOptions | None = None,
        poll_s: float = 1.0,
    ):
        self.base = Path(base)
        self.name = name
        self._options = options or BatchingOptions()
        self._poll_s = poll_s
        self._changed = threading.Condition()
        self._current: LoadedVersion | None = None
        self._in_flight: dict[int, int] = {}
        self._states: dict[int, VersionState] = {}
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Loads the highest version and watches for higher ones.

        Raises:
            InputError: there is none, or it cannot be loaded.
        """
        found = find_versions(self.base)
        if not found:
            raise InputError(
                f"{self.base} holds no version of a model (a folder named by "
                "a number with saved_model.pb in it); `tagforest export "
                "WORKDIR --out DIR` writes one"
            )
        self._load(max(found))
        if self._current is None:
            raise InputError(self._states[max(found)].error)
        self._watcher.start()

    def close(self) -> None:
        """Stops watching and lets the running requests finish."""
        self._stop.set()
        if self._watcher.ident:
            self._watcher.join()
        self._swap(None)

    @property
    def is_ready(self) -> bool:
        """Whether a version answers."""
        with self._changed:
            return self._current is not None

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
        self, name: str, version: int | None = None
    ) -> Iterator[LoadedVersion]:
        """Holds a version for one request.

        Raises:
            RequestError: NOT_FOUND, unknown name or a version not available.
        """
        loaded = self._take(name, version)
        try:
            yield loaded
        finally:
            with self._changed:
                self._in_flight[loaded.version] -= 1
                self._changed.notify_all()

    def _take(self, name: str, version: int | None) -> LoadedVersion:
        with self._changed:
            loaded = self._current
            known = loaded is not None and name == self.name
            if (
                loaded is None
                or not known
                or version not in (None, loaded.version)
            ):
                wanted = (
                    f"Latest({name})"
                    if version is None
                    else f"Specific({name}, {version})"
                )
                raise RequestError(
                    StatusCode.NOT_FOUND,
                    f"Servable not found for request: {wanted}",
                )
            count = self._in_flight.get(loaded.version, 0)
            self._in_flight[loaded.version] = count + 1
            return loaded

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
        found = find_versions(self.base)
        current = self._current.version if self._current else None
        if not found:
            self._swap(None)
        elif max(found) != current and not self._has_failed(max(found)):
            self._load(max(found))

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
        self._swap(LoadedVersion(servable, self._options))
        _log.info("%s: serving version %d", self.name, version)

    def _swap(self, new: LoadedVersion | None) -> None:
        with self._changed:
            old, self._current = self._current, new
            if old is None:
                return
            self._note(old.version, UNLOADING)
            while self._in_flight.get(old.version, 0):
                self._changed.wait()
        old.close()
        self._note(old.version, END)

    def _note(self, version: int, state: int, error: str = "") -> None:
        with self._changed:
            self._states[version] = VersionState(version, state, error)
