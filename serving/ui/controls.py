"""The bar of settings: versions, threshold, search."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from serving.api import contract
from serving.ui.compared_versions import Column
from serving.ui.components import ThresholdControl
from serving.ui.drawing import FIRST_THRESHOLD
from serving.ui.tag_tree import Choice

_NONE = ""


class Controls:
    """Builds the bar and holds what is set.

    Args:
        on_choice: called when other classes are to be shown.
        on_columns: called when other versions are to be asked.

    Attributes:
        bar: the element that holds the controls.
        columns: the versions that are chosen.
    """

    def __init__(
        self,
        on_choice: Callable[[], None],
        on_columns: Callable[[], Awaitable[None]],
    ):
        self.columns: list[Column] = []
        self._available: list[Column] = []
        self._task = contract.TAGS
        self._on_choice, self._on_columns = on_choice, on_columns
        self.bar = ui.element("div").classes("tf-bar")
        with self.bar:
            self._build_versions()
            self._threshold = ThresholdControl()
            self._specific = ui.switch(
                "Most specific", on_change=lambda: self._on_choice()
            ).props("dense")
            self._search = ui.input(
                placeholder="Find a tag", on_change=lambda: self._on_choice()
            ).classes("tf-search")
            self._search.props('dense outlined clearable debounce="150"')
            self._search.props["aria-label"] = "Find a tag"

    def _build_versions(self) -> None:
        with ui.element("div").classes(
            "tf-group tf-versions"
        ) as self._versions:
            ui.label("Compare").classes("tf-label")
            self._first = self._select("First version")
            ui.label("with").classes("tf-label")
            self._second = self._select("Second version")
        self._versions.set_visibility(False)

    def _select(self, label: str) -> ui.select:
        select = ui.select({}, on_change=self._chosen)
        select.props("dense outlined options-dense")
        select.props["aria-label"] = label
        return select

    def offer(
        self, available: Sequence[Column], preset: Sequence[Column]
    ) -> None:
        """Offers these versions; keeps what is chosen, while it is there."""
        self._available = list(available)
        texts = {c.key: c.text for c in available}
        kept = [c.key for c in self.columns if c.key in texts]
        keys = kept if self.columns and kept else [c.key for c in preset]
        self.columns = [c for k in keys for c in available if c.key == k]
        self._first.set_options(texts, value=keys[0])
        rest = {_NONE: "nothing", **texts}
        self._second.set_options(rest, value=[*keys, _NONE][1])
        self._versions.set_visibility(len(available) > 1)

    def suit(self, task: str) -> None:
        """Shows the settings that mean something for a task.

        Args:
            task: see `TagClient.task`.
        """
        if task == self._task:
            return
        self._task = task
        self._specific.set_visibility(task == contract.TAGS)
        self._threshold.set_visibility(task != contract.SEGMENT)
        if task == contract.DETECT:
            # Boxes have no thresholds of their own.
            self._threshold.begin(FIRST_THRESHOLD)

    async def _chosen(self) -> None:
        keys = [self._first.value, self._second.value]
        if keys[0] == keys[1]:
            keys = keys[:1]
        chosen = [c for k in keys for c in self._available if c.key == k]
        if chosen and chosen != self.columns:
            self.columns = chosen
            await self._on_columns()

    def choice(self) -> Choice:
        """Returns what is to be shown."""
        return Choice(bool(self._specific.value), self._search.value or "")
