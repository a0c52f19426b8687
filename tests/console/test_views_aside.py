"""Very many tasks: what is worked out from all of them keeps neither keys nor the screen waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from textual import events

from asynctop_console.lints import Finding
from asynctop_console.model import Model
from asynctop_console.model.columns import Ints
from asynctop_console.model.tasks import ALL, Selection
from asynctop_console.views import app, aside
from asynctop_console.views.frame import Frame
from asynctop_console.views.table import Table
from asynctop_console.views.tasks import TaskRows
from asynctop_protocol.messages import Message, Tick

from .program import SECOND, polled
from .screens import NOW, Screen, console, three


class Gate:
    """Stops whoever orders by busy time in another thread, until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.reached = threading.Event()
        self.open.set()

    def pass_through(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            self.reached.set()
            assert self.open.wait(60)

    def close(self) -> None:
        self.reached.clear()
        self.open.clear()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Three tasks are very many, and ordering them by busy time goes through this gate."""
    gate, busy_ns = Gate(), TaskRows.busy_ns

    def slow(rows: TaskRows, frame: Frame, chosen: Selection = ALL) -> Ints:
        gate.pass_through()
        return busy_ns(rows, frame, chosen)

    monkeypatch.setattr(aside, "AT_ONCE", 2)
    monkeypatch.setattr(TaskRows, "busy_ns", slow)
    yield gate
    gate.open.set()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  (a thread does not say when it has done its part)
            await asyncio.sleep(0)


async def ordering(screen: Screen, gate: Gate) -> None:
    """Begin to order by busy time, the other way round, and stop in the middle of that."""
    await until(lambda: screen.ids == [1, 2, 3])
    gate.close()
    await screen.press("i")
    await until(gate.reached.is_set)


def test_keys_and_the_screen_go_on_while_very_many_rows_are_ordered(gate: Gate) -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await ordering(screen, gate)
            await screen.press("down", "down")
            assert screen.table.cursor == 3
            assert screen.ids == [1, 2, 3], "not ordered yet"
            gate.open.set()
            await until(lambda: screen.ids == [3, 2, 1])
            assert screen.table.cursor == 3, "it stays on its task"

    asyncio.run(run())


def test_nothing_changes_in_the_model_while_a_thread_looks_at_it(gate: Gate) -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await ordering(screen, gate)
            await screen.say(polled([2], busy=[9 * SECOND]), Tick(NOW + SECOND))
            assert screen.app.model.now_ns == NOW
            gate.open.set()
            await until(lambda: screen.app.model.now_ns == NOW + SECOND)
            assert np.array_equal(screen.app.model.tasks.busy_ns, [90_000_000, 9 * SECOND, 3_000_000])

    asyncio.run(run())


def test_the_last_order_asked_for_is_the_one_that_is_shown(gate: Gate) -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await ordering(screen, gate)
            await screen.press("P")
            gate.open.set()
            await until(lambda: screen.ids == [2, 3, 1])

    asyncio.run(run())


def test_an_order_that_comes_after_the_cursor_has_moved_is_dropped(gate: Gate) -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await until(lambda: screen.ids == [1, 2, 3])
            await screen.say(polled([3], busy=[9 * SECOND]), Tick(NOW + SECOND))
            gate.close()
            await screen.say(after_ns=2 * SECOND)
            await until(gate.reached.is_set)
            await screen.press("down")
            assert screen.table.cursor == 2
            gate.open.set()
            await until(lambda: not screen.app.looks.still.locked())
            await screen.say()
            assert screen.ids == [1, 2, 3]
            await screen.say(after_ns=3 * SECOND)
            await until(lambda: screen.ids == [3, 1, 2])

    asyncio.run(run())


def test_the_next_match_is_looked_for_aside(gate: Gate) -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await until(lambda: screen.ids == [1, 2, 3])
            screen.listing.set_filter("busy<10ms")
            await until(lambda: screen.ids == [3])
            screen.listing.set_filter("")
            await until(lambda: screen.ids == [1, 2, 3])
            gate.close()
            await screen.press("n")
            await until(gate.reached.is_set)
            await screen.press("down")
            assert screen.table.cursor == 2
            gate.open.set()
            await until(lambda: screen.table.cursor == 3)

    asyncio.run(run())


def test_warnings_are_looked_for_aside(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def check_all(*_: object) -> list[Finding]:
        threads.append(threading.current_thread())
        return []

    monkeypatch.setattr("asynctop_console.views.judge.check_all", check_all)

    async def run() -> None:
        async with console(*three()) as screen:
            await until(lambda: screen.ids == [1, 2, 3] and len(threads) == 1)
            await screen.say(after_ns=2 * SECOND)
            await until(lambda: len(threads) == 2)

    asyncio.run(run())
    assert threading.main_thread() not in threads


def test_a_key_is_on_the_screen_before_more_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    fold, choose = Model.fold, Table.choose

    def folding(model: Model, message: Message) -> None:
        happened.append("fold")
        fold(model, message)

    def choosing(table: Table[object], id: int, position: int | None = None) -> None:
        happened.append("key")
        choose(table, id, position)
        table.app.call_after_refresh(happened.append, "drawn")

    async def run() -> None:
        async with console(*three()) as screen:
            monkeypatch.setattr(app, "LARGE", 0)
            monkeypatch.setattr(Model, "fold", folding)
            monkeypatch.setattr(Table, "choose", choosing)
            for number in range(500):
                screen.source.queue.put_nowait(polled([1], polls=[number]))
            await until(lambda: "fold" in happened)
            screen.app.post_message(events.Key("down", None))
            await until(lambda: "drawn" in happened)
            assert happened.index("key") < 20, "it need not wait for all that is to be folded"
            between = happened[happened.index("key") : happened.index("drawn")]
            assert "fold" not in between
            await until(lambda: happened.count("fold") == 500)

    asyncio.run(run())
