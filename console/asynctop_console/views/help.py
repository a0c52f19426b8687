"""The help: every key of the screen one comes from, the filter's language, and what the glyphs mean."""

from __future__ import annotations

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
        lines = [TextLine((Piece(f" Keys: {self.of}", "strong"), Piece("   Esc goes back", "muted")))]
        shown = sorted((key for key in keys_of(self.of) if key.shown), key=_group)
        for group, members in groupby(shown, key=_group):
            lines += heading(_ORDER[group])
            lines += [_entry(key.shown, key.help) for key in members]
        if self.fields:
            lines += heading("Filter")
            lines += [_entry(example, meaning, 22) for example, meaning in language(self.fields)]
        lines += heading("States of a task")
        for word, (glyph, role) in STATES.items():
            lines.append(TextLine((Piece(f"  {glyph}  ", role), Piece(word))))
        return lines

    def action_help(self) -> None:
        """The same key closes it."""
        self.action_back()


_ORDER = list(dict.fromkeys(key.group for key in KEYS))


def _group(key: Key) -> int:
    return _ORDER.index(key.group)


def _entry(shown: str, text: str, width: int = 12) -> TextLine:
    return TextLine((Piece(f"  {shown:<{width}} ", "accent"), Piece(text)))
