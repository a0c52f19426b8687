"""A program of very many tasks, one of which notes how late it is polled. Run by `delay.py`.

    python benchmarks/delay_program.py TASKS LOOP SETUP

After "ready" each line on standard input is a time, `time.monotonic_ns()`, at which it was sent. At an empty
one it says the quantiles of how much later, in milliseconds, the task was polled that each line wakes.
"""

from __future__ import annotations

import asyncio
import sys
from random import Random
from time import monotonic_ns

from program import run, say


async def waiter(random: Random) -> None:
    """Wakes about once a second."""
    while True:
        await asyncio.sleep(random.uniform(0.5, 1.5))


async def ticked() -> list[int]:
    """Nanoseconds from the sending of each line to the poll it wakes, in order of size."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    delays = []
    await say("ready")
    while sent := (await reader.readline()).strip():
        delays.append(monotonic_ns() - int(sent))
    return sorted(delays)


async def program(tasks: int) -> None:
    """The crowd, and the one."""
    random = Random(1)
    crowd = [asyncio.create_task(waiter(random)) for _ in range(tasks)]
    delays = await ticked()
    quantiles = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    await say({name: delays[int(share * (len(delays) - 1))] / 1e6 for name, share in quantiles.items()})
    for task in crowd:
        task.cancel()


if __name__ == "__main__":
    tasks, loop, setup = sys.argv[1:]
    run(lambda: program(int(tasks)), loop, setup)
