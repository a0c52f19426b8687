"""Programs that take the hooks out, close loops and end tasks while the core is in the middle of something.

Most of these ended in freed memory once: they are worth most under `make sanitize`.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

import asynctop
from asynctop.core import Core
from asynctop.core.contract import RETAINED
from asynctop_protocol import LoopState
from conftest import cores, hooks
from recorded import Recorded

pytestmark = pytest.mark.parametrize("core_name", [name for name in cores() if name == "c"], indirect=True)

Spawn = Coroutine[Any, Any, Any]


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def later(core: Core) -> Recorded:
    """A console that connects now."""
    console = Recorded(core)
    console.update()
    return console


@contextmanager
def running(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.AbstractEventLoop]:
    try:
        yield loop
    finally:
        loop.close()


def task_with(**methods: Callable[..., Any]) -> Callable[..., asyncio.Task[Any]]:
    """A task factory for a subclass of Task with methods of its own."""
    subclass: Any = type("Own", (asyncio.Task,), methods)

    def factory(loop: Any, coroutine: Spawn, **kwargs: Any) -> Any:
        return subclass(coroutine, loop=loop, **kwargs)

    return factory


def forgetting(core: Core, name: str) -> Callable[..., Any]:
    """A task's method that takes the core away under whoever asks."""

    def method(self: Any) -> Any:
        core.forget()
        return getattr(asyncio.Task, name)(self)

    return method


# -- forgotten in the middle --


@pytest.mark.parametrize("name", ["get_coro", "get_name", "done", "cancelled", "_exception"])
def test_a_method_of_a_task_forgets_the_core(core: Core, name: str) -> None:
    method: Any = forgetting(core, name)
    if name == "_exception":
        method = property(lambda self: core.forget())
    with hooks(core), running(asyncio.SelectorEventLoop()) as loop:
        loop.set_task_factory(task_with(**{name: method}))
        loop.run_until_complete(steps(3))
        core.drain()
        assert core.running() == []


def test_a_timers_clock_forgets_the_core(core: Core) -> None:
    class Loop(asyncio.SelectorEventLoop):
        def time(self) -> float:
            if armed:
                core.forget()
            return super().time()

    armed: list[bool] = []
    with hooks(core), running(Loop()) as loop:
        ran: list[bool] = []
        loop.call_later(0.001, ran.append, True)
        loop.call_soon(armed.append, True)
        loop.run_until_complete(asyncio.sleep(0.002))
        assert ran == [True]


def test_a_poll_and_a_callback_forget_the_core(core: Core) -> None:
    async def main() -> None:
        core.forget()
        await asyncio.sleep(0)

    with hooks(core), running(asyncio.SelectorEventLoop()) as loop:
        loop.call_soon(core.forget)
        loop.run_until_complete(main())
        core.drain()


def test_a_task_that_dies_between_the_hooks_and_the_core(core: Core) -> None:
    """As with `uninstall()`, which waits for its threads in between."""
    with running(asyncio.SelectorEventLoop()) as loop:
        with hooks(core):
            waiting = loop.create_task(steps(1))
            waiting._log_destroy_pending = False  # type: ignore[attr-defined]
            waiting.get_coro().close()
            keys = [key for number in core.loops() for key in core.tasks_of(number)]
            assert len(keys) == 1
        loop._ready.clear()  # type: ignore[attr-defined]
        del waiting
        gc.collect()
        assert core.find(keys) == []


def test_a_forgotten_core_has_nothing_to_tell(core: Core) -> None:
    core.forget()
    core.drain()
    assert later(core).by_id == {}


def test_a_cursor_outlives_what_it_knew(core: Core) -> None:
    with hooks(core), running(asyncio.SelectorEventLoop()) as loop:
        console = Recorded(core)
        batch: Iterator[bytes] = iter(())

        async def main() -> None:
            nonlocal batch
            await steps(1)
            core.drain()
            batch = core.cursor().frames()
            next(batch)
            core.forget()

        console.update()
        loop.run_until_complete(main())
        list(batch)
        core.drain()


def test_threads_forget_and_drain_while_loops_run(core: Core) -> None:
    over = threading.Event()

    def drains() -> None:
        while not over.is_set():
            core.drain()
            core.running()
            core.long_polls()
            core.loops()

    def loops() -> None:
        for _ in range(20):
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(burst())

    async def burst() -> None:
        await asyncio.gather(*(asyncio.create_task(steps(2), name=f"n{i}") for i in range(30)))

    with hooks(core):
        console = Recorded(core)
        drainer = threading.Thread(target=drains)
        threads = [threading.Thread(target=loops) for _ in range(3)]
        for thread in [drainer, *threads]:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            console.update(drain=False)
            gc.collect()
        over.set()
        drainer.join()
        console.update()
        assert console.kind("steps").spawned == 3 * 20 * 30


# -- loops --


def test_a_loop_that_a_callback_closes_runs_nothing(recorded: Recorded, hooked: Core) -> None:
    class Loop(asyncio.SelectorEventLoop):
        def is_running(self) -> bool:
            return False

    loop = Loop()

    def close() -> None:
        loop.stop()
        loop.close()

    loop.call_soon(close)
    loop.run_forever()
    assert hooked.running() == []
    recorded.update()
    assert [row.state for row in recorded.loops] == [LoopState.CLOSED]


def test_a_closed_loop_is_not_listed_again(recorded: Recorded, hooked: Core) -> None:
    loop = asyncio.SelectorEventLoop()
    loop.run_until_complete(steps(1))
    loop.close()
    hooked.release(loop)
    recorded.update()
    assert len(recorded.loops) == 1


def test_a_loop_moves_to_another_thread(recorded: Recorded) -> None:
    def in_thread(name: str) -> None:
        # One after the other: the system gives the second thread the first one's identifier.
        thread = threading.Thread(target=loop.run_until_complete, args=(steps(1),), name=name)
        thread.start()
        thread.join()

    with running(asyncio.SelectorEventLoop()) as loop:
        in_thread("first")
        in_thread("second")
        recorded.update()
        assert [row.thread for row in recorded.loops] == ["second"]


def test_a_name_that_spawns_while_its_loop_is_closed(recorded: Recorded) -> None:
    def get_name(self: Any) -> str:
        if closing:
            others.extend(asyncio.Task(steps(0), loop=other) for _ in range(300))
        return "own"

    closing: list[bool] = []
    others: list[Any] = []
    other = asyncio.SelectorEventLoop()
    loop = asyncio.SelectorEventLoop()
    loop.set_task_factory(task_with(get_name=get_name))
    pending = [loop.create_task(steps(2)) for _ in range(3)]
    closing.append(True)
    loop.close()
    closing.clear()
    other.run_until_complete(asyncio.gather(*others, return_exceptions=True) if others else steps(0))
    other.close()
    recorded.update()
    for task in pending:
        task.get_coro().close()
        task._log_destroy_pending = False  # type: ignore[attr-defined]


# -- task factories --


def test_the_factories_of_two_threads_overlap(recorded: Recorded) -> None:
    """The one that began first ends first."""
    inside, go_on = threading.Event(), threading.Event()
    sites: list[Any] = []

    def first() -> None:
        with running(asyncio.SelectorEventLoop()) as loop:

            def factory(loop: Any, coroutine: Spawn, **kwargs: Any) -> Any:
                inside.set()
                go_on.wait(10)
                return asyncio.Task(coroutine, loop=loop, **kwargs)

            loop.set_task_factory(cast(Any, factory))
            loop.run_until_complete(loop.create_task(steps(1)))

    thread = threading.Thread(target=first)

    def factory(loop: Any, coroutine: Spawn, **kwargs: Any) -> Any:
        go_on.set()
        thread.join()
        gc.collect()
        return asyncio.Task(coroutine, loop=loop, **kwargs)

    with running(asyncio.SelectorEventLoop()) as loop:
        loop.set_task_factory(cast(Any, factory))
        thread.start()
        inside.wait(10)
        loop.run_until_complete(loop.create_task(steps(1)))
        loop.set_task_factory(None)

        async def main() -> None:
            sites.append(await asyncio.create_task(steps(1), name="plain"))

        loop.run_until_complete(main())
    recorded.update()
    assert recorded.site("plain")[0] == __file__


# -- tasks --


def test_a_task_that_is_adopted_while_it_is_noticed(recorded: Recorded, hooked: Core) -> None:
    def get_coro(self: Any) -> Any:
        if not adopted:
            adopted.append(self)
            hooked.adopt(self, loop)
        return asyncio.Task.get_coro(self)

    adopted: list[Any] = []
    with running(asyncio.SelectorEventLoop()) as loop:
        loop.set_task_factory(task_with(get_coro=get_coro))
        loop.run_until_complete(steps(2))
        adopted.clear()
        gc.collect()
        loop.set_task_factory(None)
        loop.run_until_complete(steps(1))
        recorded.update()
        assert sum(row.spawned for row in recorded.totals.values()) == 2


def test_steps_that_a_program_schedules_itself(recorded: Recorded) -> None:
    """More of them than a record counts, and run after the task has ended."""
    with running(asyncio.SelectorEventLoop()) as loop:
        task: Any = asyncio.tasks._PyTask(steps(0), loop=loop)  # type: ignore[attr-defined]
        step = task._Task__step
        handles = [loop.call_soon(step) for _ in range(600)]
        loop.set_exception_handler(lambda loop, context: None)  # a step of a task that is done
        loop.run_until_complete(steps(2))
        recorded.update()
        assert recorded.by_id[1].polls == 1
        del handles


def test_a_handle_whose_callback_is_replaced(recorded: Recorded) -> None:
    with running(asyncio.SelectorEventLoop()) as loop:
        task = loop.create_task(steps(1))
        (handle,) = loop._ready  # type: ignore[attr-defined]
        step, ran = handle._callback, []

        def replacement() -> None:
            ran.append(True)
            step()

        handle._callback = replacement
        loop.run_until_complete(task)
        assert ran == [True]


def test_a_cancelled_handle_that_is_run(recorded: Recorded) -> None:
    with running(asyncio.SelectorEventLoop()) as loop:
        loop.set_exception_handler(lambda loop, context: None)
        task = loop.create_task(steps(1))
        (handle,) = loop._ready  # type: ignore[attr-defined]
        step = handle._callback
        handle.cancel()
        handle._run()
        loop.call_soon(step)
        loop.run_until_complete(task)


def test_a_name_that_drains(recorded: Recorded, hooked: Core) -> None:
    def get_name(self: Any) -> str:
        if len(drained) < 5:
            drained.append(True)
            hooked.drain()
        return "own"

    drained: list[bool] = []
    with running(asyncio.SelectorEventLoop()) as loop:
        loop.set_task_factory(task_with(get_name=get_name))
        task = loop.create_task(steps(2))
        hooked.drain()
        recorded.update()
        assert drained
        loop.run_until_complete(task)


@pytest.mark.parametrize("name", ["a\udc80b", "a\0b", "x" * 1_000_000, "\U0001f600" * 500])
def test_names_of_all_sorts(recorded: Recorded, name: str) -> None:
    with running(asyncio.SelectorEventLoop()) as loop:
        loop.run_until_complete(loop.create_task(steps(2), name=name))
        recorded.update()
        (row,) = recorded.by_id.values()
        assert row.name[0] == name[0]
        assert len(row.name) <= 210


def test_pending_tasks_that_die_on_another_thread(recorded: Recorded) -> None:
    def destroy() -> None:
        while tasks:
            tasks.pop()
        gc.collect()

    with running(asyncio.SelectorEventLoop()) as loop:
        loop.set_exception_handler(lambda loop, context: None)
        tasks = [loop.create_task(steps(1)) for _ in range(100)]
        for task in tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            task.get_coro().close()
        del task
        loop._ready.clear()  # type: ignore[attr-defined]
        thread = threading.Thread(target=destroy)
        thread.start()
        while thread.is_alive():
            recorded.update()
        recorded.update()
        assert recorded.kind("steps").destroyed == 100


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in CPython 3.12")
def test_the_latest_eager_task_keeps_no_others(recorded: Recorded, hooked: Core) -> None:
    async def nothing() -> None:
        pass

    async def eager() -> None:
        cast(Any, asyncio.Task)(nothing(), loop=asyncio.get_running_loop(), eager_start=True)

    with running(asyncio.SelectorEventLoop()) as loop:
        loop.run_until_complete(eager())
        for _ in range(4):
            hooked.drain()
            loop.run_until_complete(asyncio.wait([loop.create_task(nothing()) for _ in range(RETAINED)]))
        for _ in range(3):
            hooked.drain()
        assert len(later(hooked).by_id) <= RETAINED


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in CPython 3.12")
def test_an_eager_task_that_is_made_twice(recorded: Recorded) -> None:
    async def main() -> None:
        task = cast(Any, asyncio.Task)(steps(1), loop=loop, eager_start=True)
        await task
        task.__init__(steps(2), loop=loop, eager_start=True)
        task.__init__(steps(2), loop=loop, eager_start=True)
        await task

    with running(asyncio.SelectorEventLoop()) as loop:
        loop.set_exception_handler(lambda loop, context: None)
        loop.run_until_complete(main())
        gc.collect()
        loop.run_until_complete(asyncio.wait([loop.create_task(steps(1)) for _ in range(200)]))
        recorded.update()


# -- the interpreter --


def test_threads_that_install_and_uninstall_at_once(core_name: str) -> None:
    """Nothing of two installations that overlap may stay: see the fixture that all tests have."""

    def cycle() -> None:
        for _ in range(40):
            asynctop.install()
            asyncio.run(steps(1))
            asynctop.uninstall()

    threads = [threading.Thread(target=cycle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_subinterpreter_has_no_core(core_name: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from asynctop.core import make_core\n"
        "make_core(50_000_000, print)\n"
        "try:\n"
        "    import _xxsubinterpreters as interpreters\n"
        "except ImportError:\n"
        "    import _interpreters as interpreters\n"
        "number = interpreters.create(*[] if sys.version_info < (3, 13) else ['legacy'])\n"
        "inner = '''try:\n"
        "    import asynctop.core.native._native\n"
        "except ImportError as error:\n"
        "    assert 'interpreter' in str(error), error\n"
        "else:\n"
        '    raise AssertionError("imported")\n'
        "'''\n"
        "failed = interpreters.run_string(number, inner)\n"
        "interpreters.destroy(number)\n"
        "asyncio.run(asyncio.sleep(0))\n"
        "sys.exit(failed is not None)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
