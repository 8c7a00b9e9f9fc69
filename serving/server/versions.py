"""Which versions of a model are served: load, watch, swap without a gap.

As TensorFlow Serving does by default, the highest number in the base folder
is served, or what a policy says. A new version must be ready before the old one
goes; one that fails to load is tried again and leaves the old one serving;
requests that run finish on theirs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grpc import StatusCode

from beam_jobs.errors import InputError
from beam_jobs.files.storage import PathLike
from serving.api.errors import RequestError, from_exception
from serving.api.models_config import ModelConfig
from serving.api.server_options import ServerOptions
from serving.api.version_folders import check_base, no_version
from serving.api.version_policy import VersionPolicy
from serving.saved_model.servable import Servable
from serving.server import model_source
from serving.server.loaded_version import LoadedVersion

_log = logging.getLogger(__name__)

# `ModelVersionStatus.State` of `get_model_status.proto`.
LOADING, AVAILABLE, UNLOADING, END = 20, 30, 40, 50

OnWarmUp = Callable[[str, float, int, str], None]


@dataclass(frozen=True)
class VersionState:
    """One version's state, in TensorFlow Serving's numbers."""

    version: int
    state: int
    error: str = ""


@dataclass(frozen=True)
class _Source:
    """Where versions come from, and which are wanted."""

    base: Path | str
    policy: VersionPolicy


@dataclass(frozen=True)
class _Failure:
    """How often a version did not load, and when it is tried again."""

    count: int
    due: float
    error: str


class VersionManager:
    """Keeps the versions of a base folder loaded that a policy names.

    Args:
        model: name, base folder and policy.
        options: batching, retries, and how often the folder is looked at.
        on_warm_up: told path, seconds, requests and gRPC status of each.
        on_change: called when a version has another state.
    """

    def __init__(
        self,
        model: ModelConfig,
        options: ServerOptions | None = None,
        on_warm_up: OnWarmUp | None = None,
        on_change: Callable[[], None] | None = None,
    ):
        self.name = model.name
        self._on_warm_up = on_warm_up
        self._on_change = on_change
        self._source: _Source | None = _Source(model.base, model.policy)
        self._tried: _Source | None = self._source
        self._options = options or ServerOptions()
        self._retries = self._options.retries
        self._changed = threading.Condition()
        self._loaded: dict[int, LoadedVersion] = {}
        self._in_flight: dict[int, int] = {}
        self._states: dict[int, VersionState] = {}
        self._failures: dict[int, _Failure] = {}
        self._is_settled = False
        self._is_stopped = False
        self._wake = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Loads the versions and watches for others.

        Raises:
            InputError: there is none, and none is waited for, or one cannot
                be loaded.
        """
        source = self._source
        if source is None:
            return
        wanted, paths = self._first_wanted(source)
        # The highest first: it is what most requests mean.
        for version in reversed(wanted):
            try:
                self._load(version, paths[version])
            except Exception as error:
                # Nothing answers yet: nobody waits for further tries.
                reason = str(error).strip().partition("\n")[0]
                raise InputError(
                    f"version {version} of {self.name} does not load: "
                    f"{reason}; `tagforest doctor {source.base}` finds the "
                    "cause"
                ) from error
        self._watcher.start()

    def _first_wanted(
        self, source: _Source
    ) -> tuple[list[int], dict[int, PathLike]]:
        base = source.base
        if isinstance(base, Path):
            check_base(base)
        try:
            paths = model_source.find(base)
        except FileNotFoundError:
            paths = {}
        except OSError as error:
            raise InputError(f"cannot read {base}: {error}") from error
        wanted = source.policy.choose(sorted(paths))
        if wanted or self._options.wait_for_versions:
            return wanted, paths
        if not paths:
            raise no_version(base)
        raise InputError(
            f"none of the versions {list(source.policy.specific)} is in "
            f"{base}; there are {sorted(paths)}"
        )

    def watch(self) -> None:
        """Loads the versions on a thread of its own, and watches for others."""
        self._wake.set()
        self._watcher.start()

    def configure(self, base: Path | str, policy: VersionPolicy) -> bool:
        """Serves others from now on; versions that are both stay loaded.

        Returns:
            Whether they are others.
        """
        return self._set_source(_Source(base, policy))

    def retire(self) -> None:
        """Unloads every version, once its requests have finished."""
        self._set_source(None)

    def _set_source(self, source: _Source | None) -> bool:
        with self._changed:
            if source == self._source:
                return False
            self._source, self._is_settled = source, False
            self._changed.notify_all()
        self._wake.set()
        return True

    def wait_until_available(self) -> bool:
        """Waits until a version answers; False if none of them loads."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._loaded
                    or self._is_settled
                    or self._is_stopped
                    or self._source is None
                )
            )
            return bool(self._loaded)

    def close(self) -> None:
        """Stops watching and lets the running requests finish."""
        with self._changed:
            # Who waits for a version in `wait_until_available` gives up.
            self._is_stopped = True
            self._changed.notify_all()
        self._wake.set()
        if self._watcher.ident:  # None where the first load failed.
            self._watcher.join()
        for version in list(self._loaded):
            self._unload(version)

    @property
    def is_ready(self) -> bool:
        """Whether a version answers."""
        return bool(self._loaded)

    def states(self) -> list[VersionState]:
        """Returns every version that was ever tried, highest first."""
        with self._changed:
            return [self._states[v] for v in sorted(self._states)[::-1]]

    def is_available(self, version: int) -> bool:
        """Whether a version answers."""
        return version in self._loaded

    def take(self, version: int | None = None) -> LoadedVersion:
        """Holds a version for one request, until `release`.

        Args:
            version: None for the highest.

        Raises:
            RequestError: NOT_FOUND, a version that is not available.
        """
        with self._changed:
            chosen = version
            if chosen is None and self._loaded:
                chosen = max(self._loaded)
            if chosen is None or chosen not in self._loaded:
                raise not_found(self.name, version)
            self._in_flight[chosen] = self._in_flight.get(chosen, 0) + 1
            return self._loaded[chosen]

    def release(self, loaded: LoadedVersion) -> None:
        """Ends what `take` began."""
        with self._changed:
            self._in_flight[loaded.version] -= 1
            self._changed.notify_all()

    def _watch(self) -> None:
        while True:
            self._wake.wait(self._pause_s())
            # Before looking: what is set meanwhile asks for another look.
            self._wake.clear()
            if self._is_stopped:
                return
            try:
                self._poll()
            except Exception:
                _log.exception("looking for versions of %s failed", self.name)

    def _pause_s(self) -> float | None:
        """Seconds until something may be to do; None until woken."""
        now = time.monotonic()
        waiting = [
            max(0.0, failure.due - now)
            for failure in self._failures.values()
            if failure.count <= self._retries.count
        ]
        return min([self._options.poll_s or None, *waiting], key=_or_infinity)

    def _poll(self) -> None:
        # Once: others change it while this thread loads.
        source = self._source
        if source is not self._tried:
            # Failures were those of another folder, perhaps.
            self._failures.clear()
            self._tried = source
        paths: dict[int, PathLike] = {}
        if source is not None:
            try:
                paths = model_source.find(source.base)
            except OSError as error:
                # Moved, or a mount that is away: no order to stop serving.
                if self._loaded:
                    _log.warning("%s; what is loaded stays", error)
                self._settle(source)
                return
        wanted = source.policy.choose(sorted(paths)) if source else []
        self._give_up_all_but(wanted)
        for version in reversed(wanted):
            if version not in self._loaded and self._is_due(version):
                try:
                    self._load(version, paths[version])
                except Exception as error:
                    self._fail(version, str(error))
            # Loading takes long: what was wanted may not be any more.
            if self._source is not source or self._is_stopped:
                return
        # Where none of the wanted ones loads, the old ones go on.
        if not wanted or set(wanted) & set(self._loaded):
            for version in sorted(set(self._loaded) - set(wanted)):
                self._unload(version)
        self._settle(source)

    def _settle(self, source: _Source | None) -> None:
        counts = [failure.count for failure in self._failures.values()]
        with self._changed:
            # Else it has changed meanwhile, and the next look settles it.
            if self._source is source:
                self._is_settled = all(c > self._retries.count for c in counts)
                self._changed.notify_all()

    def _give_up_all_but(self, wanted: list[int]) -> None:
        """Forgets failures of versions that nobody wants any more."""
        for version in set(self._failures) - set(wanted):
            self._note(version, END, self._failures.pop(version).error)

    def _is_due(self, version: int) -> bool:
        failure = self._failures.get(version)
        if failure is None:
            return True
        due = failure.due <= time.monotonic()
        return due and failure.count <= self._retries.count

    def _load(self, version: int, path: PathLike) -> None:
        self._note(version, LOADING)
        # Without the lock: requests go on meanwhile.
        with model_source.here(path) as folder:
            servable = Servable(folder)
            self._warm_up(servable, str(path))
        with self._changed:
            self._failures.pop(version, None)
            self._loaded[version] = LoadedVersion(
                servable, self._options.batching
            )
            self._note(version, AVAILABLE)
        _log.info("%s: serving version %d", self.name, version)

    def _warm_up(self, servable: Servable, path: str) -> None:
        start, records, status = time.perf_counter(), 0, "OK"
        try:
            records = servable.warm_up()
        except Exception as error:
            status = from_exception(error).code.name
            raise
        finally:
            if self._on_warm_up:
                elapsed = time.perf_counter() - start
                self._on_warm_up(path, elapsed, records, status)

    def _fail(self, version: int, error: str) -> None:
        before = self._failures.get(version)
        count = before.count + 1 if before else 1
        _log.error(
            "%s: version %d does not load (try %d of %d): %s",
            *(self.name, version, count, 1 + self._retries.count, error),
        )
        due = time.monotonic() + self._retries.interval_s
        self._failures[version] = _Failure(count, due, error)
        if count > self._retries.count:
            self._note(version, END, error)

    def _unload(self, version: int) -> None:
        with self._changed:
            # First out of reach of new requests, then those that run finish.
            old = self._loaded.pop(version)
            self._note(version, UNLOADING)
            while self._in_flight.get(version, 0):
                self._changed.wait()
            self._in_flight.pop(version, None)
        old.close()
        self._note(version, END)

    def _note(self, version: int, state: int, error: str = "") -> None:
        with self._changed:
            self._states[version] = VersionState(version, state, error)
            self._changed.notify_all()
        if self._on_change:
            self._on_change()


def not_found(name: str, version: int | None) -> RequestError:
    """Returns what a request gets for a version that is not available."""
    wanted = (
        f"Latest({name})" if version is None else f"Specific({name}, {version})"
    )
    return RequestError(
        StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}"
    )


def _or_infinity(seconds: float | None) -> float:
    return float("inf") if seconds is None else seconds
