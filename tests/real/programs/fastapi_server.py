"""FastAPI under uvicorn: endpoints that are functions and others that are coroutines, dependencies that clean
up, middleware, background tasks, a stream. Under wrk."""

import asyncio
import hashlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Annotated

import uvicorn
from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

log = logging.getLogger("users")
audit: list[str] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Forgets the audit log now and then."""

    async def rotate() -> None:
        while True:
            await asyncio.sleep(1)
            audit.clear()

    async with asyncio.TaskGroup() as tasks:
        rotating = tasks.create_task(rotate(), name="rotate")
        yield
        rotating.cancel()


app = FastAPI(lifespan=lifespan)


class Order(BaseModel):
    """What is sent to /orders."""

    user: int
    items: list[str]


@app.middleware("http")
async def timed(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """As everybody has one."""
    started = time.perf_counter()
    response = await call_next(request)
    response.headers["X-Took"] = f"{time.perf_counter() - started:.6f}"
    return response


def database() -> Iterator[sqlite3.Connection]:
    """A dependency that runs in a thread."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("create table users (id integer, name text)")
    connection.executemany("insert into users values (?, ?)", [(i, f"user {i}") for i in range(20)])
    try:
        yield connection
    finally:
        connection.close()


async def caller(x_caller: Annotated[str, Header()] = "nobody") -> AsyncIterator[str]:
    """A dependency that awaits."""
    await asyncio.sleep(0.001)
    yield x_caller


@app.get("/users/{number}")
def user(number: int, connection: Annotated[sqlite3.Connection, Depends(database)]) -> dict[str, object]:
    """Synchronous, so it runs in a thread, and may block there."""
    time.sleep(0.002)
    row = connection.execute("select name from users where id = ?", [number % 25]).fetchone()
    if row is None:
        raise HTTPException(404)
    return {"user": number, "name": row[0]}


@app.get("/digest/{text}")
def digest(text: str) -> dict[str, str]:
    """Computes, in a thread."""
    return {"digest": hashlib.pbkdf2_hmac("sha256", text.encode(), b"salt", 2_000).hex()}


def note(text: str) -> None:
    """In the background, in a thread."""
    time.sleep(0.001)
    audit.append(text)


@app.post("/orders", status_code=201)
async def order(order: Order, tasks: BackgroundTasks, who: Annotated[str, Depends(caller)]) -> Order:
    """Asynchronous, with something to do afterwards."""
    await asyncio.sleep(0.002)
    tasks.add_task(note, f"{who} ordered {order.items}")
    return order


@app.get("/report")
async def report() -> StreamingResponse:
    """Piece by piece."""

    async def lines() -> AsyncIterator[str]:
        for number in range(10):
            yield f"{number}\n"
            await asyncio.sleep(0.001)

    return StreamingResponse(lines())


async def main() -> None:
    """Serve until killed."""
    logging.basicConfig(level=logging.INFO)
    server = uvicorn.Server(uvicorn.Config(app, port=0, loop="none"))
    serving = asyncio.create_task(server.serve(), name="server")
    while not server.started:
        await asyncio.sleep(0.02)
    print("ready", server.servers[0].sockets[0].getsockname()[1], flush=True)
    await serving


asyncio.run(main())
