"""What suspended tasks wait for, read by an inspection in slices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from asynctop.core import Core
from asynctop.publisher.inspector import Inspection
from asynctop_protocol import Chain, Chains, Inspect
from recorded import Recorded

Run = Callable[[Coroutine[Any, Any, Any]], Any]


async def inspect(core: Core, ids: list[int]) -> list[Chains]:
    answers: list[Chains] = []
    complete = asyncio.Event()

    def take(inspection: Inspection, answer: Chains) -> None:
        answers.append(answer)
        if answer.done:
            complete.set()
        else:
            inspection.proceed()

    Inspection(core, Inspect(1, ids), take).proceed()
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
        tasks = [asyncio.create_task(asyncio.sleep(60)) for _ in range(100)]
        await asyncio.sleep(0)
        recorded.update()
        answers = await inspect(hooked, [])
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return answers

    answers = run(main())
    assert [len(answer.chains) for answer in answers] == [40, 40, 21, 0]
    assert [answer.done for answer in answers] == [False, False, False, True]


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
