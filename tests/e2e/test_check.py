"""`asynctop check`: what it finds in programs that end at once, never end, fail, fork or are interrupted."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from .processes import ASYNCTOP, Lab, Process, complaint

CHECK = (*ASYNCTOP, "check")

GOOD = """
import asyncio, sys

async def main():
    await asyncio.sleep(0.01)
    print("arguments", *sys.argv[1:])

asyncio.run(main())
"""

BLOCKS = """
import asyncio, time

async def load():
    time.sleep(0.3)

async def main():
    await load()

asyncio.run(main())
"""

FAILS = """
import asyncio, sys

async def main():
    sys.exit(7)

asyncio.run(main())
"""

KILLED = """
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
"""

FORGETS = """
import asyncio, os

async def fails():
    raise ValueError("lost")

class Node:
    pass

async def main():
    node = Node()
    node.itself = node
    node.task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    os.write(1, b"ends\\n")

asyncio.run(main())
"""

DEADLOCK = """
import asyncio

async def waits(first, second):
    async with first:
        await asyncio.sleep(0.01)
        async with second:
            pass

async def main():
    a, b = asyncio.Lock(), asyncio.Lock()
    print("ready", flush=True)
    await asyncio.gather(waits(a, b), waits(b, a))

asyncio.run(main())
"""

SERVES = """
import asyncio, signal

async def main():
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_signal_handler(signal.SIGINT, over.set)
    print("ready", flush=True)
    await over.wait()
    print("ends well", flush=True)

asyncio.run(main())
"""

STUBBORN = """
import asyncio, time

async def main():
    print("ready", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""

FORKS = """
import asyncio, os, time

async def main():
    await asyncio.sleep(0.01)

asyncio.run(main())
child = os.fork()
if child:
    os.waitpid(child, 0)
else:
    asyncio.run(main())
print("over" if child else "child")
"""


def check(lab: Lab, *words: str | Path, env: Mapping[str, str] = {}) -> Process:
    return lab.start(*CHECK, *words, env=env)


def said(process: Process) -> tuple[int, str, str]:
    """Status, standard output, standard error."""
    return process.status(), process.stdout.all(), process.stderr.all()


@pytest.fixture(params=["c", "python"])
def core(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"ASYNCTOP_CORE": request.param}


def test_nothing_is_wrong(lab: Lab) -> None:
    status, out, err = said(check(lab, "--", lab.program(GOOD), "-x", "--for"))
    assert (status, out) == (0, "arguments -x --for\n")
    assert "nothing found" in err
    assert err.count("\n") == 1
    assert list(lab.directory.iterdir()) == []


def test_a_program_that_blocks_and_ends_at_once(lab: Lab, core: dict[str, str]) -> None:
    status, out, err = said(check(lab, "--", lab.program(BLOCKS), env=core))
    assert (status, out) == (1, "")
    assert err.startswith("error: long-poll-blocking-call\n")
    assert "program.py:5" in err
    assert f"at {lab.work / 'program.py'}:8 in main\n" in err
    assert "in time.sleep()\n" in err
    assert "1 thing is wrong" in err


def test_what_is_freed_at_the_very_end_is_seen(lab: Lab, core: dict[str, str]) -> None:
    status, out, err = said(check(lab, lab.program(FORGETS), env=core))
    assert (status, out) == (1, "ends\n")
    assert "task-exception-never-retrieved" in err
    assert "program.py:5" in err


def test_a_longer_poll_is_allowed(lab: Lab) -> None:
    status, _, err = said(check(lab, "--max-poll", "20s", "--", lab.program(BLOCKS)))
    assert (status, "nothing found" in err) == (0, True)


def test_a_lint_that_does_not_count_is_told_all_the_same(lab: Lab) -> None:
    words = ("--fail-on", "lock-convoy,deadlock-two-locks", "--", lab.program(BLOCKS))
    status, _, err = said(check(lab, *words))
    assert status == 0
    assert "error: long-poll-blocking-call (not in --fail-on)" in err
    assert "1 thing is wrong, 1 of them not in --fail-on" in err


def test_settings_hold(lab: Lab) -> None:
    settings = lab.work / "settings.toml"
    settings.write_text("[lints.long-poll-blocking-call]\noff = true\n")
    status, _, err = said(check(lab, lab.program(BLOCKS), env={"ASYNCTOP_CONFIG": str(settings)}))
    assert (status, "nothing found" in err) == (0, True)


def test_a_module(lab: Lab) -> None:
    lab.program(GOOD, "package/__main__.py")
    for words in (("-m", "package", "-x"), ("--", "-m", "package", "-x")):
        status, out, _ = said(check(lab, *words))
        assert (status, out) == (0, "arguments -x\n")


def test_standard_input_is_the_program_s(lab: Lab) -> None:
    program = lab.program("print(input())")
    process = lab.start(*CHECK, "--", program, stdin=b"words\n")
    assert said(process)[:2] == (0, "words\n")


@pytest.mark.parametrize(
    ("source", "expected", "says"),
    [(FAILS, 7, "status 7"), (KILLED, 128 + 9, "ended by SIGKILL"), ("1/0", 1, "status 1")],
    ids=["status", "signal", "exception"],
)
def test_a_failure_of_the_program_s_own(lab: Lab, source: str, expected: int, says: str) -> None:
    status, _, err = said(check(lab, "--", lab.program(source)))
    assert status == expected
    assert f"the program itself failed: {says}" in err


def test_a_module_that_there_is_not(lab: Lab) -> None:
    status, _, err = said(check(lab, "-m", "missing"))
    assert status == 2
    assert err.startswith("asynctop: expected a module to run: No module named missing\n")


def test_a_program_that_goes_on_for_ever(lab: Lab, core: dict[str, str]) -> None:
    status, out, err = said(check(lab, "--for", "3", "--", lab.program(DEADLOCK), env=core))
    assert (status, out) == (1, "ready\n")
    assert "deadlock-two-locks" in err
    assert "program.py:7" in err
    assert "failed" not in err


def test_a_server_is_ended_in_its_own_way(lab: Lab) -> None:
    status, out, err = said(check(lab, "--for", "0.2", "--", lab.program(SERVES)))
    assert (status, out) == (0, "ready\nends well\n")
    assert "nothing found" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_for_the_program(lab: Lab, number: signal.Signals) -> None:
    process = check(lab, lab.program(SERVES))
    process.stdout.line("^ready")
    process.signal(number)
    status, out, err = said(process)
    assert (status, out) == (0, "ready\nends well\n")
    assert "nothing found" in err


def test_interrupted(lab: Lab) -> None:
    process = check(lab, lab.program(STUBBORN))
    process.stdout.line("^ready")
    process.signal(signal.SIGINT)
    status, _, err = said(process)
    assert status == 128 + signal.SIGINT
    assert "KeyboardInterrupt" in err
    assert "the program itself failed: ended by SIGINT" in err


def test_a_program_that_forks(lab: Lab, core: dict[str, str]) -> None:
    status, out, err = said(check(lab, lab.program(FORKS), env=core))
    assert (status, sorted(out.split())) == (0, ["child", "over"])
    assert "nothing found" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "expected a program to check"),
        (["--"], "expected a program to check"),
        (["missing.py"], "no readable file 'missing.py'"),
        (["python3", "program.py"], "leave 'python3' out"),
        (["--max-poll", "50", "program.py"], "expected a time such as 50ms"),
        (["--max-poll", "1us", "program.py"], "1ms to 3600s"),
        (["--max-poll", "2h", "program.py"], "expected a time such as 50ms"),
        (["--fail-on", "nonsense", "program.py"], "there is no lint 'nonsense'"),
        (["--for", "soon", "program.py"], "expected a number of seconds"),
        (["--bogus", "program.py"], "--bogus"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input(lab: Lab, words: list[str], says: str) -> None:
    lab.program(GOOD)
    assert says in complaint(check(lab, *words))
    assert list(lab.directory.iterdir()) == []


@pytest.mark.source_tree
def test_the_page_has_the_options_that_there_are(lab: Lab) -> None:
    page = (Path(__file__).parents[2] / "docs/ci.md").read_text()
    _, said_, _ = said(check(lab, "--help"))
    options = set(re.findall(r"--[a-z-]+", said_)) - {"--help"}
    assert set(re.findall(r"^\| `(--[a-z-]+)", page, re.MULTILINE)) == options
