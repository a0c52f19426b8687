"""A monitored program for tests: messages with sensible values, and a runtime that serves them."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from asynctop_protocol import Connection, ProtocolError
from asynctop_protocol.messages import (
    VERSION,
    Cause,
    Chain,
    Chains,
    Column,
    Ended,
    Hello,
    History,
    Holding,
    Inspect,
    Kinds,
    Loops,
    LoopState,
    Message,
    Named,
    Outcome,
    Polled,
    Role,
    Spawned,
    Stall,
    State,
    Subscribe,
    Texts,
    Tick,
    Totals,
    Waiting,
    WakerSource,
)

SECOND = 1_000_000_000
MS = 1_000_000

HOSTILE = (
    "\x1b[31mred\x1b]0;title\x07",
    "</script><img src=x onerror=alert(1)>&amp;\"'",
    "a\u202eb\u200bc\x00\x85\n\t",
    "\ud800 lone \udfff",
    "=HYPERLINK(1)",
    "x" * 1_000_000,
)
"""Names that would like to be something else."""

Value = int | Sequence[int]


def _column(value: Value, rows: int) -> Column:
    return memoryview(array("q", [value] * rows if isinstance(value, int) else value))


def hello(
    pid: int = 7, protocol: tuple[int, int] = VERSION, started_at_ns: int = 1_700_000_000 * SECOND
) -> Hello:
    return Hello(
        role=Role.RUNTIME,
        protocol=protocol,
        pid=pid,
        argv=["app.py", "--port", "80"],
        python="3.13.0",
        runtime="asyncio",
        core="c",
        started_at_ns=started_at_ns,
        stall_threshold_ns=100 * MS,
    )


def texts() -> Texts:
    return Texts(1, ["app.handler", "/srv/app/web.py", "/srv/app/main.py", "ValueError: no", "on_timer"])


def kinds() -> Kinds:
    """Kind 1: app.handler, defined at web.py:40, spawned at main.py:12."""
    return Kinds(1, [1], [2], [40], [3], [12])


def spawned(
    ids: Sequence[int], kind: Value = 1, loop: Value = 1, parent: Value = 0, created: Value = 0
) -> Spawned:
    rows = len(ids)
    columns = (_column(value, rows) for value in (kind, loop, parent, created))
    return Spawned(_column(ids, rows), *columns)


def polled(
    ids: Sequence[int],
    state: Value = State.IDLE,
    since: Value = 0,
    polls: Value = 0,
    busy: Value = 0,
    scheduled: Value = 0,
    max_poll: Value = 0,
    wakes: Value = 0,
    self_wakes: Value = 0,
    waker_source: Value = WakerSource.UNKNOWN,
    waker_task: Value = 0,
    waker_name: Value = 0,
) -> Polled:
    values = (
        state,
        since,
        polls,
        busy,
        scheduled,
        max_poll,
        wakes,
        self_wakes,
        waker_source,
        waker_task,
        waker_name,
    )
    return Polled(_column(ids, len(ids)), *(_column(value, len(ids)) for value in values))


def named(ids: Sequence[int], names: list[str]) -> Named:
    return Named(_column(ids, len(ids)), names)


def ended(
    ids: Sequence[int], outcome: Value = Outcome.RETURNED, at: Value = 1, exception: Value = 0
) -> Ended:
    return Ended(_column(ids, len(ids)), *(_column(value, len(ids)) for value in (outcome, at, exception)))


def totals(
    kind: int = 1, spawned: int = 0, returned: int = 0, max_poll: int = 0, histogram: Sequence[int] = ()
) -> Totals:
    return Totals(
        kind=[kind],
        spawned=[spawned],
        returned=[returned],
        raised=[0],
        cancelled=[0],
        destroyed=[0],
        unknown=[0],
        polls=[sum(histogram)],
        busy_ns=[0],
        scheduled_ns=[0],
        max_poll_ns=[max_poll],
        histograms=[list(histogram)],
    )


def loops(
    polls: int = 0,
    busy: int = 0,
    lag: int = 0,
    state: LoopState = LoopState.IDLE,
    since: int = 0,
    current: str = "",
    **others: int,
) -> Loops:
    """One loop, number 1 unless `id` is given."""
    columns: dict[str, Any] = {name: [value] for name, value in others.items()}
    loop = Loops(
        [1], ["MainThread"], ["asyncio"], [state], [polls], [0], [busy], [lag], [lag], [0], [current], [since]
    )
    return replace(loop, **columns)


def stall(
    number: int = 1,
    task: int = 1,
    cause: Cause = Cause.BLOCKING,
    duration: int = 500 * MS,
    line: int = 44,
    ongoing: bool = False,
    started: int = SECOND,
) -> Stall:
    stack = [
        ("run", "/usr/lib/python3.13/asyncio/runners.py", 118),
        ("load", "/srv/app/web.py", line),
        ("get", "/venv/lib/python3.13/site-packages/requests/api.py", 73),
    ]
    return Stall(number, task, 1, "worker", 1, started, duration, ongoing, cause, 9, stack)


def chain(
    task: int,
    waiting: Waiting | None = None,
    awaits: Sequence[int] = (),
    holds: Sequence[int] = (),
    line: int = 41,
    any_of: bool = False,
) -> Chain:
    """A chain of two frames, the outer one of which holds asyncio locks with these ids."""
    frames = [("handler", "/srv/app/web.py", line), ("acquire", "/usr/lib/python3.13/asyncio/locks.py", 9)]
    held = [Holding("lock", lock, "asyncio.Lock", 0) for lock in holds]
    return Chain(task, frames, waiting, 2, list(awaits), any_of, held)


def lock(number: int) -> Waiting:
    """Waiting for an asyncio lock."""
    return Waiting("lock", number, "asyncio.Lock, in acquire()", attributes={"locked": 1, "waiters": 1})


def gather(of: int) -> Waiting:
    """Waiting for so many tasks."""
    return Waiting("gather", 900, f"gather() of {of}")


def history(
    task: int,
    polls: Sequence[tuple[int, int, int]],
    source: Value = WakerSource.TIMER,
    waker: Value = 0,
    name: Value = 5,
    first: int = 0,
    yielded: tuple[Value, Value] = ((), ()),
) -> History:
    """Polls of one task: when it was woken, and when each began and ended; and the text numbers and
    lines of where they yielded."""
    rows = len(polls)
    woken, started, ended = zip(*polls, strict=True)
    values = (task, woken, source, waker, name, started, ended)
    columns: Any = (_column(value, rows) for value in values)
    files, lines = (_column(value, rows) for value in yielded)
    return replace(History(*columns), first=first, yielded_file=files, yielded_line=lines)


class FakeRuntime:
    """A program's end of a Unix socket: says hello, then one batch, and answers what it is asked."""

    def __init__(self, greeting: Message | bytes, batch: Sequence[Message] = ()) -> None:
        self.greeting = greeting
        self.batch = batch
        self.heard: list[Message] = []
        self.hang_up_after = 1_000_000
        """Connections are closed after so many messages of the console."""

        self._accepted = asyncio.Event()
        self._talks: set[asyncio.Task[None]] = set()

    async def serve(self, path: str) -> asyncio.Server:
        """Listen at `path`, until the server is closed."""
        return await asyncio.start_unix_server(self._accept, path)

    async def finished(self) -> None:
        """Wait until a console has come, and all have gone."""
        await self._accepted.wait()
        while self._talks:
            await asyncio.wait(self._talks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(self._talk(reader, writer))
        self._talks.add(talk)
        self._accepted.set()
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(Role.RUNTIME)
        try:
            if isinstance(self.greeting, bytes):
                writer.write(self.greeting)
            else:
                for message in (self.greeting, *self.batch):
                    writer.write(connection.send(message))
            heard = 0
            while heard < self.hang_up_after and (data := await reader.read(65536)):
                for message in connection.receive(data):
                    heard += 1
                    self.heard.append(message)
                    for answer in self._answers(message):
                        writer.write(connection.send(answer))
        except (ProtocolError, OSError):
            pass
        finally:
            writer.close()

    def _answers(self, message: Message) -> list[Message]:
        match message:
            case Subscribe():
                return [Tick(2 * SECOND), Tick(20 * SECOND)]
            case Inspect(cancelled=True):
                return [Chains(message.request, [], done=True)]
            case Inspect():
                chain = Chain(1, [("handler", "/srv/app/web.py", 41)], Waiting("lock", 5, "a lock", holder=2))
                holder = Chain(2, [("load", "/srv/app/web.py", 44)], Waiting("timer", 6, "sleep(60)"))
                return [Chains(message.request, [chain, holder], done=True), Tick(21 * SECOND)]
            case _:
                return []
