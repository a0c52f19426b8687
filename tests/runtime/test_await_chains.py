"""What suspended tasks wait for, read by an inspection in slices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from asynctop.awaits import await_chain, read
from asynctop.core import Core
from asynctop.publisher.inspector import Inspection
from asynctop_protocol import Chain, Chains, Inspect
from recorded import Recorded

Run = Callable[[Coroutine[Any, Any, Any]], Any]


async def inspect(core: Core, ids: list[int], *, cancelled: bool = False) -> list[Chains]:
    answers: list[Chains] = []
    complete = asyncio.Event()

    def take(inspection: Inspection, answer: Chains) -> None:
        answers.append(answer)
        if answer.done:
            complete.set()
        else:
            inspection.proceed()

    Inspection(core, Inspect(1, ids, cancelled=cancelled), take).proceed()
    await complete.wait()
    return answers


async def chain_of(core: Core, recorded: Recorded, waiting: Coroutine[Any, Any, Any]) -> Chain:
    task = asyncio.get_running_loop().create_task(waiting, name="subject")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    recorded.update()
    answers = await inspect(core, [recorded.task("subject").id])
    task.cancel()
    await asyncio.wait([task])
    ((chain,),) = [answer.chains for answer in answers if not answer.done]
    return chain


async def condition_wait() -> None:
    condition = asyncio.Condition()
    async with condition:
        await condition.wait()


async def acquire_twice(lock: asyncio.Lock | asyncio.Semaphore) -> None:
    await lock.acquire()
    await lock.acquire()


WAITS: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
    "timer": lambda: asyncio.sleep(60),
    "event": lambda: asyncio.Event().wait(),
    "queue": lambda: asyncio.Queue[int]().get(),
    "lock": lambda: acquire_twice(asyncio.Lock()),
    "semaphore": lambda: acquire_twice(asyncio.Semaphore(1)),
    "condition": condition_wait,
}


@pytest.mark.parametrize("type_", WAITS)
def test_resources(run: Run, hooked: Core, recorded: Recorded, type_: str) -> None:
    async def outer() -> None:
        await WAITS[type_]()

    async def main() -> Chain:
        return await chain_of(hooked, recorded, outer())

    chain = run(main())
    assert chain.frames[0] == (outer.__qualname__, __file__, outer.__code__.co_firstlineno + 1)
    assert chain.waiting_on is not None
    assert chain.waiting_on.type == type_


def test_a_task_that_waits_for_a_task(run: Run, hooked: Core, recorded: Recorded) -> None:
    async def outer(inner: asyncio.Task[None]) -> None:
        await inner

    async def main() -> tuple[Chain, int]:
        inner = asyncio.get_running_loop().create_task(asyncio.sleep(60), name="inner")
        chain = await chain_of(hooked, recorded, outer(inner))
        return chain, recorded.task("inner").id

    chain, number = run(main())
    assert chain.waiting_on is not None
    assert (chain.waiting_on.type, chain.waiting_on.id, chain.waiting_on.description) == (
        "task",
        number,
        "inner",
    )


def test_every_live_task_in_slices(run: Run, hooked: Core, recorded: Recorded) -> None:
    async def main() -> list[Chains]:
        tasks = [asyncio.create_task(asyncio.sleep(60)) for _ in range(200)]
        await asyncio.sleep(0)
        recorded.update()
        answers = await inspect(hooked, [])
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return answers

    answers = run(main())
    assert [len(answer.chains) for answer in answers] == [160, 41, 0]
    assert [answer.done for answer in answers] == [False, False, True]


def test_a_loop_closed_meanwhile(hooked: Core, recorded: Recorded) -> None:
    loop = asyncio.SelectorEventLoop()
    task = loop.create_task(asyncio.sleep(60))
    loop.run_until_complete(asyncio.sleep(0))
    recorded.update()
    answers: list[Chains] = []
    question = Inspection(hooked, Inspect(3, []), lambda _, answer: answers.append(answer))
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()
    question.proceed()
    assert answers == [Chains(3, [], done=True)]


# -- cancellations --


async def cancelled_chains(
    core: Core, recorded: Recorded, waiting: Coroutine[Any, Any, Any], turns: int = 3
) -> list[Chain]:
    """What is found of a task so many turns of the loop after it was cancelled, and then another time; only
    cancelled ones are asked for."""
    task = asyncio.get_running_loop().create_task(waiting, name="subject")
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    recorded.update()
    found = [
        chain
        for _ in range(2)
        for answer in await inspect(core, [], cancelled=True)
        for chain in answer.chains
    ]
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task])
    return found


async def forever() -> None:
    await asyncio.Event().wait()


async def clean_up() -> None:
    try:
        await forever()
    finally:
        await forever()


async def swallow() -> None:
    with suppress(asyncio.CancelledError):
        await forever()
    await forever()


async def withdraw() -> None:
    with suppress(asyncio.CancelledError):
        await forever()
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    await forever()


async def wait_for_who_cleans_up() -> None:
    await asyncio.create_task(clean_up(), name="child")


def test_a_cancellation_that_leads_to_a_cleanup(run: Run, hooked: Core, recorded: Recorded) -> None:
    first, second = run(cancelled_chains(hooked, recorded, clean_up()))
    assert (first.cancelling, first.cancellation_pending) == (1, False)
    assert first.handles_cancellation == second.handles_cancellation > 0
    assert first.frames[0][2] == clean_up.__code__.co_firstlineno + 4


def test_each_cancellation_has_a_number_of_its_own(run: Run, hooked: Core, recorded: Recorded) -> None:
    async def main() -> list[Chain]:
        once = await cancelled_chains(hooked, recorded, clean_up())
        return once + await cancelled_chains(hooked, recorded, clean_up())

    one, _, other, _ = run(main())
    assert one.handles_cancellation != other.handles_cancellation


def test_a_cancellation_that_is_swallowed(run: Run, hooked: Core, recorded: Recorded) -> None:
    for chain in run(cancelled_chains(hooked, recorded, swallow())):
        assert (chain.cancelling, chain.cancellation_pending, chain.handles_cancellation) == (1, False, 0)


def test_a_cancellation_that_is_withdrawn(run: Run, hooked: Core, recorded: Recorded) -> None:
    assert run(cancelled_chains(hooked, recorded, withdraw())) == []


def test_a_cancellation_that_has_yet_to_land(run: Run, hooked: Core, recorded: Recorded) -> None:
    async def main() -> tuple[Chain, Chain]:
        event = asyncio.Event()
        task = asyncio.create_task(swallow(), name="subject")
        await asyncio.sleep(0)
        recorded.update()
        found = hooked.find(hooked.tasks_of(1))
        (pair,) = [each for each in found if each[1] is task]
        task.cancel()
        before = await_chain(pair[0], read(pair[1]), hooked.identify)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        after = await_chain(pair[0], read(pair[1]), hooked.identify)
        event.set()
        task.cancel()
        await asyncio.wait([task])
        return before, after

    before, after = run(main())
    assert (before.cancelling, before.cancellation_pending) == (1, True)
    assert (after.cancelling, after.cancellation_pending) == (1, False)


def test_a_cancellation_on_its_way_through_an_awaited_task(
    run: Run, hooked: Core, recorded: Recorded
) -> None:
    chains = run(cancelled_chains(hooked, recorded, wait_for_who_cleans_up(), turns=6))
    pending = {chain.frames[0][0]: chain.cancellation_pending for chain in chains}
    assert pending == {"wait_for_who_cleans_up": True, "clean_up": False}
