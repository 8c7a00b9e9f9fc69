"""Commands for a shell that ask what the page asked."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from serving.client.client_options import ClientOptions, rest_path
from serving.ui.compared_versions import Column, Tagger

CURL = "curl"
TAG = "command"


def name_of_command(tagger: Tagger) -> str:
    """Returns what kind of command `command_for` gives."""
    return CURL if tagger.rest else TAG


def command_for(
    tagger: Tagger, columns: Sequence[Column], file_name: str
) -> str:
    """Returns what asks a server for an image, a line a version.

    Args:
        file_name: of the image, in the folder where the command is run.
    """
    return "\n".join(
        _curl(tagger.rest, tagger.options_of(c.version), file_name)
        if tagger.rest
        else _tag(tagger.server, tagger.options_of(c.version), file_name)
        for c in columns
    )


def _curl(address: str, options: ClientOptions, file_name: str) -> str:
    scheme = "https" if options.tls else "http"
    url = quote(f"{scheme}://{address}{rest_path(options)}:predict")
    # Double quotes around the whole would let a shell read into the name.
    body = (
        """{ printf '{"instances":[{"b64":"'; """
        f"base64 < {quote(file_name)} | tr -d '\\n'; "
        """printf '"}]}'; }"""
    )
    trust = f" --cacert {quote(str(options.tls.ca))}" if options.tls else ""
    return f"{body} | curl -sS{trust} -d @- {url}"


def _tag(server: str, options: ClientOptions, file_name: str) -> str:
    version = (
        f"--version-label {quote(options.version_label)}"
        if options.version_label
        else f"--version {options.version}"
    )
    trust = f" --tls-ca {quote(str(options.tls.ca))}" if options.tls else ""
    return (
        f"tagforest tag --stdin-image --server {quote(server)}{trust} "
        f"--name {quote(options.model)} {version} < {quote(file_name)}"
    )
