"""An aiohttp server that says hello. Run by `web.py`.

    python benchmarks/web_program.py LOOP SETUP

Begins to serve after "ready", says its address, and goes on until it is sent a line or is ended.
"""

from __future__ import annotations

import sys

from aiohttp import web

from program import ready, run, say, told


async def hello(_request: web.Request) -> web.Response:
    """Answers at once."""
    return web.Response(text="hello")


async def serve() -> None:
    """Until a line comes."""
    await ready()
    app = web.Application()
    app.add_routes([web.get("/", hello)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    await say(f"http://{host}:{port}/")
    await told()


if __name__ == "__main__":
    run(serve, *sys.argv[1:])
