"""How sure a source is of a class: text to number."""

from __future__ import annotations

# Sources spell a handful of numbers; more is a file of scores.
_KEPT = 1 << 16


class Confidences(dict[str, float]):
    """Numbers by their text, each parsed once.

    Example:
        >>> Confidences()["0.9"]
        0.9
    """

    def __missing__(self, text: str) -> float:
        """Parses a text.

        Raises:
            ValueError: no number of 0 to 1.
        """
        number = float(text)
        if not 0 <= number <= 1:
            raise ValueError(text)
        if len(self) >= _KEPT:
            self.clear()
        self[text] = number
        return number
