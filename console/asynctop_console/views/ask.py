"""The line in which a filter is typed, in the footer's place."""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input

from asynctop_console.views.line import Line, Piece
from asynctop_console.views.theme import Palette

_EDITING = {
    key: binding.action
    for binding in Input.BINDINGS
    if not isinstance(binding, tuple) and binding.action not in ("submit", "copy")
    for key in binding.key.split(",")
}
"""What keys do to the text: Textual's own, but for Enter, and Ctrl-C, which leaves the console."""


class Ask(Horizontal):
    """An input with a hint on its right: how many rows are left, or what is wrong.

    It takes what is typed as it comes: see `typed`.
    """

    DEFAULT_CSS = """
    Ask { height: 1; }
    Ask Line { width: auto; min-width: 2; max-width: 2; }
    Ask Line#hint { max-width: 67%; }
    Ask Input { width: 1fr; height: 1; border: none; padding: 0; background: $surface; }
    Ask Input:focus { border: none; }
    """

    def __init__(self, text: str, palette: Callable[[], Palette]) -> None:
        """`text` is what stands there at first."""
        super().__init__()
        self._palette = palette
        self.wrong = False
        """Whether the text was last said to be wrong."""
        self.input = Input(text, select_on_focus=False, placeholder="fetch  state:idle  busy>10ms  !lint")

    @property
    def text(self) -> str:
        """What stands there."""
        return self.input.value

    def compose(self) -> ComposeResult:
        """The sign, the input, the hint."""
        sign = Line("footer", self._palette)
        sign.show([(Piece("/ ", "title"),)])
        yield sign
        yield self.input
        yield Line("footer", self._palette, id="hint")

    def hint(self, text: str, bad: bool = False) -> None:
        """Say something about the text: what it leaves, or what is wrong with it."""
        self.wrong = bad
        line, shown = self.query_one("#hint", Line), f" {text} "
        line.styles.width = cell_len(shown)
        line.show([(Piece(shown, "bad" if bad else "muted"),)])

    async def typed(self, event: events.Key | events.Paste) -> bool:
        """Take in a key or a paste; False where it means nothing here.

        At once and in its turn. By Textual's own way a key goes from the input up to the app before it is
        known what it does, and what was typed after it is there first: the `x` of `^U x` would be deleted.
        """
        if isinstance(event, events.Paste):
            self._insert(event.text.partition("\n")[0].rstrip("\r"))
        elif event.is_printable and event.character is not None:
            self._insert(event.character)
        elif event.key in _EDITING:
            await self.input.run_action(_EDITING[event.key])
        else:
            return False
        return True

    def _insert(self, text: str) -> None:
        self.input.replace(text, *self.input.selection)
