"""What bars, colours and lines of the tags mean."""

from __future__ import annotations

from nicegui import ui

_ALWAYS = (
    ("tf-cell tag", "a tag"),
    ("tf-cell", "not a tag: shown for what stands below it"),
)
_ONE_FOR_ALL = ("tf-cell tf-one", "the line: the threshold")
_COMPARED = ("tf-cell second tag", "a tag of the second version")


class Legend:
    """Explains the bars, and so much as there is to see."""

    def __init__(self) -> None:
        self._box = ui.element("section").classes("tf-key")
        self._box.props["aria-label"] = "What the marks mean"
        with self._box:
            for classes, text in _ALWAYS:
                _bar(classes, text)
            _bar(*_ONE_FOR_ALL).classes("tf-key-line")
            self._second = _bar(*_COMPARED)
            with ui.element("span").classes("tf-leaf"):
                ui.label("bold green").classes("tf-name")
                ui.label("a class with none below it")
            with ui.element("span") as self._mark:
                ui.label("+0.20").classes("tf-mark")
                ui.label("where the versions differ: second less first")
        self.show(0)

    def show(self, columns: int) -> None:
        """Explains the tags of so many versions; 0 for nothing."""
        self._box.set_visibility(columns > 0)
        for element in (self._second, self._mark):
            element.set_visibility(columns > 1)


def _bar(classes: str, text: str) -> ui.element:
    with ui.element("span") as entry:
        with ui.element("span").classes(classes).props("aria-hidden=true"):
            with ui.element("span").classes("tf-track"):
                ui.element("span").classes("tf-fill")
        ui.label(text)
    return entry
