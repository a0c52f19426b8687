"""A program, watched for whoever collects its figures: the last ones are always at hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from asynctop_console.lints import Rule
from asynctop_console.metrics.figures import Figures, Seen
from asynctop_console.model import Model
from asynctop_console.observe import fold
from asynctop_console.source.live import Phase, SocketSource
from asynctop_protocol.messages import Hello, Subscribe, Tick

_INTERVAL_NS = 1_000_000_000


class Collected:
    """A program's figures. `updates` keeps them up to date; any thread may read them."""

    def __init__(self, source: SocketSource, rules: tuple[Rule, ...], most_kinds: int) -> None:
        self.source = source
        self._model = Model()
        self._seen = Seen(self._model, rules, most_kinds)
        self._figures: Figures = {}

    @property
    def figures(self) -> Figures | None:
        """The last ones; None while the program cannot be reached."""
        return self._figures if self.source.state.phase is Phase.LIVE else None

    @property
    def hello(self) -> Hello | None:
        """What the program says about itself."""
        return self._model.hello

    async def updates(self) -> AsyncGenerator[None, None]:
        """Watch the program until it ends; there are new figures with each step.

        TargetError where it is not what it should be."""
        self.source.send(Subscribe(_INTERVAL_NS))
        async with aclosing(self.source.messages()) as messages:
            async for message in messages:
                fold(self.source.target, self._model, message)
                if isinstance(message, Tick):
                    self._figures = self._seen.see()
                    yield
