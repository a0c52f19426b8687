"""A page of lines to read: some of them lead somewhere, and those the cursor goes through."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from asynctop_console.views.cells import fit
from asynctop_console.views.line import Piece
from asynctop_console.views.table import strip_of
from asynctop_console.views.theme import Palette


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line; with a `goal` the cursor can stand on it, and Enter goes there."""

    pieces: tuple[Piece, ...] = ()
    goal: Hashable = None


class Lines(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines on a page as long as they need, drawn only where they changed."""

    DEFAULT_CSS = """
    Lines { height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """

    class Chosen(Message):
        """A line that leads somewhere was clicked."""

        def __init__(self, goal: Hashable) -> None:
            super().__init__()
            self.goal = goal

    def __init__(self, palette: Callable[[], Palette]) -> None:
        super().__init__()
        self.palette = palette
        self.lines: list[TextLine] = []
        self.goal: Hashable = None
        """Where the line leads that the cursor is on."""

    @property
    def text(self) -> str:
        """All lines, as text."""
        return "\n".join("".join(piece.text for piece in line.pieces) for line in self.lines)

    def show(self, lines: list[TextLine]) -> None:
        """Show these lines."""
        old, self.lines = self.lines, lines
        if self.goal is not None and self.goal not in {line.goal for line in lines}:
            self.goal = None
        if len(old) != len(lines):
            self.virtual_size = Size(self.size.width, len(lines))
        top = self.scroll_offset.y
        for y in range(self.size.height):
            index = top + y
            before = old[index] if index < len(old) else None
            now = lines[index] if index < len(lines) else None
            if before != now:
                self.refresh(Region(0, y, self.size.width, 1))

    def move(self, step: int) -> None:
        """To the next line that leads somewhere, else scroll; by more than one line only scroll."""
        goals = [index for index, line in enumerate(self.lines) if line.goal is not None]
        if abs(step) != 1 or not goals:
            self.scroll_to(y=self.scroll_offset.y + step, animate=False)
            return
        here = next((i for i in goals if self.lines[i].goal == self.goal), None)
        top, bottom = self.scroll_offset.y, self.scroll_offset.y + self.size.height
        if here is None:
            ahead = [index for index in goals if top <= index < bottom]
        else:
            ahead = [i for i in (goals if step > 0 else goals[::-1]) if (i - here) * step > 0]
        # A line far beyond the edge is come near to by scrolling, so that nothing is skipped unread.
        if ahead and top - 1 <= ahead[0] <= bottom:
            self.goal = self.lines[ahead[0]].goal
            if not top <= ahead[0] < bottom:
                self.scroll_to(y=top + step, animate=False)
            self.refresh()
        else:
            self.scroll_to(y=top + step, animate=False)

    def render_line(self, y: int) -> Strip:
        """Line `y` of the screen."""
        palette, width = self.palette(), self.size.width
        index = y + self.scroll_offset.y
        if index >= len(self.lines):
            return Strip.blank(width, palette["text"])
        line = self.lines[index]
        ground = "cursor" if line.goal is not None and line.goal == self.goal else "ground"
        drawn: list[tuple[str, Style]] = []
        room = width
        for piece in line.pieces:
            size = min(cell_len(piece.text), room)
            drawn.append((fit(piece.text, size), palette[piece.role, piece.ground or ground]))
            room -= size
        return strip_of(drawn, width, palette["text", ground])

    def on_resize(self, event: events.Resize) -> None:
        """Another width."""
        self.virtual_size = Size(event.size.width, len(self.lines))

    def on_click(self, event: events.Click) -> None:
        """A click goes where the line leads."""
        index = event.y + self.scroll_offset.y
        if index < len(self.lines) and self.lines[index].goal is not None:
            self.goal = self.lines[index].goal
            self.refresh()
            self.post_message(self.Chosen(self.goal))
