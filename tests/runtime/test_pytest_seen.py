"""What the pytest plugin sees of a test, and what it fails it for."""

from __future__ import annotations

from typing import Any

import pytest

from asynctop_protocol import Cause, Message, Stall, Stalls
from asynctop_pytest.processors import Clocks, Notes
from asynctop_pytest.seen import Seen


class FakeInsider:
    """Tells what a test says."""

    def __init__(self) -> None:
        self.told: list[Message] = []

    def news(self) -> list[Message]:
        told, self.told = self.told, []
        return told

    def loops(self) -> set[int]:
        return set()


APP = ("handler", "/home/me/app.py", 3)


@pytest.mark.parametrize(
    ("cause", "stack", "blamed"),
    [
        (Cause.BLOCKING, [APP], True),
        (Cause.CPU, [APP], True),
        (Cause.GIL, [APP], True),
        (Cause.GC, [APP], False),
        (Cause.UNKNOWN, [APP], False),
        (Cause.CPU, [APP, ("_find_and_load", "<frozen importlib._bootstrap>", 7)], False),
        (Cause.BLOCKING, [APP, ("Pdb.cmdloop", "/usr/lib/python3.11/pdb.py", 7)], False),
        (Cause.BLOCKING, [APP, ("Thread.start", "/usr/lib/python3.11/threading.py", 7)], False),
        (Cause.BLOCKING, [APP, ("Thread.join", "/usr/lib/python3.11/threading.py", 7)], True),
    ],
)
def test_what_is_blamed(cause: Cause, stack: list[tuple[str, str, int]], blamed: bool) -> None:
    inside: Any = FakeInsider()
    seen = Seen(inside, Notes())
    started = 2**62
    told = Stall(1, 1, 0, "Task-1", 1, started, 60_000_000, False, cause, 1, stack)
    inside.told = [Stalls([told])]
    (stall,) = seen.news()
    assert (stall.blamed, stall.seconds, stall.cause) == (blamed, 0.06, cause.name.lower())
    assert seen.news() == []
    seen.restart()
    assert seen.stalls == []


MS = 1_000_000


@pytest.mark.parametrize(
    ("clocks", "waits", "waits_for_thread", "computes"),
    [
        # Of a poll from 5 to 105 ms, with notes every 10 ms.
        ([(at, 0, 0, 0) for at in range(0, 120, 10)], 100, 100, 0),
        ([(at, at, 0, 0) for at in range(0, 120, 10)], 100, 100, 100),
        ([(at, at, min(at, 80), 0) for at in range(0, 120, 10)], 20, 20, 20),
        ([(0, 0, 0, 0), *((at, at - 80, 70, 80) for at in range(90, 120, 10))], 30, 30 - 80, 30),
        ([(0, 0, 0, 0), *((at, 0, 0, 80) for at in range(90, 120, 10))], 100, 20, 0),
        ([(0, 0, 0, 0), *((at, 10, 0, 0) for at in range(90, 120, 10))], 20, 20, 10),
        ([(at, 0, 0, 0) for at in (0, 12, 26, *range(36, 120, 10))], 100, 100, 0),
        ([(200, 0, 0, 0)], 100, 100, 100),
        ([], 100, 100, 100),
    ],
    ids=[
        "waits",
        "computes",
        "others run",
        "others run first",
        "others run while it waits",
        "machine stands still",
        "a little late",
        "too late",
        "no notes",
    ],
)
def test_time_of_its_own(
    clocks: list[tuple[int, int, int, int]], waits: int, waits_for_thread: int, computes: int
) -> None:
    notes = Notes()
    for times in clocks:
        notes.add(Clocks(*(ms * MS for ms in times)))

    def own_ms(**what: bool) -> int:
        return notes.own_ns(5 * MS, 100 * MS, **{"computes": False, "for_thread": False, **what}) // MS

    assert own_ms() == waits
    assert own_ms(for_thread=True) == waits_for_thread
    assert own_ms(computes=True) == computes
