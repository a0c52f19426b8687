"""Speaks for a made-up program of any size, as a runtime does to one console. Run by `display.py`.

    python benchmarks/synthetic_program.py TASKS INTERVAL_NS SOCKET

What it says is made before, so that it costs next to nothing beside the console; after so many batches it
begins again with the first. Says "ready" when all is made.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import count

from asynctop_protocol import Connection, Role, Tick
from synthetic import Synthetic

_BATCHES = 30


def speech(connection: Connection, tasks: int, interval_ns: int) -> list[bytes]:
    """The opening, and then what comes before each tick."""
    synthetic, now = Synthetic(tasks), time.monotonic_ns()
    opening = synthetic.opening(now)
    batches = [synthetic.tick(now + (number + 1) * interval_ns) for number in range(_BATCHES)]
    return [b"".join(connection.send(message) for message in batch[:-1]) for batch in (opening, *batches)]


async def main(tasks: int, interval_ns: int, path: str) -> None:
    """Until it is killed."""
    connection = Connection(Role.RUNTIME)
    opening, *batches = speech(connection, tasks, interval_ns)

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began = time.monotonic_ns()
        writer.write(opening)
        for number in count():
            writer.write(batches[number % _BATCHES] + connection.send(Tick(time.monotonic_ns())))
            await writer.drain()
            await asyncio.sleep((began + (number + 1) * interval_ns - time.monotonic_ns()) / 1e9)

    server = await asyncio.start_unix_server(speak, path)
    print(json.dumps("ready"), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    tasks, interval_ns, path = sys.argv[1:]
    asyncio.run(main(int(tasks), int(interval_ns), path))
