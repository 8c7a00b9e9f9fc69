"""What the guides say: their fenced blocks, their commands, their links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("beam_jobs", "model", "serving", "tfx_pipeline")
_SKIPPED = ("CHANGELOG.md",)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9_-]+")


@dataclass(frozen=True)
class Command:
    """One command of a fenced `sh` block.

    Attributes:
        place: file:line of its block.
        text: as a shell gets it, on one line.
    """

    place: str
    text: str

    @property
    def words(self) -> list[str]:
        """Its words, those of the shell (`|`, `<`) among them."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars="|<>")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        return list(lexer)

    @property
    def is_plain(self) -> bool:
        """No pipe, no redirection, nothing that a shell must put in."""
        return not {"|", "<", ">", "$"} & {c for w in self.words for c in w}


def guides() -> list[Path]:
    """Returns every guide, the README first and the tutorial second."""
    found = [*ROOT.glob("*.md")]
    found += (p for name in PACKAGES for p in (ROOT / name).rglob("*.md"))
    first = ("README.md", "serving/demo/TUTORIAL.md", *PACKAGES)
    names = {path: path.relative_to(ROOT).as_posix() for path in found}
    return sorted(
        (path for path in found if path.name not in _SKIPPED),
        key=lambda p: next(
            (i for i, f in enumerate(first) if names[p].startswith(f)), 99
        ),
    )


def blocks(path: Path, language: str) -> Iterator[tuple[str, str]]:
    """Yields place and text of every fenced block in a language."""
    text = path.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        if match[1] == language:
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path.relative_to(ROOT).as_posix()}:{line}", match[2]


def commands(path: Path) -> list[Command]:
    """Returns the commands of a guide's `sh` blocks, in order."""
    return [
        Command(place, line.strip())
        for place, text in blocks(path, "sh")
        for line in _joined(text).splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _joined(text: str) -> str:
    """Puts commands that go on (a backslash, a pipe) on one line."""
    return re.sub(r"(\\|(?<=\|))\n\s*", "", text)


def spans(path: Path) -> Iterator[str]:
    """Yields the inline code of a guide, each on one line."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    for match in _INLINE.finditer(text):
        yield " ".join(match[1].split())


def links(path: Path) -> list[str]:
    """Returns the links of a guide that name files of this repository."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    return [m for m in _LINK.findall(text) if "://" not in m]


def options_in(text: str) -> list[str]:
    """Returns the long options that a text names."""
    return _OPTION.findall(text)
