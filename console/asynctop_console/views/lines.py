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

from asynctop_console.views.cells import fit, strip_of
from asynctop_console.views.line import Piece
from asynctop_console.views.narrow import Plain
from asynctop_console.views.theme import Palette


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line; with a `goal` the cursor can stand on it, and Enter goes there."""

    pieces: tuple[Piece, ...] = ()
    goal: Hashable = None


class Lines(Plain, ScrollView, can_focus=True, inherit_bindings=False):
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
        self._stops: list[int] = []
        """Which lines lead somewhere."""
        self._chosen: tuple[Hashable, int] | None = None
        """Where the chosen line leads, and how many lines above it lead there too: lines come and go."""

    @property
    def goal(self) -> Hashable:
        """Where the line leads that the cursor is on; None for no such line."""
        return None if self._chosen is None else self._chosen[0]

    @property
    def cursor(self) -> int | None:
        """Which line the cursor is on."""
        if self._chosen is None:
            return None
        goal, above = self._chosen
        return [index for index in self._stops if self.lines[index].goal == goal][above]

    def choose(self, goal: Hashable) -> None:
        """Put the cursor on the first line that leads there."""
        self._choose(next(index for index in self._stops if self.lines[index].goal == goal))

    def _choose(self, index: int) -> None:
        goal = self.lines[index].goal
        self._chosen = goal, sum(self.lines[stop].goal == goal for stop in self._stops if stop < index)
        self.refresh()

    @property
    def text(self) -> str:
        """All lines, as text."""
        return "\n".join("".join(piece.text for piece in line.pieces) for line in self.lines)

    def show(self, lines: list[TextLine]) -> None:
        """Show these lines."""
        old, before_at = self.lines, self.cursor
        self.lines, self._stops = lines, [i for i, line in enumerate(lines) if line.goal is not None]
        if self._chosen is not None:
            goal, above = self._chosen
            same = sum(lines[index].goal == goal for index in self._stops)
            self._chosen = (goal, min(above, same - 1)) if same else None
        if len(old) != len(lines):
            self.virtual_size = Size(self.size.width, len(lines))
        at, top = self.cursor, self.scroll_offset.y
        for y in range(self.size.height):
            index = top + y
            before = old[index] if index < len(old) else None
            now = lines[index] if index < len(lines) else None
            if before != now or (index in (before_at, at) and before_at != at):
                self.refresh(Region(0, y, self.size.width, 1))

    def move(self, step: int) -> None:
        """To the next line that leads somewhere, else scroll; by more than one line only scroll."""
        goals = self._stops
        if abs(step) != 1 or not goals:
            self.scroll_to(y=self.scroll_offset.y + step, animate=False)
            return
        here = self.cursor
        top, bottom = self.scroll_offset.y, self.scroll_offset.y + self.size.height
        if here is None:
            ahead = [index for index in goals if top <= index < bottom]
        else:
            ahead = [i for i in (goals if step > 0 else goals[::-1]) if (i - here) * step > 0]
        # A line far beyond the edge is come near to by scrolling, so that nothing is skipped unread.
        if ahead and top - 1 <= ahead[0] <= bottom:
            self._choose(ahead[0])
            if not top <= ahead[0] < bottom:
                self.scroll_to(y=top + step, animate=False)
        else:
            self.scroll_to(y=top + step, animate=False)

    def reveal(self, heading: str) -> None:
        """Scroll to this heading, where it is beyond the screen or in its lower half."""
        texts = ("".join(piece.text for piece in line.pieces).strip() for line in self.lines)
        at = next((index for index, text in enumerate(texts) if text == heading), None)
        if at is not None and not 0 <= at - self.scroll_offset.y <= self.size.height // 2:
            self.scroll_to(y=at, animate=False)

    def render_line(self, y: int) -> Strip:
        """Line `y` of the screen."""
        # The scroll bar lies above the last cell.
        palette, width = self.palette(), self.size.width - self.scrollbar_size_vertical
        index = y + self.scroll_offset.y
        if index >= len(self.lines):
            return Strip.blank(width, palette["text"])
        line = self.lines[index]
        ground = "cursor" if index == self.cursor else "ground"
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
            self._choose(index)
            self.post_message(self.Chosen(self.goal))
