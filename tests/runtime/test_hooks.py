"""What the hooks may not change: the program, its loops, their handles, and what it sees of them."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from asyncio import events
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from asynctop.core import Core
from asynctop.core.contract import Running
from asynctop_protocol import Outcome, State
from conftest import LOOPS, hooks, python_core_only
from recorded import Recorded

Run = Callable[[Coroutine[Any, Any, Any]], Any]


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_tasks_that_were_there_before_are_adopted(run: Run, core: Core) -> None:
    recorded = Recorded(core)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        async def waits() -> None:
            await future

        async def scheduled() -> None:
            pass

        old = loop.create_task(waits(), name="old")
        await asyncio.sleep(0)
        unseen = loop.create_task(scheduled(), name="ends unseen")
        with hooks(core):
            for task in asyncio.all_tasks():
                core.adopt(task, loop)
            recorded.update()
            assert recorded.task("old").state == State.IDLE
            assert recorded.site("old") == ("", 0)
            future.set_result(None)
            await asyncio.wait([old, unseen])
            await asyncio.sleep(0)
            recorded.update()
            core.forget()

    run(main())
    old = recorded.task("old")
    assert (old.outcome, old.polls) == (Outcome.RETURNED, 1)


def test_pending_steps_and_callbacks_run_after_the_hooks_are_gone(run: Run, core: Core) -> None:
    ran: list[str] = []

    async def child() -> None:
        ran.append("child")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        timer = asyncio.Event()
        with hooks(core):
            task = loop.create_task(child())
            loop.call_soon(ran.append, "callback")
            loop.call_later(0.001, timer.set)
        core.forget()
        await task
        await timer.wait()
        ran.append("timer")
        assert "_asynctop_stats" not in vars(loop)

    run(main())
    assert sorted(ran) == ["callback", "child", "timer"]


def test_hooks_put_in_again_while_an_older_step_is_pending(core: Core, faults: list[Exception]) -> None:
    recorded = Recorded(core)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with hooks(core):
            task = loop.create_task(steps(3), name="spans both")
        core.restart()
        with hooks(core):
            core.adopt(task, loop)
            again = Recorded(core)
            await task
            await asyncio.sleep(0)
            again.update()
            recorded.by_id, recorded.totals, recorded.kinds = again.by_id, again.totals, again.kinds
            core.forget()

    asyncio.run(main())
    assert recorded.task("spans both").outcome == Outcome.RETURNED
    assert faults == []


def test_a_closed_loop_lets_go_of_what_it_never_ran(hooked: Core) -> None:
    recorded = Recorded(hooked)
    loop = asyncio.SelectorEventLoop()
    loop.set_exception_handler(lambda loop, context: None)
    coroutine = steps(1)
    task = loop.create_task(coroutine, name="never run")
    loop.close()
    recorded.update()
    del task
    coroutine.close()
    recorded.update()
    assert recorded.task("never run").outcome == Outcome.DESTROYED


def test_loops_in_threads_and_inside_each_other(recorded: Recorded) -> None:
    def on_thread(name: str) -> None:
        asyncio.run(steps(3))

    threads = [threading.Thread(target=on_thread, args=(f"loop {n}",), name=f"loop {n}") for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def outer() -> None:
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        inner = asyncio.SelectorEventLoop()
        try:
            inner.call_soon(inner.stop)
            inner.run_forever()
        finally:
            inner.close()
            asyncio._set_running_loop(running)
        await asyncio.sleep(0)

    asyncio.run(outer())
    recorded.update()
    assert recorded.kind("steps").polls == 12
    assert recorded.kind("outer").polls == 2


@pytest.mark.parametrize("debug", [False, True])
def test_a_callbacks_error_is_reported_in_the_stock_words(core: Core, debug: bool) -> None:
    def fails() -> None:
        raise ValueError("callback")

    def contexts() -> list[Any]:
        seen: list[dict[str, Any]] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: seen.append(context))
            done = loop.create_future()
            loop.call_soon(fails)
            loop.call_later(0, fails)
            loop.call_later(0.001, done.set_result, None)
            await done

        asyncio.run(main(), debug=debug)
        return [
            (
                context["message"],
                sorted(context),
                type(context["exception"]),
                [line.name for line in context.get("source_traceback", ())][-1:],
            )
            for context in seen
        ]

    stock = contexts()
    with hooks(core):
        ours = contexts()
    assert ours == stock


def test_handles_look_like_stock_ones(core: Core) -> None:
    def looks(debug: bool) -> list[Any]:
        loop = asyncio.SelectorEventLoop()
        loop.set_debug(debug)
        handles = [
            loop.call_soon(print, "x"),
            loop.call_at(5, print),
            loop.call_soon_threadsafe(print),
        ]
        kinds = [
            (isinstance(each, asyncio.Handle), isinstance(each, asyncio.TimerHandle)) for each in handles
        ]
        for each in handles:
            each.cancel()
        found = [
            kinds,
            [each.cancelled() for each in handles],
            [repr(each).partition(" created at")[0] for each in handles],
        ]
        loop.close()
        return found

    for debug in (False, True):
        stock = looks(debug)
        with hooks(core):
            assert asyncio.Handle is not events.Handle
            assert looks(debug) == stock


def test_timers_made_before_and_after_run_in_order(core: Core) -> None:
    ran: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for number in (4, 2):
            loop.call_at(start + number / 1000, ran.append, number)
        with hooks(core):
            for number in (3, 1):
                loop.call_at(start + number / 1000, ran.append, number)
            done = loop.create_future()
            loop.call_at(start + 0.005, done.set_result, None)
            await done
            core.forget()

    asyncio.run(main())
    assert ran == [1, 2, 3, 4]


def test_callbacks_see_their_context(run: Run, hooked: Core) -> None:
    variable = contextvars.ContextVar[str]("variable", default="outside")
    seen: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        variable.set("inside")
        context = contextvars.copy_context()
        context.run(variable.set, "own")
        loop.call_soon(lambda: seen.append(variable.get()))
        loop.call_soon(lambda: seen.append(variable.get()), context=context)
        loop.call_soon(variable.set, "lost")
        cancelled = loop.call_soon(seen.append, "never")
        cancelled.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen.append(variable.get())

    run(main())
    assert seen == ["inside", "own", "inside"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["poll", "callback"])
def test_exits_go_through(core: Core, error: type[BaseException], where: str) -> None:
    def leave() -> None:
        raise error("leave")

    async def main() -> None:
        if where == "poll":
            leave()
        asyncio.get_running_loop().call_soon(leave)
        await asyncio.sleep(10)

    with hooks(core), pytest.raises(error, match="leave"):
        asyncio.run(main())


def test_cancel_is_no_step(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for name in ("by timer", "by future"):
            future = loop.create_future()
            task = loop.create_task(asyncio.sleep(60), name=name)
            await asyncio.sleep(0)
            if name == "by timer":
                loop.call_later(0, task.cancel)
            else:
                future.add_done_callback(task.cancel)
                future.set_result(None)
            await asyncio.wait([task])

    run(main())
    recorded.update()
    for name in ("by timer", "by future"):
        task = recorded.task(name)
        assert (task.outcome, task.polls) == (Outcome.CANCELLED, 2)


def test_python_tasks_and_foreign_tasks(recorded: Recorded) -> None:
    class Foreign(asyncio.Task[Any]):
        pass

    async def main() -> None:
        loop = asyncio.get_running_loop()
        py_task: Any = asyncio.tasks._PyTask  # type: ignore[attr-defined]
        for name, kind in (("python", py_task), ("foreign", Foreign)):
            await kind(steps(2), loop=loop, name=name)

    asyncio.run(main())
    recorded.update()
    assert [recorded.task(name).polls for name in ("python", "foreign")] == [3, 3]


class OwnSteps(asyncio.SelectorEventLoop):
    """A loop subclass."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        return super().call_soon(callback, *args, context=context)


def test_subclassed_loops_and_factories(recorded: Recorded) -> None:
    made: list[str] = []

    def factory(loop: Any, coroutine: Any, **kwargs: Any) -> Any:
        made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **kwargs)

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        await asyncio.get_running_loop().create_task(steps(1), name="made")
        asyncio.get_running_loop().set_task_factory(None)

    with asyncio.Runner(loop_factory=OwnSteps) as runner:
        runner.run(main())
    recorded.update()
    assert made == ["steps"]
    assert (recorded.task("made").polls, recorded.task("made").self_wakes) == (2, 1)
    file, line = recorded.site("made")
    assert (file, line) == (__file__, main.__code__.co_firstlineno + 2)


if "eager" in LOOPS:

    def test_eager_tasks(recorded: Recorded) -> None:
        async def at_once() -> int:
            return 1

        async def spawns() -> None:
            await asyncio.get_running_loop().create_task(at_once(), name="inner")

        async def main() -> None:
            loop = asyncio.get_running_loop()
            assert await loop.create_task(at_once(), name="outer") == 1
            await loop.create_task(spawns(), name="spawner")
            await loop.create_task(steps(1), name="suspends")

        with asyncio.Runner(loop_factory=LOOPS["eager"]) as runner:
            runner.run(main())
        recorded.update()
        names = ("outer", "spawner", "inner", "suspends")
        assert [recorded.task(name).polls for name in names] == [1, 1, 1, 2]
        assert recorded.task("inner").parent == recorded.task("spawner").id
        assert [recorded.task(name).outcome for name in names] == [Outcome.RETURNED] * 4

    def test_a_block_in_an_eager_poll_is_told_once(recorded: Recorded, hooked: Core) -> None:
        async def blocks() -> None:
            time.sleep(0.06)  # noqa: ASYNC251 - it is what is to be seen

        async def main() -> None:
            await asyncio.get_running_loop().create_task(blocks(), name="blocks")

        with asyncio.Runner(loop_factory=LOOPS["eager"]) as runner:
            runner.run(main())
            (long,) = hooked.long_polls()
        recorded.update()
        assert long.task == recorded.task("blocks").id
        (loop,) = recorded.loops
        assert recorded.kind("blocks").busy_ns < loop.busy_ns < 2 * recorded.kind("blocks").busy_ns

    def test_eager_tasks_that_no_factory_makes(recorded: Recorded, hooked: Core) -> None:
        running: list[Running] = []

        async def at_once() -> None:
            running.extend(hooked.running())

        async def main() -> None:
            loop = asyncio.get_running_loop()
            task: Any = asyncio.Task
            await task(at_once(), loop=loop, name="at once", eager_start=True)
            await task(steps(1), loop=loop, name="suspends", eager_start=True)

        with asyncio.Runner(loop_factory=LOOPS["asyncio"]) as runner:
            runner.run(main())
        recorded.update()
        (by,) = [row for row in recorded.by_id.values() if recorded.kinds[row.kind]["name"].endswith("main")]
        suspends = recorded.task("suspends")
        assert (suspends.parent, suspends.outcome) == (by.id, Outcome.RETURNED)
        if hooked.name == "c":
            task = recorded.task("at once")
            assert (task.parent, task.polls, task.outcome) == (by.id, 1, Outcome.RETURNED)
            assert [(each.task, each.name) for each in running] == [(task.id, "at once")]
            assert suspends.polls == 2
        else:
            # Python code cannot see them being made: the first poll is their maker's.
            assert "at once" not in [row.name for row in recorded.by_id.values()]
            assert [each.task for each in running] == [by.id]
            assert suspends.polls == 1


@python_core_only
@pytest.mark.parametrize("place", ["wakes.woken", "tasks.finish", "spawns._kind_of"])
def test_a_fault_of_ours_stays_ours(
    run: Run, core: Core, faults: list[Exception], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def fails(*args: object) -> None:
        raise RuntimeError(f"fault in {place}")

    async def main() -> str:
        await asyncio.gather(steps(1), steps(2))
        return "well"

    with hooks(core), monkeypatch.context() as patch:
        patch.setattr(f"asynctop.core.python.{place}", fails)
        assert run(main()) == "well"
    assert {str(fault) for fault in faults} == {f"fault in {place}"}


@python_core_only
def test_a_fault_in_a_callback_stays_ours(
    run: Run, core: Core, faults: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise RuntimeError("fault in a callback")

    async def main() -> str:
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(done.set_result, "well")
        return str(await done)

    with hooks(core), monkeypatch.context() as patch:
        patch.setattr("asynctop.core.python.handles.settings.threshold_ns", -1)
        patch.setattr("asynctop.core.python.handles.describe", fails)
        assert run(main()) == "well"
    assert faults
