"""Speaks for a made-up program of any size, as a runtime does to one console. Run by `display.py`.

    python benchmarks/synthetic_program.py TASKS INTERVAL_NS SECONDS SOCKET

What it says is made before: it costs next to nothing beside the console. Says "ready" when all is made, and
goes silent when the seconds are over.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from asynctop_protocol import Connection, Message, Role
from synthetic import Synthetic


def speech(tasks: int, interval_ns: int, seconds: float) -> list[bytes]:
    """All batches."""
    synthetic, connection, now = Synthetic(tasks), Connection(Role.RUNTIME), time.monotonic_ns()

    def said(batch: list[Message]) -> bytes:
        return b"".join(map(connection.send, batch))

    batches = [said(synthetic.opening(now))]
    for number in range(int(seconds * 1e9 / interval_ns)):
        batches.append(said(synthetic.tick(now + (number + 1) * interval_ns)))
    return batches


async def main(tasks: int, interval_ns: int, seconds: float, path: str) -> None:
    """Until it is killed."""
    batches = speech(tasks, interval_ns, seconds)

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began = time.monotonic_ns()
        for number, batch in enumerate(batches):
            await asyncio.sleep((began + number * interval_ns - time.monotonic_ns()) / 1e9)
            writer.write(batch)
            await writer.drain()

    server = await asyncio.start_unix_server(speak, path)
    print(json.dumps("ready"), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    tasks, interval_ns, seconds, path = sys.argv[1:]
    asyncio.run(main(int(tasks), int(interval_ns), float(seconds), path))
