"""One image on the page: what it looks like and its tags."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from nicegui import ui

from serving.api.prediction import Prediction, ServerError
from serving.ui.compared_versions import Column, Tagger
from serving.ui.rows import to_rows
from serving.ui.tag_tree import Choice, is_cut, tag_tree, walk
from serving.ui.uploads import as_size

# Vue puts every text in as text, never as HTML.
_ROW = """
<div class="tf-row"
     :class="{'tf-leaf': props.node.leaf, 'tf-above': props.node.above}">
  <span class="tf-what">
    <span class="tf-name" :title="props.node.title">{{props.node.label}}</span>
    <span class="tf-mark" v-if="props.node.mark">{{props.node.mark}}</span>
    <span class="tf-id">{{props.node.id}}</span>
  </span>
  <span v-for="(cell, number) in props.node.cells" class="tf-cell" role="img"
        :class="{tag: cell.tag, second: number == 1}"
        :aria-label="cell.column + ': ' + cell.text + (cell.tag ? ', a tag'
                     : ', not a tag')">
    <span class="tf-track">
      <span class="tf-fill" :style="{width: cell.width + '%'}"></span>
    </span>
    <span class="tf-number">{{cell.text}}</span>
  </span>
</div>
"""
_UNREADABLE = (
    "This is no image, or a broken one: the server could not decode it."
)
_UNREAD = (
    "The server does not read this image: another format than it takes, or "
    "too many pixels."
)

Answer = Prediction | ServerError


class ImageCard:
    """An image that the server is asked about.

    Args:
        preview: a data URL; empty if it cannot be drawn.
        on_remove: called with the card when the user closes it.
    """

    def __init__(
        self,
        name: str,
        image: bytes,
        preview: str,
        on_remove: Callable[[ImageCard], None],
    ):
        self.image = image
        self._preview = preview
        self._answers: dict[tuple[str, int], Answer] = {}
        self._shown: tuple = ()
        self._card = ui.element("article").classes("tf-card")
        with self._card:
            _thumbnail(preview, name)
            with ui.element("div"):
                _title(name, len(image), lambda: on_remove(self))
                self._note = ui.label("Tagging …").classes("tf-note")
                self._note.props("role=status")
            with ui.element("div").classes("tf-tags") as self._tags:
                self._heads = ui.element("div").classes("tf-columns")
                self._tree = ui.tree([], node_key="id")
                self._tree.props(
                    'no-transition no-connectors no-nodes-label=" "'
                )
                self._tree.props["expanded"] = []
                self._tree.add_slot("default-header", _ROW)
        self._hide(True)

    async def ask(self, tagger: Tagger, columns: Sequence[Column]) -> None:
        """Asks the versions that have not answered yet."""
        missing = [
            c
            for c in columns
            if not isinstance(self._answers.get(_key(c)), Prediction)
        ]
        found = await asyncio.gather(
            *(tagger.tag(self.image, c) for c in missing),
            # The other versions' answers count.
            return_exceptions=True,
        )
        for column, answer in zip(missing, found, strict=True):
            if isinstance(answer, BaseException) and not isinstance(
                answer, ServerError
            ):
                raise answer
            self._answers[_key(column)] = answer

    def show(self, columns: Sequence[Column], choice: Choice) -> None:
        """Shows the answers there are; asks nobody."""
        answers = {
            c: self._answers[_key(c)]
            for c in columns
            if _key(c) in self._answers
        }
        if len(answers) < len(columns):
            return
        problem = _problem(answers, self._preview)
        if problem:
            self._say(problem, bad=True)
            return
        predictions = [a for a in answers.values() if isinstance(a, Prediction)]
        tree = tag_tree(predictions, choice)
        rows = to_rows(tree.roots, [c.text for c in columns])
        self._expand(tree)
        if rows != self._tree.props["nodes"]:
            self._tree.props["nodes"] = rows
        self._show_heads(columns)
        limit = _limit(predictions, choice) if tree.tags else ""
        self._say(_summary(tree, len(columns)) + limit)
        self._hide(not rows)

    def versions(self, column: Column) -> tuple[str, str] | None:
        """Returns the fingerprints of model and vocabulary that answered."""
        answer = self._answers.get(_key(column))
        if not isinstance(answer, Prediction):
            return None
        return answer.model_version, answer.vocabulary_version

    def delete(self) -> None:
        """Takes the card from the page."""
        self._card.delete()

    def _say(self, text: str, bad: bool = False) -> None:
        self._note.set_text(text)
        for element in (self._note, self._card):
            element.classes(
                add="bad" if bad else "", remove="" if bad else "bad"
            )
        if bad:
            self._hide(True)

    def _hide(self, hidden: bool) -> None:
        self._tags.set_visibility(not hidden)

    def _expand(self, tree) -> None:
        """Opens nodes that appear; those that the user closed stay closed."""
        ids = {n.wnid for root in tree.roots for n in walk(root)}
        known = set(self._shown)
        fresh = sorted(ids - known)
        if fresh:
            self._tree.props["expanded"] = [
                *self._tree.props["expanded"],
                *fresh,
            ]
            self._shown = (*self._shown, *fresh)

    def _show_heads(self, columns: Sequence[Column]) -> None:
        texts = [c.text for c in columns]
        if getattr(self, "_texts", None) == texts:
            return
        self._texts = texts
        self._heads.clear()
        with self._heads:
            for text in ["Tag", *texts]:
                ui.label(text).props["title"] = text


def refused_card(
    name: str, why: str, on_remove: Callable[[ui.element], None]
) -> ui.element:
    """Adds a row for a file that is not sent to the server."""
    card = ui.element("article").classes("tf-card bad")
    with card:
        _thumbnail("", name)
        with ui.element("div"):
            _title(name, None, lambda: on_remove(card))
            ui.label(f"Not sent: {why}").classes("tf-note bad")
    return card


def _key(column: Column) -> tuple[str, int]:
    # A label that has moved on is another version.
    return column.key, column.number


def _thumbnail(preview: str, name: str) -> None:
    if not preview:
        ui.label("?").classes("tf-none").props('aria-hidden="true"')
        return
    image = ui.element("img").classes("tf-thumb")
    image.props["src"], image.props["alt"] = preview, name


def _title(name: str, size: int | None, on_remove: Callable[[], None]) -> None:
    with ui.element("div").classes("tf-title"):
        ui.label(name).classes("tf-file").props["title"] = name
        if size is not None:
            ui.label(as_size(size)).classes("tf-size")
        button = ui.button(icon="close", on_click=on_remove, color=None)
        button.props("flat round dense size=sm")
        button.props["aria-label"] = f"Remove {name}"


def _problem(answers: Mapping[Column, Answer], preview: str) -> str:
    errors = [
        f"{column.text} gave no answer: {answer}"
        for column, answer in answers.items()
        if isinstance(answer, ServerError)
    ]
    if errors:
        return "\n".join(errors)
    if not all(a.valid for a in answers.values() if isinstance(a, Prediction)):
        return _UNREAD if preview else _UNREADABLE
    return ""


def _limit(answers: Sequence[Prediction], choice: Choice) -> str:
    """Says when classes may be tags that no answer holds."""
    for answer in answers:
        if is_cut(answer, choice.threshold):
            return f"; the model answers its best {len(answer.tags)} alone"
    return ""


def _summary(tree, columns: int) -> str:
    if not tree.tags:
        return "No tag with these settings: try a lower threshold."
    text = f"{tree.tags} tag{'s' if tree.tags > 1 else ''}"
    if columns > 1:
        different = tree.differences
        text += f", {different or 'no'} difference"
        text += "" if different == 1 else "s"
    if tree.left_out:
        text += f"; the {tree.left_out} that score least are left out"
    return text
