"""Incidents: what is noted of them and how they are grouped, that the program hears what it would have heard
without us, and that nothing is kept alive."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from asynctop.core import Core
from asynctop.core.contract import Running
from asynctop.hooks.incidents import IncidentHooks
from asynctop.incident_log import IncidentLog
from asynctop.nested_loops import NestedLoops
from asynctop.news_log import MAX_BYTES, MAX_PLACES, PAUSE_NS
from asynctop.threads import join
from asynctop_protocol import Connection, Hello, Incident, Incidents, Role

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def decoded(frames: bytes) -> list[Incident]:
    connection = Connection(Role.CONSOLE)
    connection.receive(Connection(Role.RUNTIME).send(Hello(Role.RUNTIME)))
    messages = connection.receive(frames)
    return [each for message in messages if isinstance(message, Incidents) for each in message.incidents]


def here(offset: int = 0) -> int:
    """The line of the caller, or one near it."""
    return sys._getframe(1).f_lineno + offset


@pytest.fixture
def log() -> IncidentLog:
    return IncidentLog(lambda: None)


@pytest.fixture
def noted(hooked: Core, log: IncidentLog, faults: list[Exception]) -> Iterator[Callable[[], list[Incident]]]:
    """All that the hooks have noted, one a place."""
    collecting = False

    def collect(phase: str, info: dict[str, int]) -> None:
        nonlocal collecting
        collecting = phase == "start"

    gc.callbacks.append(collect)
    hooks = IncidentHooks(hooked, log, lambda: collecting, faults.append)
    hooks.start()
    yield lambda: decoded(log.since(0)[1])
    hooks.stop()
    gc.callbacks.remove(collect)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What asyncio has logged."""
    messages: list[str] = []

    def error(message: str, *args: object, **kwargs: object) -> None:
        messages.append(message.partition("\n")[0])

    monkeypatch.setattr(logging.getLogger("asyncio"), "error", error)
    return messages


async def save() -> None:
    await asyncio.sleep(0)


# -- coroutines that nobody awaits --


def test_a_coroutine_is_found_where_it_is_called(run: Run, noted: Callable[[], list[Incident]]) -> None:
    async def main() -> None:
        for _ in range(3):
            save()  # type: ignore[unused-coroutine]

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        run(main())
    line = main.__code__.co_firstlineno + 2
    assert [(str(each.message), each.filename, each.lineno) for each in heard] == 3 * [
        ("coroutine 'save' was never awaited", __file__, line)
    ]
    (incident,) = noted()
    assert (incident.type, incident.name, incident.count) == ("coroutine-never-awaited", "save", 3)
    assert incident.stack[-2:] == [
        (main.__qualname__, __file__, line),
        ("save", __file__, save.__code__.co_firstlineno),
    ]


@pytest.mark.filterwarnings("ignore:coroutine '.*' was never awaited")
def test_one_line_may_call_many(run: Run, noted: Callable[[], list[Incident]]) -> None:
    async def main() -> None:
        for function in (save, fail, save):
            function()  # type: ignore[unused-coroutine]

    run(main())
    assert {incident.name: incident.count for incident in noted()} == {"save": 2, "fail": 1}


def kept_and_returned() -> None:
    coroutine = save()
    assert coroutine is not None


def kept_and_replaced() -> None:
    coroutine: Any = save()
    assert coroutine is not None
    coroutine = None


def kept_and_forgotten(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon(save)


@pytest.mark.filterwarnings("ignore:coroutine 'save' was never awaited")
@pytest.mark.parametrize(
    ("make", "line"),
    [
        pytest.param(kept_and_replaced, 1, id="a variable gets another value"),
        pytest.param(kept_and_returned, None, id="its function returns"),
        pytest.param(
            lambda: kept_and_forgotten(asyncio.get_running_loop()), None, id="the loop calls it as a callback"
        ),
    ],
)
def test_the_line_of_the_call_is_told_where_it_is_known(
    run: Run, noted: Callable[[], list[Incident]], make: Callable[[], None], line: int | None
) -> None:
    async def main() -> None:
        make()
        await asyncio.sleep(0)

    run(main())
    (incident,) = noted()
    *callers, itself = incident.stack
    assert itself == ("save", __file__, save.__code__.co_firstlineno)
    assert [frame[2] for frame in callers[-1:]] == (
        [] if line is None else [make.__code__.co_firstlineno + line]
    )


async def load() -> None: ...


async def load_well() -> None:
    later = load()
    await later
    await asyncio.gather(load())


def load_badly() -> list[Any]:
    loaded = load()
    return [loaded is None]


@pytest.mark.filterwarnings("ignore:coroutine 'load' was never awaited")
def test_the_only_call_that_nobody_awaits_is_to_blame(run: Run, noted: Callable[[], list[Incident]]) -> None:
    async def main() -> None:
        await load_well()
        for _ in range(2):
            load_badly()

    run(main())
    (incident,) = noted()
    assert incident.count == 2
    assert incident.stack == [
        ("load_badly", __file__, load_badly.__code__.co_firstlineno + 1),
        ("load", __file__, load.__code__.co_firstlineno),
    ]


@pytest.mark.filterwarnings("ignore:coroutine 'save' was never awaited")
def test_who_collects_garbage_has_not_called_what_is_collected(noted: Callable[[], list[Incident]]) -> None:
    cycle: list[Any] = [save()]
    cycle.append(cycle)
    del cycle
    gc.collect()
    (incident,) = noted()
    assert incident.stack == [("save", __file__, save.__code__.co_firstlineno)]


@pytest.mark.filterwarnings("ignore:coroutine 'save' was never awaited")
def test_the_interpreter_may_know_where_it_was_made(noted: Callable[[], list[Incident]]) -> None:
    before = sys.get_coroutine_origin_tracking_depth()
    sys.set_coroutine_origin_tracking_depth(1)
    coroutine: Any = save()
    made = here(-1)
    sys.set_coroutine_origin_tracking_depth(before)
    del coroutine
    (incident,) = noted()
    assert incident.stack[-2][1:] == (__file__, made)


@pytest.mark.usefixtures("noted")
def test_a_warning_that_is_an_error_is_one_still(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save()  # type: ignore[unused-coroutine]
    (unraisable,) = raised
    assert unraisable.exc_type is RuntimeWarning
    traceback = unraisable.exc_traceback
    files = []
    while traceback is not None:
        files.append(traceback.tb_frame.f_code.co_filename)
        traceback = traceback.tb_next
    assert files == [warnings.__file__]


def test_a_coroutine_that_is_awaited_late_or_closed_is_none(
    run: Run, noted: Callable[[], list[Incident]]
) -> None:
    async def main() -> None:
        late, unwanted = save(), save()
        await asyncio.sleep(0)
        await asyncio.gather(late, save())
        unwanted.close()

    run(main())
    assert noted() == []


# -- what loops tell their exception handler --


async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("no such user")


def test_an_exception_that_nobody_sees(
    run: Run, noted: Callable[[], list[Incident]], told: list[str]
) -> None:
    async def main() -> None:
        for _ in range(2):
            task = asyncio.get_running_loop().create_task(fail(), name="failing")
            await asyncio.wait([task])
            del task
            gc.collect()

    run(main())
    (incident,) = noted()
    assert (incident.type, incident.name, incident.count) == ("task-exception-never-retrieved", "failing", 2)
    assert incident.text == "ValueError: no such user"
    assert incident.stack[-1] == ("fail", __file__, fail.__code__.co_firstlineno + 2)
    assert told == 2 * ["Task exception was never retrieved"]


def test_many_may_fail_in_one_helper(run: Run, noted: Callable[[], list[Incident]], told: list[str]) -> None:
    async def orders() -> None:
        await fail()

    async def mails() -> None:
        await fail()

    async def main() -> None:
        for failing in (orders, mails):
            task = asyncio.get_running_loop().create_task(failing(), name=failing.__name__)
            await asyncio.wait([task])
            del task
            gc.collect()

    run(main())
    assert [(incident.name, incident.count) for incident in noted()] == [("orders", 1), ("mails", 1)]


def test_a_futures_exception_is_one_too(
    run: Run, noted: Callable[[], list[Incident]], told: list[str]
) -> None:
    async def main() -> None:
        asyncio.Future[None](loop=asyncio.get_running_loop()).set_exception(OSError(5, "broken"))

    run(main())
    (incident,) = noted()
    assert (incident.name, incident.task, incident.stack) == ("Future", 0, [])
    assert told == ["Future exception was never retrieved"]


def test_a_task_that_vanishes(
    run: Run, noted: Callable[[], list[Incident]], told: list[str], hooked: Core
) -> None:
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        asyncio.get_running_loop().create_task(wait(), name="lost")
        await asyncio.sleep(0)
        gc.collect()

    run(main())
    (incident,) = noted()
    assert (incident.type, incident.name) == ("pending-task-destroyed", "lost")
    assert incident.loop in (0, 1)
    assert told == ["Task was destroyed but it is pending!"]


def test_other_things_that_the_handler_is_told_are_none(
    run: Run, noted: Callable[[], list[Incident]], told: list[str]
) -> None:
    seen: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: seen.append(context))
        error = ValueError("mine")
        loop.call_exception_handler({"message": "mine", "exception": error})
        loop.call_exception_handler({"message": "Task exception was never retrieved", "exception": error})
        loop.call_exception_handler({})

    run(main())
    assert [context.get("message") for context in seen] == [
        "mine",
        "Task exception was never retrieved",
        None,
    ]
    assert noted() == []
    assert told == []


def test_nothing_is_kept_alive(run: Run, noted: Callable[[], list[Incident]], told: list[str]) -> None:
    class PayloadError(Exception):
        pass

    payloads: weakref.WeakSet[PayloadError] = weakref.WeakSet()

    async def fail_with() -> None:
        error = PayloadError()
        payloads.add(error)
        raise error

    async def main() -> None:
        task = asyncio.get_running_loop().create_task(fail_with())
        await asyncio.wait([task])

    run(main())
    gc.collect()
    assert len(noted()) == 1
    assert list(payloads) == []


# -- calls from a foreign thread --


def in_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function, name="foreign")
    thread.start()
    thread.join()


async def waits_for(future: asyncio.Future[None]) -> None:
    await future


WRONG: dict[str, Callable[[asyncio.AbstractEventLoop, asyncio.Future[None]], object]] = {
    "call_soon": lambda loop, future: loop.call_soon(int),
    "call_later": lambda loop, future: loop.call_later(0.01, int),
    "call_at": lambda loop, future: loop.call_at(loop.time(), int),
    "create_task": lambda loop, future: loop.create_task(save()),
    "set_result": lambda loop, future: future.set_result(None),
    "set_exception": lambda loop, future: future.set_exception(OSError()),
    "cancel": lambda loop, future: future.cancel(),
}


@pytest.mark.parametrize("call", WRONG)
def test_a_foreign_threads_call(run: Run, noted: Callable[[], list[Incident]], call: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        waiting = loop.create_task(waits_for(future), name="waiting")
        await asyncio.sleep(0)
        await loop.run_in_executor(None, in_thread, lambda: WRONG[call](loop, future))
        future.cancel()
        await asyncio.wait([waiting])
        if not waiting.cancelled():
            waiting.exception()

    run(main())
    (incident,) = noted()
    assert (incident.type, incident.text) == ("call-from-wrong-thread", "foreign")
    line = WRONG[call].__code__.co_firstlineno
    assert ("<lambda>", __file__, line) in incident.stack
    # 3.13 calls a factory's task None.
    names = {"create_task": ("Task-", "None"), "call_soon": "int", "call_later": "int", "call_at": "int"}
    assert incident.name.startswith(names.get(call, "waiting"))  # type: ignore[arg-type]
    assert incident.loop == 1


def test_what_other_threads_may_do(run: Run, noted: Callable[[], list[Incident]]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def work() -> None:
            loop.call_soon_threadsafe(int)
            asyncio.run_coroutine_threadsafe(save(), loop).result()

        await asyncio.to_thread(work)
        with ThreadPoolExecutor(1) as pool:
            await asyncio.wrap_future(pool.submit(int))

        def run_other() -> None:
            other.run_until_complete(save())
            other.run_until_complete(waiting)
            other.close()

        waiting = other.create_task(save())
        other.call_soon(int)
        other.call_later(0, int)
        thread = threading.Thread(target=run_other)
        thread.start()
        await asyncio.to_thread(thread.join)

    other = asyncio.SelectorEventLoop()
    other.run_until_complete(save())  # in this thread, and in another one later
    run(main())
    assert noted() == []


def test_debug_mode_raises_by_itself(noted: Callable[[], list[Incident]]) -> None:
    raised: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def call() -> None:
            with pytest.raises(RuntimeError, match="Non-thread-safe operation") as error:
                loop.call_soon(int)
            raised.append(str(error.value))

        await asyncio.to_thread(call)

    asyncio.run(main(), debug=True)
    assert len(raised) == 1
    assert noted() == []


# -- faults --


def test_a_hook_that_fails_is_told_and_the_program_hears_what_it_should(
    noted: Callable[[], list[Incident]],
    log: IncidentLog,
    faults: list[Exception],
    monkeypatch: pytest.MonkeyPatch,
    told: list[str],
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("broken by a test")

    async def main() -> None:
        save()  # type: ignore[unused-coroutine]
        asyncio.get_running_loop().create_future().set_exception(OSError())
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(lambda: loop.call_soon(int))

    monkeypatch.setattr(log, "note", broken)
    with pytest.warns(RuntimeWarning, match="'save' was never awaited"):
        asyncio.run(main())
    assert told == ["Future exception was never retrieved"]
    assert [str(fault) for fault in faults] == 3 * ["broken by a test"]
    faults.clear()


# -- loops that wait for loops --


def blocked(how: str) -> None:
    """Blocks until a loop in another thread is done."""
    if how in ("thread", "ours"):
        thread = threading.Thread(target=asyncio.run, args=[pause()], name="nested")
        thread.start()
        thread.join() if how == "thread" else join(thread)
    elif how == "future":
        with ThreadPoolExecutor(1, "nested") as pool:
            pool.submit(asyncio.run, pause()).result()
    elif how == "none":
        with ThreadPoolExecutor(1, "nested") as pool:
            pool.submit(wait_and_proceed).result()


looked = threading.Event()
ready = threading.Event()


def wait_and_proceed() -> None:
    ready.set()
    looked.wait(20)


async def pause() -> None:
    wait_and_proceed()


@pytest.mark.parametrize(("how", "found"), [("thread", 1), ("future", 1), ("none", 0), ("ours", 0)])
def test_a_poll_that_waits_for_another_loop(
    hooked: Core, log: IncidentLog, faults: list[Exception], how: str, found: int
) -> None:
    nested = NestedLoops(hooked, log, faults.append)
    ready.clear()
    looked.clear()
    main_thread = threading.get_ident()

    def look() -> None:
        ready.wait(20)
        (running,) = (each for each in hooked.running() if each.thread == main_thread)
        while not waits(running):
            pass
        for _ in range(2):
            nested.look(running, [])
        looked.set()

    def waits(running: Running) -> bool:
        names = {frame.f_code.co_qualname for frame in hooked.poll_frames(running)}
        return bool({"Thread.join", "Future.result"} & names)

    async def main() -> None:
        asyncio.current_task().set_name("blocked")  # type: ignore[union-attr]
        blocked(how)

    looker = threading.Thread(target=look)
    looker.start()
    asyncio.run(main())
    looker.join()
    incidents = decoded(log.since(0)[1])
    assert len(incidents) == found
    for incident in incidents:
        assert (incident.type, incident.name, incident.count) == ("nested-run-in-a-thread", "blocked", 1)
        assert incident.text.startswith("nested")
        assert ("blocked", __file__) in [frame[:2] for frame in incident.stack]


# -- the log --


def test_the_log_is_bounded_by_count(log: IncidentLog) -> None:
    for number in range(MAX_PLACES + 10):
        log.note("type", ("f", "f.py", number), [], name="")
    kept = decoded(log.since(0)[1])
    assert [kept[0].id, kept[-1].id, len(kept)] == [11, MAX_PLACES + 10, MAX_PLACES]


def test_the_log_is_bounded_by_bytes(log: IncidentLog) -> None:
    deep = [("f" * 400, "g" * 400, line) for line in range(64)]
    for number in range(50):
        log.note("type", ("f", "f.py", number), deep, name="")
    assert len(decoded(log.since(0)[1])) == MAX_BYTES // (64 * 800)


def test_a_forked_child_begins_anew_whoever_had_the_lock(log: IncidentLog) -> None:
    log.note("type", None, [], name="")
    has_it, over = threading.Event(), threading.Event()

    def hold() -> None:
        with log._lock:
            has_it.set()
            over.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    has_it.wait(20)
    log.restart()
    assert log.since(0) == (0, b"")
    over.set()
    holder.join()


def test_consoles_are_told_once_a_while_and_the_bell_rings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10**12
    monkeypatch.setattr("asynctop.news_log.time.monotonic_ns", lambda: now)
    rung: list[None] = []
    log = IncidentLog(lambda: rung.append(None))
    assert (log.since(0), log.due_ns()) == ((0, b""), None)
    for _ in range(3):
        log.note("type", None, [], name="")
    assert len(rung) == 1
    version, frames = log.since(0)
    assert ([each.count for each in decoded(frames)], log.due_ns()) == ([3], None)
    log.note("type", None, [], name="")
    log.note("type", None, [], name="")
    assert (log.since(version), log.due_ns(), len(rung)) == ((version, b""), now + PAUSE_NS, 2)
    now += PAUSE_NS
    version, frames = log.since(version)
    assert [each.count for each in decoded(frames)] == [5]
    assert (log.since(version), log.due_ns()) == ((version, b""), None)
    assert [each.count for each in decoded(log.since(0)[1])] == [5]
