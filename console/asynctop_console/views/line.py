"""One line of the screen, drawn only when it changes: status, meters, banner and footer are such lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from rich.cells import cell_len
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from asynctop_console.views.cells import differences, fit, strip_of
from asynctop_console.views.narrow import Plain
from asynctop_console.views.theme import Palette


class Piece(NamedTuple):
    """Some text in a role; a click on it runs the action."""

    text: str
    role: str = "text"
    action: str = ""
    ground: str = ""


Group: TypeAlias = tuple[Piece, ...]
"""Pieces that are shown together or not at all."""


class Line(Plain):
    """Groups from the left as many as fit, and one at the right end that stays."""

    DEFAULT_CSS = "Line { height: 1; }"

    def __init__(self, ground: str, palette: Callable[[], Palette], id: str | None = None) -> None:
        super().__init__(id=id)
        self._ground = ground
        self._palette = palette
        self._shown: tuple[tuple[Group, ...], Group, str] = ((), (), ground)
        self._looks: tuple[object, int, Palette] | None = None
        """What was drawn last, how wide and in which colours, and"""
        self._drawn: list[tuple[str, Style]] = []
        """its pieces, and"""
        self._strip = Strip([])
        """those in one."""

    def show(self, groups: list[Group], right: Group = (), ground: str = "") -> None:
        """Show these, on another ground where one is given."""
        content = (tuple(groups), right, ground or self._ground)
        if content == self._shown:
            return
        before, self._shown = self._drawn, content
        self.render_line(0)
        sizes = [cell_len(text) for text, _ in self._drawn]
        if sizes != [cell_len(text) for text, _ in before]:
            self.refresh()
        elif self._drawn != before:
            self.refresh(*[Region(x, 0, end - x, 1) for x, end in differences(sizes, self._drawn, before)])

    @property
    def text(self) -> str:
        """What it shows, as text."""
        return self.render_line(0).text

    def render_line(self, y: int) -> Strip:
        """The line."""
        looks = (self._shown, self.size.width, self._palette())
        if looks != self._looks:
            self._looks, self._drawn = looks, self._draw()
            self._strip = strip_of(self._drawn, self.size.width, self._palette()["text", self._shown[-1]])
        return self._strip

    def _draw(self) -> list[tuple[str, Style]]:
        groups, right, ground = self._shown
        room = self.size.width - sum(cell_len(piece.text) for piece in right)
        drawn: list[tuple[str, Style]] = []
        for index, group in enumerate(groups):
            needed = sum(cell_len(piece.text) for piece in group)
            if needed > room and index:
                break
            for piece in group:
                size = min(cell_len(piece.text), room)
                drawn.append(self._styled(piece, size, ground))
                room -= size
        drawn.append((" " * max(room, 0), self._palette()["text", ground]))
        drawn.extend(self._styled(piece, cell_len(piece.text), ground) for piece in right)
        return drawn

    def _styled(self, piece: Piece, width: int, ground: str) -> tuple[str, Style]:
        style = self._palette()[piece.role, piece.ground or ground]
        if piece.action:
            style += Style.from_meta({"@click": piece.action})
        return fit(piece.text, width), style
