"""A program that spawns very many short tasks at once. Run by `burst.py`.

    python benchmarks/burst_program.py TASKS SETUP

Bursts, says what it took, and waits for a last line.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
from pathlib import Path
from time import perf_counter

from program import ready, run, say, told


def resident_mb() -> float:
    """Memory in use now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def short() -> None:
    """Two polls."""
    await asyncio.sleep(0)


async def burst(tasks: int) -> float:
    """Seconds from the first spawn to the last end."""
    began = perf_counter()
    await asyncio.gather(*[short() for _ in range(tasks)])
    return perf_counter() - began


async def program(tasks: int) -> None:
    """The burst, and the calm around it."""
    await ready()
    before = resident_mb()
    seconds = await burst(tasks)
    gc.collect()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    found = {"seconds": seconds, "before": before, "peak": peak, "after": resident_mb()}
    await say(found)
    await told()


if __name__ == "__main__":
    tasks, setup = sys.argv[1:]
    run(lambda: program(int(tasks)), "asyncio", setup)
