"""Blocking calls of every sort, all in threads: sleeping, a file, a database, a lock, a name, a log."""

import asyncio
import logging
import os
import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

SQL = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT sum(i) FROM n"
lock = threading.Lock()
log = logging.getLogger("slow")


class Slow(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        time.sleep(0.1)


def sleep() -> None:
    time.sleep(0.3)


def save() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(bytes(1 << 20))
        os.fsync(file.fileno())


def ask() -> None:
    sqlite3.connect(":memory:").execute(SQL).fetchall()


def hold() -> None:
    with lock:
        time.sleep(0.1)


def resolve() -> None:
    socket.getaddrinfo("localhost", 80)


def tell() -> None:
    log.warning("slow")


async def repeat(call: Callable[[], None], pool: ThreadPoolExecutor | None) -> None:
    while True:
        await asyncio.get_running_loop().run_in_executor(pool, call)
        await asyncio.sleep(0.05)


async def main() -> None:
    log.addHandler(Slow())
    with ThreadPoolExecutor(8) as pool:
        async with asyncio.TaskGroup() as group:
            for call in (sleep, save, ask, hold, hold, resolve, tell):
                group.create_task(repeat(call, pool), name=call.__name__)
            print("ready")


asyncio.run(main())
