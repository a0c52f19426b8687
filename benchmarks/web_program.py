"""An aiohttp server that says hello. Run by `web.py`.

    python benchmarks/web_program.py LOOP SETUP

Says its address before "ready", and serves until it is ended.
"""

from __future__ import annotations

import sys

from aiohttp import web

from program import ready, run, say


async def hello(_request: web.Request) -> web.Response:
    """Answers at once."""
    return web.Response(text="hello")


async def serve() -> None:
    """Until a line comes."""
    app = web.Application()
    app.add_routes([web.get("/", hello)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    say(f"http://{host}:{port}/")
    await ready()


if __name__ == "__main__":
    run(serve, *sys.argv[1:])
