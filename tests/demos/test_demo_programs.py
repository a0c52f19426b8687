"""Each demo as a plain Python process: it does what its first line says, and ends when told to."""

import signal
import sys

import pytest

from asynctop_demos import DEMOS
from program_under_test import running

READY = {
    "burst": r"^ready: 100000 tasks came and went$",
    "cpu-burn": r"^ready: one calculator among 10 feeds$",
    "deadlock": r"^ready: still locked after 3 other transfers: ann, bob$",
    "gil-hold": r"^ready: \d+ letters take a regular expression too long$",
    "healthy": r"^ready: the first lot of 10 parcels is on its way$",
    "leak": r"^ready: 10 visitors came, 10 sessions are still open$",
    "lock-convoy": r"^ready: \d+ lines written, one at a time$",
    "self-wakes": r"^ready: price-watcher has come round 1000 times$",
    "slow-poll": r"^ready: 21 clients ask a service on port \d+$",
    "web": r"^ready: aiohttp on http://127\.0\.0\.1:\d+, FastAPI on http://127\.0\.0\.1:\d+$",
}

# From 3.12 on aiohttp begins a request inside the connection's own poll, and that is the task asyncio blames.
REPORT = "GET /report" if sys.version_info < (3, 12) else r"Task-\d+"

# What asyncio's own debug mode must report: the task whose poll took more than 0.1 s.
SLOW = {
    "cpu-burn": ["calculator"],
    "gil-hold": [r"form of \d+ letters"],
    "slow-poll": ["GET /report"],
    "web": [REPORT, "GET /rates"],
}


def test_every_demo_is_tested() -> None:
    assert READY.keys() == DEMOS.keys()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("name", DEMOS)
def test_a_demo_does_its_work_and_ends_silently(name: str, number: signal.Signals) -> None:
    with running(DEMOS[name].path) as program:
        program.stdout_line(READY[name])
        status, errors = program.end(number)
    assert errors == ""
    assert status in (0, -number)


@pytest.mark.parametrize(("name", "task"), [(name, task) for name, tasks in SLOW.items() for task in tasks])
def test_a_sick_demo_blocks_its_loop_again_and_again(name: str, task: str) -> None:
    with running(DEMOS[name].path, debug=True) as program:
        for _ in range(2):
            program.stderr_line(rf"Executing <Task .*name='{task}'.* took \d+\.\d+ seconds")
