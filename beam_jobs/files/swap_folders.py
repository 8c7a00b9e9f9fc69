"""One folder takes the place of another, in one step."""

from __future__ import annotations

import ctypes
import os
import tempfile

_HERE = -100
_EXCHANGE = 2


def swap_folders(one: str, other: str) -> None:
    """Exchanges two folders of one disk; nobody sees a time without either.

    Linux's renameat2: https://man7.org/linux/man-pages/man2/rename.2.html

    Raises:
        OSError: the file system cannot do it; nothing has changed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one), os.fsencode(other)
    if libc.renameat2(_HERE, paths[0], _HERE, paths[1], _EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), one)


def check_swap(parent: str) -> None:
    """Checks that folders below one can be exchanged.

    Raises:
        OSError: they cannot.
    """
    with tempfile.TemporaryDirectory(prefix=".swap-", dir=parent) as folder:
        names = [os.path.join(folder, name) for name in ("one", "other")]
        for name in names:
            os.mkdir(name)
        swap_folders(*names)
