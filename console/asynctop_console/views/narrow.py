"""Writing to the terminal only what has changed.

Textual writes a line from the left end of a widget up to what changed in it, and so nearly all of it where
that is at its right end. In a table most rows change in a few cells with each tick: over a slow line that is
what counts.
"""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor


class NarrowCompositor(Compositor):
    """A screen's compositor whose partial updates are narrow."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """See Textual's."""
        update = super().render_partial_update()
        return update and _NarrowUpdate(update.chops, update.spans, update.chop_ends)


class _NarrowUpdate(ChopsUpdate):
    def render_segments(self, console: Console) -> str:
        """What goes to the terminal."""
        pieces: list[str] = []
        for y, left, right in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                begin, stop = max(x, left), min(end, right)
                if strip is not None and begin < stop:
                    pieces += [
                        Control.move_to(begin, y).segment.text,
                        strip.crop(begin - x, stop - x).render(console),
                    ]
        return "".join(pieces)
