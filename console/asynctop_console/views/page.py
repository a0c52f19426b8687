"""Screens that are read rather than picked from: a title, paragraphs of lines, and places to go to."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from asynctop_console.model.places import is_users
from asynctop_console.views.cells import fit
from asynctop_console.views.frame import Frame
from asynctop_console.views.keys import bindings
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import Lines, TextLine
from asynctop_console.views.view import View

LABEL = 12
"""Cells of a label in front of a line."""
UNSEEN = "not seen: no line of yours, or there before asynctop"
"""What is said of a spawn whose line is not known."""


@dataclass(frozen=True, slots=True)
class ToResource:
    """A line that leads to a resource."""

    id: int


@dataclass(frozen=True, slots=True)
class ToKind:
    """A line that leads to the tasks of a kind: by its number, as others may be called the same."""

    kind: int


def heading(text: str) -> list[TextLine]:
    """A heading, with a blank line before it."""
    return [TextLine(), TextLine((Piece(f" {text}", "title"),))]


def labelled(label: str, *pieces: Piece, goal: Hashable = None) -> TextLine:
    """A line with a label; with a `goal`, marked as leading somewhere: in front, where nothing is cut."""
    sign = Piece("→ " if goal is not None else "  ", "accent")
    return TextLine((sign, Piece(f"{label:<{LABEL}}", "muted"), *pieces), goal)


def placed(label: str, place: str | None, otherwise: str, width: int) -> TextLine:
    """A line with a place in the source, of which the end is worth most; or what is said where it is not
    known."""
    if place is None:
        return labelled(label, Piece(otherwise, "muted"))
    return labelled(label, Piece(fit(place, width - LABEL - 3, cut="left").rstrip(), "place"))


def paragraph(text: str, width: int, role: str = "text") -> list[TextLine]:
    """A sentence, broken into lines."""
    return [TextLine((Piece(f"  {line}", role),)) for line in textwrap.wrap(text, max(width - 4, 20))]


def stack_lines(stack: list[tuple[str, str, int]], width: int) -> list[TextLine]:
    """A stack, outermost first; the user's own frames stand out, the last of them most."""
    users = [index for index, frame in enumerate(stack) if is_users(frame)]
    own = users[-1] if users else len(stack) - 1
    lines = []
    for index, (function, file, line) in enumerate(stack):
        mark = "►" if index == own else " "
        role = "strong" if index == own else "text" if index in users else "faint"
        place = fit(f"{file}:{line}", max(width - 38, 20), cut="left").rstrip()
        lines.append(
            TextLine(
                (
                    Piece(f"  {mark} ", "bad" if index == own else "faint"),
                    Piece(fit(function, 32) + " ", role),
                    Piece(place, "place" if index in users else "faint"),
                )
            )
        )
    return lines


class Page(View):
    """A page on top of another screen; Esc goes back to that."""

    KEYS_OF = "detail"
    LEAVE = "back"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("detail")]

    def __init__(self) -> None:
        super().__init__()
        self.page = Lines(self.palette)

    def lines(self, frame: Frame) -> list[TextLine]:
        """What stands on it."""
        raise NotImplementedError

    def follow(self, goal: Hashable) -> None:
        """Go where a line leads: tasks by their number."""
        match goal:
            case int():
                self.console.show_task(goal)
            case ToResource(id):
                self.console.show_resource(id)
            case ToKind(kind):
                self.console.show_tasks_of(kind)

    def body(self) -> list[Widget]:
        """The lines."""
        return [self.page]

    def paint(self, frame: Frame, reorder: bool = False) -> None:
        """Show this frame."""
        if self.is_mounted:
            self.page.show(self.lines(frame))
            super().paint(frame)

    def gone(self, what: str) -> list[TextLine]:
        """What to say where there is nothing to show any more."""
        text = f"{what} {self.console.keymap.named('back')} goes back."
        return [TextLine(), *paragraph(text, self.app.size.width, "muted")]

    def action_back(self) -> None:
        """Back to where one came from."""
        self.console.pop_screen()

    def action_open(self) -> None:
        """Go where the chosen line leads."""
        if self.page.goal is not None:
            self.follow(self.page.goal)

    def on_lines_chosen(self, message: Lines.Chosen) -> None:
        """A click on such a line."""
        self.follow(message.goal)

    def action_move(self, step: int) -> None:
        """Up and down."""
        self.page.move(step)

    def action_page(self, step: int) -> None:
        """A page up or down."""
        self.page.move(step * max(self.page.size.height - 1, 2))

    def action_move_to(self, position: int) -> None:
        """To the beginning (0) or the end (-1)."""
        self.page.scroll_to(y=0 if position == 0 else len(self.page.lines), animate=False)

    def copied(self, frame: Frame) -> str:
        """What is worth copying."""
        return self.page.text

    def action_copy(self) -> None:
        """Copy the name."""
        text = self.copied(self.console.frame())
        self.app.copy_to_clipboard(text)
        self.say(f"Copied: {text[:60]}")
