"""The one error that means: the user can put this right."""


class InputError(ValueError):
    """Wrong input or option, found before the long work starts.

    The message says what is wrong, what is allowed and what was received.
    The command line prints it as one line, without a traceback, and exits
    with status 2.
    """


class JobFailedError(RuntimeError):
    """A job ended without its result, for a reason that can be said.

    The command line prints it as one line, without a traceback, and exits
    with its status.
    """

    status = 1
