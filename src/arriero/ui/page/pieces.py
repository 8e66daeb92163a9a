"""The page's own parts, and how plain HTML is written in NiceGUI: text is always text, never markup."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

Press = Callable[[], Awaitable[None] | None]


class Told(Element):
    """A part in the browser that draws what it is told as JSON."""

    def tell(self, text: str) -> None:
        """Nothing goes to the browser where nothing is new."""
        if text != self._props.get("told"):
            self._props["told"] = text


class Fleet(Told, component="assets/fleet.js"):
    """Sites, targets, models."""


class Plots(Told, component="assets/plots.js"):
    """Lines of the last quarter of an hour."""


class RunProgress(Told, component="assets/run.js"):
    """A deployment as it goes on."""


def tag(name: str, classes: str = "", **attributes: Any) -> Element:
    """An element of HTML; an attribute's `_` stands for a dash."""
    found = ui.element(name).classes(classes)
    for key, value in attributes.items():
        found._props[key.strip("_").replace("_", "-")] = value
    return found


def words(name: str, text: object, classes: str = "", **attributes: Any) -> TextElement:
    """The same with a text in it."""
    found = TextElement(tag=name, text=str(text)).classes(classes)
    for key, value in attributes.items():
        found._props[key.strip("_").replace("_", "-")] = value
    return found


def press(text: str, act: Press, classes: str = "", said: str = "") -> TextElement:
    """A button; `said` is what a screen reader says instead of its text."""
    found = words("button", text, f"press {classes}".strip(), type="button")
    if said:
        found._props["aria-label"] = said
    found.on("click", lambda _: act(), args=[])
    return found


class Field:
    """A labelled field; `value` is what stands in it."""

    def __init__(self, label: str, kind: str = "input", value: str = "", **attributes: Any) -> None:
        self.value = value
        with tag("div", "field"):
            self._label = words("label", label)
            self.element = tag(kind, **attributes)
            self.element._props["id"] = f"field-{self.element.id}"
            if value and kind == "input":
                self.element._props["value"] = value
        self._label._props["for"] = f"field-{self.element.id}"
        self.element.on("input", self._take, js_handler="(event) => emit(event.target.value)")

    def _take(self, event: Any) -> None:
        self.value = str(event.args)


def choices(label: str, options: dict[str, str], chosen: str = "") -> Field:
    """A list to choose one of: by value, what is shown."""
    found = Field(label, "select", chosen)
    with found.element:
        for value, text in options.items():
            option = words("option", text, value=value)
            if value == chosen:
                option._props["selected"] = True
    return found
