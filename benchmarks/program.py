"""What the measured programs share: how they speak with the benchmark, and how they are set up.

Such a program says "ready" when it is set up, waits for a line, and then does what is measured.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from tools import SETUPS


async def say(what: object) -> None:
    """A line of JSON for the benchmark. Not written in the loop, where some tools let nobody write."""
    await asyncio.to_thread(print, json.dumps(what), flush=True)


async def ready() -> None:
    """Say so, and wait for a line."""
    await say("ready")
    await told()


async def told() -> None:
    """Returns at the next line from the benchmark."""
    await asyncio.to_thread(sys.stdin.readline)


def run(program: Callable[[], Coroutine[Any, Any, None]], loop: str, setup: str) -> None:
    """Run `program` on a new loop, "asyncio" or "uvloop", with one of `SETUPS`, or "-" for none."""
    factory = None if loop == "asyncio" else importlib.import_module(loop).new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_set_up(program, setup))


async def _set_up(program: Callable[[], Coroutine[Any, Any, None]], setup: str) -> None:
    kept = SETUPS[setup]() if setup != "-" else None
    await program()
    del kept  # some tools end with the object that they are
