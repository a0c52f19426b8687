"""A turn of asyncio's own loop goes as it goes without us, also where a program reaches into it.

As in test_harmless.py, each observation runs plain and hooked, and must be the same.
"""

from __future__ import annotations

import asyncio
import collections
from asyncio import base_events, events, selector_events
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from asynctop.core import Core
from conftest import hooks

Observation = Callable[[Any], object]


class Loop(asyncio.SelectorEventLoop):
    """With a clock that the test moves, and notes of what the loop asks for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seen: list[object] = []
        super().__init__()
        select = self._selector.select  # type: ignore[attr-defined]

        def selecting(timeout: float | None) -> object:
            self.seen.append(["select", timeout])
            return select(0)

        self._selector.select = selecting  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.now

    def turn(self, at: float = 0.0) -> None:
        """Go round once."""
        self.now = at
        self._run_once()  # type: ignore[attr-defined]
        self.seen.append([len(self._ready), len(self._scheduled), self._timer_cancelled_count])  # type: ignore[attr-defined]


def timers_in_order(loop: Any) -> object:
    for at in (3, 1, 2, 100_000_000_000, 1):
        loop.call_at(at, loop.seen.append, at)
    loop.turn()
    loop.turn(1)
    loop.turn(1.5)
    loop.turn(50)
    return loop.turn(60)


def timers_that_are_cancelled(loop: Any) -> object:
    timers = [loop.call_at(1 + number, loop.seen.append, number) for number in range(250)]
    timers[0].cancel()
    loop.turn(0)
    loop.call_soon(timers[1].cancel)
    loop.call_at(0.5, timers[2].cancel)
    loop.turn(1)
    loop.turn(3)
    for timer in timers[100:240]:
        timer.cancel()
    loop.turn(3)
    due: list[asyncio.TimerHandle] = []
    due.extend(loop.call_at(5, lambda: due[-1].cancel()) for _ in range(3))
    loop.turn(5)
    return [timer._scheduled for timer in timers]


def what_becomes_ready_runs_in_the_next_turn(loop: Any) -> object:
    loop.call_soon(loop.call_soon, loop.call_soon, loop.seen.append, "third")
    cancelled = loop.call_soon(loop.seen.append, "never")
    loop.call_soon(loop.seen.append, "first")
    cancelled.cancel()
    for _ in range(4):
        loop.turn()
    return None


def stops_in_a_turn(loop: Any) -> object:
    loop.call_soon(loop.stop)
    loop.call_soon(loop.call_soon, loop.seen.append, "after")
    loop.run_forever()
    loop.seen.append(len(loop._ready))
    loop.call_later(1, loop.seen.append, "timer")
    loop.stop()
    loop.turn()
    return loop.turn()


def interrupted(loop: Any) -> object:
    def interrupt() -> None:
        raise KeyboardInterrupt

    def leave() -> None:
        raise SystemExit(3)

    for callback in (interrupt, leave):
        loop.call_soon(callback)
        loop.call_soon(loop.seen.append, callback.__name__)
        with pytest.raises((KeyboardInterrupt, SystemExit)) as caught:
            loop.turn()
        loop.seen.append([caught.type, len(loop._ready)])
        loop.turn()
    return None


def select_fails(loop: Any) -> object:
    def select(timeout: object) -> object:
        raise OSError("no more")

    loop.call_soon(loop.seen.append, "runs later")
    with patch.object(loop._selector, "select", select), pytest.raises(OSError, match="no more"):
        loop.turn()
    return loop.turn()


def handles_run_by_a_patched_method(loop: Any) -> object:
    run = events.Handle._run

    def patched(handle: Any) -> None:
        loop.seen.append("patched")
        run(handle)

    patching = patch.object(events.Handle, "_run", patched)
    loop.call_soon(patching.start)
    loop.call_soon(loop.seen.append, 1)
    loop.call_soon(patching.stop)
    loop.call_soon(loop.seen.append, 2)
    return loop.turn()


def callbacks_scheduled_by_a_patched_method(loop: Any) -> object:
    inner = asyncio.BaseEventLoop._call_soon  # type: ignore[attr-defined]

    def patched(self: Any, callback: Any, args: Any, context: Any) -> Any:
        loop.seen.append("patched")
        return inner(self, callback, args, context)

    loop.call_soon(loop.seen.append, 1)
    with patch.object(asyncio.BaseEventLoop, "_call_soon", patched):
        loop.call_soon(loop.seen.append, 2)
    loop.call_soon(loop.seen.append, 3)
    return loop.turn()


def events_processed_by_a_patched_method(loop: Any) -> object:
    def patched(self: Any, found: object) -> None:
        self.seen.append(["events", found])

    loop.turn()
    with patch.object(selector_events.BaseSelectorEventLoop, "_process_events", patched):
        loop.turn()
    return loop.turn()


def other_containers(loop: Any) -> object:
    """Put in place between turns, and in one."""

    class Backwards(collections.deque[Any]):
        def popleft(self) -> Any:
            return self.pop()

    def replace() -> None:
        loop._ready = Backwards(loop._ready)

    loop.call_soon(replace)
    for number in range(4):
        loop.call_soon(loop.seen.append, number)
    loop.turn()
    for number in range(4):
        loop.call_soon(loop.seen.append, number)
    return loop.turn()


def attributes_that_are_elsewhere(loop: Any) -> object:
    """In the class, in a dict, or nowhere, after they were where they are always."""
    loop.call_soon(loop.seen.append, "as made")
    loop.turn()
    of_class: collections.deque[Any] = collections.deque()
    with patch.object(Loop, "_ready", property(lambda self: of_class), create=True):
        loop.call_soon(loop.seen.append, "in the class")
        loop.seen.append(len(of_class))
        loop.turn()
    loop.__dict__ = vars(loop) | {"_ready": collections.deque()}
    loop.call_soon(loop.seen.append, "in a dict")
    loop.turn()
    stopping = vars(loop).pop("_stopping")
    with pytest.raises(AttributeError) as caught:
        loop.turn()
    loop._stopping = stopping
    loop.turn()
    return str(caught.value)


def the_longest_wait_is_changed(loop: Any) -> object:
    loop.call_at(1000, loop.seen.append, "later")
    with patch.object(base_events, "MAXIMUM_SELECT_TIMEOUT", 7):
        loop.turn()
    return loop.turn()


def a_count_of_cancelled_timers_that_is_none(loop: Any) -> object:
    """It matters where there are many timers only."""
    loop._timer_cancelled_count = "none"
    loop.call_at(1, loop.seen.append, "due")
    return loop.turn(1)


OBSERVATIONS: list[Observation] = [
    timers_in_order,
    timers_that_are_cancelled,
    what_becomes_ready_runs_in_the_next_turn,
    stops_in_a_turn,
    interrupted,
    select_fails,
    handles_run_by_a_patched_method,
    callbacks_scheduled_by_a_patched_method,
    events_processed_by_a_patched_method,
    other_containers,
    attributes_that_are_elsewhere,
    the_longest_wait_is_changed,
    a_count_of_cancelled_timers_that_is_none,
]


def observed(observation: Observation, debug: bool) -> object:
    loop = Loop()
    loop.set_debug(debug)
    loop.slow_callback_duration = 1e9
    try:
        return observation(loop), loop.seen
    finally:
        loop.close()


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
@pytest.mark.parametrize("observation", OBSERVATIONS, ids=lambda observation: observation.__name__)
def test_a_turn_is_as_without_us(
    core: Core, faults: list[Exception], observation: Observation, debug: bool
) -> None:
    plain = observed(observation, debug)
    with hooks(core):
        ours = observed(observation, debug)
    assert ours == plain
    assert faults == []


def test_a_turn_of_the_programs_own_stays(core: Core, faults: list[Exception]) -> None:
    def own(self: Any) -> None: ...

    with patch.object(asyncio.BaseEventLoop, "_run_once", own), hooks(core):
        assert asyncio.BaseEventLoop._run_once is own  # type: ignore[attr-defined]
    assert faults == []
