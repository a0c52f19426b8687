"""Whether anybody holds a suspended task."""

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


async def chain_of(core: Core, recorded: Recorded, name: str) -> Chain:
    """The chain of a task, without a reference to it here."""
    recorded.update()
    answers: asyncio.Queue[Chains] = asyncio.Queue()
    inspection = Inspection(
        core, Inspect(1, [recorded.task(name).id]), lambda _, chains: answers.put_nowait(chains)
    )
    inspection.proceed()
    (chain,) = (await answers.get()).chains
    return chain


async def waits(future: asyncio.Future[None]) -> None:
    await future


async def knows_itself(future: asyncio.Future[None]) -> None:
    itself = asyncio.current_task()
    assert itself is not None
    await future


async def in_time(future: asyncio.Future[None]) -> None:
    async with asyncio.timeout(60):
        await future


async def in_group(future: asyncio.Future[None]) -> None:
    async with asyncio.TaskGroup():
        await future


async def deep(future: asyncio.Future[None]) -> None:
    await in_time(future)


def spawn(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(coroutine, name="subject")


@pytest.mark.parametrize("function", [waits, knows_itself, in_time, in_group, deep])
def test_nobody_holds_what_only_its_own_waiting_refers_to(
    run: Run, hooked: Core, recorded: Recorded, function: Callable[..., Coroutine[Any, Any, None]]
) -> None:
    async def main() -> tuple[bool, bool]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = spawn(function(future))
        await asyncio.sleep(0)
        held = (await chain_of(hooked, recorded, "subject")).held
        del task
        left = (await chain_of(hooked, recorded, "subject")).held
        future.set_result(None)
        await asyncio.sleep(0.01)
        return held, left

    assert run(main()) == (True, False)


HOLDS: dict[str, Callable[[Coroutine[Any, Any, None]], object]] = {
    "a set": lambda coroutine: {spawn(coroutine)},
    "one who awaits it": lambda coroutine: asyncio.get_running_loop().create_task(waits(spawn(coroutine))),
    "a gathering": lambda coroutine: asyncio.gather(spawn(coroutine)),
    "a shield": lambda coroutine: asyncio.shield(spawn(coroutine)),
    "one who waits": lambda coroutine: asyncio.get_running_loop().create_task(
        asyncio.wait_for(spawn(coroutine), 60)
    ),
}


@pytest.mark.parametrize("by", HOLDS)
def test_it_is_held_by(run: Run, hooked: Core, recorded: Recorded, by: str) -> None:
    async def main() -> bool:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        holder = HOLDS[by](waits(future))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        held = (await chain_of(hooked, recorded, "subject")).held
        future.set_result(None)
        await asyncio.sleep(0.01)
        assert holder is not None
        return held

    assert run(main())


def test_a_task_group_holds_its_children(run: Run, hooked: Core, recorded: Recorded) -> None:
    async def main() -> bool:
        async with asyncio.TaskGroup() as group:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            group.create_task(waits(future), name="subject")
            await asyncio.sleep(0)
            held = (await chain_of(hooked, recorded, "subject")).held
            future.set_result(None)
        return held

    assert run(main())
