"""Picking from a table's columns: the one to sort by, and those to show."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from asynctop_console.views.columns import Column
from asynctop_console.views.frame import Frame
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.page import Page, paragraph
from asynctop_console.views.table import Table


class _Picker(Page):
    """A page with a line for each column, of which one is chosen from the beginning."""

    def __init__(self, table: Table[Any]) -> None:
        super().__init__()
        self.table = table

    def paint(self, frame: Frame, reorder: bool = False) -> None:
        """Show this frame."""
        super().paint(frame, reorder)
        if self.page.goal is None and self.page.lines:
            self.page.choose(self.begin())

    def begin(self) -> str:
        """The column on which the cursor stands at first."""
        return _titled(self.table)[0].id


class SortPicker(_Picker):
    """All columns that one can sort by, also those that are not shown."""

    def begin(self) -> str:
        """The one that is sorted by."""
        return self.table.sort

    def lines(self, frame: Frame) -> list[TextLine]:
        """A line for each."""
        keymap = self.console.keymap
        open_, back = keymap.named("open"), keymap.named("back")
        said = f"   {open_} sorts, on the present one the other way round; {back} goes back"
        lines = [TextLine((Piece(" Sort by", "strong"), Piece(said, "muted"))), TextLine()]
        for column in self.table.columns:
            if column.sort is not None and column.title:
                sign = ("▼" if self.table.descending else "▲") if column.id == self.table.sort else " "
                lines.append(_line(sign, column, "accent"))
        return lines

    def follow(self, goal: Hashable) -> None:
        """Sort by it."""
        self.action_back()
        self.table.sort_by(str(goal))


class ColumnPicker(_Picker):
    """All columns, and which of them are shown; what is chosen here is remembered."""

    def __init__(self, table: Table[Any], screen: str) -> None:
        """`screen` is the name by which the choice is remembered."""
        super().__init__(table)
        self.of = screen

    def lines(self, frame: Frame) -> list[TextLine]:
        """A line for each."""
        keymap = self.console.keymap
        open_, back = keymap.named("open"), keymap.named("back")
        said = f"   {open_} shows a column, or hides it; {back} goes back"
        lines = [TextLine((Piece(" Columns", "strong"), Piece(said, "muted"))), TextLine()]
        for column in _titled(self.table):
            shown = self.table.shows(column)
            lines.append(_line("[x]" if shown else "[ ]", column, "good" if shown else "faint"))
        narrow = "Where the screen is too narrow for all of them, some leave by themselves."
        return [*lines, TextLine(), *paragraph(narrow, self.app.size.width, "muted")]

    def follow(self, goal: Hashable) -> None:
        """Show it, or hide it."""
        shown = {column.id: self.table.shows(column) for column in _titled(self.table)}
        shown[str(goal)] = not shown[str(goal)]
        if not any(shown.values()):
            self.say("One column must stay")
            return
        differing = {c.id: shown[c.id] for c in _titled(self.table) if shown[c.id] == c.hidden}
        self.table.choose_columns(differing)
        problem = self.console.memory.remember(self.of, differing)
        if problem:
            self.say(problem)
        self.repaint()


def _titled(table: Table[Any]) -> list[Column[Any]]:
    return [column for column in table.columns if column.title]


def _line(sign: str, column: Column[Any], role: str) -> TextLine:
    title = column.title if len(column.title) > 1 else f"{column.title} ({column.id}, as a sign)"
    return TextLine((Piece(f"  {sign:<4}", role), Piece(title)), goal=column.id)
