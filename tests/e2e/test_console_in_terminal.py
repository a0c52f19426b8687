"""The console in a real terminal, beside a program whose loop is blocked for half of the time."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .processes import ASYNCTOP, Lab, Process, eventually
from .terminals import Terminal

SIZES = [(100, 30), (80, 24)]
BLOCKS = """\
import asyncio
import time

async def client():
    while True:
        await asyncio.sleep(0.05)

def render_report():
    time.sleep(0.5)

async def report():
    while True:
        render_report()
        await asyncio.sleep(0.5)

async def main():
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(client(), name=f"client-{number}")
        group.create_task(report(), name="reporter")
        print("ready", flush=True)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
"""
"""It blocks for twice as long as there is between two paintings: one of them shows it while it lasts."""

LINE = r"blocks\.py:9"


@pytest.fixture
def terminal(lab: Lab, tmux: str) -> Iterator[Callable[..., Terminal]]:
    """Opens a terminal with a command in it."""
    opened: list[Terminal] = []

    def open_(columns: int, rows: int, *argv: str | Path) -> Terminal:
        opened.append(Terminal(tmux, lab, columns, rows, *argv))
        return opened[-1]

    yield open_
    for terminal in opened:
        terminal.close()


@pytest.fixture
def program(lab: Lab) -> Process:
    """The program that the console looks at."""
    return started(lab)


def started(lab: Lab) -> Process:
    """Start it."""
    # Among the sockets: the path is short, so that a narrow screen has room for it.
    path = lab.directory / "blocks.py"
    path.write_text(BLOCKS)
    return lab.run(path)


def quits(terminal: Terminal) -> None:
    """`q` ends the console in an orderly way, and gives the terminal back as it was."""
    terminal.press("q")
    terminal.shows(r"\Abefore\nstatus 0\n\n")


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_the_tour(
    lab: Lab, program: Process, terminal: Callable[..., Terminal], columns: int, rows: int
) -> None:
    screen = terminal(columns, rows, *ASYNCTOP)
    screen.shows(r"\d+ tasks .*·2\d ")
    screen.shows(r"client-0 +client ")
    assert len(screen.text.splitlines()) == rows
    assert max(map(len, screen.text.splitlines())) <= columns
    # While it blocks, the row, the banner and the status line say so, with the line in the user's file.
    screen.shows(r"^█ +\d+ (! )?reporter +report +BLOCKING")
    screen.shows(rf"^ █ BLOCKING +\d+ms +reporter .*{LINE}")
    screen.shows(r"^ loop blocked \d+ms by reporter \(\S+blocks\.py")
    # And afterwards what it was.
    screen.shows(rf"^ last stall +\d+ms +reporter .*{LINE} in render_report")

    screen.press("3")
    screen.shows(rf"{LINE} .*blocking call")
    screen.press("Enter")
    screen.shows(rf"► render_report +.*{LINE}")
    assert "cause       blocking call" in screen.text
    screen.press("Escape")
    screen.shows(r"^line +(in +)?times")

    screen.press("1")
    screen.shows(r"client-0")
    screen.press("/")
    screen.shows(r"^/ ")
    screen.type("busy>")
    screen.shows(r"busy> what\?")
    # What is typed goes where it should however fast it comes.
    screen.press("C-u", *"name:client-7")
    screen.shows(r"^/ name:client-7 +1 of \d+")
    screen.press("Enter", "m")
    screen.shows(r"filter name:client-7 +1 of \d+ +1 marked")
    screen.shows(r"^ ?\? help")  # in place of the line that was typed in
    screen.shows(r"^.\* +\d+ client-7 ")
    screen.press("Enter")
    screen.shows(r"^ client-7 +task \d+")
    screen.shows(r"► client +.*blocks\.py:6")
    screen.press("Escape")
    screen.shows(r"^S +id name")
    screen.press("m", "Escape")
    screen.shows(r"client-0")

    screen.press("Space")
    screen.shows(r"PAUSED [1-9]\d* updates? held")
    screen.press("[")
    screen.shows(r"‖ 0:\d\d ago( \(earliest\))?, space for now")
    screen.press(".")
    screen.shows(r"‖ 0:\d\d ago, space for now")
    screen.press("Space")
    screen.shows(r"● live")
    screen.press("?")
    screen.shows(r"Keys: tasks")
    screen.shows(r"/ +filter the rows while you type")
    screen.press("Escape")
    screen.shows(r"^S +id name")

    quits(screen)
    eventually(lambda: lab.consoles(program) == 0, "no connection")
    program.signal(signal.SIGINT)
    assert program.status() == 0
    assert program.stderr.all() == ""
    lab.leaves_nothing(program)


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_a_program_that_was_killed_and_started_again(
    lab: Lab, program: Process, terminal: Callable[..., Terminal], columns: int, rows: int
) -> None:
    screen = terminal(columns, rows, *ASYNCTOP)
    screen.shows(r"client-0")
    program.kill()
    screen.shows(r"EXITED, waiting for a restart|reconnecting in")
    # Everything stays browsable.
    screen.press("3")
    screen.shows(LINE)
    screen.press("1")
    screen.shows(r"client-0")
    # So is what was before.
    screen.press("[")
    screen.shows(r"‖ 0:0\d ago")
    screen.shows(r"client-0")
    screen.press("Space")
    screen.shows(r"EXITED, waiting for a restart|reconnecting in")
    again = started(lab)
    screen.shows(r"● live")
    screen.shows(rf"^ █ BLOCKING +\d+ms +reporter .*{LINE}")
    assert lab.consoles(again) == 1
    quits(screen)


def test_a_console_that_waits_for_the_first_program(lab: Lab, terminal: Callable[..., Terminal]) -> None:
    screen = terminal(100, 30, *ASYNCTOP)
    screen.shows(r"asynctop run app\.py")
    started(lab)
    screen.shows(r"client-0")
    quits(screen)


def test_control_c_quits(lab: Lab, program: Process, terminal: Callable[..., Terminal]) -> None:
    screen = terminal(100, 30, *ASYNCTOP, "connect", str(program.pid))
    screen.shows(r"client-0")
    screen.press("C-c")
    screen.shows(r"\Abefore\nstatus 0\n\n")
    assert program.running


def test_a_console_that_is_killed_gives_the_terminal_back(
    lab: Lab, program: Process, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal(100, 30, *ASYNCTOP, "connect", str(program.pid))
    screen.shows(r"client-0")
    os.kill(screen.command(), signal.SIGTERM)
    screen.shows(r"\Abefore\n(Terminated\n)?status 143\n\n")


@pytest.mark.parametrize("command", ["connect", "demo"])
def test_a_console_ends_with_its_terminal(
    lab: Lab, program: Process, terminal: Callable[..., Terminal], command: str
) -> None:
    screen = terminal(100, 30, *ASYNCTOP, command, str(program.pid) if command == "connect" else "slow-poll")
    screen.shows(r"client-0")
    pid = screen.command()
    screen.close()
    eventually(lambda: not Path(f"/proc/{pid}").exists(), f"the end of process {pid}")
    assert [path.name for path in lab.directory.glob("*.sock")] == [f"{program.pid}.sock"]


def test_a_demo_ends_with_its_console(lab: Lab, terminal: Callable[..., Terminal]) -> None:
    screen = terminal(100, 30, *ASYNCTOP, "demo", "slow-poll")
    screen.shows(r"client-0")
    screen.shows(r"slow_poll\.py:34 in render_report")
    (socket,) = lab.directory.iterdir()
    pid = int(socket.name.removesuffix(".sock"))
    quits(screen)
    assert not socket.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert list(lab.work.iterdir()) == []


def test_a_terminal_without_unicode_gets_ascii(
    lab: Lab, program: Process, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal(80, 24, "env", "LC_ALL=C", *ASYNCTOP)
    for keys, shown in (
        ([], r"^# +\d+ (! )?reporter +report +BLOCKING"),
        (["3", "Enter"], rf"> render_report +.*{LINE}"),
        (["7"], r"^  now .*%        \|"),
        (["?", "NPage"], r"^  Left Right h l sort by the column beside"),
        (["Escape"], r"^ \^# thread"),
        (["1"], r"^S +id name"),
        (["j", "y"], r"\| Copied: "),
    ):
        screen.press(*keys)
        screen.shows(shown)
        assert screen.text.isascii(), screen.text
    quits(screen)


def test_keys_of_ones_own_and_a_line_in_the_editor(
    lab: Lab, program: Process, terminal: Callable[..., Terminal]
) -> None:
    (lab.work / "config.toml").write_text('[keys]\nedit = "f5"\nhelp = "W"\n')
    editor = lab.work / "vim"
    editor.write_text("#!/bin/sh\necho editing $*\nread line\n")
    editor.chmod(0o755)
    settings = ("env", f"ASYNCTOP_CONFIG={lab.work / 'config.toml'}", f"VISUAL={editor}")
    screen = terminal(100, 30, *settings, *ASYNCTOP)
    screen.shows(r"^ ?W help")
    screen.press("3")
    screen.shows(rf"{LINE} ")
    screen.press("F5")
    screen.shows(r"^editing \+9 \S+/blocks\.py$")
    screen.press("Enter")
    screen.shows(rf"{LINE} ")
    screen.press("F5")
    screen.shows(r"^editing \+9 ")
    # The terminal sends it to the console too.
    screen.press("C-c")
    screen.shows(rf"{LINE} ")
    screen.shows(r"ended with status")
    screen.press("q")
    screen.shows(r"status 0$")
