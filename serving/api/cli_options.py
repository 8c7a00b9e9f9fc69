"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from beam_jobs.errors import InputError

if TYPE_CHECKING:
    from serving.api.client_tls import ClientTls
    from serving.api.tag_options import TagOptions


def in_panel(panel: str, text: str, *names: str, **limits: Any) -> Any:
    """Returns an option that --help shows in a group of its own."""
    return typer.Option(*names, help=text, rich_help_panel=panel, **limits)


TAGS, TLS = "Which tags", "TLS"

Sure = Annotated[
    bool, in_panel(TAGS, "Only what reaches its threshold.", "--sure")
]
MinConfidence = Annotated[
    float | None, in_panel(TAGS, "Only from this score on, not the thresholds.")
]
MostSpecific = Annotated[
    bool,
    in_panel(TAGS, "No class above another tag; --sure.", "--most-specific"),
]
Include = Annotated[
    list[str] | None,
    in_panel(TAGS, "WordNet id: it and what is below it; repeatable."),
]
Exclude = Annotated[
    list[str] | None,
    in_panel(TAGS, "WordNet id: not it, nor what is below it."),
]
TlsCa = Annotated[
    Path | None,
    in_panel(TLS, "PEM file: authorities to trust; connects by TLS."),
]
TlsCert = Annotated[
    Path | None, in_panel(TLS, "PEM file: the client's own certificate.")
]
TlsKey = Annotated[Path | None, in_panel(TLS, "PEM file: its key.")]

# More than any export answers.
_MOST_LABELS = 1_000_000


def tag_options(
    most: int | None,
    sure: bool,
    min_confidence: float | None,
    most_specific: bool,
    include: list[str] | None,
    exclude: list[str] | None,
) -> TagOptions | None:
    """Returns which classes are tags; None for the best, whatever they score.

    Args:
        most: tags an image; None for all.

    Raises:
        InputError: no score, or no WordNet id.
    """
    chosen = (sure, most_specific, include, exclude)
    if not any(chosen) and min_confidence is None:
        return None
    from serving.api.tag_options import TagOptions

    return TagOptions(
        max_labels=_MOST_LABELS if most is None else most,
        min_confidence=min_confidence,
        most_specific=most_specific,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
    )


def client_tls(
    ca: Path | None, cert: Path | None, key: Path | None
) -> ClientTls | None:
    """Returns how a client connects by TLS; None for without.

    Raises:
        InputError: a certificate without an authority, or a bad file.
    """
    if not ca:
        if cert or key:
            raise InputError("--tls-cert and --tls-key need --tls-ca")
        return None
    from serving.api.client_tls import ClientTls

    return ClientTls(ca, cert, key)
