"""What every screen has: the lines around it, its palette, and how it is painted."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from asynctop_console.views import keys, status
from asynctop_console.views.editor import EditorError, Place, edit, editor_command
from asynctop_console.views.filter import Fields
from asynctop_console.views.frame import Frame
from asynctop_console.views.line import Group, Line, Piece
from asynctop_console.views.narrow import NarrowCompositor
from asynctop_console.views.theme import PALETTES, PLAIN, Palette

if TYPE_CHECKING:
    from asynctop_console.views.app import ConsoleApp

SMALLEST = (80, 24)
"""Below this the screens still work but are cut; they say so."""


class View(Screen[None]):
    """A screen: status and meters above, banner and footer below, and its body between them."""

    CSS = """
    View { layout: vertical; overflow: hidden; }
    #banner { display: none; }
    """
    KEYS_OF: ClassVar[str]
    """The screen's name in the table of keys."""
    LEAVE: ClassVar[str] = "quit"
    """The id of the key that leads out of it, and the word for that."""
    fields: Fields = MappingProxyType({})
    """What its rows can be filtered by."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = NarrowCompositor()

    def palette(self) -> Palette:
        """The styles of the theme."""
        return PALETTES.get(self.app.theme, PALETTES[PLAIN])

    @property
    def console(self) -> ConsoleApp:
        """The app, by its own type."""
        return cast("ConsoleApp", self.app)

    def compose(self) -> ComposeResult:
        """The lines and the body."""
        # Kept, as they are painted up to the very end, when Textual has taken them off the screen already.
        self._status = Line("status", self.palette, id="status")
        self._meters = Line("ground", self.palette, id="meters")
        self._banner = Line("footer", self.palette, id="banner")
        self._keys = Line("footer", self.palette, id="footer")
        yield self._status
        yield self._meters
        yield from self.body()
        yield self._banner
        yield self._keys

    def body(self) -> list[Widget]:
        """What stands between the lines."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Follow the theme."""
        self.watch(self.app, "theme", self._restyle, init=False)

    def on_screen_resume(self) -> None:
        """Come back to the screen: show what it is like by now."""
        self.repaint()

    def repaint(self) -> None:
        """Paint at once, as after a key."""
        self.paint(self.console.frame(), reorder=True)

    def inspected(self) -> tuple[int, ...] | None:
        """The tasks whose await chains it shows: `inspection.ALL`, one, or None for none."""
        return None

    def badges(self, frame: Frame) -> list[str]:
        """What hides or holds rows, in a few words each."""
        return []

    def paint(self, frame: Frame, reorder: bool = False) -> None:
        """Show this frame."""
        if not self.is_mounted:
            return
        self.console.keep_up(frame, self.inspected())
        groups, right, ground = status.status(frame, self.badges(frame))
        self._status.show(groups, right, ground)
        self._meters.show(status.meters(frame, self.app.size.width))
        said = status.banner(frame)
        if said is not None:
            self._banner.show(said[0], ground=said[1])
        if self._banner.display != (said is not None):
            self._banner.display = said is not None
        self._keys.show(*self._footer())

    def _footer(self) -> tuple[list[Group], Group]:
        width, height = self.app.size
        if width < SMALLEST[0] or height < SMALLEST[1]:
            small = f" {width}x{height}: asynctop needs {SMALLEST[0]}x{SMALLEST[1]} "
            return [(Piece(small, ground="notice"),)], ()
        shown = keys.keys_of(self.KEYS_OF)
        (leave,) = (self._footed(key) for key in shown if key.id == self.LEAVE)
        return [self._footed(key) for key in shown if key.short], leave

    def _footed(self, key: keys.Key) -> Group:
        """What the footer says of a key."""
        wide, here = self.app.size.width >= 120, key.action == f"app.screen('{self.KEYS_OF}')"
        ground = "cursor" if here else ""
        # In 80 cells there is room for the names of all screens, but not for a blank before each.
        before = "" if key.group == "Screens" and not wide else " "
        return (
            Piece("  " if wide else " "),
            Piece(self.console.keymap.first(key), "accent", key.action, ground),
            Piece(before + (key.short or key.id), "strong" if here else "muted", key.action, ground),
        )

    def _restyle(self, _: Any) -> None:
        for widget in self.query("*"):
            widget.refresh()

    def action_help(self) -> None:
        """All keys of this screen."""
        self.console.show_help(self.KEYS_OF, self.fields)

    def action_back(self) -> None:
        """Out of whatever one is in."""

    async def typed(self, event: events.Key | events.Paste) -> bool:
        """Whether something is being typed here, and this was for it."""
        return False

    def set_filter(self, text: str) -> str:
        """Filter the rows; returns what is wrong with the filter, "" where nothing is. Pages have none."""
        return ""

    def forget(self) -> None:
        """Let go of all that goes by a program's numbers: another one has come, where they mean others."""

    def place(self, frame: Frame) -> Place | None:
        """The line in question, None where there is none."""
        return None

    def action_edit(self) -> None:
        """Open that line in the user's editor, and come back from there."""
        place = self.place(self.console.frame())
        if place is None:
            self.say("There is no line to open here")
            return
        try:
            command = editor_command(os.environ, *place)
        except EditorError as error:
            self.say(str(error))
            return
        with self.app.suspend():
            problem = edit(command)
        if problem:
            self.say(problem)

    def say(self, text: str) -> None:
        """Tell the user something in passing."""
        self.notify(text, timeout=3, markup=False)
