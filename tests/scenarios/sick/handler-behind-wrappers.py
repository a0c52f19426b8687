"""A web handler behind a decorator, a middleware and the framework: the handler is to blame.

subject: task report
finds: long-poll-blocking-call
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable

from aiohttp import ClientSession, web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def counted(handler: Handler) -> Handler:
    @functools.wraps(handler)
    async def wrapper(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    return wrapper


@web.middleware
async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
    return await handler(request)


def fetch() -> str:
    time.sleep(0.2)  # here
    return "done"


@counted
async def report(request: web.Request) -> web.StreamResponse:
    return web.Response(text=fetch())


async def main() -> None:
    app = web.Application(middlewares=[checked])
    app.router.add_get("/", report)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    async with ClientSession() as session:
        print("ready")
        while True:
            async with session.get(f"http://{host}:{port}/") as response:
                await response.text()
            await asyncio.sleep(0.05)


asyncio.run(main())
