"""Every second the /report handler calls time.sleep(0.2) in render_report: Stalls names the line.

A little service over TCP, a request a line, under load from its own clients. Twenty of them ask for what is
quick and should never wait; one asks for the report, and while it is rendered nobody else gets an answer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

CLIENTS = 20


async def user() -> str:
    """Healthy: waits for a cache."""
    await asyncio.sleep(0.005)
    return "user"


async def search() -> str:
    """Healthy: waits for an index."""
    await asyncio.sleep(0.02)
    return "search"


async def report() -> str:
    """Sick: an `async def` that awaits nothing, and what it calls blocks the thread."""
    return render_report()


def render_report() -> str:
    """Call something that sleeps, as a synchronous driver does while it waits for its server."""
    time.sleep(0.2)
    return "report"


ROUTES: dict[str, Callable[[], Awaitable[str]]] = {"/user": user, "/search": search, "/report": report}


async def handle(path: str) -> str:
    """Answer one request."""
    return await ROUTES[path]()


async def serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, everybody: asyncio.Barrier
) -> None:
    """One connection: each request is answered by a task of its own."""
    try:
        await everybody.wait()
        while line := await reader.readline():
            path = line.decode().strip()
            answer = await asyncio.create_task(handle(path), name=f"GET {path}")
            writer.write(answer.encode() + b"\n")
            await writer.drain()
    finally:
        writer.close()


async def client(port: int, path: str, pause: float) -> None:
    """Ask for `path` again and again, `pause` seconds after each answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while True:
            writer.write(path.encode() + b"\n")
            await reader.readline()
            await asyncio.sleep(pause)
    finally:
        writer.close()


async def main() -> None:
    """Start the service and its clients."""
    everybody = asyncio.Barrier(CLIENTS + 2)
    async with asyncio.TaskGroup() as group:

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = writer.get_extra_info("peername")[1]
            group.create_task(serve(reader, writer, everybody), name=f"connection from :{peer}")

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        for number in range(CLIENTS):
            path = ("/user", "/search")[number % 2]
            group.create_task(client(port, path, 0.1), name=f"client-{number} {path}")
        group.create_task(client(port, "/report", 0.8), name="client-report")
        await everybody.wait()
        print(f"ready: {CLIENTS + 1} clients ask a service on port {port}", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
