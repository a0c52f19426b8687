"""Every two seconds a regular expression backtracks holding the GIL: Stalls says gil, names is_valid.

While C code keeps the interpreter's lock no other Python thread runs either, so a watchdog thread would see
nothing until it is over. How long one match takes depends on the machine; the text grows until it takes a
quarter of a second.
"""

import asyncio
import re
import time
from contextlib import suppress
from itertools import count

# Nested repetition: each further letter doubles the ways to fail.
NAME_LIST = re.compile(r"(\w+\s?)+;")


def is_valid(text: str) -> bool:
    """Say whether this is a list of names: an innocent look, and a wait."""
    return NAME_LIST.fullmatch(text) is not None


def find_slow_text() -> str:
    """The shortest text whose match takes a quarter of a second here."""
    for letters in count(12):
        text = "a" * letters
        started = time.perf_counter()
        is_valid(text)
        if time.perf_counter() - started > 0.25:
            return text
    raise AssertionError("every longer text takes twice as long")


async def form(text: str) -> None:
    """Check what somebody typed."""
    while True:
        is_valid(text)
        await asyncio.sleep(2)


async def heartbeat() -> None:
    """Tick."""
    while True:
        await asyncio.sleep(0.05)


async def main(slow_text: str) -> None:
    """Several forms are filled in, one of them by somebody nasty."""
    async with asyncio.TaskGroup() as group:
        group.create_task(heartbeat(), name="heartbeat")
        for text in ("ann bob;", "eve;", slow_text):
            group.create_task(form(text), name=f"form of {len(text)} letters")
        print(f"ready: {len(slow_text)} letters take a regular expression too long", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(find_slow_text()))
