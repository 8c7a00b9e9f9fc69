"""The `class:confidence` tokens of the Tencent ML-Images lists.

The class is an index of the published dictionary, or an id: WordNet's, or of
a class of one's own (`own:stop_sign:0.9`). Format:
https://github.com/Tencent/tencent-ml-images#download-images
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from beam_jobs.classes.own_classes import is_class_id

_TOKEN = re.compile(
    r"(?:(?P<index>\d{1,9})|(?P<wnid>n\d{8}|own:[^\s:]+)):"
    r"(?P<confidence>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
)
# 11,166 classes times a few confidences; more is a file of scores.
_KEPT = 1 << 20
# Sources spell a handful of numbers; more is a file of scores.
_KEPT_TEXTS = 1 << 16


class ClassTokens(dict[str, tuple[str, float]]):
    """(class id, confidence) by token; each token is parsed once.

    Args:
        wnids: WordNet id by class index; empty if there is no dictionary.

    Example:
        >>> ClassTokens(["n00002452", "n00020827"])["1:0.8"]
        ('n00020827', 0.8)
    """

    def __init__(self, wnids: Sequence[str]):
        super().__init__()
        self._wnids = wnids
        self._numbers: dict[float, float] = {}

    def __missing__(self, token: str) -> tuple[str, float]:
        """Parses a token.

        Raises:
            ValueError: malformed, or a class that the dictionary lacks.
        """
        match = _TOKEN.fullmatch(token)
        confidence = float(match["confidence"]) if match else -1.0
        if not match or not 0 <= confidence <= 1:
            raise ValueError(
                f"{token[:80]!r}: class:confidence is needed, the confidence "
                "0 to 1"
            )
        if match["wnid"] and not is_class_id(match["wnid"]):
            raise ValueError(f"{token[:80]!r}: no id of a class")
        wnid = match["wnid"] or self._wnid_of(int(match["index"]))
        if len(self) >= _KEPT:
            self.clear()
            self._numbers.clear()
        # Rows share their few numbers: half the memory, a third of the time.
        confidence = self._numbers.setdefault(confidence, confidence)
        self[token] = wnid, confidence
        return self[token]

    def _wnid_of(self, index: int) -> str:
        if index >= len(self._wnids):
            raise ValueError(
                f"class {index}: the dictionary has {len(self._wnids)} classes"
            )
        return self._wnids[index]

    def parse(
        self, tokens: Iterable[str]
    ) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Returns class ids and confidences.

        Raises:
            ValueError: as for one token.
        """
        found = list(map(self.__getitem__, tokens))
        if not found:
            return (), ()
        wnids, confidences = zip(*found, strict=True)
        return wnids, confidences


class Confidences(dict[str, float]):
    """Numbers by their text, each parsed once.

    Example:
        >>> Confidences()["0.9"], Confidences()["87%"]
        (0.9, 0.87)
    """

    def __missing__(self, text: str) -> float:
        """Parses a text.

        Raises:
            ValueError: no number of 0 to 1, nor of 0% to 100%.
        """
        number = float(text[:-1]) / 100 if text[-1:] == "%" else float(text)
        if not 0 <= number <= 1:
            raise ValueError(text)
        if len(self) >= _KEPT_TEXTS:
            self.clear()
        self[text] = number
        return number
