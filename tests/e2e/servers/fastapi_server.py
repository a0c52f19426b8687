"""A FastAPI server, uvicorn on uvloop, for a load generator: `fastapi_server.py PORT` (0 for a free one)."""

import socket
import sys
import time
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from locked_database import LockedDatabase

DATABASE = LockedDatabase()
app = FastAPI()


def call_slow_library() -> None:
    """Block the thread for 0.2 s."""
    time.sleep(0.2)


@app.get("/hello")
async def hello() -> str:
    """Answer at once."""
    return "hello"


@app.get("/sqlite")
async def query_sqlite() -> str:
    """Block in sqlite3 for about 0.1 s."""
    return DATABASE.query()


@app.get("/sleep")
async def sleep() -> str:
    """Block in a helper for 0.2 s."""
    call_slow_library()
    return "slept"


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server = uvicorn.Server(uvicorn.Config(app, loop="uvloop", ws="none", log_level="warning"))
    # Once it has shut down, uvicorn raises the signal that ended it once more.
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
