"""One line of the screen, drawn only when it changes: status, meters, banner and footer are such lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from asynctop_console.views.cells import fit, strip_of
from asynctop_console.views.theme import Palette


class Piece(NamedTuple):
    """Some text in a role; a click on it runs the action."""

    text: str
    role: str = "text"
    action: str = ""
    ground: str = ""


Group: TypeAlias = tuple[Piece, ...]
"""Pieces that are shown together or not at all."""


class Line(Widget):
    """Groups from the left as many as fit, and one at the right end that stays."""

    DEFAULT_CSS = "Line { height: 1; }"

    def __init__(self, ground: str, palette: Callable[[], Palette], id: str | None = None) -> None:
        super().__init__(id=id)
        self._ground = ground
        self._palette = palette
        self._shown: tuple[tuple[Group, ...], Group, str] = ((), (), ground)

    def show(self, groups: list[Group], right: Group = (), ground: str = "") -> None:
        """Show these, on another ground where one is given."""
        content = (tuple(groups), right, ground or self._ground)
        if content != self._shown:
            self._shown = content
            self.refresh()

    @property
    def text(self) -> str:
        """What it shows, as text."""
        return self.render_line(0).text

    def render_line(self, y: int) -> Strip:
        """The line."""
        groups, right, ground = self._shown
        palette, width = self._palette(), self.size.width
        rest = palette["text", ground]
        room = width - sum(cell_len(piece.text) for piece in right)
        drawn: list[tuple[str, Style]] = []
        for index, group in enumerate(groups):
            needed = sum(cell_len(piece.text) for piece in group)
            if needed > room and index:
                break
            for piece in group:
                size = min(cell_len(piece.text), room)
                drawn.append(self._draw(piece, size, ground))
                room -= size
        drawn.append((" " * max(room, 0), rest))
        drawn.extend(self._draw(piece, cell_len(piece.text), ground) for piece in right)
        return strip_of(drawn, width, rest)

    def _draw(self, piece: Piece, width: int, ground: str) -> tuple[str, Style]:
        style = self._palette()[piece.role, piece.ground or ground]
        if piece.action:
            style += Style.from_meta({"@click": piece.action})
        return fit(piece.text, width), style
