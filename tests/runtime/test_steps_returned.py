"""The functions behind the steps of C Tasks: the C core borrows them, and puts them back."""

from __future__ import annotations

import asyncio
import ctypes

import asynctop

_TP_CALL = 128
"""Where a type has the function that calls its objects: sixteen words in, in each CPython so far."""
_M_ML, _ML_METH = 16, 8
"""Where a function made in C has its definition, and a definition its function."""


def word(address: int) -> int:
    found = ctypes.c_void_p.from_address(address).value
    assert found
    return found


def functions() -> tuple[int, int]:
    """The addresses of what a task's first step runs, and of what each later one does."""
    loop = asyncio.new_event_loop()
    try:
        future = loop.create_future()

        async def waits() -> None:
            await future

        task = asyncio.Task(waits(), loop=loop)
        step = loop._ready[0]._callback  # type: ignore[attr-defined]
        loop.call_soon(loop.stop)
        loop.run_forever()
        ((wakeup, _),) = future._callbacks
        addresses = word(id(type(step)) + _TP_CALL), word(word(id(wakeup) + _M_ML) + _ML_METH)
        future.set_result(None)
        loop.run_until_complete(task)
        return addresses
    finally:
        loop.close()


def test_uninstall_puts_back_what_steps_run(core_name: str) -> None:
    before = functions()
    assert asynctop.install()
    try:
        functions()  # a later step is known once one has been met
        during = functions()
    finally:
        asynctop.uninstall()
    assert functions() == before
    borrowed = [now != then for now, then in zip(during, before, strict=True)]
    assert borrowed == [core_name == "c"] * 2
