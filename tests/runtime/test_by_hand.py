"""Locks taken by calling `acquire()`: which suspended tasks hold one, as their code tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from asynctop.awaits import await_chain, read
from asynctop.awaits.by_hand import _uses, forget_uses
from asynctop_protocol import Chain


class Pool:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.ready = asyncio.Condition()
        self.go = asyncio.Event()


async def finally_releases(pool: Pool) -> None:
    await pool.lock.acquire()
    try:
        await pool.go.wait()
    finally:
        pool.lock.release()


async def in_a_loop(pool: Pool) -> None:
    while True:
        await pool.lock.acquire()
        pool.lock.release()
        await pool.go.wait()


async def renamed(pool: Pool) -> None:
    lock = pool.lock
    await lock.acquire()
    await pool.go.wait()


async def nested(pool: Pool) -> None:
    async def inner() -> None:
        await pool.lock.acquire()
        await pool.go.wait()

    await inner()


async def condition(pool: Pool) -> None:
    await pool.ready.acquire()
    await pool.go.wait()


async def notified(pool: Pool) -> None:
    await pool.ready.acquire()
    await pool.ready.wait()


async def with_time(pool: Pool) -> None:
    await asyncio.wait_for(pool.lock.acquire(), 1)
    await pool.go.wait()


async def with_block(pool: Pool) -> None:
    async with pool.lock:
        await pool.go.wait()


async def of_another(pool: Pool) -> None:
    await Pool().lock.acquire()
    await pool.go.wait()


def chain_of(way: Callable[[Pool], Coroutine[Any, Any, None]], count: int = 1) -> list[Chain]:
    async def main() -> list[Chain]:
        pool = Pool()
        tasks = [asyncio.create_task(way(pool)) for _ in range(count)]
        for _ in range(10):
            await asyncio.sleep(0)
        chains = [await_chain(1, read(task), lambda _: 0) for task in tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return chains

    try:
        return asyncio.run(main())
    finally:
        forget_uses()


@pytest.mark.parametrize(
    ("way", "type_", "frame"),
    [
        (finally_releases, "lock", 0),
        (renamed, "lock", 0),
        (nested, "lock", 1),
        (condition, "condition", 0),
    ],
)
def test_who_has_acquired_one_and_has_yet_to_release_it_probably_holds_it(
    way: Callable[[Pool], Coroutine[Any, Any, None]], type_: str, frame: int
) -> None:
    (found,) = chain_of(way)[0].holds
    assert (found.type, found.frame, found.probably) == (type_, frame, True)


@pytest.mark.parametrize("way", [in_a_loop, notified, with_time, of_another])
def test_who_has_released_it_or_never_had_it_holds_nothing(
    way: Callable[[Pool], Coroutine[Any, Any, None]],
) -> None:
    assert chain_of(way)[0].holds == []


def test_who_waits_for_it_does_not_hold_it() -> None:
    first, second = chain_of(finally_releases, 2)
    assert ([held.probably for held in first.holds], second.holds) == ([True], [])


def test_a_block_is_known_for_certain() -> None:
    (found,) = chain_of(with_block)[0].holds
    assert found.probably is False


def test_nothing_of_the_program_is_kept() -> None:
    chain_of(finally_releases)
    assert _uses == {}
