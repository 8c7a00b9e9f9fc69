"""Moves version labels of a running server: `promote` and `rollback`.

TensorFlow Serving checks labels before it loads models: a label can only be
moved to a version that answers already. So there are two steps, a list of
models with the version and the old labels, and, when it is available, one with
the label moved (`model_servers/server_core.cc`, `UpdateModelVersionLabelMap`).
Each list is written to the `models.config` first, which a restart or the
server's own poll reads; if a step fails, the former one is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from beam_jobs.errors import InputError
from serving.api import protos
from serving.api.models_config import read_config, write_config
from serving.api.version_folders import find_versions
from serving.tfserving.label_history import (
    PROMOTE,
    ROLLBACK,
    LabelChange,
    append_change,
    last_promotion,
    read_history,
)
from serving.tfserving.model_admin import ModelAdmin
from serving.tfserving.options import LabelTarget


def promote(
    admin: ModelAdmin,
    target: LabelTarget,
    version: int,
    on_step: Callable[[str], None] = lambda said: None,
) -> LabelChange:
    """Moves a label to a version, without a moment in which it fails.

    The version that the label named before stays loaded, so that going back
    takes no time; the one before that is unloaded, unless a label names it.

    Args:
        on_step: called with what was done.

    Raises:
        InputError: no such model or version, the server does not answer or
            refuses, or the version does not load; the file and the server are
            as before then.
    """
    current = _label_of(target)
    last = _last(target, current)
    drop = last.before if last and current != version else None
    return _move(admin, target, version, PROMOTE, drop, on_step)


def rollback(
    admin: ModelAdmin,
    target: LabelTarget,
    on_step: Callable[[str], None] = lambda said: None,
) -> LabelChange:
    """Moves a label back to where it was before the last promotion.

    The version that it leaves is unloaded, unless another label names it:
    requests that name no version get the highest that is loaded. Called
    again, it goes one promotion further back.

    Raises:
        InputError: no promotion is known, or as for `promote`.
    """
    current = _label_of(target)
    last = _last(target, current)
    if last is None or last.before is None:
        reason = "it was new" if last else "no promotion to there is known"
        raise InputError(
            f"label {target.label} of {target.model} is at version {current} "
            f"and {reason}; `tagforest promote --version N` moves it"
        )
    return _move(admin, target, last.before, ROLLBACK, current, on_step)


def _last(target: LabelTarget, current: int | None) -> LabelChange | None:
    if current is None:
        return None
    history = read_history(target.config)
    return last_promotion(history, target.model, target.label, current)


def _move(
    admin: ModelAdmin,
    target: LabelTarget,
    version: int,
    action: str,
    drop: int | None,
    on_step: Callable[[str], None],
) -> LabelChange:
    original = read_config(target.config)
    _check_version(original, target, version)
    before = _label_of(target)
    states = admin.states(target.model)
    available = [v for v, state in states.items() if state.is_available]
    loaded = _with_version(original, target.model, version, available)
    moved = _with_label(loaded, target, version, drop)
    try:
        _apply(admin, target.config, loaded)
        # From before the change: a failure of then may be none of now.
        was = states.get(version)
        admin.wait_until_available(target.model, version, was)
        on_step(f"version {version} of {target.model} is available")
        _apply(admin, target.config, moved)
    # Interrupted, it would leave a version that no label needs.
    except (InputError, KeyboardInterrupt):
        _put_back(admin, target.config, original)
        raise
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    change = LabelChange(
        time, action, target.model, target.label, before, version
    )
    if before != version:
        append_change(target.config, change)
    former = "new" if before is None else before
    on_step(f"label {target.label}: {former} -> {version}")
    return change


def _apply(admin: ModelAdmin, path: Path, config: Any) -> None:
    # The file first: a server that polls it would undo the other.
    write_config(path, config)
    admin.reload(config)


def _put_back(admin: ModelAdmin, path: Path, config: Any) -> None:
    write_config(path, config)
    try:
        admin.reload(config)
    except InputError:
        # The first error says more.
        return


def _label_of(target: LabelTarget) -> int | None:
    model = _model_in(read_config(target.config), target.model)
    labels = model.version_labels
    return labels[target.label] if target.label in labels else None


def _model_in(config: Any, name: str) -> Any:
    listed = config.model_config_list.config
    for model in listed:
        if model.name == name:
            return model
    names = sorted(model.name for model in listed)
    raise InputError(f"no model {name!r} in the list; there are {names}")


def _check_version(config: Any, target: LabelTarget, version: int) -> None:
    # A container's folder cannot be seen from here; the server tells then.
    base = Path(_model_in(config, target.model).base_path)
    there = find_versions(base)
    if base.is_dir() and version not in there:
        raise InputError(
            f"version {version} of {target.model} is not in {base}; there are "
            f"{there}"
        )


def _with_version(
    config: Any, name: str, version: int, available: Iterable[int]
) -> Any:
    """Returns the list with a version added to those of a model."""
    changed = _copy(config)
    model = _model_in(changed, name)
    policy = model.model_version_policy
    chosen = policy.WhichOneof("policy_choice")
    if chosen != "all":
        # The newest alone would unload what a label names.
        kept = policy.specific.versions if chosen == "specific" else available
        wanted = {version, *kept, *model.version_labels.values()}
        _set_versions(model, wanted)
    return changed


def _with_label(
    config: Any, target: LabelTarget, version: int, drop: int | None
) -> Any:
    """Returns the list with a label moved, and a version dropped."""
    changed = _copy(config)
    model = _model_in(changed, target.model)
    model.version_labels[target.label] = version
    policy = model.model_version_policy
    if drop is not None and policy.WhichOneof("policy_choice") == "specific":
        named = set(model.version_labels.values())
        _set_versions(model, {*policy.specific.versions} - {drop} | named)
    return changed


def _set_versions(model: Any, versions: Iterable[int]) -> None:
    del model.model_version_policy.specific.versions[:]
    model.model_version_policy.specific.versions.extend(sorted(versions))


def _copy(config: Any) -> Any:
    copy = protos.model_server_config_pb2.ModelServerConfig()
    copy.CopyFrom(config)
    return copy
