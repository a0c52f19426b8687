"""aiohttp on asyncio, FastAPI on uvloop, real HTTP load: /report and /rates block their loops.

Three threads, three event loops: the aiohttp shop in the main thread, uvicorn in the second, and in the third
the clients that put both under load. Two handlers have a fault that real services have, a synchronous call in
an `async def`: the shop's /report runs an SQLite query over a whole table, and the bank's /rates asks a slow
partner over HTTP with `http.client`. Everything listens on free loopback ports; the database is a temporary
file.
"""

import asyncio
import http.client
import signal
import socket
import sqlite3
import tempfile
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import aiohttp
import uvicorn
import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler
from fastapi import Depends, FastAPI, Request

SALES = 400_000
PARTNER_SECONDS = 0.2


def name_task(method: str, path: str) -> None:
    """Call the current task after the request that it answers."""
    task = asyncio.current_task()
    assert task is not None
    task.set_name(f"{method} {path}")


# The shop: aiohttp.

DATABASE = web.AppKey("DATABASE", sqlite3.Connection)


def open_database(path: Path) -> sqlite3.Connection:
    """A year's sales, without an index."""
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE sale (customer INTEGER, cents INTEGER, note TEXT)")
    database.execute(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO sale SELECT i % 997, i * 7919 % 10007, 'order ' || i FROM n",
        (SALES,),
    )
    database.commit()
    return database


def best_customers(database: sqlite3.Connection) -> list[tuple[int, int, int]]:
    """Look at every row: a tenth of a second or more, on the event loop's thread."""
    return database.execute(
        "SELECT customer, sum(cents), count(DISTINCT note) FROM sale "
        "GROUP BY customer ORDER BY 2 DESC LIMIT 5"
    ).fetchall()


async def product(request: web.Request) -> web.Response:
    """Healthy: waits for a cache."""
    await asyncio.sleep(0.005)
    return web.json_response({"product": request.match_info["number"]})


async def basket(_request: web.Request) -> web.Response:
    """Healthy: asks for three prices at once."""
    async with asyncio.TaskGroup() as prices:
        for number in range(3):
            prices.create_task(asyncio.sleep(0.01 * number), name=f"price-{number}")
    return web.json_response({"items": 3})


async def report(request: web.Request) -> web.Response:
    """Sick: sqlite3 is synchronous, whatever stands before `def`."""
    return web.json_response(best_customers(request.app[DATABASE]))


@web.middleware
async def name_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the connection's task a name that says what it does."""
    name_task(request.method, request.path)
    return await handler(request)


def make_shop(database: sqlite3.Connection) -> web.Application:
    """The aiohttp application."""
    shop = web.Application(middlewares=[name_request])
    shop[DATABASE] = database
    shop.add_routes(
        [web.get("/product/{number}", product), web.get("/basket", basket), web.get("/report", report)]
    )
    return shop


# The bank: FastAPI under uvicorn.


class SlowPartner(BaseHTTPRequestHandler):
    """Somebody else's service, in threads of its own: slow, yet it stalls nobody but who waits for it."""

    def do_GET(self) -> None:
        """Answer late."""
        time.sleep(PARTNER_SECONDS)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"1.08")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def ask_partner(port: int) -> float:
    """Wait for the answer with a blocking socket."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.request("GET", "/")
        return float(connection.getresponse().read())
    finally:
        connection.close()


async def name_call(request: Request) -> None:
    """Give the request's task a name that says what it does."""
    name_task(request.method, request.url.path)


def make_bank(partner_port: int) -> FastAPI:
    """The FastAPI application."""
    bank = FastAPI(dependencies=[Depends(name_call)])

    @bank.get("/account/{number}")
    async def account(number: int) -> dict[str, int]:
        """Healthy: waits for a cache."""
        await asyncio.sleep(0.005)
        return {"account": number}

    @bank.get("/statement")
    def statement() -> dict[str, int]:
        """Healthy: a plain `def`, which FastAPI runs in a thread."""
        time.sleep(0.05)
        return {"lines": 12}

    @bank.get("/rates")
    async def rates() -> dict[str, float]:
        """Sick: asks the partner with a blocking socket."""
        return {"EUR/USD": ask_partner(partner_port)}

    return bank


def run_bank(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve from this thread, on uvloop, until `server.should_exit`."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=[listener]))


# The clients.


async def client(session: aiohttp.ClientSession, url: str, pause: float, closing: threading.Event) -> None:
    """Ask for the same page again and again, `pause` seconds after each answer."""
    while not closing.is_set():
        async with session.get(url) as response:
            await response.read()
        await asyncio.sleep(pause)


async def put_under_load(shop: str, bank: str, closing: threading.Event) -> None:
    """Many ask for what is quick, one each for what is slow."""
    async with aiohttp.ClientSession(raise_for_status=True) as session, asyncio.TaskGroup() as clients:
        for number in range(8):
            for page in (f"{shop}/product/{number}", f"{shop}/basket", f"{bank}/account/{number}"):
                clients.create_task(client(session, page, 0.1, closing), name=f"client-{number} {page}")
        for page in (f"{shop}/report", f"{bank}/rates", f"{bank}/statement"):
            clients.create_task(client(session, page, 0.7, closing), name=f"client {page}")


def url(listener: socket.socket) -> str:
    """Where somebody listens."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def main(database: sqlite3.Connection, partner_port: int) -> None:
    """Open the shop here, the bank and the clients in threads, and close them in the opposite order."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

    runner = web.AppRunner(make_shop(database), access_log=None)
    await runner.setup()
    shop_socket, bank_socket = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    await web.SockSite(runner, shop_socket).start()
    bank = uvicorn.Server(
        uvicorn.Config(make_bank(partner_port), loop="none", lifespan="off", ws="none", log_level="warning")
    )
    closing = threading.Event()
    load = put_under_load(url(shop_socket), url(bank_socket), closing)
    threads = [
        threading.Thread(target=asyncio.run, args=(load,), name="clients"),
        threading.Thread(target=run_bank, args=(bank, bank_socket), name="uvicorn"),
    ]
    for thread in reversed(threads):
        thread.start()
    print(f"ready: aiohttp on {url(shop_socket)}, FastAPI on {url(bank_socket)}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        closing.set()
        await asyncio.to_thread(threads[0].join)
        bank.should_exit = True
        await asyncio.to_thread(threads[1].join)
        await runner.cleanup()


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadingHTTPServer(("127.0.0.1", 0), SlowPartner) as partner,
    ):
        threading.Thread(target=partner.serve_forever, name="partner", daemon=True).start()
        with suppress(KeyboardInterrupt, asyncio.CancelledError):
            asyncio.run(main(open_database(Path(folder) / "sales.db"), partner.server_port))
        partner.shutdown()
