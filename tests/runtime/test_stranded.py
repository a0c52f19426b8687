"""Who is found to wait in vain, and who is not: programs that differ in who can reach what they wait for."""

from __future__ import annotations

import asyncio
import dis
import functools
import threading
from collections.abc import Callable, Coroutine
from types import CodeType, SimpleNamespace
from typing import Any

import pytest

from asynctop.awaits import Reach, Waiter, read, waiter
from asynctop.awaits.liveness import uses_from, uses_of

Program = Callable[[], Coroutine[Any, Any, None]]

EVENT = asyncio.Event()


@pytest.fixture(autouse=True)
def no_timeout_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its handler of SIGALRM can reach every test."""
    monkeypatch.setattr("asynctop.awaits.reach._handlers", lambda: iter(()))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def stranded(*tasks: asyncio.Task[Any]) -> set[str]:
    """Names of those of the tasks that nobody can wake."""
    await settle()
    found = [each for number, task in enumerate(tasks) if (each := waiter(number, read(task))) is not None]
    reach = Reach(found, list(tasks), [asyncio.get_running_loop()], [found])
    while reach.undecided:
        reach.proceed(100_000)
    return {each.task.get_name() for each in reach.stranded()}


def spawn(coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    return asyncio.create_task(coroutine, name=name)


async def sleeps_and_sets(event: asyncio.Event) -> None:
    await asyncio.sleep(60)
    event.set()


async def sleeps(event: asyncio.Event) -> None:
    event.clear()
    await asyncio.sleep(60)


async def sets_through_a_helper(event: asyncio.Event) -> None:
    def helper() -> None:
        event.set()

    await asyncio.sleep(60)
    helper()


async def sets_in_a_finally(event: asyncio.Event) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        event.set()


async def sets_in_a_loop(event: asyncio.Event) -> None:
    while True:
        event.set()
        await asyncio.sleep(60)


async def sleeps_for_ever() -> None:
    await asyncio.sleep(60)


async def sets_a_global() -> None:
    await asyncio.sleep(60)
    set_global()


def set_global() -> None:
    EVENT.set()


class Service:
    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.count = 0

    async def wait(self) -> None:
        await self.event.wait()

    async def beat(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(60)

    async def work(self) -> None:
        await asyncio.sleep(60)
        self.finish()

    def finish(self) -> None:
        self.event.set()


class Protocol(asyncio.Protocol):
    def __init__(self, event: asyncio.Event) -> None:
        self.event = event

    def data_received(self, data: bytes) -> None:
        self.event.set()


SETTERS: dict[str, Callable[[asyncio.Event], Coroutine[Any, Any, None]]] = {
    "later in its life": sleeps_and_sets,
    "through a function of its own": sets_through_a_helper,
    "in a finally": sets_in_a_finally,
    "in a loop, where it has been already": sets_in_a_loop,
}


@pytest.mark.parametrize("how", SETTERS)
def test_a_task_that_can_still_set_it(how: str) -> None:
    async def main() -> None:
        event = asyncio.Event()
        assert await stranded(spawn(event.wait(), "waiter"), spawn(SETTERS[how](event), "setter")) == set()

    asyncio.run(main())


def test_a_task_that_has_done_all_it_does_with_it() -> None:
    async def main() -> None:
        event = asyncio.Event()
        assert await stranded(spawn(event.wait(), "waiter"), spawn(sleeps(event), "other")) == {"waiter"}

    asyncio.run(main())


@pytest.mark.parametrize(("other", "found"), [(sleeps_for_ever, {"waiter"}), (sets_a_global, set())])
def test_globals_are_reached_by_their_names(other: Program, found: set[str]) -> None:
    async def main() -> None:
        assert await stranded(spawn(EVENT.wait(), "waiter"), spawn(other(), "other")) == found

    asyncio.run(main())


@pytest.mark.parametrize(("other", "found"), [(Service.beat, {"waiter"}), (Service.work, set())])
def test_attributes_are_reached_by_their_names(
    other: Callable[[Service], Coroutine[Any, Any, None]], found: set[str]
) -> None:
    async def main() -> None:
        service = Service()
        assert await stranded(spawn(service.wait(), "waiter"), spawn(other(service), "other")) == found

    asyncio.run(main())


CALLERS: dict[str, Callable[[asyncio.AbstractEventLoop, asyncio.Event], object]] = {
    "a timer": lambda loop, event: loop.call_later(60, event.set),
    "a closure": lambda loop, event: loop.call_later(60, lambda: event.set()),
    "a partial": lambda loop, event: loop.call_later(60, functools.partial(asyncio.Event.set, event)),
    "a done-callback": lambda loop, event: asyncio.ensure_future(asyncio.sleep(60)).add_done_callback(
        lambda _: event.set()
    ),
    "a list in a namespace": lambda loop, event: loop.call_later(
        60, print, SimpleNamespace(listeners=[event])
    ),
}


@pytest.mark.parametrize("who", CALLERS)
def test_callbacks_of_the_loop(who: str) -> None:
    async def main() -> None:
        event = asyncio.Event()
        CALLERS[who](asyncio.get_running_loop(), event)
        assert await stranded(spawn(event.wait(), "waiter")) == set()

    asyncio.run(main())


def test_a_protocol_of_an_open_connection() -> None:
    async def main() -> None:
        event = asyncio.Event()
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        create = asyncio.get_running_loop().create_connection
        transport, _ = await create(lambda: Protocol(event), "127.0.0.1", port)
        assert await stranded(spawn(event.wait(), "waiter")) == set()
        transport.close()
        server.close()

    asyncio.run(main())


def test_another_thread() -> None:
    async def main() -> None:
        event, held = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def work(event: asyncio.Event) -> None:
            held.wait()
            loop.call_soon_threadsafe(event.set)

        thread = threading.Thread(target=work, args=(event,))
        thread.start()
        task = spawn(event.wait(), "waiter")
        assert await stranded(task) == set()
        held.set()
        await task
        thread.join()

    asyncio.run(main())


def test_who_has_set_a_time_waits_for_nobody() -> None:
    async def timed(event: asyncio.Event) -> None:
        async with asyncio.timeout(60):
            await event.wait()

    async def main() -> None:
        tasks = (
            spawn(timed(asyncio.Event()), "timeout"),
            spawn(asyncio.wait_for(asyncio.Event().wait(), 60), "wait_for"),
        )
        assert await stranded(*tasks) == set()

    asyncio.run(main())


def test_who_means_to_wait_for_ever() -> None:
    async def unnamed() -> None:
        await asyncio.Event().wait()

    async def named() -> None:
        event = asyncio.Event()
        await event.wait()

    async def main() -> None:
        tasks = spawn(unnamed(), "unnamed"), spawn(named(), "named")
        assert await stranded(*tasks) == {"named"}

    asyncio.run(main())


def test_who_has_been_woken_waits_no_more() -> None:
    async def main() -> None:
        event = asyncio.Event()
        task = spawn(event.wait(), "waiter")
        await settle()
        event.set()
        assert waiter(1, read(task)) is None

    asyncio.run(main())


def test_who_waits_for_the_stranded_cannot_help() -> None:
    async def parent(children: list[asyncio.Task[Any]], event: asyncio.Event) -> None:
        await asyncio.gather(*children)
        event.set()

    async def main() -> None:
        event = asyncio.Event()
        child = spawn(event.wait(), "child")
        assert await stranded(child, spawn(parent([child], event), "parent")) == {"child"}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("other", "found"), [(sleeps, {"last", "middle"}), (sleeps_and_sets, set[str]())], ids=["none", "one"]
)
def test_a_chain_of_helpers(
    other: Callable[[asyncio.Event], Coroutine[Any, Any, None]], found: set[str]
) -> None:
    async def passes_on(first: asyncio.Event, second: asyncio.Event) -> None:
        await first.wait()
        second.set()

    async def main() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        tasks = spawn(second.wait(), "last"), spawn(passes_on(first, second), "middle")
        assert await stranded(*tasks, spawn(other(first), "first")) == found

    asyncio.run(main())


def test_a_queue_whose_consumer_has_failed() -> None:
    async def consume(queue: asyncio.Queue[int]) -> None:
        await queue.get()
        raise ValueError

    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        queue.put_nowait(1)
        consumer = spawn(consume(queue), "consumer")
        await settle()
        queue.put_nowait(2)
        # The exception's traceback has the queue in a frame, and that frame will never go on.
        assert await stranded(spawn(queue.put(3), "producer"), spawn(sleeps(asyncio.Event()), "other")) == {
            "producer"
        }
        assert consumer.exception()

    asyncio.run(main())


async def works(permits: asyncio.Semaphore) -> None:
    await permits.acquire()
    await asyncio.sleep(60)
    permits.release()


async def works_in_turns(permits: asyncio.Semaphore) -> None:
    while True:
        await asyncio.sleep(60)
        await works(permits)


async def works_once_more(permits: asyncio.Semaphore) -> None:
    for _ in range(2):
        await permits.acquire()
        permits.release()
        await asyncio.sleep(60)


async def works_in_a_block(permits: asyncio.Semaphore) -> None:
    async with permits:
        await asyncio.sleep(60)


async def works_for_another(permits: asyncio.Semaphore) -> None:
    await asyncio.sleep(60)
    permits.release()


async def tells_a_callback(permits: asyncio.Semaphore) -> None:
    await permits.acquire()
    asyncio.get_running_loop().call_later(60, permits.release)


async def has_a_helper(permits: asyncio.Semaphore) -> None:
    await permits.acquire()
    await asyncio.sleep(60)
    gives_back(permits)


def gives_back(permits: asyncio.Semaphore) -> None:
    permits.release()


async def has_two(permits: asyncio.Semaphore) -> None:
    other = asyncio.Semaphore(1)
    while True:
        await asyncio.sleep(60)
        await other.acquire()
        permits.release()


async def may_do_either(permits: asyncio.Semaphore) -> None:
    while True:
        await asyncio.sleep(60)
        if permits.locked():
            permits.release()
        else:
            await permits.acquire()


async def keeps_in_mind(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.sleep(60)
    tasks.clear()


@pytest.mark.parametrize(
    ("worker", "permits", "found"),
    [
        (works, 1, set()),
        (works_in_turns, 0, {"waiter"}),
        (works_once_more, 1, {"waiter"}),
        (works_in_a_block, 1, set()),
        (works_for_another, 0, set()),
        (tells_a_callback, 1, set()),
        (has_a_helper, 1, set()),
        (has_two, 0, set()),
        (may_do_either, 0, set()),
    ],
)
def test_a_permit_is_given_back_by_who_has_it(
    worker: Callable[[asyncio.Semaphore], Coroutine[Any, Any, None]], permits: int, found: set[str]
) -> None:
    async def main() -> None:
        semaphore = asyncio.Semaphore(permits)
        task = spawn(worker(semaphore), "worker")
        await settle()
        while not semaphore.locked():  # somebody has failed to give it back
            await semaphore.acquire()
        waiting = spawn(works(semaphore), "waiter")
        assert await stranded(waiting, task) == found
        # Another one comes while the search goes on.
        keeps = spawn(keeps_in_mind([spawn(works(semaphore), "late")]), "keeps")
        assert await stranded(waiting, task, keeps) == found

    asyncio.run(main())


async def measures(queue: asyncio.Queue[int]) -> None:
    while True:
        await asyncio.sleep(60)
        queue.qsize()


async def empties(queue: asyncio.Queue[int]) -> None:
    await asyncio.sleep(60)
    while not queue.empty():
        queue.get_nowait()


async def has_it_emptied(queue: asyncio.Queue[int]) -> None:
    asyncio.get_running_loop().call_later(60, queue.get_nowait)


@pytest.mark.parametrize(
    ("other", "found"), [(measures, {"putter", "joiner"}), (empties, set()), (has_it_emptied, set())]
)
def test_a_full_queue_is_helped_by_who_takes_from_it(
    other: Callable[[asyncio.Queue[int]], Coroutine[Any, Any, None]], found: set[str]
) -> None:
    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        queue.put_nowait(1)
        tasks = spawn(queue.put(2), "putter"), spawn(queue.join(), "joiner"), spawn(other(queue), "other")
        assert await stranded(*tasks) == found

    asyncio.run(main())


def test_a_search_that_is_given_up_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asynctop.awaits.reach.MOST", 3)

    async def main() -> None:
        assert await stranded(spawn(asyncio.Event().wait(), "waiter")) == set()

    asyncio.run(main())


def test_a_waiter_that_was_woken_meanwhile() -> None:
    async def main() -> None:
        event = asyncio.Event()
        task = spawn(event.wait(), "waiter")
        await settle()
        found = waiter(1, read(task))
        assert isinstance(found, Waiter)
        assert found.still_waits()
        event.set()
        await task
        assert not found.still_waits()

    asyncio.run(main())


def sample(first: Any, second: Any, third: Any) -> Any:
    try:
        first()
        second.attribute()
    except ValueError:
        third.handler()
    for each in second:
        if each:
            return first
    return lambda: third.inner()


def test_what_code_uses_from_an_instruction_on() -> None:
    code: CodeType = sample.__code__
    starts = [each.offset for each in dis.get_instructions(code)]
    everything = uses_from(code, starts[0])
    assert everything.variables >= {"first", "second", "third"}
    assert everything.names >= {"attribute", "handler", "inner"}
    assert everything.names <= uses_of(code).names
    loop = next(each.offset for each in dis.get_instructions(code) if each.opname == "FOR_ITER")
    late = uses_from(code, loop)
    assert late.variables >= {"each", "first"}
    assert "second" not in late.variables
    assert late.names == {"inner"}
