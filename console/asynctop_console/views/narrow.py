"""Writing to the terminal only what has changed.

Textual writes a line from the left end of a widget up to what changed in it, and so nearly all of it where
that is at its right end, and each piece with the codes of its style. In a table most rows change in a few
cells, and in the same styles, with each tick: over a slow line that is what counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from rich.color import ColorSystem
from rich.console import Console
from rich.control import Control
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor
from textual.strip import Strip


class NarrowCompositor(Compositor):
    """A screen's compositor whose partial updates are narrow."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """See Textual's."""
        update = super().render_partial_update()
        return update and _NarrowUpdate(update.chops, update.spans, update.chop_ends)


class _NarrowUpdate(ChopsUpdate):
    def render_segments(self, console: Console) -> str:
        """What goes to the terminal: where the cursor goes next says nothing about the style."""
        colors = console._color_system or ColorSystem.TRUECOLOR
        pieces: list[str] = []
        for style, alike in groupby(self._pieces(), itemgetter(0)):
            text = "".join(text for _, text in alike)
            pieces.append(text if style is None else Strip.render_style(style, text, color_system=colors))
        return "".join(pieces)

    def _pieces(self) -> Iterator[tuple[Style | None, str]]:
        for y, left, right in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                begin, stop = max(x, left), min(end, right)
                if strip is not None and begin < stop:
                    move = Control.move_to(begin, y).segment.text
                    for text, style, _ in strip.crop(begin - x, stop - x):
                        yield style, move + text
                        move = ""
