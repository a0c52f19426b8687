"""An aiohttp server on asyncio for a load generator: `aiohttp_server.py PORT` (0 for a free one)."""

import socket
import sys
import time

from aiohttp import web

from locked_database import LockedDatabase

DATABASE = LockedDatabase()


def call_slow_library() -> None:
    """Block the thread for 0.2 s."""
    time.sleep(0.2)


async def hello(_request: web.Request) -> web.Response:
    """Answer at once."""
    return web.Response(text="hello")


async def query_sqlite(_request: web.Request) -> web.Response:
    """Block in sqlite3 for about 0.1 s."""
    return web.Response(text=DATABASE.query())


async def sleep(_request: web.Request) -> web.Response:
    """Block in a helper for 0.2 s."""
    call_slow_library()
    return web.Response(text="slept")


if __name__ == "__main__":
    app = web.Application()
    app.add_routes([web.get("/hello", hello), web.get("/sqlite", query_sqlite), web.get("/sleep", sleep)])
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    web.run_app(app, sock=listener, print=None, access_log=None)
