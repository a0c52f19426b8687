"""The line in which a filter is typed, in the footer's place."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from asynctop_console.views.line import Line, Piece
from asynctop_console.views.theme import Palette


class Ask(Horizontal):
    """An input with a hint on its right: how many rows are left, or what is wrong."""

    DEFAULT_CSS = """
    Ask { height: 1; }
    Ask Line { width: auto; min-width: 2; max-width: 2; }
    Ask Line#hint { width: 1fr; max-width: 100%; }
    Ask Input { width: 1fr; height: 1; border: none; padding: 0; background: $surface; }
    Ask Input:focus { border: none; }
    """

    class Typed(Message):
        """The text changed."""

        def __init__(self, ask: Ask, text: str) -> None:
            super().__init__()
            self.ask = ask
            self.text = text

    class Done(Message):
        """Enter (`keep`) or Esc was pressed."""

        def __init__(self, ask: Ask, keep: bool) -> None:
            super().__init__()
            self.ask = ask
            self.keep = keep

    def __init__(self, text: str, palette: Callable[[], Palette]) -> None:
        """`text` is what stands there at first."""
        super().__init__()
        self._palette = palette
        self.input = Input(text, select_on_focus=False, placeholder="fetch  state:idle  busy>10ms  !lint")

    def compose(self) -> ComposeResult:
        """The sign, the input, the hint."""
        sign = Line("footer", self._palette)
        sign.show([(Piece("/ ", "title"),)])
        yield sign
        yield self.input
        yield Line("footer", self._palette, id="hint")

    def hint(self, text: str, bad: bool) -> None:
        """Say something about the text."""
        self.query_one("#hint", Line).show([(Piece(f" {text} ", "bad" if bad else "muted"),)])

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell the screen."""
        event.stop()
        self.post_message(self.Typed(self, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps it."""
        event.stop()
        self.post_message(self.Done(self, keep=True))

    def on_key(self, event: events.Key) -> None:
        """Esc drops it."""
        if event.key == "escape":
            event.stop()
            self.post_message(self.Done(self, keep=False))
