"""What the browser does alone, without asking this process: Vue components."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments


class ThresholdControl(Element, component="threshold.js"):
    """A slider, and whether one threshold is for all classes.

    Args:
        on_choice: called with the threshold, or None for the thresholds that
            the model brings; some time after it has been set.
    """

    def __init__(self, on_choice: Callable[[float | None], None]):
        super().__init__()
        self._props["calibratable"] = True

        def chosen(event: GenericEventArguments) -> None:
            calibrated = event.args["calibrated"]
            on_choice(None if calibrated else float(event.args["threshold"]))

        self.on("choice", chosen, throttle=0.05)

    def begin(self, threshold: float) -> None:
        """Sets one threshold, for what has none of its own."""
        self.props["calibratable"] = False
        self.props["preset"] = threshold


class TagAnswer(Element, component="tag_answer.js"):
    """The tags of one image, for all thresholds."""

    def __init__(self) -> None:
        super().__init__()
        self.set_visibility(False)

    def show(
        self, answer: dict[str, Any], command: str, command_name: str
    ) -> None:
        """Shows an answer, see `to_answer`, and offers the command for it."""
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
