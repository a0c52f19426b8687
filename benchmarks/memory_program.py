"""A program that holds very many tasks, or has very many pass through. Run by `memory.py`.

    python benchmarks/memory_program.py live|ended|through TASKS LOOP SETUP

live: TASKS wait for what never comes. ended: TASKS have ended, and ours remembers all of them. through: TASKS
are spawned and end, a hundred at a time, and ours remembers as many as it always does. Says how many bytes of
its memory that took, and waits for a last line; with `through`, how many it has, after each twentieth.
Linux only.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from program import ready, run, say, told

_TOGETHER = 100
SAMPLES = 20
_SETTLED = 0.005
"""Memory that changes by less than this share in a second."""


def private_bytes() -> int:
    """Memory that only this process has: what would be free were it gone."""
    gc.collect()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def remember(tasks: int) -> None:
    """Make our runtime, which is not imported yet, retain so many ended tasks. It takes the number from the
    module that this puts in the place of the real one's."""
    found = PathFinder.find_spec("asynctop")
    assert found is not None
    assert found.submodule_search_locations is not None
    path = Path(*found.submodule_search_locations, "core", "contract.py")
    spec = importlib.util.spec_from_file_location("asynctop.core.contract", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    vars(module)["RETAINED"] = tasks


async def waiter(never: asyncio.Future[None]) -> None:
    """Waits."""
    await never


async def brief() -> None:
    """One poll."""


async def live(tasks: int) -> None:
    """Bytes for tasks that wait, each for a future of its own."""
    await ready()
    loop = asyncio.get_running_loop()
    before = private_bytes()
    waiters = [loop.create_task(waiter(loop.create_future())) for _ in range(tasks)]
    await say(await settled() - before)
    await told()
    for task in waiters:
        task.cancel()


async def ended(tasks: int) -> None:
    """Bytes for tasks that have ended."""
    await ready()
    before = private_bytes()
    await through_the_loop(tasks)
    await say(await settled() - before)
    await told()


async def through(tasks: int) -> None:
    """Bytes after each twentieth."""
    await ready()
    for _ in range(SAMPLES):
        await through_the_loop(tasks // SAMPLES)
        await say(private_bytes())


PROGRAMS = {"live": live, "ended": ended, "through": through}


async def through_the_loop(tasks: int) -> None:
    """Spawn and end them."""
    for _ in range(tasks // _TOGETHER):
        await asyncio.gather(*[brief() for _ in range(_TOGETHER)])


async def settled() -> int:
    """Memory when the publisher's thread, if there is one, is done with what happened."""
    size, before = private_bytes(), 0
    while abs(size - before) > size * _SETTLED:
        await asyncio.sleep(1)
        size, before = private_bytes(), size
    return size


if __name__ == "__main__":
    what, tasks, loop, setup = sys.argv[1:]
    if what == "ended" and setup == "asynctop":
        remember(int(tasks))
    run(lambda: PROGRAMS[what](int(tasks)), loop, setup)
