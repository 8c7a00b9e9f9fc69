"""The order in which somebody chose files, which arrive in another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

# The browser says what was chosen before it sends the first file, but not by
# the same way.
_WAIT_S = 2.0
_LOOK_S = 0.02
_MOST_WAITING = 1_000


class ChosenFiles:
    """Tells a file that has arrived from where it was chosen."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: list[tuple[int, str, int]] = []

    def add(self, files: Iterable[tuple[str, int]]) -> None:
        """Takes in names and bytes, in order."""
        for name, size in files:
            self._waiting.append((self._next(), name, size))
        del self._waiting[:-_MOST_WAITING]

    async def find(self, sent_name: str, size: int) -> tuple[int, str]:
        """Returns the place of a file among all, and its own name.

        The last place, if it has not been said within some time.

        Args:
            sent_name: as a form has it.
            size: bytes.
        """
        for _ in range(round(_WAIT_S / _LOOK_S)):
            for entry in self._waiting:
                place, name, chosen_size = entry
                if (_in_form(name), chosen_size) == (sent_name, size):
                    self._waiting.remove(entry)
                    return place, name
            await asyncio.sleep(_LOOK_S)
        return self._next(), sent_name

    def _next(self) -> int:
        self._count += 1
        return self._count


def _in_form(name: str) -> str:
    """Escapes a name as browsers do.

    https://html.spec.whatwg.org/multipage/form-control-infrastructure.html
    """
    for character, escaped in (("\n", "%0A"), ("\r", "%0D"), ('"', "%22")):
        name = name.replace(character, escaped)
    return name
