"""When a client asks again, and how its errors are told apart."""

from __future__ import annotations

import tenacity

from serving.api.prediction import RequestTooLargeError, ServerError

_ATTEMPTS = 5
_BACKOFF_S = (0.1, 2.0)  # the first longest wait, and the longest of all
# What a busy or starting server says.
BUSY = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
# How gRPC, this server and TensorFlow Serving say it.
_TOO_LARGE = (
    "larger than max",
    "are allowed in one request",
    "is larger than maximum input batch size",
)


def server_error(code: str, message: str) -> ServerError:
    """Returns the error of a failed request.

    Args:
        code: gRPC's name of it; over REST, where it has no other, the HTTP
            status.
    """
    if code == "413" or any(said in message for said in _TOO_LARGE):
        return RequestTooLargeError(code, message)
    return ServerError(code, message)


def retrying(codes: tuple[str, ...] = BUSY) -> tenacity.Retrying:
    """Returns what calls a function again, with longer and random waits.

    Args:
        codes: of the ServerErrors that another attempt may cure.
    """

    def is_passing(error: BaseException) -> bool:
        if isinstance(error, RequestTooLargeError):
            return False
        return isinstance(error, ServerError) and error.code in codes

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_passing),
        # Random: those who were refused together would come back together.
        wait=tenacity.wait_random_exponential(*_BACKOFF_S),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )
