"""Writing to the terminal only what has changed, and drawing no more than that.

Textual draws all lines of all widgets between the topmost and the lowest line that changed, and writes a
line from the left end of a widget up to what changed in it, each piece with the codes of its style. In a
table most rows change in a few cells, and in the same styles, with each tick: over a slow line, and several
times a second, that is what counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import Compositor, CompositorUpdate, LayoutUpdate
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Plain(Widget):
    """A widget that is nothing but its lines, as `render_line` gives them: no border, padding or opacity."""

    _theme = ""
    _background = Color(0, 0, 0)

    def part(self, y: int, left: int, right: int) -> Strip:
        """What stands in line `y` from one cell to another."""
        return self.render_line(y).crop_extend(left, right, Style.null())

    def render_lines(self, crop: Region) -> list[Strip]:
        """See Textual's, which goes through all that could be around a line."""
        if self._theme != self.app.theme:
            self._theme, self._background = self.app.theme, self.background_colors[1]
        filters = self.get_line_filters()
        strips = []
        for y in crop.line_range:
            segments = list(self.part(y, crop.x, crop.right))
            for each in filters:
                segments = each.apply(segments, self._background)
            strips.append(Strip(segments, crop.width))
        pointed = self.hover_style
        if "@click" in pointed.meta:
            strips = [strip.style_links(pointed.link_id, self.link_style_hover) for strip in strips]
        return strips


class Part(NamedTuple):
    """What stands in a line of the screen from a cell on."""

    x: int
    y: int
    strip: Strip


class NarrowCompositor(Compositor):
    """A screen's compositor whose partial updates are narrow."""

    def render_full_update(self, simplify: bool = False) -> LayoutUpdate:
        """See Textual's."""
        update = super().render_full_update(simplify)
        return _WholeUpdate(update.strips, update.region)

    def render_partial_update(self) -> NarrowUpdate | None:  # type: ignore[override]
        """See Textual's."""
        spans = list(self._regions_to_spans(self._dirty_regions))
        self._dirty_regions.clear()
        widgets = [
            _Shown(widget, region, region.intersection(clip))
            for widget, (region, clip) in self.visible_widgets.items()
        ]
        parts = [part for span in spans for part in _parts(*span, widgets)]
        return NarrowUpdate(parts) if parts else None


class _Shown(NamedTuple):
    widget: Widget
    region: Region
    """Where it would be on the screen, and"""
    shown: Region
    """what of that is on it."""


def _parts(y: int, left: int, right: int, widgets: list[_Shown]) -> Iterator[Part]:
    """What stands from one cell to another: of each widget what none of those before it covers."""
    for index, (widget, region, shown) in enumerate(widgets):
        begin, end = max(left, shown.x), min(right, shown.right)
        if begin < end and shown.y <= y < shown.bottom:
            behind = widgets[index + 1 :]
            if left < begin:
                yield from _parts(y, left, begin, behind)
            [strip] = widget.render_lines(Region(begin - region.x, y - region.y, end - begin, 1))
            yield Part(begin, y, strip)
            if end < right:
                yield from _parts(y, end, right, behind)
            return


class NarrowUpdate(CompositorUpdate):
    """These parts of the screen."""

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts

    def render_segments(self, console: Console) -> str:
        """What goes to the terminal."""
        return _written(self.parts, console)


class _WholeUpdate(LayoutUpdate):
    """All of the screen."""

    def render_segments(self, console: Console) -> str:
        """What goes to the terminal."""
        parts = []
        for y, line in enumerate(self.strips, self.region.y):
            x = self.region.x
            for strip in line:
                parts.append(Part(x, y, strip))
                x += strip.cell_length
        return _written(parts, console)


def _written(parts: list[Part], console: Console) -> str:
    """How parts are written: where the cursor goes next says nothing about the style."""
    colors = console._color_system or ColorSystem.TRUECOLOR
    pieces: list[str] = []
    for style, alike in groupby(_pieces(parts), itemgetter(0)):
        text = "".join(text for _, text in alike)
        pieces.append(text if style is None else Strip.render_style(style, text, color_system=colors))
    return "".join(pieces)


_ODD = re.compile("[\u0300-\u1fff\u2e80-\U0010ffff]")
"""Characters that terminals do not agree about how many cells they take: marks, skin tones, whole scripts."""


def _pieces(parts: list[Part]) -> Iterator[tuple[Style | None, str]]:
    for x, y, strip in parts:
        move = f"\x1b[{y + 1};{x + 1}H"
        for text, style, _ in strip:
            if _ODD.search(text):
                cells = cell_len(text)
                # What follows stands where it should, and nothing is left of what stood here.
                yield style, f"{move}\x1b[{cells}X{text}"
                x += cells
                move = f"\x1b[{y + 1};{x + 1}H"
            else:
                yield style, move + text
                x += len(text)
                move = ""
