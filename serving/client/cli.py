"""`tagforest tag`; heavy imports wait until it runs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from serving.api import cli_options, contract
from serving.api.cli_options import in_panel

_SERVER, _OUTPUT = "Server", "Output"


class Transport(str, Enum):
    """How `tagforest tag` talks to the server."""

    grpc = "grpc"
    rest = "rest"


class Format(str, Enum):
    """How `tagforest tag` prints."""

    table = "table"
    json = "json"
    csv = "csv"


_Images = Annotated[
    list[str] | None,
    typer.Argument(help="Files, folders, URLs; - for a list of them on stdin."),
]
_StdinImage = Annotated[
    bool, typer.Option("--stdin-image", help="Tag one image from stdin.")
]
_AllowPrivate = Annotated[
    bool,
    typer.Option(
        "--allow-private", help="Fetch URLs of private addresses too."
    ),
]
_Server = Annotated[
    str | None,
    in_panel(
        _SERVER,
        "HOST:PORT, grpc://... or http://...; grpcs or https: TLS. Default: "
        "this machine.",
    ),
]
_Transport = Annotated[
    Transport | None,
    in_panel(_SERVER, "Default: as --server says, else grpc."),
]
_Name = Annotated[str, in_panel(_SERVER, "Name of the model on the server.")]
_Version = Annotated[
    int | None, in_panel(_SERVER, "Version of it; default: the newest.")
]
_Label = Annotated[str, in_panel(_SERVER, "As stable.")]
_Timeout = Annotated[float, in_panel(_SERVER, "Seconds a request.")]
_Parallel = Annotated[int, in_panel(_SERVER, "Requests at a time.")]
_Top = Annotated[int, in_panel(cli_options.TAGS, "Tags an image.", min=1)]
_Leaves = Annotated[
    bool,
    in_panel(cli_options.TAGS, "Only classes without subclasses.", "--leaves"),
]
_Format = Annotated[
    Format, in_panel(_OUTPUT, "json: an object an image; csv: a line a tag.")
]
_Out = Annotated[
    Path | None,
    in_panel(_OUTPUT, "File, whole or not there; FILE.part meanwhile."),
]
_Resume = Annotated[
    bool,
    in_panel(
        _OUTPUT,
        "Leave out images that --out has tags of; json only.",
        "--resume",
    ),
]
_Progress = Annotated[
    bool | None,
    in_panel(
        _OUTPUT,
        "A bar; default: on a terminal without tags.",
        "--progress/--no-progress",
    ),
]


def register(app: typer.Typer) -> None:
    """Adds `tag` to the root command."""
    app.command("tag")(tag)


def tag(
    images: _Images = None,
    stdin_image: _StdinImage = False,
    allow_private: _AllowPrivate = False,
    server: _Server = None,
    transport: _Transport = None,
    name: _Name = contract.MODEL_NAME,
    version: _Version = None,
    version_label: _Label = "",
    timeout: _Timeout = 60.0,
    parallel: _Parallel = 4,
    tls_ca: cli_options.TlsCa = None,
    tls_cert: cli_options.TlsCert = None,
    tls_key: cli_options.TlsKey = None,
    top: _Top = 5,
    leaves: _Leaves = False,
    sure: cli_options.Sure = False,
    min_confidence: cli_options.MinConfidence = None,
    most_specific: cli_options.MostSpecific = False,
    include: cli_options.Include = None,
    exclude: cli_options.Exclude = None,
    format: _Format = Format.table,
    out: _Out = None,
    resume: _Resume = False,
    progress: _Progress = None,
) -> None:
    """Tag images with a running server.

    An image that cannot be read or tagged gets a line that says why, and the
    others go on.
    """
    from serving.client.client_options import ClientOptions

    options = cli_options.tag_options(
        None if leaves else top,
        sure,
        min_confidence,
        most_specific,
        include,
        exclude,
    )
    client = ClientOptions(
        model=name,
        version=version,
        version_label=version_label,
        timeout_s=timeout,
        parallel=parallel,
        allow_private=allow_private,
        tls=cli_options.client_tls(tls_ca, tls_cert, tls_key),
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
