"""What a program sees of its loop is what it sees without us.

Each observation runs twice, plain and hooked, on each kind of loop, with debug mode off and on, and must be
the same. So no expectation is written by hand.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import heapq
import inspect
import logging
import operator
import os
import re
import signal
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from asynctop.core import Core
from conftest import LOOPS, hooks

Loop = asyncio.AbstractEventLoop
Observation = Callable[[Any], object]
OBSERVATIONS: dict[str, Observation] = {}
STOCK_ONLY: set[str] = set()
"""Those of asyncio's own loop, whose inner workings programs use."""

pytestmark = pytest.mark.filterwarnings(
    # They are among what is observed, by way of the exception handler or of the log.
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore:coroutine .* was never awaited:RuntimeWarning",
    "ignore:.*child watcher.*:DeprecationWarning",
)


def observation(function: Observation) -> Observation:
    """A test: `function(loop)` returns what a program sees."""
    OBSERVATIONS[function.__name__] = function
    return function


def of_stock_loops(function: Observation) -> Observation:
    """An observation that looks at what only asyncio's own loops have."""
    STOCK_ONLY.add(function.__name__)
    return observation(function)


def plain_text(value: object) -> str:
    """A text without what differs from run to run."""
    text = re.sub(r"0x[0-9a-f]+", "0x", str(value))
    return re.sub(r"Task-\d+", "Task-n", re.sub(r"\d+\.\d+(e-\d+)?", "x", text))


def frames(traceback: TracebackType | None) -> list[str]:
    """A traceback's functions. asyncio's `_run_once` and `Handle._run` are left out: ours have no frames."""
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        file = Path(code.co_filename).name
        if (file, code.co_name) not in (("base_events.py", "_run_once"), ("events.py", "_run")):
            found.append(f"{file} {code.co_name}")
        traceback = traceback.tb_next
    return found


def raised(function: Callable[..., object], *args: Any, **kwargs: Any) -> list[object]:
    """How a call ends."""
    try:
        return [plain_text(repr(function(*args, **kwargs)))]
    except BaseException as error:
        return [type(error), plain_text(error), frames(error.__traceback__)]


def turns(loop: Loop, count: int = 3) -> None:
    """Let the loop go round."""
    for _ in range(count):
        loop.call_soon(loop.stop)
        loop.run_forever()


class Contexts(list[object]):
    """What an exception handler is told."""

    def __call__(self, loop: Loop, context: dict[str, Any]) -> None:
        handle = context.get("handle")
        error = context.get("exception")
        self.append(
            [
                sorted(context),
                plain_text(context["message"]),
                repr(error),
                frames(error.__traceback__) if error else None,
                [line.name for line in context.get("source_traceback", ())][-3:],
                isinstance(handle, asyncio.Handle),
                plain_text(repr(handle)),
            ]
        )


def fails(*args: object) -> None:
    raise ValueError("callback")


@observation
def errors_in_callbacks(loop: Any) -> object:
    contexts = Contexts()
    loop.set_exception_handler(contexts)
    loop.call_soon(fails)
    loop.call_soon(fails, 1, "two")
    loop.call_soon(partial(fails, 1))
    loop.call_soon_threadsafe(fails)
    loop.call_at(loop.time() - 1, fails)
    loop.call_later(0, fails, 3)
    turns(loop)
    return contexts


@observation
def errors_are_handled_while_the_handler_runs(loop: Any) -> object:
    """So that logging.exception() in it has a traceback, and what it raises a context."""
    seen: list[object] = []

    def handler(loop: Any, context: dict[str, Any]) -> None:
        handled = sys.exc_info()[1]
        seen.append([handled is context["exception"], repr(handled)])
        raise SystemExit

    loop.set_exception_handler(handler)
    for schedule in (loop.call_soon, partial(loop.call_later, 0)):
        schedule(fails)
        try:
            turns(loop)
        except SystemExit as error:
            seen.append(repr(error.__context__))
    seen.append(repr(sys.exc_info()))
    return seen


@observation
def signatures(loop: Any) -> object:
    return [str(inspect.signature(getattr(loop, name))) for name in ("call_soon", "call_later", "call_at")]


@observation
def a_create_task_of_the_programs_own(loop: Any) -> object:
    """Put on the loop before it has a task factory, and after."""
    seen: list[object] = []

    async def nothing() -> None: ...

    def factory(loop: Any, coro: Any, **options: Any) -> Any:
        return asyncio.Task(coro, loop=loop, **options)

    def own(coro: Any, **options: Any) -> Any:
        seen.append("own")
        return type(loop).create_task(loop, coro, **options)

    async def spawn() -> None:
        await asyncio.create_task(nothing())

    for before in (True, False):
        if before:
            loop.create_task = own
        loop.set_task_factory(factory)
        if not before:
            loop.create_task = own
        loop.run_until_complete(spawn())
        loop.set_task_factory(None)
        seen.append(loop.create_task is own)
        del loop.create_task
        loop.run_until_complete(spawn())
    return seen


@observation
def errors_in_readers(loop: Any) -> object:
    contexts = Contexts()
    loop.set_exception_handler(contexts)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    def reads() -> None:
        ours.recv(1)
        raise ValueError("reader")

    loop.add_reader(ours, reads)
    theirs.send(b"x")
    turns(loop)
    found = [loop.remove_reader(ours), loop.remove_reader(ours), loop.remove_writer(ours)]
    ours.close()
    theirs.close()
    # A source traceback through add_reader() is not compared: uvloop does not hand out that handle.
    return found, [[*context[:4], context[5]] for context in contexts]  # type: ignore[index]


@observation
def errors_in_tasks(loop: Any) -> object:
    contexts = Contexts()
    loop.set_exception_handler(contexts)
    seen: list[object] = [contexts]

    async def inner() -> None:
        raise ValueError("task")

    async def outer(first: bool) -> None:
        if not first:
            await asyncio.sleep(0)
        await inner()

    for first in (True, False):
        task = loop.create_task(outer(first))
        turns(loop)
        seen.append([repr(task._exception), frames(task._exception.__traceback__)])
        del task
    gc.collect()
    return seen


@observation
def a_failed_task_goes_at_once(loop: Any) -> object:
    """Without a garbage collection, so the exception handler hears of it in time, in the right context."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")
    seen: list[str] = []
    loop.set_exception_handler(lambda loop, context: seen.append(f"handler {variable.get()}"))

    async def failing(pauses: int) -> None:
        variable.set("inside")
        for _ in range(pauses):
            await asyncio.sleep(0)
        raise ValueError("failing")

    async def main() -> None:
        for pauses in (0, 1, 2):
            ref = weakref.ref(loop.create_task(failing(pauses)), lambda ref: seen.append("gone"))
            for _ in range(pauses + 2):
                await asyncio.sleep(0)
                seen.append(f"turn {ref() is None}")

    gc.disable()
    try:
        loop.run_until_complete(main())
    finally:
        gc.enable()
    return seen


@observation
def exits(loop: Any) -> object:
    def leave(error: BaseException) -> None:
        raise error

    async def leaves(error: BaseException, pauses: int) -> None:
        for _ in range(pauses):
            await asyncio.sleep(0)
        leave(error)

    seen: list[object] = []
    for kind in (KeyboardInterrupt, SystemExit):
        for pauses in (0, 2):
            task = loop.create_task(leaves(kind("poll"), pauses))
            seen.append(raised(turns, loop))
            seen.append([task.done(), repr(task.done() and task.exception())])
        loop.call_soon(leave, kind("callback"))
        seen.append(raised(turns, loop))
        loop.call_later(0, leave, kind("timer"))
        seen.append(raised(turns, loop))
        seen.append([loop.is_running(), loop.is_closed()])
    turns(loop)
    return seen


@observation
def context_variables(loop: Any) -> object:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")
    seen: list[str] = []

    def note(where: str) -> None:
        seen.append(f"{where}: {variable.get()}")
        variable.set(where)

    async def task(where: str) -> None:
        note(where)
        await asyncio.sleep(0)
        note(f"{where} again")

    async def main() -> None:
        note("main")
        own = contextvars.copy_context()
        loop.call_soon(note, "callback")
        loop.call_soon(note, "own context", context=own)
        loop.call_soon(note, "own context again", context=own)
        loop.call_later(0, note, "timer")
        loop.call_later(0, partial(loop.call_soon, note, "by timer"))
        loop.call_soon_threadsafe(note, "threadsafe")
        future = loop.create_future()
        future.add_done_callback(lambda _: note("done callback"))
        future.set_result(None)
        await asyncio.gather(task("one"), loop.create_task(task("two"), context=own))
        await asyncio.sleep(0.001)
        note("main at the end")
        seen.append(f"own: {own[variable]}")

    loop.run_until_complete(main())
    note("outside")
    return seen


@observation
def cancelled_handles(loop: Any) -> object:
    ran: list[str] = []
    seen: list[object] = [ran]

    def note(*handles: Any) -> None:
        seen.append([[each.cancelled(), plain_text(repr(each))] for each in handles])

    soon, safe = loop.call_soon(ran.append, "soon"), loop.call_soon_threadsafe(ran.append, "safe")
    later, far = loop.call_later(0, ran.append, "later"), loop.call_later(60, ran.append, "far")
    note(soon, safe, later, far)
    for each in (soon, safe, later, far, soon, far):
        each.cancel()
        note(each)

    def cancels() -> None:
        ran.append("cancels")
        victim.cancel()
        itself.cancel()

    itself = loop.call_soon(cancels)
    victim = loop.call_soon(ran.append, "victim")
    turns(loop)
    note(itself, victim)
    runs = loop.call_soon(ran.append, "runs")
    turns(loop)
    note(runs)
    runs.cancel()
    note(runs)
    return seen


@of_stock_loops
def cancelled_timers_are_swept_out(loop: Any) -> object:
    seen: list[object] = []
    timers = [loop.call_later(60 + n, fails) for n in range(200)]
    for count in (0, 99, 101, 150):
        for each in timers[:count]:
            each.cancel()
        turns(loop, 1)
        seen.append([len(loop._scheduled), loop._timer_cancelled_count])
    seen.append([each._scheduled for each in timers[:2] + timers[-2:]])
    seen.append(
        loop._scheduled == sorted(loop._scheduled) or heapq.nsmallest(1, loop._scheduled)[0].when() > 0
    )
    return seen


@observation
def timers_compare(loop: Any) -> object:
    base = loop.time() + 60
    timers = [loop.call_at(base + n, print, n) for n in (2, 0, 1, 1)]
    comparisons = (operator.eq, operator.lt, operator.le, operator.gt, operator.ge)
    seen: list[object] = [
        [raised(compare, one, other)[:2] for one in timers for other in [*timers, 1, None]]
        for compare in comparisons
    ]
    seen.append([round(each.when() - base) for each in timers])
    seen.append([hash(one) == hash(other) for one in timers for other in timers])
    seen.append(raised(sorted, timers)[:1] == raised(sorted, reversed(timers))[:1])
    for each in timers:
        each.cancel()
    return seen


@observation
def reprs(loop: Any) -> object:
    class Thing:
        def method(self) -> None: ...

        def __call__(self) -> None: ...

        def __repr__(self) -> str:
            return "<a thing>"

    async def waits() -> None:
        await asyncio.sleep(60)

    callbacks: list[Any] = [fails, lambda: None, partial(fails, 1), Thing().method, Thing(), print, [].append]
    handles = [loop.call_soon(each) for each in callbacks]
    handles += [loop.call_later(60, each) for each in callbacks]
    handles += [loop.call_soon_threadsafe(each) for each in callbacks]
    seen = [plain_text(repr(each)) for each in handles] + [plain_text(str(each)) for each in handles]
    for each in handles:
        each.cancel()
    task = loop.create_task(waits())
    seen.append(plain_text(repr(task)))
    turns(loop)
    seen.append(plain_text(repr(task)))
    task.cancel("enough")
    seen.append(plain_text(repr(task)))
    turns(loop)
    seen.append(plain_text(repr(task)))
    return seen


@observation
def types_and_attributes(loop: Any) -> object:
    handles = [loop.call_soon(fails, 1), loop.call_later(60, fails, 2), loop.call_soon_threadsafe(fails, 3)]
    names = ("_callback", "_args", "_cancelled", "_scheduled", "__name__", "nonsense")
    seen: list[object] = [
        [
            isinstance(each, asyncio.Handle),
            isinstance(each, asyncio.events.Handle),
            isinstance(each, asyncio.TimerHandle),
            type(each).__name__,
            [raised(getattr, each, name)[:1] for name in names],
            raised(setattr, each, "nonsense", 1)[:1],
            raised(hash, each)[0] is not None,
            each == each,
        ]
        for each in handles
    ]
    seen.append([issubclass(asyncio.TimerHandle, asyncio.Handle), asyncio.Handle.__name__])
    for each in handles:
        each.cancel()
    return seen


@observation
def lifetimes(loop: Any) -> object:
    """When callbacks, their arguments and handles go, with and without a garbage collection."""

    class Thing:
        handle: Any = None

        def method(self, *args: object) -> None: ...

    seen: list[object] = []
    gc.disable()
    try:
        for call in (loop.call_soon, loop.call_soon_threadsafe, partial(loop.call_later, 0)):
            argument, owner = Thing(), Thing()
            refs = [weakref.ref(argument), weakref.ref(owner)]
            handle = call(owner.method, argument)
            refs.append(weakref.ref(handle))
            del argument, owner
            seen.append([ref() is None for ref in refs])
            turns(loop)
            seen.append([ref() is None for ref in refs])
            del handle
            seen.append([ref() is None for ref in refs])
            cancelled = call(Thing().method, argument := Thing())
            ref = weakref.ref(argument)
            del argument
            cancelled.cancel()
            seen.append(ref() is None)
            turns(loop)
            cycle = Thing()
            cycle.handle = call(cycle.method)
            ref = weakref.ref(cycle)
            del cycle
            turns(loop)
            seen.append(ref() is None)
            gc.collect()
            seen.append(ref() is None)
    finally:
        gc.enable()
    return seen


@observation
def order(loop: Any) -> object:
    seen: list[str] = []
    timers: list[int] = []

    async def task(name: str, wakes: asyncio.Event | None) -> None:
        for turn in range(3):
            seen.append(f"{name} {turn}")
            await asyncio.sleep(0)
        if wakes is not None:
            wakes.set()

    async def main() -> None:
        event, queue, lock = asyncio.Event(), asyncio.Queue[int](1), asyncio.Lock()

        async def consumer(name: str) -> None:
            await event.wait()
            for _ in range(3):
                number = await queue.get()
                async with lock:
                    seen.append(f"{name} got {number}")
                    await asyncio.sleep(0)

        consumers = [loop.create_task(consumer(f"consumer {n}")) for n in range(2)]
        tasks = [loop.create_task(task("task", None)), loop.create_task(task("waker", event))]
        for n in range(3):
            loop.call_soon(seen.append, f"soon {n}")
            loop.call_soon_threadsafe(seen.append, f"safe {n}")
        start = loop.time()
        for n in (3, 1, 2):
            loop.call_at(start + n * 0.05, timers.append, n)
        for n in range(6):
            await queue.put(n)
            seen.append(f"put {n}")
        await asyncio.gather(*tasks, *consumers)
        with suppress(TimeoutError):
            await asyncio.wait_for(loop.create_future(), 0.25)
        seen.append("end")

    loop.run_until_complete(main())
    return seen, timers


@observation
def slow_callbacks_are_logged(loop: Any) -> object:
    logged: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(plain_text(record.getMessage()))

    def slow(*args: object) -> None:
        since = loop.time()
        while loop.time() - since < 0.06:
            pass

    async def slow_task(pauses: int) -> None:
        for _ in range(pauses):
            await asyncio.sleep(0)
        slow()

    loop.slow_callback_duration = 0.05
    keep = Keep()
    logger = logging.getLogger("asyncio")
    logger.addHandler(keep)
    try:
        loop.call_soon(slow)
        loop.call_soon(partial(slow, 1), 2)
        loop.call_later(0, slow, "timer")
        turns(loop)
        task = loop.create_task(slow_task(1), name="slow one")
        turns(loop)
        loop.run_until_complete(loop.create_task(slow_task(0), name="slow at once"))
    finally:
        logger.removeHandler(keep)
    assert task.done()
    # Other lines say that the machine was slow.
    return loop.get_debug(), [line for line in logged if "slow" in line]


@observation
def tasks_tell_of_themselves(loop: Any) -> object:
    seen: list[object] = []

    async def child(parent: Any) -> str:
        task: Any = asyncio.current_task()
        seen.append(
            [
                len(asyncio.all_tasks()),
                task is parent,
                plain_text(task.get_name()),
                task.get_stack()[-1].f_code.co_name,
            ]
        )
        await asyncio.sleep(0)
        seen.append([task.get_coro().__qualname__, task.get_loop() is loop, task.cancelling()])
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            seen.append([error.args, task.cancelling(), task.uncancel()])
        return "well"

    async def main() -> None:
        task = loop.create_task(child(asyncio.current_task()), name="child")
        for _ in range(3):
            await asyncio.sleep(0)
            seen.append([[each.f_code.co_name for each in task.get_stack()], plain_text(repr(task))])
        seen.append(task.cancel("because"))
        seen.append(await task)
        seen.append([plain_text(repr(task)), task.cancel(), task.get_stack()])

    loop.run_until_complete(main())
    return seen


@observation
def task_factories(loop: Any) -> object:
    seen: list[object] = [raised(loop.set_task_factory, "nonsense")[:2]]

    class Own(asyncio.Task[Any]): ...

    def factory(loop: Any, coroutine: Any, **kwargs: Any) -> Any:
        seen.append(sorted(kwargs))
        return Own(coroutine, loop=loop, **{k: v for k, v in kwargs.items() if k != "eager_start"})

    def broken(loop: Any, coroutine: Any, **kwargs: Any) -> Any:
        coroutine.close()
        raise ValueError("factory")

    async def nothing() -> str:
        await asyncio.sleep(0)
        return "made"

    loop.set_task_factory(factory)
    seen.append(loop.get_task_factory() is factory)
    task = loop.create_task(nothing(), name="own")
    seen.append([type(task).__name__, task.get_name(), loop.run_until_complete(task)])
    seen.append([loop.create_task.__name__, inspect.ismethod(loop.create_task)])
    loop.set_task_factory(broken)
    seen.append(raised(loop.create_task, nothing()))
    seen.append(raised(loop.create_task)[:1])
    loop.set_task_factory(None)
    seen.append(type(task := loop.create_task(nothing())).__name__)
    loop.run_until_complete(task)
    return seen


@observation
def wrong_arguments(loop: Any) -> object:
    async def coroutine_function() -> None: ...

    seen: list[object] = []
    ours, theirs = socket.socketpair()
    for callback in (None, 1, "text", coroutine_function):
        seen += [
            raised(loop.call_soon, callback)[:2] if callback is None or loop.get_debug() else None,
            raised(loop.call_later, 60, callback)[:2] if loop.get_debug() else None,
            raised(loop.add_signal_handler, signal.SIGUSR1, callback)[:2],
        ]
        loop.remove_signal_handler(signal.SIGUSR1)
    seen.append([raised(function)[0] for function in (loop.call_soon, loop.call_later, loop.call_at)])
    seen.append(raised(loop.call_soon, print, wrong=1)[0])
    seen.append(raised(loop.call_later, None, print)[:2])
    seen.append(raised(loop.call_later, "soon", print)[0])
    seen.append(raised(loop.add_reader, ours)[0])
    ours.close()
    theirs.close()
    seen += [loop.call_soon.__name__, loop.call_later.__name__, loop.close.__name__]
    return seen


@observation
def signals(loop: Any) -> object:
    seen: list[object] = []

    def handler(*args: object) -> None:
        seen.append(args)
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler, 1, "two")
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    seen += [loop.remove_signal_handler(signal.SIGUSR1), loop.remove_signal_handler(signal.SIGUSR1)]
    return seen


@observation
def closed_loops(loop: Any) -> object:
    contexts = Contexts()
    loop.set_exception_handler(contexts)

    async def never() -> None:
        await asyncio.sleep(60)

    task = loop.create_task(never(), name="pending")
    turns(loop)
    loop.close()
    coroutine = never()
    seen: list[object] = [
        raised(loop.call_soon, print),
        raised(loop.call_soon_threadsafe, print),
        raised(loop.call_later, 1, print),
        raised(loop.create_task, coroutine),
        raised(loop.run_until_complete, coroutine),
        loop.is_closed(),
        raised(loop.close),
    ]
    coroutine.close()
    del task
    gc.collect()
    return seen, [[*context[:4], context[5:]] for context in contexts]  # type: ignore[index]


@observation
def other_threads(loop: Any) -> object:
    seen: list[object] = []

    async def answer(number: int) -> int:
        await asyncio.sleep(0)
        if number == 2:
            raise ValueError("two")
        return number

    def from_outside() -> None:
        for number in range(3):
            future = asyncio.run_coroutine_threadsafe(answer(number), loop)
            seen.append(raised(future.result, 20)[:2])
        seen.append(raised(asyncio.run, answer(7)))
        handle = loop.call_soon_threadsafe(loop.stop)
        seen.append([handle.cancelled(), type(handle).__name__, plain_text(repr(handle))])

    # In debug mode the loop looks at its thread.
    thread = threading.Thread(target=from_outside)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    if loop.get_debug():
        wrong: list[object] = []
        thread = threading.Thread(target=lambda: wrong.append(raised(loop.call_soon, print)))
        loop.call_soon(thread.start)
        loop.call_later(0.01, loop.stop)
        loop.run_forever()
        thread.join()
        seen.append(wrong)
    return seen


@observation
def async_generators_are_finalized(loop: Any) -> object:
    seen: list[object] = []

    async def numbers() -> Any:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            seen.append("finalized")

    async def main() -> None:
        async for number in numbers():
            seen.append(number)
            break
        gc.collect()
        for _ in range(3):
            await asyncio.sleep(0)
        seen.append("end")

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    return seen


@of_stock_loops
def nested_loops(loop: Any) -> object:
    """As nest_asyncio does it: turns of the same loop inside a poll, handle by handle."""
    seen: list[object] = []

    def turn() -> None:
        for _ in range(len(loop._ready)):
            if not loop._ready:
                break
            handle = loop._ready.popleft()
            if not handle._cancelled:
                current = asyncio.tasks._current_tasks.pop(loop, None)  # type: ignore[attr-defined]
                try:
                    handle._run()
                finally:
                    if current is not None:
                        asyncio.tasks._current_tasks[loop] = current  # type: ignore[attr-defined]

    async def deep(level: int) -> int:
        await asyncio.sleep(0)
        if level == 0:
            raise ValueError("deep")
        task = loop.create_task(deep(level - 1))
        while not task.done():
            turn()
        seen.append([level, repr(task._exception), asyncio.current_task() is not None])
        await asyncio.sleep(0)
        raise ValueError(f"level {level}")

    seen.append(raised(loop.run_until_complete, deep(3)))
    return seen


def of_own(kind: type[Any], seen: list[str]) -> type[Any]:
    """A subclass of a loop's class that overrides what a program may override."""

    class Own(kind):  # type: ignore[misc]
        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
            seen.append("call_soon")
            return super().call_soon(callback, *args, context=context)

        def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
            seen.append("call_soon_threadsafe")
            return super().call_soon_threadsafe(callback, *args, context=context)

        def call_later(self, delay: Any, callback: Any, *args: Any, context: Any = None) -> Any:
            seen.append("call_later")
            return super().call_later(delay, callback, *args, context=context)

        def call_at(self, when: Any, callback: Any, *args: Any, context: Any = None) -> Any:
            seen.append("call_at")
            return super().call_at(when, callback, *args, context=context)

        def create_task(self, coroutine: Any, **kwargs: Any) -> Any:
            seen.append("create_task")
            return super().create_task(coroutine, **kwargs)

        def call_exception_handler(self, context: Any) -> None:
            seen.append(f"exception: {plain_text(context['message'])}")

        def close(self) -> None:
            seen.append("close")
            super().close()

        if issubclass(kind, asyncio.BaseEventLoop):

            def _call_soon(self, callback: Any, args: Any, context: Any) -> Any:
                seen.append("_call_soon")
                return super()._call_soon(callback, args, context)

            def _run_once(self) -> None:
                seen.append(f"_run_once {len(self._ready)}")
                super()._run_once()

            def _timer_handle_cancelled(self, handle: Any) -> None:
                seen.append("_timer_handle_cancelled")
                super()._timer_handle_cancelled(handle)

    return Own


@observation
def subclassed_loops(loop: Any) -> object:
    seen: list[str] = []
    own = of_own(type(loop), seen)()
    own.set_debug(loop.get_debug())

    async def child() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        own.call_soon(fails)
        own.call_soon_threadsafe(fails)
        own.call_later(60, fails).cancel()
        await asyncio.sleep(0)

    async def main() -> None:
        await own.create_task(child())
        await child()

    try:
        own.run_until_complete(main())
        with suppress(AttributeError, TypeError):
            own.set_task_factory(getattr(asyncio, "eager_task_factory", None))
            own.run_until_complete(main())
    finally:
        own.close()
    # How often a loop turns while it waits is the machine's affair.
    return [each for each in seen if each != "_run_once 0"]


@of_stock_loops
def handles_of_the_programs_own(loop: Any) -> object:
    """Made directly, or of a subclass of a class that was imported before us."""
    seen: list[object] = []
    contexts = Contexts()
    loop.set_exception_handler(contexts)

    class Own(asyncio.Handle):
        def _run(self) -> None:
            seen.append("runs")
            super()._run()

    class OwnTimer(asyncio.TimerHandle): ...

    for handle in (
        Own(seen.append, ("own",), loop),
        asyncio.Handle(seen.append, ("made",), loop, contextvars.copy_context()),
        asyncio.TimerHandle(5, seen.append, ("timer",), loop),
        OwnTimer(6, seen.append, ("own timer",), loop, contextvars.copy_context()),
        Own(fails, (1,), loop),
        asyncio.Handle(fails, (2,), loop),
    ):
        loop._ready.append(handle)
        seen.append(
            [plain_text(repr(handle)), isinstance(handle, asyncio.Handle), type(handle).__mro__[0].__name__]
        )
    turns(loop)
    handle = asyncio.Handle(seen.append, ("by hand",), loop)
    handle._run()
    loop._add_callback(asyncio.Handle(seen.append, ("added",), loop))
    turns(loop)
    return seen, contexts


@contextmanager
def new_loop(kind: str, debug: bool) -> Iterator[Any]:
    loop = LOOPS[kind]()
    loop.set_debug(debug)
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        gc.collect()


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in OBSERVATIONS for kind in LOOPS if kind != "uvloop" or name not in STOCK_ONLY],
)
def test_is_as_without_us(core: Core, faults: list[Exception], name: str, kind: str, debug: bool) -> None:
    with new_loop(kind, debug) as loop:
        plain = OBSERVATIONS[name](loop)
    with hooks(core), new_loop(kind, debug) as loop:
        ours = OBSERVATIONS[name](loop)
    assert ours == plain
    assert plain
    assert faults == []
