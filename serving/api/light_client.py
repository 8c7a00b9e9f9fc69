"""What the client alone does not bring, and says so."""

from __future__ import annotations

import importlib.util

from beam_jobs.errors import InputError

# Of `serving/client/pyproject.toml`: extra -> package.
_EXTRAS = {"urls": "aiohttp", "xmp": "lxml"}


def check_extra(extra: str, what: str) -> None:
    """Checks that an extra of the client is installed.

    Args:
        what: needs it.

    Raises:
        InputError: it is not.
    """
    package = _EXTRAS[extra]
    if importlib.util.find_spec(package) is None:
        raise InputError(
            f"{what} needs {package}, not installed here; "
            f"`pip install 'tagforest-client[{extra}]'` brings it"
        )
