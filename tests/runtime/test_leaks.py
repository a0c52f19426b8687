"""Nothing is left behind: neither references nor memory, however much has happened.

Blocks are counted once the interpreter's caches are warm, and again after as much: what each poll, task or
loop left behind would be seen that many times.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable

import pytest

import asynctop
from asynctop.core import Core
from conftest import LOOPS, cores, hooks

pytestmark = pytest.mark.parametrize("core_name", [name for name in cores() if name == "c"], indirect=True)

SOME = 200
"""Blocks by which the interpreter's own caches differ from one moment to the next."""

ROUNDS = 3


def left_behind(work: Callable[[], object], again: int) -> int:
    """Blocks that so many times the work leave behind each time; the first time only warms the caches."""

    def allocated() -> int:
        for _ in range(again):
            work()
        gc.collect()
        return sys.getallocatedblocks()

    # What leaks does so every time; a cache that happens to grow does not.
    before = allocated()
    rounds = []
    for _ in range(ROUNDS):
        rounds.append(-before + (before := allocated()))
        if rounds[-1] < SOME:
            break
    return min(rounds)


def immortal() -> list[int]:
    """References to what every handle refers to; from 3.12 on they are not counted, and cannot go wrong."""
    return [sys.getrefcount(each) for each in (None, True, False)] if sys.version_info < (3, 12) else []


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def fails() -> None:
    await asyncio.sleep(0)
    raise ValueError("no such thing")


@pytest.mark.parametrize("kind", LOOPS)
def test_a_million_polls(core: Core, kind: str) -> None:
    with hooks(core), asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        runner.run(steps(1000))
        gc.collect()  # what others have left refers to them too
        before = immortal()
        assert left_behind(lambda: runner.run(steps(1_000_000 // 2 // len(LOOPS))), 1) < SOME
        assert all(abs(now - then) < SOME for now, then in zip(immortal(), before, strict=True))


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("kind", LOOPS)
def test_callbacks_timers_and_tasks_of_all_sorts(core: Core, kind: str, debug: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        for _ in range(20):
            loop.call_soon(int, "no number")
            loop.call_later(1000, print).cancel()
            loop.call_soon(print).cancel()
            loop.call_soon_threadsafe(len, ())
            task = loop.create_task(steps(3), name="cancelled")
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, fails(), steps(2), return_exceptions=True)
        core.drain()
        for _ in core.cursor().frames():
            pass

    with hooks(core), asyncio.Runner(loop_factory=LOOPS[kind], debug=debug) as runner:
        before = immortal()
        # Ended tasks are kept, and are not Python's: these are references of Python's objects.
        assert left_behind(lambda: runner.run(main()), 20) < SOME
        assert all(abs(now - then) < SOME for now, then in zip(immortal(), before, strict=True))


@pytest.mark.parametrize("kind", LOOPS)
def test_loops_opened_and_closed(core: Core, kind: str) -> None:
    def run() -> None:
        with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
            runner.run(steps(2))

    with hooks(core):
        assert left_behind(run, 200) < SOME


def test_adopted_and_forgotten(core: Core) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(steps(5)) for _ in range(10)]
        for _ in range(3):
            for task in tasks:
                core.adopt(task, loop)
            await asyncio.sleep(0)
            core.restart()
        await asyncio.gather(*tasks)

    assert left_behind(lambda: asyncio.run(main()), 100) < SOME


def test_installed_and_uninstalled_200_times(core_name: str) -> None:
    def cycle() -> None:
        assert asynctop.install()
        asyncio.run(steps(2))
        asynctop.uninstall()

    before = immortal()
    assert left_behind(cycle, 200) < SOME
    assert all(abs(now - then) < SOME for now, then in zip(immortal(), before, strict=True))
