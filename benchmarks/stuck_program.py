"""A program stuck for about five seconds in C code that holds the GIL. Run by `stuck.py`.

    python benchmarks/stuck_program.py LOOP SETUP

Says in which line it was stuck, and from when to when by `time.monotonic_ns()`; waits for a last line.
"""

from __future__ import annotations

import asyncio
import re
import sys
from itertools import count
from time import monotonic_ns

from program import ready, run, say, told

PATTERN = re.compile(r"(\w+\s?)+;")
"""Each further letter doubles the ways in which a text does not match."""
_A_MOMENT_NS = 250_000_000
_LETTERS_MORE = 4


def match_ns(text: str) -> int:
    """How long it takes to see that it does not match."""
    began = monotonic_ns()
    PATTERN.fullmatch(text)
    return monotonic_ns() - began


def slow_text() -> str:
    """One that takes sixteen times the quarter to half of a second that a shorter one takes here."""
    letters = next(n for n in count(12) if match_ns("a" * n) > _A_MOMENT_NS)
    return "a" * (letters + _LETTERS_MORE)


async def stuck(text: str) -> dict[str, int]:
    """One poll."""
    began = monotonic_ns()
    PATTERN.fullmatch(text)
    return {"began": began, "ended": monotonic_ns(), "line": stuck.__code__.co_firstlineno + 3}


async def program(text: str) -> None:
    """Gets stuck once."""
    await ready()
    await say(await asyncio.create_task(stuck(text), name="stuck"))
    await told()


if __name__ == "__main__":
    text = slow_text()
    run(lambda: program(text), *sys.argv[1:])
