"""What the browser does alone, without asking this process: Vue components."""

from __future__ import annotations

from typing import Any

from nicegui.element import Element


class ThresholdControl(Element, component="threshold.js"):
    """A slider, and whether one threshold is for all classes."""

    def __init__(self) -> None:
        super().__init__()
        self._props["calibratable"] = True

    def begin(self, threshold: float) -> None:
        """Sets one threshold, for what has none of its own."""
        self.props["calibratable"] = False
        self.props["preset"] = threshold


class TagAnswer(Element, component="tag_answer.js"):
    """The tags, boxes or masks of one image, for all thresholds."""

    def __init__(self) -> None:
        super().__init__()
        self.set_visibility(False)

    def show(
        self, answer: dict[str, Any], command: str, command_name: str
    ) -> None:
        """Shows an answer, and offers the command for it.

        Args:
            answer: see `to_answer` and `to_drawn`.
        """
        new = {
            "answer": answer,
            "command": command,
            "command-name": command_name,
        }
        for name, value in new.items():
            if self.props.get(name) != value:
                self.props[name] = value
        self.set_visibility(True)


class DropAnywhere(Element, component="drop_anywhere.js"):
    """Hands files that are dropped beside the drop zone to it."""
