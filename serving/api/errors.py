"""How a request fails: a code of gRPC's, and a message."""

from __future__ import annotations

from grpc import StatusCode

HTTP_STATUS = {
    StatusCode.OK: 200,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.ABORTED: 409,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.CANCELLED: 499,
    StatusCode.UNKNOWN: 500,
    StatusCode.INTERNAL: 500,
    StatusCode.DATA_LOSS: 500,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
}
_BY_NUMBER = {code.value[0]: code for code in StatusCode}


class RequestError(Exception):
    """A request that gets no answer.

    Attributes:
        code: as TensorFlow Serving would give it.
        message: for the caller.
    """

    def __init__(self, code: StatusCode, message: str):
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        """TensorFlow Serving's REST status for the code."""
        return HTTP_STATUS[self.code]


def invalid_argument(message: str) -> RequestError:
    """Returns the commonest error: the caller must change the request."""
    return RequestError(StatusCode.INVALID_ARGUMENT, message)


def from_exception(error: Exception) -> RequestError:
    """Keeps the code of an error that TensorFlow raised; else INTERNAL."""
    if isinstance(error, RequestError):
        return error
    number = getattr(error, "error_code", None)
    code = _BY_NUMBER.get(number, StatusCode.INTERNAL)
    message = getattr(error, "message", None) or str(error)
    return RequestError(code, message)
