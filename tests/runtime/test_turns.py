"""Turns of a loop, and its timers: what both cores tell of them, on each kind of loop."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from conftest import Run
from recorded import Recorded

CROWD = 40


def think() -> None:
    time.sleep(0.001)


async def work(event: asyncio.Event) -> None:
    await event.wait()
    think()


def test_what_was_ready_together_runs_in_one_turn(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        event = asyncio.Event()
        crowd = [asyncio.create_task(work(event), name="one of many") for _ in range(CROWD)]
        await asyncio.sleep(0)
        event.set()
        await asyncio.gather(*crowd)

    run(main())
    recorded.update()
    (loop,) = recorded.loops
    assert CROWD <= loop.max_turn_polls <= CROWD + 1
    assert recorded.kinds[loop.max_turn_kind]["name"] == "work"
    assert loop.max_turn_ns >= CROWD * 1_000_000
    assert loop.max_turn_ever_ns == loop.max_turn_ns
    assert 1_000_000 <= loop.max_turn_poll_ns < loop.max_turn_ns
    recorded.update()
    (later,) = recorded.loops
    assert (later.max_turn_ns, later.max_turn_ever_ns) == (0, loop.max_turn_ns)


def test_who_wakes_itself_runs_once_a_turn(run: Run, recorded: Recorded) -> None:
    async def spin() -> None:
        for _ in range(100):
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(spin(), spin(), spin())

    run(main())
    recorded.update()
    (loop,) = recorded.loops
    assert loop.turns >= 100
    assert loop.max_turn_polls <= 6


def test_callbacks_have_turns_as_tasks_have(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def again(left: int) -> None:
            if left:
                loop.call_soon(again, left - 1)
            else:
                done.set_result(None)

        again(50)
        await done
        for _ in range(CROWD):
            loop.call_soon(think)
        await asyncio.sleep(0)

    run(main())
    recorded.update()
    (loop,) = recorded.loops
    assert loop.turns >= 50
    assert CROWD <= loop.max_turn_polls <= CROWD + 1
    assert loop.max_turn_kind == 0


def test_timers_are_counted_and_so_is_who_sets_them(run: Run, recorded: Recorded) -> None:
    async def setter() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(100):
            loop.call_later(60, print).cancel()
        for _ in range(3):
            await asyncio.sleep(0.0001)

    async def main() -> None:
        await asyncio.create_task(setter())

    run(main())
    recorded.update()
    (loop,) = recorded.loops
    # A loop may set some of its own when it is closed.
    assert 103 <= loop.timers <= 105
    assert loop.timers_fired == 3
    assert recorded.kinds[loop.timer_kind]["name"].endswith("setter")
    lines = Path(__file__).read_text("utf-8").splitlines()
    assert recorded.texts[loop.timer_file] == __file__
    assert "loop.call_later(60, print)" in lines[loop.timer_line - 1]
