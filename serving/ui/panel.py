"""An image on the page with boxes or a mask over it, and the legend."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from serving.api.drawn import Detection, Segmentation
from serving.ui.drawing import Entry, entries_of, overlay, summary
from serving.ui.tag_tree import Choice


class Panel:
    """The answer of one version for one image.

    Args:
        title: of the version; none if empty.
        answer: a valid one.
        preview: data URL of the image; empty if it cannot be drawn.
        size: its height and width in pixels, None where nobody knows.
    """

    def __init__(
        self,
        title: str,
        answer: Detection | Segmentation,
        preview: str,
        size: tuple[int, int] | None,
    ):
        self._answer, self._size = answer, size
        self._shown: list[Entry] | None = None
        self._mask: ui.element | None = None
        with ui.element("figure").classes("tf-panel"):
            if title:
                ui.label(title).classes("tf-label")
            with ui.element("div").classes("tf-scene") as scene:
                if preview and size:
                    # As high as all, small images too, and no wider than fits.
                    scene.style(f"--wide: {size[1] / size[0]:.4f}")
                    ui.element("img").props["src"] = preview
                    self._mask = ui.element("img").classes("tf-mask")
                self._boxes = ui.element("div")
            self._legend = ui.element("div").classes("tf-legend")

    def show(self, choice: Choice) -> str:
        """Draws what is chosen; returns how much that is, in words."""
        shown = entries_of(self._answer, self._size, choice)
        if shown != self._shown:
            self._shown = shown
            self._draw(shown)
        return summary(self._answer, shown, choice)

    def _draw(self, shown: Sequence[Entry]) -> None:
        if self._mask is not None:
            url = overlay(self._answer, shown)
            self._mask.props["src"] = url
            self._mask.set_visibility(bool(url))
        self._boxes.clear()
        if self._mask is not None:
            with self._boxes:
                # The best ones last, over the others.
                for entry in reversed(shown):
                    _box(entry)
        self._legend.clear()
        with self._legend:
            for entry in shown:
                _line(entry)


def _box(entry: Entry) -> None:
    if entry.place is None:
        return
    left, top, width, height = entry.place
    box = ui.element("div").classes("tf-box")
    box.style(
        f"left: {left:.3f}%; top: {top:.3f}%; width: {width:.3f}%; "
        f"height: {height:.3f}%; --colour: {entry.colour}"
    )
    with box:
        ui.label(f"{entry.name} {entry.value:.2f}")


def _line(entry: Entry) -> None:
    with ui.element("div").classes("tf-entry"):
        swatch = ui.element("span").classes("tf-swatch")
        swatch.style(f"--colour: {entry.colour}")
        ui.label(entry.name).classes("tf-name")
        ui.label(entry.wnid).classes("tf-id")
        with ui.element("span").classes("tf-track"):
            fill = ui.element("span").classes("tf-fill")
            fill.style(
                f"width: {100 * entry.value:.0f}%; background: {entry.colour}"
            )
        ui.label(f"{entry.value:.2f}").classes("tf-number")
