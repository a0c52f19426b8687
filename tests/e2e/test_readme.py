"""The README says only what is true: each command in it is run here as it stands there."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from .processes import ASYNCTOP, DEADLINE_S, Lab

pytestmark = pytest.mark.source_tree

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else ""

APP = """
import asyncio, sys

async def main():
    print("ready", *sys.argv[1:], flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""

SHOP = """
from fastapi import FastAPI

app = FastAPI()
"""


TEST = """
import asyncio, time

async def main():
    time.sleep(0.3)

def test():
    asyncio.run(main())
"""


def asynctop(command: str) -> list[str]:
    """A command of the README, for the asynctop under test."""
    first, *rest = shlex.split(command)
    assert first == "asynctop"
    return [*ASYNCTOP, *rest]


def makes(lab: Lab, command: str) -> None:
    """A target that make knows; set-up and all, it is what CI begins with."""
    subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def installs(lab: Lab, command: str) -> None:
    """An extra that the distribution has."""
    (extra,) = re.findall(r"\[(\w+)\]", command)
    assert extra in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def succeeds(lab: Lab, command: str) -> None:
    """Beside a running program, it says something and nothing is wrong."""
    lab.run(lab.program(APP, "app.py"))
    process = lab.start(*asynctop(command))
    assert process.status() == 0, process.stderr.so_far
    assert process.stdout.all()


def runs_app(lab: Lab, command: str) -> None:
    """The program gets its arguments."""
    lab.program(APP, "app.py")
    lab.start(*asynctop(command)).stdout.line("^ready --port 8080$")


def checks_app(lab: Lab, command: str) -> None:
    """A program that is well, with its arguments."""
    lab.program(APP.replace("3600", "0.01"), "app.py")
    process = lab.start(*asynctop(command))
    assert process.status() == 0, process.stderr.so_far
    assert process.stdout.all() == "ready --port 8080\n"
    assert "nothing found" in process.stderr.all()


def checks_uvicorn(lab: Lab, command: str) -> None:
    """A server is well, and is ended."""
    lab.program(SHOP, "shop.py")
    process = lab.start(*asynctop(command), "--port", "0")
    assert process.status() == 0, process.stderr.so_far
    assert "Finished server process" in process.stderr.all()


def runs_tests(lab: Lab, command: str) -> None:
    """A test that blocks its event loop fails."""
    lab.program(TEST, "test_shop.py")
    first, *rest = shlex.split(command)
    env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "asynctop_pytest.plugin"}
    process = lab.start(sys.executable, "-m", first, *rest, "-p", "no:cacheprovider", env=env)
    assert process.status() == 1
    process.stdout.line("^test_shop.py:5: main\\(\\) blocked the event loop")


def runs_uvicorn(lab: Lab, command: str) -> None:
    """The real uvicorn serves a real application."""
    lab.program(SHOP, "shop.py")
    process = lab.start(*asynctop(command), "--port", "0")
    process.stderr.line("Uvicorn running")
    assert lab.snapshot(process)["target"]["pid"] == process.pid


def records(lab: Lab, command: str) -> None:
    """For a second, which Ctrl-C would end."""
    lab.run(lab.program(APP, "app.py"))
    assert lab.start(*asynctop(command), "--for", "1").status() == 0
    assert (lab.work / command.split()[-1]).stat().st_size


def replays(lab: Lab, command: str) -> None:
    """In a terminal, as a program."""
    records(lab, "asynctop record -o FILE")
    opens_terminal(lab, asynctop(command), shows=b"REPLAY")


def exports(lab: Lab, command: str) -> None:
    """A recording; test_exports has the others."""
    records(lab, "asynctop record -o RECORDING")
    process = lab.start(*asynctop(command))
    assert process.status() == 0
    assert process.stdout.all().startswith("<!DOCTYPE html>")


def tells(lab: Lab, command: str) -> None:
    """Whoever asks, at any port; test_exports asks."""
    process = lab.run(lab.program(APP, "app.py"))
    teller = lab.start(*asynctop(command.replace("9464", "0")))
    teller.stderr.line("metrics of pid .* at http://127.0.0.1:")
    process.kill()
    assert teller.status() == 0


def opens_console(lab: Lab, command: str) -> None:
    """In a terminal: it shows a program, live."""
    if "demo" not in command:
        process = lab.run(lab.program(APP, "app.py"))
        command = command.replace("TARGET", str(process.pid))
    opens_terminal(lab, asynctop(command.replace("NAME", "healthy")), shows=b"live")


def opens_terminal(lab: Lab, argv: list[str], shows: bytes) -> None:
    """A command shows a console, which says so, and `q` ends it."""
    controller, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    with subprocess.Popen(
        argv,
        cwd=lab.work,
        env=lab.env,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as console:
        os.close(terminal)
        shown = b""
        asked_to_quit = False
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            if not select.select([controller], [], [], 0.1)[0]:
                continue
            try:
                shown += os.read(controller, 65536)
            except OSError:  # the other end is closed: the console has ended
                break
            if shows in shown and not asked_to_quit:
                asked_to_quit = True
                os.write(controller, b"q")
        assert asked_to_quit, shown[-2000:]
        assert console.wait(DEADLINE_S) == 0
    os.close(controller)


COMMANDS: dict[str, Callable[[Lab, str], None]] = {
    "make demo": makes,
    "make test": makes,
    "make lint": makes,
    "make looks": makes,
    "make bench": makes,
    "make harmless": makes,
    "pip install '.[console]'": installs,
    "asynctop": opens_console,
    "asynctop check -- app.py --port 8080": checks_app,
    "asynctop check --max-poll 100ms --for 10 -- -m uvicorn shop:app": checks_uvicorn,
    "asynctop connect TARGET": opens_console,
    "asynctop completion bash": succeeds,
    "asynctop demo NAME": opens_console,
    "asynctop demo web": opens_console,
    "asynctop demo --list": succeeds,
    "asynctop export RECORDING --as html": exports,
    "asynctop lints": succeeds,
    "asynctop ls": succeeds,
    "asynctop metrics --prometheus 9464": tells,
    "asynctop record -o FILE": records,
    "asynctop replay FILE": replays,
    "asynctop snapshot --for 5": succeeds,
    "asynctop run app.py --port 8080": runs_app,
    "pytest --asynctop": runs_tests,
    "asynctop run -m uvicorn shop:app": runs_uvicorn,
}
"""How each command of the README is tried."""


def commands() -> set[str]:
    """The commands that the README has: after a `$`, and between backquotes."""
    typed = re.findall(r"^\$ (.+)$", README, re.MULTILINE)
    quoted = re.findall(r"`((?:asynctop|make)(?: [^`]+)?)`", README)
    return {*typed, *quoted}


def test_every_command_of_the_readme_is_tried() -> None:
    assert commands() - OTHERWISE_TRIED == set(COMMANDS)


OTHERWISE_TRIED = {"asynctop check", "asynctop check -- PROGRAM", "asynctop run", "asynctop run PROGRAM"}
"""Not whole commands; `test_check` and `test_run_is_python` have them with all sorts of programs."""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_does_what_it_should(lab: Lab, command: str) -> None:
    COMMANDS[command](lab, command)


def test_what_the_readme_imports_works(lab: Lab) -> None:
    (block,) = re.findall(r"```python\n(.+?)```", README, re.DOTALL)
    program = lab.program(block + "print('ready', flush=True)\n" + APP, "app.py")
    process = lab.start(sys.executable, program)
    process.stdout.line("^ready")
    assert lab.snapshot(process)["target"]["pid"] == process.pid


def test_files_that_the_readme_names_are_there() -> None:
    named = re.findall(r"\]\(((?!https?:)[^)]+)\)", README)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
