"""The help: every key of the screen one comes from, the filter's language, and what the glyphs mean."""

from __future__ import annotations

import textwrap
from itertools import groupby

from asynctop_console.views.filter import Fields, language
from asynctop_console.views.frame import Frame
from asynctop_console.views.keys import KEYS, Key, keys_of
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.page import Page, heading
from asynctop_console.views.tasks import STATES


class Help(Page):
    """The help page for a screen."""

    def __init__(self, screen: str, fields: Fields) -> None:
        """`fields` are what the screen can be filtered by."""
        super().__init__()
        self.of = screen
        self.fields = fields

    def lines(self, frame: Frame) -> list[TextLine]:
        """Keys by group, then filter and glyphs."""
        keymap, width = self.console.keymap, self.app.size.width
        ways = f"   {keymap.named('page-down')} shows more, {keymap.named('back')} goes back"
        lines = [TextLine((Piece(f" Keys: {self.of}", "strong"), Piece(ways, "muted")))]
        shown = sorted((key for key in keys_of(self.of) if keymap.shown(key)), key=_group)
        for group, members in groupby(shown, key=_group):
            lines += heading(_ORDER[group])
            for key in members:
                lines += _entry(keymap.shown(key), key.help, width)
        if self.fields:
            lines += heading("Filter")
            for example, meaning in language(self.fields):
                lines += _entry(example, meaning, width, 18)
        lines += heading("States of a task")
        for word, (glyph, role) in STATES.items():
            lines.append(TextLine((Piece(f"  {glyph}  ", role), Piece(word))))
        return lines

    def action_help(self) -> None:
        """The same key closes it."""
        self.action_back()


# What there is to see is to stand on the first page, also in 24 lines.
_ORDER = list(dict.fromkeys(["Everywhere", "Screens", *(key.group for key in KEYS)]))


def _group(key: Key) -> int:
    return _ORDER.index(key.group)


def _entry(shown: str, text: str, screen: int, room: int = 14) -> list[TextLine]:
    """A line, or as many as the text needs on a screen so wide."""
    parts = textwrap.wrap(text, max(screen - room - 4, 20))
    if len(shown) > room:
        parts.insert(0, "")
    firsts = [shown] + [""] * len(parts)
    return [
        TextLine((Piece(f"  {first:<{room}} ", "accent"), Piece(part)))
        for first, part in zip(firsts, parts, strict=False)
    ]
