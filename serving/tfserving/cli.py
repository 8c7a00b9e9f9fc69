"""The commands that prepare a model for TensorFlow Serving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beam_jobs.errors import InputError
from serving.api import cli_options, contract
from serving.api.version_policy import parse_labels

if TYPE_CHECKING:
    from serving.tfserving.model_admin import ModelAdmin


def register(app: typer.Typer) -> None:
    """Adds `doctor` and `tfserving` to the root command."""
    app.command("doctor")(doctor)
    app.command("tfserving")(tfserving)
    app.command("promote")(promote)
    app.command("rollback")(rollback)


def doctor(
    model_dir: Annotated[
        Path, typer.Argument(help="Base folder with numbered versions.")
    ],
    setup: Annotated[
        Path | None,
        typer.Option(help="Folder that `tagforest tfserving` wrote."),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the model in the setup.")
    ] = contract.MODEL_NAME,
) -> None:
    """Find what keeps a model's highest version from being served.

    With --setup, its files and all versions that it names. Ends with status 1
    if something does.
    """
    for folder in filter(None, (model_dir, setup)):
        if not folder.is_dir():
            raise InputError(f"no such folder: {folder}")
    from serving.tfserving import check_setup

    problems = check_setup.check_own_batching(model_dir)
    sizes: tuple[int, ...] = contract.BATCH_SIZES
    versions: list[int] = []
    if setup:
        problems += check_setup.check_setup(setup, name, model_dir)
        if not problems:
            sizes = check_setup.read_batch_sizes(
                setup / check_setup.BATCHING_CONFIG
            )
            versions = check_setup.named_versions(setup, name, model_dir)
    from serving.saved_model.doctor import examine

    found = examine(model_dir, sizes, versions)
    for problem in problems:
        typer.echo(f"error: {problem}")
        typer.echo("  cure: mend it; `tagforest tfserving` writes sound files")
    for finding in found:
        kind = "error" if finding.is_error else "note"
        typer.echo(f"{kind}: {finding.where}: {finding.what}")
        typer.echo(f"  cure: {finding.cure}")
    if problems or any(finding.is_error for finding in found):
        raise typer.Exit(1)
    typer.echo(f"{model_dir} can be served")
    typer.echo(f"next: tagforest tfserving --model-dir {model_dir} --out DIR")


def tfserving(
    model_dir: Annotated[
        Path, typer.Option(help="Base folder with numbered versions.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    name: Annotated[
        str, typer.Option(help="Name of the model in requests.")
    ] = contract.MODEL_NAME,
    label: Annotated[
        list[str] | None,
        typer.Option(help="LABEL=VERSION, as stable=1; repeatable."),
    ] = None,
    batch_timeout_us: Annotated[
        int, typer.Option(help="How long a batch waits for company.")
    ] = 2000,
    max_queued_batches: Annotated[
        int, typer.Option(help="Beyond them requests are refused.")
    ] = 64,
) -> None:
    """Write the files that run a model under TensorFlow Serving."""
    from serving.tfserving.setup import TfServingSetup, write_setup

    setup = TfServingSetup(
        model_dir=model_dir,
        name=name,
        labels=parse_labels(label or ()),
        batch_timeout_us=batch_timeout_us,
        max_queued_batches=max_queued_batches,
    )
    for path in write_setup(out, setup):
        typer.echo(f"wrote {path}")
    typer.echo(f"next: docker compose -f {out / 'compose.yaml'} up")


_Server = Annotated[str, typer.Argument(help="HOST:PORT of its gRPC.")]
_Label = Annotated[str, typer.Option(help="Which to move.")]
_Config = Annotated[
    Path, typer.Option(help="The server's models.config; it is rewritten.")
]
_Name = Annotated[str, typer.Option(help="Name of the model.")]
_Timeout = Annotated[
    float, typer.Option(help="Seconds that a version may take to load.")
]


def promote(
    server: _Server,
    version: Annotated[int, typer.Option(min=0, help="Where the label goes.")],
    config: _Config,
    label: _Label = "stable",
    name: _Name = contract.MODEL_NAME,
    timeout_s: _Timeout = 300,
    tls_ca: cli_options.TlsCa = None,
    tls_cert: cli_options.TlsCert = None,
    tls_key: cli_options.TlsKey = None,
) -> None:
    """Move a version label of a running server to another version.

    Loads the version, waits until it answers, then moves the label. Works
    with TensorFlow Serving and with `tagforest serve`.
    """
    from serving.tfserving import labels

    target = labels.LabelTarget(config, label, name)
    with _admin(server, timeout_s, tls_ca, tls_cert, tls_key) as admin:
        labels.promote(admin, target, version, typer.echo)
    typer.echo(
        f"to go back: tagforest rollback {server} --label {label} "
        f"--name {name} --config {config}"
    )


def rollback(
    server: _Server,
    config: _Config,
    label: _Label = "stable",
    name: _Name = contract.MODEL_NAME,
    timeout_s: _Timeout = 300,
    tls_ca: cli_options.TlsCa = None,
    tls_cert: cli_options.TlsCert = None,
    tls_key: cli_options.TlsKey = None,
) -> None:
    """Move a version label back to before its last promotion."""
    from serving.tfserving import labels

    target = labels.LabelTarget(config, label, name)
    with _admin(server, timeout_s, tls_ca, tls_cert, tls_key) as admin:
        labels.rollback(admin, target, typer.echo)
    typer.echo(f"next: tagforest tag IMAGE --server {server} --name {name}")


@contextmanager
def _admin(
    server: str,
    timeout_s: float,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
) -> Iterator[ModelAdmin]:
    from serving.client.client_options import parse_server

    tls = cli_options.client_tls(ca, cert, key)
    _, address = parse_server(server, "grpc", tls is not None)
    from serving.tfserving.model_admin import ModelAdmin

    with ModelAdmin(address, tls, timeout_s) as admin:
        yield admin
