"""`tagforest tag`; heavy imports wait until it runs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving import contract

if TYPE_CHECKING:
    from serving.tls import ClientTls

_SERVER = "Server"
_TAGS = "Which tags"
_OUTPUT = "Output"


class Transport(str, Enum):
    """How `tagforest tag` talks to the server."""

    grpc = "grpc"
    rest = "rest"


class Format(str, Enum):
    """How `tagforest tag` prints."""

    table = "table"
    json = "json"
    csv = "csv"


# More than any export answers.
_MOST_LABELS = 1_000_000


def register(app: typer.Typer) -> None:
    """Adds `tag` to the root command."""
    app.command("tag")(tag)


def tag(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, URLs; - for a list of them on stdin."
        ),
    ] = None,
    stdin_image: Annotated[
        bool, typer.Option("--stdin-image", help="Tag one image from stdin.")
    ] = False,
    allow_private: Annotated[
        bool,
        typer.Option(
            "--allow-private", help="Fetch URLs of private addresses too."
        ),
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT, grpc://... or http://...; grpcs or https: TLS. "
            "Default: this machine.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    transport: Annotated[
        Transport | None,
        typer.Option(
            help="Default: as --server says, else grpc.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            help="Name of the model on the server.", rich_help_panel=_SERVER
        ),
    ] = contract.MODEL_NAME,
    version: Annotated[
        int | None,
        typer.Option(
            help="Version of it; default: the newest.", rich_help_panel=_SERVER
        ),
    ] = None,
    version_label: Annotated[
        str, typer.Option(help="As stable.", rich_help_panel=_SERVER)
    ] = "",
    timeout: Annotated[
        float, typer.Option(help="Seconds a request.", rich_help_panel=_SERVER)
    ] = 60.0,
    parallel: Annotated[
        int, typer.Option(help="Requests at a time.", rich_help_panel=_SERVER)
    ] = 4,
    tls_ca: Annotated[
        Path | None,
        typer.Option(
            help="PEM file: authorities to trust; connects by TLS.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            help="PEM file: the client's own certificate.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(help="PEM file: its key.", rich_help_panel=_SERVER),
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, help="Tags an image.", rich_help_panel=_TAGS)
    ] = 5,
    leaves: Annotated[
        bool,
        typer.Option(
            "--leaves",
            help="Only classes without subclasses.",
            rich_help_panel=_TAGS,
        ),
    ] = False,
    sure: Annotated[
        bool,
        typer.Option(
            "--sure",
            help="Only what reaches its threshold.",
            rich_help_panel=_TAGS,
        ),
    ] = False,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            help="Only from this score on, not the thresholds.",
            rich_help_panel=_TAGS,
        ),
    ] = None,
    most_specific: Annotated[
        bool,
        typer.Option(
            "--most-specific",
            help="No class above another tag; --sure.",
            rich_help_panel=_TAGS,
        ),
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(
            help="WordNet id: it and what is below it; repeatable.",
            rich_help_panel=_TAGS,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            help="WordNet id: not it, nor what is below it.",
            rich_help_panel=_TAGS,
        ),
    ] = None,
    format: Annotated[
        Format,
        typer.Option(
            help="json: an object an image; csv: a line a tag.",
            rich_help_panel=_OUTPUT,
        ),
    ] = Format.table,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File, whole or not there; FILE.part meanwhile.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Leave out images that --out has tags of; json only.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
    progress: Annotated[
        bool | None,
        typer.Option(
            "--progress/--no-progress",
            help="A bar; default: on a terminal without tags.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
) -> None:
    """Tag images with a running server.

    An image that cannot be read or tagged gets a line that says why, and the
    others go on.
    """
    from serving.client.client_options import ClientOptions
    from serving.tag_options import TagOptions

    chosen = (sure, most_specific, include, exclude)
    options = None
    if any(chosen) or min_confidence is not None:
        options = TagOptions(
            max_labels=_MOST_LABELS if leaves else top,
            min_confidence=min_confidence,
            most_specific=most_specific,
            include=include or (),
            exclude=exclude or (),
        )
    client = ClientOptions(
        model=name,
        version=version,
        version_label=version_label,
        timeout_s=timeout,
        parallel=parallel,
        allow_private=allow_private,
        tls=_tls(tls_ca, tls_cert, tls_key),
    )
    from serving.client.tag_command import TagRun, run_tag

    run = TagRun(
        names=images or (),
        stdin_image=stdin_image,
        server=server,
        transport=transport.value if transport else None,
        client=client,
        options=options,
        top=top,
        leaves=leaves,
        form=format.value,
        out=out,
        resume=resume,
        progress=progress,
    )
    if not run_tag(run):
        raise typer.Exit(1)


def _tls(
    ca: Path | None, cert: Path | None, key: Path | None
) -> ClientTls | None:
    from beam_jobs.errors import InputError
    from serving.tls import ClientTls

    if ca is not None:
        return ClientTls(ca, cert, key)
    if cert is not None or key is not None:
        raise InputError("--tls-cert and --tls-key need --tls-ca")
    return None
