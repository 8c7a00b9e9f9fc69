"""Whether a server lets an image be used: the header `X-Robots-Tag`.

https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# `none` is noindex and nofollow.
_REFUSALS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
# Rules with a value look like rules for a user agent.
_WITH_VALUE = frozenset(
    {
        "max-image-preview",
        "max-snippet",
        "max-video-preview",
        "unavailable_after",
    }
)
_RULE = re.compile(r"\s*(?:([\w*][\w.*-]*)\s*:)?\s*([^,]*)")
_OWN = "tagforest"


def find_opt_out(headers: Iterable[str], user_agent: str) -> str | None:
    """Returns the rule that refuses an image, None if there is none.

    A user agent before rules, as in `googlebot: noindex, nofollow`, says whom
    they are for, up to the end of the header or the next one.

    Args:
        headers: values of all headers X-Robots-Tag.
        user_agent: how we name ourselves.

    Example:
        >>> find_opt_out(["nofollow, NoAI"], "tagforest/0.1")
        'noai'
        >>> find_opt_out(["googlebot: noai, noindex"], "tagforest/0.1")
    """
    ours = {"*", _OWN, user_agent.partition("/")[0].strip().lower()}
    for header in headers:
        agent = "*"
        for text in header.lower().split(","):
            name, rule = _RULE.fullmatch(text).groups()  # type: ignore[union-attr]
            if name in _WITH_VALUE:
                continue
            agent = name or agent
            if agent in ours and rule.strip() in _REFUSALS:
                return rule.strip()
    return None
