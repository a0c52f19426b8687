"""An aiohttp server: JSON, forms, streams and a websocket; middleware, a cache that is refreshed in the
background, and a client session that asks the server itself. Under wrk."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
from aiohttp import web

log = logging.getLogger("shop")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PRICES = web.AppKey("prices", dict[int, float])
CLIENT = web.AppKey("client", aiohttp.ClientSession)
STOCK = web.AppKey("stock", asyncio.Semaphore)


@web.middleware
async def timed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """As every server has one."""
    started = time.perf_counter()
    try:
        response = await handler(request)
    except web.HTTPException:
        raise
    except Exception:
        log.exception("%s failed", request.path)
        raise
    if not response.prepared:
        response.headers["X-Took"] = f"{time.perf_counter() - started:.6f}"
    return response


class Shop:
    """Handlers that are methods."""

    async def item(self, request: web.Request) -> web.Response:
        """Waits for what a database would say."""
        number = int(request.match_info["number"])
        async with request.app[STOCK]:
            await asyncio.sleep(0.004)
        return web.json_response({"item": number, "price": request.app[PRICES].get(number % 100, 0.0)})

    async def search(self, request: web.Request) -> web.Response:
        """Asks three others at once, and gives up in time."""
        client = request.app[CLIENT]
        port = request.url.port

        async def one(number: int) -> dict[str, object]:
            async with client.get(f"http://127.0.0.1:{port}/item/{number}") as response:
                found: dict[str, object] = await response.json()
                return found

        async with asyncio.timeout(5):
            found = await asyncio.gather(*(one(number) for number in range(3)))
        return web.json_response(found)

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Line by line."""
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(20):
            await response.write(b"%d;%f\n" % (number, request.app[PRICES][number]))
            await asyncio.sleep(0.001)
        await response.write_eof()
        return response

    async def buy(self, request: web.Request) -> web.Response:
        """Reads what was sent."""
        order = await request.json()
        try:
            async with asyncio.timeout(0.05):
                await asyncio.sleep(0.002)
        except TimeoutError:
            raise web.HTTPGatewayTimeout from None
        return web.json_response({"bought": order["items"]}, status=201)

    async def live(self, request: web.Request) -> web.WebSocketResponse:
        """A websocket that echoes."""
        socket = web.WebSocketResponse(heartbeat=10)
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket


async def prices(app: web.Application) -> AsyncIterator[None]:
    """A cache that a task refreshes as long as the server runs."""
    app[STOCK] = asyncio.Semaphore(50)
    app[PRICES] = {}

    async def refresh() -> None:
        while True:
            app[PRICES].update({number: time.time() % (number + 1) for number in range(100)})
            await asyncio.sleep(0.5)

    task = asyncio.create_task(refresh(), name="prices")
    yield
    task.cancel()


async def client(app: web.Application) -> AsyncIterator[None]:
    """One session for all."""
    async with aiohttp.ClientSession() as session:
        app[CLIENT] = session
        yield


async def main() -> None:
    """Serve until killed, with the access log that is usual."""
    logging.basicConfig(level=logging.INFO)
    app = web.Application(middlewares=[timed])
    app.cleanup_ctx.extend([prices, client])
    shop = Shop()
    app.add_routes(
        [
            web.get("/item/{number}", shop.item),
            web.get("/search", shop.search),
            web.get("/export", shop.export),
            web.post("/buy", shop.buy),
            web.get("/live", shop.live),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print("ready", runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
