"""Locks that a suspended coroutine holds without a `with` block of its own: taken by hand, or on a stack of
exits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from asynctop.awaits.held import held_in


class Account:
    """Ways to take a lock, and ways that only look like it. Each is asked at its first `await` that lasts."""

    def __init__(self) -> None:
        self.threads, self.tasks, self.permits = threading.Lock(), asyncio.Lock(), asyncio.Semaphore(1)

    async def holds_until_finally(self) -> None:
        self.threads.acquire()
        try:
            await asyncio.sleep(1)
        finally:
            self.threads.release()

    async def holds_until_the_line_after(self) -> None:
        lock = self.threads
        lock.acquire()
        await asyncio.sleep(1)
        lock.release()

    async def holds_what_it_awaited(self) -> None:
        await self.tasks.acquire()
        try:
            await asyncio.sleep(1)
        finally:
            self.tasks.release()

    async def holds_what_came_in_time(self) -> None:
        await asyncio.wait_for(self.tasks.acquire(), 5)
        try:
            await asyncio.sleep(1)
        finally:
            self.tasks.release()

    async def holds_a_permit(self) -> None:
        await self.permits.acquire()
        try:
            await asyncio.sleep(1)
        finally:
            self.permits.release()

    async def holds_if_it_got_it(self) -> None:
        if self.threads.acquire(timeout=1):
            try:
                await asyncio.sleep(1)
            finally:
                self.threads.release()

    async def holds_on_a_stack(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.threads)
            await asyncio.sleep(1)

    async def holds_on_an_async_stack(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.tasks)
            await asyncio.sleep(1)

    async def lacks_it_between(self) -> None:
        self.threads.acquire()
        self.threads.release()
        await self.somebody_elses()
        self.threads.acquire()
        self.threads.release()

    async def lacks_it_after_finally(self) -> None:
        self.threads.acquire()
        try:
            len("")
        finally:
            self.threads.release()
        await self.somebody_elses()

    async def lacks_it_at_the_end_of_a_loop(self) -> None:
        while True:
            self.threads.acquire()
            self.threads.release()
            await self.somebody_elses()

    async def lacks_what_it_did_not_get(self) -> None:
        self.threads.acquire()  # as somebody else would have
        while not self.threads.acquire(blocking=False):  # noqa: ASYNC110
            await asyncio.sleep(1)
        try:
            await asyncio.sleep(1)
        finally:
            self.threads.release()

    async def lacks_what_it_waits_for(self) -> None:
        await self.tasks.acquire()  # as somebody else would have
        await self.tasks.acquire()
        try:
            await asyncio.sleep(1)
        finally:
            self.tasks.release()

    async def lacks_what_it_will_take(self) -> None:
        try:
            await self.somebody_elses()
            self.threads.acquire()
        finally:
            if self.threads.locked():
                self.threads.release()

    async def somebody_elses(self) -> None:
        """Somebody else has it from now on."""
        self.__dict__["threads"] = taken = threading.Lock()
        taken.acquire()
        await asyncio.sleep(1)


WAYS = [name for name in vars(Account) if name.startswith(("holds_", "lacks_"))]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_held(way: str) -> None:
    async def look() -> int:
        coroutine: Coroutine[Any, Any, None] = getattr(Account(), way)()
        task = asyncio.ensure_future(coroutine)
        for _ in range(4):  # wait_for() makes a task up to 3.11
            await asyncio.sleep(0)
        inner = coroutine.cr_await  # type: ignore[attr-defined]
        held = list(held_in(coroutine, inner.cr_frame))
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        return len(held)

    assert asyncio.run(look()) == way.startswith("holds_")
