"""trio's runs, as both cores tell of them: tasks, polls, wakes, stalls, ends; and that no trace is left.

Where time matters it is trio's virtual one.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import pytest
import trio
import trio.testing

from asynctop.core import Core, make_core
from asynctop.hooks.trio import TrioHooks
from asynctop.stalls import StallWatcher
from asynctop_protocol import Connection, Hello, Outcome, Role, Stalls, WakerSource
from conftest import cores
from recorded import Recorded

MS = 1_000_000


@pytest.fixture
def hooked(core: Core, faults: list[Exception]) -> Iterator[Core]:
    """Each core, trio's hooks in place, and nothing in it that fails."""
    hooks = TrioHooks(core, faults.append)
    hooks.start()
    yield core
    hooks.stop()
    assert faults == []


@pytest.fixture
def recorded(hooked: Core) -> Recorded:
    return Recorded(hooked)


def run(main: Callable[[], Any]) -> None:
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def instruments() -> list[str]:
    """Those of the run that goes on in this thread."""
    data = trio._core._run.GLOBAL_RUN_CONTEXT.runner.instruments.data
    return [type(each).__name__ for each in data["_all"]]


def line_in(function: Any, text: str) -> int:
    """Where this text is in a function's source."""
    assert isinstance(function, FunctionType)
    with open(function.__code__.co_filename, encoding="utf-8") as file:
        lines = list(enumerate(file, 1))
    return next(number for number, line in lines[function.__code__.co_firstlineno :] if text in line)


async def checkpoints(count: int) -> None:
    for _ in range(count):
        await trio.lowlevel.checkpoint()


async def fails(error: BaseException) -> None:
    await trio.lowlevel.checkpoint()
    raise error


def test_names_kinds_and_parents(recorded: Recorded) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(checkpoints, 2, name=f"worker {number}")
            nursery.start_soon(checkpoints, 0)
            trio.lowlevel.current_task().name = "renamed"

    run(main)
    recorded.update()
    workers = [recorded.task(f"worker {number}") for number in range(3)]
    assert len({each.kind for each in workers}) == 1
    kind = recorded.kinds[workers[0].kind]
    assert (kind["name"], kind["defined_line"]) == ("checkpoints", checkpoints.__code__.co_firstlineno)
    assert recorded.site("worker 0") == (__file__, line_in(test_names_kinds_and_parents, "worker {number}"))
    assert recorded.task(f"{__name__}.checkpoints").kind != workers[0].kind
    assert {each.parent for each in workers} == {recorded.task("renamed").id}
    assert recorded.task("renamed").parent == recorded.task("<init>").id
    (loop,) = recorded.loops
    assert loop.runtime == "trio"


def test_polls_are_counted_and_timed(recorded: Recorded) -> None:
    async def works() -> None:
        for _ in range(20):
            until = time.monotonic_ns() + MS
            while time.monotonic_ns() < until:
                pass
            await trio.lowlevel.checkpoint()

    run(works)
    recorded.update()
    task = recorded.task(f"{__name__}.test_polls_are_counted_and_timed.<locals>.works")
    assert (task.polls, task.self_wakes) == (21, 20)
    assert task.busy_ns >= 20 * MS
    assert task.busy_ns >= task.max_poll_ns >= MS
    assert recorded.kind(".works").polls == 21
    (loop,) = recorded.loops
    assert loop.polls == sum(each.polls for each in recorded.by_id.values())


def test_who_woke_a_task(recorded: Recorded) -> None:
    event = trio.Event()

    async def reads(end: Any) -> None:
        await end.recv(1)

    async def main() -> None:
        one, other = trio.socket.socketpair()
        with one, other:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(event.wait, name="woken by a task")
                nursery.start_soon(trio.sleep, 5, name="woken by a timer")
                nursery.start_soon(reads, one, name="woken by I/O")
                await trio.testing.wait_all_tasks_blocked()
                await other.send(b"x")
                event.set()

    run(main)
    recorded.update()
    woken = recorded.task("woken by a task")
    main_task = next(each for each in recorded.by_id.values() if each.name.endswith(".main"))
    assert (woken.waker_source, woken.waker_task) == (WakerSource.TASK, main_task.id)
    assert recorded.task("woken by a timer").waker_source == WakerSource.TIMER
    assert recorded.task("woken by I/O").waker_source == WakerSource.IO


def test_how_tasks_end(recorded: Recorded) -> None:
    async def several() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(trio.sleep_forever)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(checkpoints, 1, name="returns")
            nursery.start_soon(trio.sleep_forever, name="cancelled")
            nursery.start_soon(several, name="cancelled with children")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(fails, ValueError("text"), name="raises")

    with pytest.raises(BaseExceptionGroup):
        run(main)
    recorded.update()
    ends = {
        name: recorded.task(name) for name in ("returns", "cancelled", "cancelled with children", "raises")
    }
    assert {name: each.outcome for name, each in ends.items()} == {
        "returns": Outcome.RETURNED,
        "cancelled": Outcome.CANCELLED,
        "cancelled with children": Outcome.CANCELLED,
        "raises": Outcome.RAISED,
    }
    assert ends["raises"].exception == "ValueError: text"
    assert recorded.task("<init>").outcome == Outcome.RETURNED
    raised = [each for each in recorded.by_id.values() if each.outcome == Outcome.RAISED]
    assert {each.name.rpartition(".")[2] for each in raised} == {"raises", "main"}
    assert recorded.kind(".main").raised == 1


def test_a_poll_that_blocks_is_a_stall_with_its_line(hooked: Core) -> None:
    blocked_long_enough = threading.Event()
    news = threading.Event()

    async def blocks() -> None:
        assert blocked_long_enough.wait(20)

    def seen(messages: bytes) -> list[Any]:
        connection = Connection(Role.CONSOLE)
        connection.receive(Connection(Role.RUNTIME).send(Hello(Role.RUNTIME)))
        found = connection.receive(messages)
        return [stall for each in found if isinstance(each, Stalls) for stall in each.stalls]

    def failed(error: BaseException) -> None:
        raise error

    watcher = StallWatcher(hooked, 20 * MS, news.set, failed)

    def lets_go() -> None:
        assert news.wait(20)
        blocked_long_enough.set()

    helper = threading.Thread(target=lets_go)
    helper.start()
    watcher.start()
    try:
        trio.run(blocks)
    finally:
        helper.join()
        ongoing = seen(watcher.since(0)[1])
        watcher.stop()
    stall = ongoing[0]
    line = line_in(test_a_poll_that_blocks_is_a_stall_with_its_line, "blocked_long_enough.wait")
    assert stall.name.endswith("blocks")
    assert (blocks.__qualname__, __file__, line) == tuple(stall.stack[0])
    assert all("trio" not in file for _, file, _ in stall.stack[1:])


def test_a_run_that_goes_on_is_joined_and_left(core: Core, faults: list[Exception]) -> None:
    recorded = Recorded(core)
    hooks = TrioHooks(core, faults.append)

    async def main() -> None:
        event = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(event.wait, name="was there before")
            await trio.testing.wait_all_tasks_blocked()
            hooks.start()
            assert instruments() == ["Run"]
            nursery.start_soon(checkpoints, 2, name="came later")
            event.set()
            await checkpoints(5)
        recorded.update()
        assert recorded.task("was there before").outcome == Outcome.RETURNED
        assert recorded.task("came later").polls == 3
        assert len(core.running()) == 1
        hooks.stop()
        assert instruments() == []
        assert core.running() == []
        await checkpoints(1)

    run(main)
    assert faults == []


def test_a_run_of_another_thread_is_left_when_it_comes_to_it(hooked: Core, faults: list[Exception]) -> None:
    began, go_on = threading.Event(), threading.Event()
    left: list[list[str]] = []

    async def main() -> None:
        began.set()
        assert await trio.to_thread.run_sync(go_on.wait, 20)
        left.append(instruments())

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    assert began.wait(20)
    ((number, loop),) = hooked.loops().items()
    asked = threading.Event()
    loop.call_soon_threadsafe(asked.set)
    assert asked.wait(20)
    names = {task.get_name() for _, task in hooked.find(hooked.tasks_of(number))}
    assert f"{__name__}.{main.__qualname__}" in names
    loop.leave()
    go_on.set()
    thread.join()
    assert left == [[]]
    assert not loop.is_running()


def test_no_trace_is_left(core: Core, faults: list[Exception]) -> None:
    before = trio._core._run.Instruments  # type: ignore[attr-defined]
    hooks = TrioHooks(core, faults.append)
    hooks.start()
    assert trio._core._run.Instruments is not before  # type: ignore[attr-defined]
    hooks.stop()
    assert trio._core._run.Instruments is before  # type: ignore[attr-defined]
    seen: list[list[str]] = []

    async def main() -> None:
        seen.append(instruments())

    trio.run(main)
    assert seen == [[]]
    assert core.loops() == {}


def test_what_fails_is_told_and_the_program_goes_on(faults: list[Exception]) -> None:
    hooks = TrioHooks(object(), faults.append)  # type: ignore[arg-type]
    hooks.start()
    try:
        trio.run(checkpoints, 3)
    finally:
        hooks.stop()
    assert {type(each) for each in faults} == {AttributeError}


def test_a_guest_on_asyncio_is_told_beside_its_host(recorded: Recorded) -> None:
    async def host() -> Any:
        loop = asyncio.get_running_loop()
        over: asyncio.Future[Any] = loop.create_future()
        trio.lowlevel.start_guest_run(
            checkpoints, 3, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=over.set_result
        )
        return await over

    asyncio.run(host())
    recorded.update()
    assert recorded.task(f"{__name__}.checkpoints").polls == 4


def test_installed_before_trio_is_imported(core_name: str) -> None:
    program = """if True:
        import sys, asynctop
        assert asynctop.install() and "trio" not in sys.modules
        import trio
        async def main():
            loops = asynctop._session._core.loops()
            print(*(loop.runtime for loop in loops.values()), asynctop._session._hello().runtime)
            asynctop.uninstall()
        trio.run(main)
        print(asynctop.install(), trio._core._run.Instruments is not trio._core._instrumentation.Instruments)
        asynctop.uninstall()
        print(trio._core._run.Instruments is trio._core._instrumentation.Instruments)
        """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("trio trio\nTrue True\nTrue\n", "")


def everything() -> dict[str, Any]:
    """A program with all there is, in one order each time."""

    async def times_out() -> None:
        with trio.move_on_after(3):
            await trio.sleep_forever()
        await checkpoints(20)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(checkpoints, number, name=f"checkpoints {number}")
            nursery.start_soon(times_out)
            await trio.sleep(10)
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as inner:
                    inner.start_soon(trio.sleep_forever, name="x" * 300)
                    scope.cancel()
            try:
                async with trio.open_nursery() as inner:
                    inner.start_soon(fails, OSError(2, "No such file"))
                    inner.start_soon(trio.sleep_forever)
            except* OSError:
                pass
            await nursery.start(starts)

    async def starts(task_status: Any) -> None:
        task_status.started()
        await trio.sleep(1)

    faults: list[Exception] = []
    core = make_core(-1, faults.append)
    recorded = Recorded(core)
    hooks = TrioHooks(core, faults.append)
    hooks.start()
    try:
        trio._core._run._r.seed(7)
        run(main)
        recorded.update()
        assert faults == []
        times = ("_ns", "histograms")
        numbers = {0: 0} | {task: number for number, task in enumerate(sorted(recorded.by_id), 1)}
        rows = [recorded.by_id[task].values for task in sorted(recorded.by_id)]
        for row in rows:
            row |= {name: numbers[row[name]] for name in ("id", "parent", "waker_task")}
        rows += [row.values for _, row in sorted(recorded.totals.items())]
        return {
            "rows": [{name: row[name] for name in row if not name.endswith(times)} for row in rows],
            "kinds": recorded.kinds,
            "polls": [(numbers[each.task], each.poll, each.last, each.name) for each in core.long_polls()],
        }
    finally:
        hooks.stop()
        core.forget()


if len(cores()) > 1:

    def test_the_twins_say_the_same_of_trio(monkeypatch: pytest.MonkeyPatch) -> None:
        told = []
        for name in cores():
            monkeypatch.setenv("ASYNCTOP_CORE", name)
            told.append(everything())
        assert told[0]["polls"]
        assert all(each == told[0] for each in told[1:])
