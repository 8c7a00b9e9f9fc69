"""The models of a server, their labels, and how both change at run time.

As `ServerCore::ReloadConfig` of TensorFlow Serving
(`model_servers/server_core.cc`): a list of models says all; labels are checked
before anything is loaded, and all of them change or none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from grpc import StatusCode

from beam_jobs.errors import InputError
from serving.api.errors import RequestError, invalid_argument
from serving.api.models_config import ModelConfig
from serving.api.server_options import ServerOptions
from serving.server import model_source
from serving.server.versions import (
    AVAILABLE,
    LoadedVersion,
    OnWarmUp,
    VersionManager,
    VersionState,
    not_found,
)


class ModelRegistry:
    """All models of a server; `name in registry` tells if one is served.

    Args:
        models: at the start.
        options: for all of them.
        on_warm_up: see `VersionManager`.
        on_models: told what is served from now on; may refuse it.
    """

    def __init__(
        self,
        models: Sequence[ModelConfig],
        options: ServerOptions | None = None,
        on_warm_up: OnWarmUp | None = None,
        on_models: Callable[[Sequence[ModelConfig]], None] | None = None,
    ):
        self._options = options or ServerOptions()
        self._on_warm_up = on_warm_up
        self._on_models = on_models
        # One change at a time. Requests read the mappings without the lock:
        # each is replaced as a whole.
        self._reloading = threading.Lock()
        self._watchers: list[Callable[[], None]] = []
        self._served = tuple(model.name for model in models)
        self._models = {m.name: self._manager_of(m) for m in models}
        self._labels = {m.name: dict(m.labels) for m in models}

    def _manager_of(self, model: ModelConfig) -> VersionManager:
        return VersionManager(
            model, self._options, self._on_warm_up, self._tell
        )

    def on_change(self, watcher: Callable[[], None]) -> None:
        """Has a function called when models come, go or change their state."""
        self._watchers.append(watcher)

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher()

    def start(self) -> None:
        """Loads all models and watches for further versions.

        Labels are checked when the models are loaded, other than in
        TensorFlow Serving, so that a server can start with some.

        Raises:
            InputError: a model has no version, one cannot be loaded, or a
                label's version is not among them.
        """
        for name in self._served:
            self._models[name].start()
        if not self._options.allow_unavailable_labels:
            for name, labels in self._labels.items():
                # Of one that has no version yet, they wait, too.
                if self._models[name].is_ready:
                    self._check_first_labels(name, labels)

    def _check_first_labels(self, name: str, labels: Mapping[str, int]) -> None:
        model = self._models[name]
        for label, version in labels.items():
            if not model.is_available(version):
                served = sorted(s.version for s in model.states())
                raise InputError(
                    f"label {label}: version {version} of {name} is not "
                    f"served; {served} are"
                )

    def close(self) -> None:
        """Stops watching and lets the running requests finish."""
        # All of them, even where one fails.
        with ExitStack() as stack:
            for model in self._models.values():
                stack.callback(model.close)

    @property
    def names(self) -> tuple[str, ...]:
        """The models that are served, as they were listed."""
        return self._served

    def __contains__(self, name: object) -> bool:
        return name in self._served

    @property
    def is_ready(self) -> bool:
        """Whether every model answers."""
        served = self._served
        return bool(served) and all(self._models[n].is_ready for n in served)

    def loaded(self, name: str) -> list[int]:
        """Returns the versions of a served model that answer, ascending."""
        return sorted(
            s.version
            for s in self._models[name].states()
            if s.state == AVAILABLE
        )

    def states_of(
        self, name: str, version: int | None = None
    ) -> list[VersionState]:
        """Returns the states of a model, or of one of its versions.

        Every version that was ever tried, highest first.

        Raises:
            RequestError: NOT_FOUND.
        """
        model = self._models.get(name)
        states = model.states() if model else []
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
            version: None for the highest.
            label: of the version, instead of its number.

        Raises:
            RequestError: NOT_FOUND, unknown name or a version not available;
                INVALID_ARGUMENT, unknown label.
        """
        if label:
            model, loaded = self._take_labelled(name, label)
        else:
            model, loaded = self._take(name, version)
        try:
            yield loaded
        finally:
            model.release(loaded)

    def _take(
        self, name: str, version: int | None
    ) -> tuple[VersionManager, LoadedVersion]:
        model = self._models.get(name)
        if model is None:
            raise not_found(name, version)
        return model, model.take(version)

    def _take_labelled(
        self, name: str, label: str
    ) -> tuple[VersionManager, LoadedVersion]:
        while True:
            version = self._labels.get(name, {}).get(label)
            if version is None:
                raise invalid_argument(
                    f"Unrecognized servable version label: {label}"
                )
            try:
                return self._take(name, version)
            except RequestError:
                # It may have moved, and its old version gone, meanwhile.
                if self._labels.get(name, {}).get(label) == version:
                    raise

    def reload(self, models: Sequence[ModelConfig]) -> None:
        """Serves these models and no others; returns when new ones answer.

        A later call does not wait for an earlier one, which ends when a new
        model of its list is not served any more.

        Raises:
            RequestError: FAILED_PRECONDITION, a label of a version that is
                not available, and nothing has changed; NOT_FOUND, a new model
                has no version, and nothing has changed; UNKNOWN, a new model
                does not load; ABORTED, a later call took a new model away.
            InputError: `on_models` refuses them, and nothing has changed.
        """
        with self._reloading:
            before = set(self._served)
            new = [m for m in models if m.name not in before]
            waiting = [m.name for m in new]
            # All are checked before anything changes.
            labels = {m.name: self._checked_labels(m) for m in models}
            for model in new:
                if not self._options.wait_for_versions:
                    _require_versions(model)
            if self._on_models:
                self._on_models(models)
            # Labels first: none may name a version that is about to go.
            self._labels = labels
            waiting += self._apply(models)
        self._tell()
        # Without the lock: one that never loads would hold up all others.
        self._wait_for(waiting)

    def _checked_labels(self, model: ModelConfig) -> dict[str, int]:
        """Returns the labels of a model, if they may be set now."""
        there = self._models.get(model.name)
        known = self._labels.get(model.name, {})
        for label, version in model.labels.items():
            if there and there.is_available(version):
                continue
            is_moved = known.get(label, version) != version
            if is_moved or not self._options.allow_unavailable_labels:
                raise RequestError(
                    StatusCode.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model "
                    f"{model.name}, which is not currently available for "
                    "inference",
                )
        return dict(model.labels)

    def _apply(self, models: Sequence[ModelConfig]) -> list[str]:
        """Returns those that answered nothing and have another folder now."""
        kept, started, mended = dict(self._models), [], []
        for model in models:
            if model.name in kept:
                there = kept[model.name]
                is_other = there.configure(model.base, model.policy)
                if is_other and not there.is_ready:
                    mended.append(model.name)
            else:
                kept[model.name] = self._manager_of(model)
                started.append(kept[model.name])
        names = tuple(model.name for model in models)
        # They stay listed: their states can be asked for, as END.
        for name in set(kept) - set(names):
            kept[name].retire()
        self._models, self._served = kept, names
        for manager in started:
            manager.watch()
        return mended

    def _wait_for(self, names: Sequence[str]) -> None:
        failed = [
            name
            for name in names
            if not self._models[name].wait_until_available()
        ]
        if gone := [name for name in failed if name not in self._served]:
            raise RequestError(
                StatusCode.ABORTED,
                f"a later config took {', '.join(gone)} away before it was "
                "available",
            )
        if failed:
            reasons = [
                f"{{name: {name} version: {state.version}}} due to error: "
                f"{state.error}"
                for name in failed
                for state in self._models[name].states()
            ]
            raise RequestError(
                StatusCode.UNKNOWN,
                f"{len(failed)} model(s) did not become available: "
                f"{{{', '.join(reasons)}}}",
            )


def _require_versions(model: ModelConfig) -> None:
    # TensorFlow Serving waits here without end.
    try:
        found = sorted(model_source.find(model.base))
    except OSError:
        found = []
    if not model.policy.choose(found):
        raise RequestError(
            StatusCode.NOT_FOUND,
            f"model {model.name}: no version to serve in {model.base}; there "
            f"are {found}",
        )
