"""The one error that means: the user can put this right."""


class InputError(ValueError):
    """Wrong input or option, found before the long work starts.

    The message says what is wrong, what is allowed and what was received.
    The command line prints it as one line, without a traceback, and exits
    with status 2.
    """
