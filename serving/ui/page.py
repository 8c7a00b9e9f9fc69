"""The page: drop zone, controls and a card an image."""

from __future__ import annotations

import asyncio
from bisect import bisect
from collections.abc import Sequence

from nicegui import background_tasks, events, ui

from serving.api import contract
from serving.api.prediction import ServerError
from serving.ui.card import ImageCard, refused_card
from serving.ui.chosen_files import ChosenFiles
from serving.ui.compared_versions import Column, Tagger, default_pair
from serving.ui.components import DropAnywhere
from serving.ui.controls import Controls
from serving.ui.legend import Legend
from serving.ui.uploads import (
    MOST_IMAGES,
    Allowance,
    Refused,
    as_size,
    check_file,
    preview,
    too_large,
)

_ASK_AGAIN_S = 3.0
_LOGO = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" '
    'stroke-width="2" stroke-linecap="round" aria-hidden="true">'
    '<circle cx="12" cy="4" r="2.4"/><circle cx="5" cy="19" r="2.4"/>'
    '<circle cx="12" cy="19" r="2.4"/><circle cx="19" cy="19" r="2.4"/>'
    '<path d="M12 6.5v10M12 11H7a2 2 0 0 0-2 2v3.5M12 11h5a2 2 0 0 1 2 2v3.5"'
    "/></svg>"
)
_HINT = f"""
<div class="tf-hint">
  <b>Drop images here</b>
  <q-btn class="tf-button" no-caps unelevated label="Choose images"
         @click="props.pickFiles"></q-btn>
  <p>JPEG, PNG, GIF or BMP, up to {as_size(contract.MAX_IMAGE_BYTES)} each,
  {MOST_IMAGES} at a time. Nothing is kept: closing the page forgets
  them.</p>
</div>
"""
_CHOSEN = """
(files) => emit(files.slice(0, 1000).map(f => [f.name, f.size]))
"""
_REJECTED = """
(files) => emit(files.slice(0, 24).map(r => ({
  name: r.file.name, size: r.file.size, why: r.failedPropValidation})))
"""


class TagPage:
    """What one browser tab shows.

    Args:
        tagger: asks the server.
        allowance: what all tabs may hold together.
    """

    def __init__(self, tagger: Tagger, allowance: Allowance):
        self._tagger = tagger
        self._allowance = Allowance(parent=allowance)
        self._cards: list[ImageCard] = []
        self._chosen = ChosenFiles()
        # Told by the server when it was last asked.
        self._away = False
        self._available: list[Column] = []
        self._build()
        ui.context.client.on_delete(self._forget)

    def _build(self) -> None:
        self._head()
        with ui.element("div").classes("tf-sticky"):
            self._controls = Controls(self._choice_changed, self._ask_all)
        with ui.element("div").classes("tf-main"):
            self._alert = ui.label().classes("tf-alert").props("role=alert")
            self._drop = self._drop_zone()
            DropAnywhere()
            with ui.element("div").classes("tf-list") as self._list:
                self._count = ui.label().classes("tf-label")
                ui.button(
                    "Remove all", on_click=self._remove_all, color=None
                ).props("flat dense no-caps")
            self._legend = Legend()
            self._refused = ui.element("section").classes("tf-refused")
            self._refused.props["aria-label"] = "Files that are not sent"
            self._grid = ui.element("section").classes("tf-cards")
            self._grid.props["aria-label"] = "Images"
        self._foot = ui.label().classes("tf-foot")
        self._alert.set_visibility(False)
        self._show_filled()
        ui.timer(_ASK_AGAIN_S, self._look_at_server)

    def _head(self) -> None:
        with ui.element("header").classes("tf-head"):
            ui.html(_LOGO, sanitize=False).classes("tf-logo")
            title = ui.label(self._tagger.options.model).classes(
                "tf-name-of-model"
            )
            title.props('role=heading aria-level="1"')
            with ui.element("div").classes("tf-state").props("role=status"):
                self._dot = ui.element("span").classes("tf-dot")
                self._state = ui.label("Connecting …")

    def _drop_zone(self) -> ui.upload:
        upload = ui.upload(
            multiple=True,
            auto_upload=True,
            max_file_size=contract.MAX_IMAGE_BYTES,
            on_upload=self._receive,
        ).classes("tf-drop")
        upload.add_slot("list", _HINT)
        upload.on("added", self._choose, js_handler=_CHOSEN)
        upload.on("rejected", self._reject, js_handler=_REJECTED)
        return upload

    async def _look_at_server(self) -> None:
        try:
            available = await self._tagger.columns()
            problem = "" if available else "no version of it is loaded"
        except ServerError as error:
            available, problem = [], str(error)
        self._say_state(problem)
        back, self._away = self._away and not problem, bool(problem)
        if available and available != self._available:
            self._available = available
            self._controls.offer(available, default_pair(available))
            await self._ask_all()
        elif available:
            self._ask_failed(passing=not back)

    def _ask_failed(self, passing: bool) -> None:
        columns = self._controls.columns
        failed = [c for c in self._cards if c.has_failed(columns, passing)]
        if failed:
            # An answer may take long: looking at the server goes on.
            background_tasks.create(self._ask(failed))

    def _say_state(self, problem: str) -> None:
        address = self._tagger.address
        self._dot.classes(
            add="bad" if problem else "good",
            remove="good" if problem else "bad",
        )
        self._state.set_text(
            f"{'No answer from' if problem else 'Connected to'} {address}"
        )
        self._alert.set_visibility(bool(problem))
        if problem:
            self._alert.set_text(
                f"{self._tagger.options.model} at {address} does not answer: "
                f"{problem}\nIs `tagforest serve` running there? It is asked "
                f"again every {_ASK_AGAIN_S:.0f} seconds."
            )

    def _choose(self, event: events.GenericEventArguments) -> None:
        self._chosen.add((str(name), int(size)) for name, size in event.args)

    async def _receive(self, event: events.UploadEventArguments) -> None:
        image = await event.file.read()
        place, name = await self._chosen.find(event.file.name, len(image))
        try:
            check_file(image)
            self._allowance.take(len(image))
        except Refused as refusal:
            self._refuse(name, str(refusal))
            return
        # Drawing takes long, and all tabs share this thread.
        small = await asyncio.to_thread(preview, image)
        with self._grid:
            card = ImageCard(
                self._tagger, name, image, small, place, self._remove
            )
        index = bisect([c.place for c in self._cards], place)
        self._cards.insert(index, card)
        card.move(index)
        self._show_filled()
        await self._ask([card])

    def _reject(self, event: events.GenericEventArguments) -> None:
        for file in event.args:
            why = too_large(int(file["size"]))
            if file["why"] == "duplicate":
                why = "it is being sent already"
            self._refuse(str(file["name"]), why)

    def _refuse(self, name: str, why: str) -> None:
        def remove(card: ui.element) -> None:
            card.delete()
            self._show_filled()

        with self._refused:
            refused_card(name, why, remove)
        self._show_filled()

    def _remove(self, card: ImageCard) -> None:
        self._cards.remove(card)
        self._allowance.give_back(len(card.image))
        card.delete()
        self._show_filled()

    def _remove_all(self) -> None:
        self._forget()
        self._grid.clear()
        self._refused.clear()
        self._show_filled()

    def _forget(self) -> None:
        for card in self._cards:
            self._allowance.give_back(len(card.image))
        self._cards.clear()

    def _show_filled(self) -> None:
        refused = len(self._refused.default_slot.children)
        filled = bool(self._cards or refused)
        self._list.set_visibility(filled)
        self._refused.set_visibility(bool(refused))
        has_tags = any(card.has_tags for card in self._cards)
        self._legend.show(has_tags * len(self._controls.columns))
        self._count.set_text(f"Images: {len(self._cards)}")
        self._drop.classes(
            add="tf-filled" if filled else "",
            remove="" if filled else "tf-filled",
        )
        # The browser would keep all that it has sent.
        self._drop.run_method("removeUploadedFiles")

    async def _ask_all(self) -> None:
        await self._ask(self._cards)

    async def _ask(self, cards: Sequence[ImageCard]) -> None:
        columns = self._controls.columns
        if not columns:
            return
        await asyncio.gather(*(self._ask_one(c, columns) for c in list(cards)))
        self._show_versions(columns)
        self._show_filled()

    async def _ask_one(
        self, card: ImageCard, columns: Sequence[Column]
    ) -> None:
        await card.ask(columns)
        tasks = filter(None, map(card.task, columns))
        if task := next(tasks, ""):
            self._controls.suit(task)
        if card in self._cards:
            card.show(self._controls.columns, self._controls.choice())

    def _choice_changed(self) -> None:
        for card in self._cards:
            card.show(self._controls.columns, self._controls.choice())

    def _show_versions(self, columns: Sequence[Column]) -> None:
        self._grid.style(f"--columns: {len(columns)}")
        lines = []
        for column in columns:
            known = (card.versions(column) for card in self._cards)
            found = next(filter(None, known), None)
            if found:
                lines.append(
                    f"{column.text}: model {found[0][:12] or 'unnamed'}, "
                    f"vocabulary {found[1][:12] or 'unnamed'}"
                )
        self._foot.set_text("\n".join(lines))
