"""One image on the page: what it looks like and its tags."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from nicegui import ui

from serving.api import prediction
from serving.api.drawn import Detection, Segmentation
from serving.api.prediction import (
    Prediction,
    RequestTooLargeError,
    ServerError,
)
from serving.client import forms
from serving.ui.commands import command_for, name_of_command
from serving.ui.compared_versions import Column, Tagger
from serving.ui.components import TagAnswer
from serving.ui.drawing import small_mask, to_drawn
from serving.ui.rows import to_answer
from serving.ui.tag_tree import Choice
from serving.ui.uploads import (
    SCENE_PIXELS,
    as_size,
    image_size,
    preview,
    too_many_pixels,
)

_UNREADABLE = (
    "This is no image, or a broken one: the server could not decode it."
)
_UNREAD = "The server does not read this image: another format than it takes."
# The image, for what is drawn over it: a variable of the style sheet.
_SCENE = "--scene"
_MOST_NAME = 120  # characters of a file's name
# Passes by itself: the same may be answered a little later.
_PASSING = frozenset(
    ("ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE")
    + ("RESOURCE_EXHAUSTED",)
)

Answer = prediction.Answer | ServerError


class ImageCard:
    """An image that the server is asked about.

    Args:
        tagger: asks it.
        name: of the file.
        small: a data URL of it; empty if it cannot be drawn.
        place: among the images that were chosen.
        on_remove: called with the card when the user closes it.
    """

    def __init__(
        self,
        tagger: Tagger,
        name: str,
        image: bytes,
        small: str,
        place: int,
        on_remove: Callable[[ImageCard], None],
    ):
        self.image, self.place = image, place
        self._tagger, self._name, self._small = tagger, name, small
        self._answers: dict[tuple[str, int], Answer] = {}
        self._asked: set[tuple[str, int]] = set()
        self._card = ui.element("article").classes("tf-card")
        self._card.props["aria-label"] = name[:_MOST_NAME]
        with self._card:
            _thumbnail(small)
            with ui.element("div").classes("tf-about"):
                _title(name, len(image), lambda: on_remove(self))
                self._note = ui.label("Tagging …").classes("tf-note")
                self._note.props("role=status")
            self._tags = TagAnswer()

    async def ask(self, columns: Sequence[Column]) -> None:
        """Asks the versions that have not answered yet."""
        missing = [
            c
            for c in columns
            if isinstance(self._answers.get(_key(c)), ServerError | None)
            if _key(c) not in self._asked
        ]
        keys = {*map(_key, missing)}
        self._asked |= keys
        try:
            await self._ask(missing)
        finally:
            self._asked -= keys

    async def _ask(self, columns: Sequence[Column]) -> None:
        found = await asyncio.gather(
            *(self._tagger.tag(self.image, c) for c in columns),
            # The other versions' answers count.
            return_exceptions=True,
        )
        for column, answer in zip(columns, found, strict=True):
            if isinstance(answer, BaseException) and not isinstance(
                answer, ServerError
            ):
                raise answer
            # First what it is drawn with: who moves the slider shows it.
            self._answers[_key(column)] = await self._prepared(answer)

    def has_failed(self, columns: Sequence[Column], passing: bool) -> bool:
        """Returns whether versions gave no answer.

        Args:
            passing: for a reason that passes by itself.
        """
        found = (self._answers.get(_key(c)) for c in columns)
        return any(
            isinstance(answer, ServerError)
            and (not passing or _is_passing(answer))
            for answer in found
        )

    def move(self, index: int) -> None:
        """Puts the card before those that are there from an index on."""
        self._card.move(target_index=index)

    async def _prepared(self, answer: Answer) -> Answer:
        if _is_drawn(answer) and _SCENE not in self._card.style:
            scene = await asyncio.to_thread(preview, self.image, SCENE_PIXELS)
            # Here, what is shown of an answer need not send it again.
            self._card.style[_SCENE] = f'url("{scene}")' if scene else "none"
        if isinstance(answer, Segmentation):
            return await asyncio.to_thread(small_mask, answer)
        return answer

    def task(self, column: Column) -> str:
        """Returns what a version did, see `TagClient.task`; empty if none."""
        answer = self._answers.get(_key(column))
        if isinstance(answer, ServerError | None) or not answer.valid:
            return ""
        return forms.task_of(prediction.TaggedImage("", answer))

    def show(self, columns: Sequence[Column], choice: Choice) -> None:
        """Shows the answers there are; asks nobody."""
        answers = {
            c: self._answers[_key(c)]
            for c in columns
            if _key(c) in self._answers
        }
        if len(answers) < len(columns):
            return
        problem = self._problem(answers)
        if problem:
            self._say(problem, bad=True)
            return
        self._say("")
        self._tags.show(
            self._shown(answers, choice),
            command_for(self._tagger, columns, self._name),
            name_of_command(self._tagger),
        )

    def _shown(
        self, answers: Mapping[Column, Answer], choice: Choice
    ) -> dict[str, Any]:
        drawn = {c.text: a for c, a in answers.items() if _is_drawn(a)}
        self._card.classes(
            add="tf-drawn" if drawn else "", remove="" if drawn else "tf-drawn"
        )
        if drawn:
            is_seen = self._card.style[_SCENE] != "none"
            size = image_size(self.image) if is_seen else None
            return to_drawn(drawn, size, choice)
        tags = [a for a in answers.values() if isinstance(a, Prediction)]
        return to_answer(tags, [c.text for c in answers], choice)

    @property
    def has_tags(self) -> bool:
        """A tree of tags is shown."""
        return self._tags.visible and _SCENE not in self._card.style

    def versions(self, column: Column) -> tuple[str, str] | None:
        """Returns the fingerprints of model and vocabulary that answered."""
        answer = self._answers.get(_key(column))
        if isinstance(answer, ServerError | None):
            return None
        return answer.model_version, answer.vocabulary_version

    def delete(self) -> None:
        """Takes the card from the page."""
        self._card.delete()

    def _say(self, text: str, bad: bool = False) -> None:
        self._note.set_text(text)
        self._note.set_visibility(bool(text))
        for element in (self._note, self._card):
            element.classes(
                add="bad" if bad else "", remove="" if bad else "bad"
            )
        if bad:
            self._tags.set_visibility(False)

    def _problem(self, answers: Mapping[Column, Answer]) -> str:
        errors = {
            f"{column.text} gave no answer: {answer}": answer
            for column, answer in answers.items()
            if isinstance(answer, ServerError)
        }
        if errors:
            again = any(map(_is_passing, errors.values()))
            return "\n".join([*errors, *["It is asked again."] * again])
        if all(isinstance(a, ServerError) or a.valid for a in answers.values()):
            return ""
        many = too_many_pixels(image_size(self.image))
        if many:
            return f"This image is {many}."
        return _UNREAD if self._small else _UNREADABLE


def refused_card(
    name: str, why: str, on_remove: Callable[[ui.element], None]
) -> ui.element:
    """Adds a row for a file that is not sent to the server."""
    card = ui.element("article").classes("tf-card bad")
    with card:
        _thumbnail("")
        with ui.element("div").classes("tf-about"):
            _title(name, None, lambda: on_remove(card))
            ui.label(f"Not sent: {why}").classes("tf-note bad")
    return card


def _key(column: Column) -> tuple[str, int]:
    # A label that has moved on is another version.
    return column.key, column.number


def _is_drawn(answer: Answer) -> TypeGuard[Detection | Segmentation]:
    return isinstance(answer, Detection | Segmentation) and answer.valid


def _is_passing(error: ServerError) -> bool:
    is_too_large = isinstance(error, RequestTooLargeError)
    return error.code in _PASSING and not is_too_large


def _thumbnail(small: str) -> None:
    if not small:
        ui.label("?").classes("tf-none").props('aria-hidden="true"')
        return
    image = ui.element("img").classes("tf-thumb")
    # Its name stands beside it.
    image.props["src"], image.props["alt"] = small, ""


def _title(name: str, size: int | None, on_remove: Callable[[], None]) -> None:
    name = name[:_MOST_NAME]
    with ui.element("div").classes("tf-title"):
        ui.label(name).classes("tf-file").props["title"] = name
        if size is not None:
            ui.label(as_size(size)).classes("tf-size")
        button = ui.button(icon="close", on_click=on_remove, color=None)
        button.props("flat round dense size=sm")
        button.props["aria-label"] = f"Remove {name}"
