"""The console over a program that stands still: a source that says what a test wants, a clock by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from textual.pilot import Pilot

from asynctop_console.source.live import Phase, SourceState
from asynctop_console.source.target import TargetError
from asynctop_console.views.app import ConsoleApp
from asynctop_console.views.line import Line
from asynctop_console.views.list import ListScreen
from asynctop_console.views.page import Page
from asynctop_console.views.table import Table
from asynctop_protocol.messages import Hello, Kinds, Message, Stalls, State, Texts, Tick

from .program import MS, SECOND, hello, kinds, loops, named, polled, spawned, stall, texts, totals

NOW = 100 * SECOND


class Clock:
    """A clock that goes on by hand."""

    def __init__(self) -> None:
        self.ns = 1_000 * SECOND

    def __call__(self) -> int:
        return self.ns


class Frozen:
    """A source that says what it is told to, and then nothing."""

    payload = b""

    def __init__(self, *messages: Message, state: SourceState | None = None, fails: str = "") -> None:
        self.state = state or SourceState(Phase.LIVE)
        self.fails = fails
        self.sent: list[Message] = []
        self.queue: asyncio.Queue[Message | None] = asyncio.Queue()
        for message in messages:
            self.queue.put_nowait(message)

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def end(self, phase: Phase = Phase.EXITED) -> None:
        self.state = SourceState(phase, "pid 7 has exited")
        self.queue.put_nowait(None)

    async def messages(self) -> AsyncGenerator[Message, None]:
        if self.fails:
            raise TargetError(self.fails)
        while (message := await self.queue.get()) is not None:
            yield message


def three(now: int = NOW, greeting: Hello | None = None) -> list[Message]:
    """Three tasks: 1 main (busiest), 2 fetch, 3 worker, spawned by 1."""
    return [
        greeting or hello(),
        texts(),
        kinds(),
        spawned([1, 2, 3], parent=[0, 1, 1], created=[SECOND, 2 * SECOND, 3 * SECOND]),
        named([1, 2, 3], ["main", "fetch", "worker"]),
        polled([1, 2, 3], polls=[5, 300, 70], busy=[90 * MS, 20 * MS, 3 * MS], max_poll=[MS, 9 * MS, 2 * MS]),
        totals(spawned=3, max_poll=9 * MS, histogram=[0] * 40 + [5, 3]),
        loops(polls=375, busy=113 * MS, lag=2 * MS),
        Tick(now),
    ]


def blocking(now: int = NOW, task: int = 3, lasted: int = 500 * MS) -> list[Message]:
    """Task 3 has been in a poll for half a second."""
    return [
        polled([task], state=State.POLLING, since=now - lasted),
        Stalls([replace(stall(task=task, duration=lasted, ongoing=True), started_ns=now - lasted)]),
        Tick(now),
    ]


def two_kinds(now: int = NOW) -> list[Message]:
    """Task 4 is of another kind, app.loader, whose first poll has been running for 13 seconds."""
    return [
        Texts(6, ["app.loader"]),
        Kinds(2, [6], [2], [60], [3], [14]),
        spawned([4], kind=2, parent=1, created=now - 13 * SECOND),
        polled([4], state=State.POLLING, since=now - 13 * SECOND, polls=1),
        replace(totals(spawned=3, max_poll=9 * MS, histogram=[0] * 40 + [5, 3]), busy_ns=[113 * MS]),
        totals(2, spawned=1),
        Tick(now),
    ]


class Screen:
    """What a test does and sees."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[None], source: Frozen, clock: Clock) -> None:
        self.app = app
        self.pilot = pilot
        self.source = source
        self.clock = clock

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await settled(self.pilot)

    async def say(self, *messages: Message, after_ns: int = 0) -> None:
        """The program says this, and the screen is painted so much later."""
        for message in messages:
            self.source.queue.put_nowait(message)
        await settled(self.pilot)
        self.clock.ns += after_ns
        self.app.paint()
        await settled(self.pilot)

    def line(self, id: str) -> str:
        line = self.app.screen.query_one(f"#{id}", Line)
        return line.text if line.display else ""

    @property
    def listing(self) -> ListScreen[object]:
        assert isinstance(self.app.screen, ListScreen)
        return self.app.screen

    @property
    def table(self) -> Table[object]:
        return self.listing.table

    @property
    def rows(self) -> list[str]:
        """The table's lines below its header, without the empty ones."""
        lines = [self.table.render_line(y).text.rstrip() for y in range(1, self.table.size.height)]
        return [line for line in lines if line]

    @property
    def ids(self) -> list[int]:
        return [int(id) for id in self.table.order.window(0, len(self.table.order))]

    @property
    def page(self) -> str:
        assert isinstance(self.app.screen, Page)
        return self.app.screen.page.text


async def settled(pilot: Pilot[None]) -> None:
    """Wait until everything is done that only waits for its turn. Textual's own pause looks at how busy we
    are, and takes a process that was kept off the processors for an idle one."""
    await pilot.pause()
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    while ready:  # noqa: ASYNC110  (nobody announces that nothing is left)
        await asyncio.sleep(0)


@asynccontextmanager
async def console(
    *messages: Message,
    size: tuple[int, int] = (100, 30),
    source: Frozen | None = None,
    **options: object,
) -> AsyncIterator[Screen]:
    """The console, having taken in the messages."""
    clock = Clock()
    source = source or Frozen(*messages)
    app = ConsoleApp(source, clock_ns=clock, **options)  # type: ignore[arg-type]
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        screen = Screen(app, pilot, source, clock)
        app.paint()
        await settled(pilot)
        yield screen
