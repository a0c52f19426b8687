"""The command line, up to where the screens begin."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from asynctop_console import cli
from asynctop_console.cli import main
from asynctop_console.source import Successor, Target
from asynctop_protocol.messages import Tick
from asynctop_protocol.paths import socket_name

from .program import SECOND, FakeRuntime, hello, kinds, named, spawned, texts

PID = os.getpid()


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "s"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("ASYNCTOP_DIR", str(path))
    return path


@pytest.fixture
def program(directory: Path) -> Iterator[Path]:
    """A program that runs in a thread, as the process of the tests. Its socket."""
    path = directory / socket_name(PID)
    listening = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        batch = (texts(), kinds(), spawned([1, 2]), named([1, 2], ["one", "two"]), Tick(SECOND))
        runtime = FakeRuntime(hello(pid=PID), batch)
        server = await runtime.serve(str(path))
        listening.set()
        await stop.wait()
        await runtime.finished()
        server.close()

    def work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=work)
    thread.start()
    assert listening.wait(10)
    yield path
    loop.call_soon_threadsafe(stop.set)
    thread.join()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["bogus"], "invalid choice: 'bogus'"),
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["connect"], "the following arguments are required: TARGET"),
        (["connect", "0"], "there is no process 0"),
        (["connect", __file__], "is a file, expected a Unix socket"),
        (["snapshot", "--for", "soon"], "expected a number of seconds"),
        (["snapshot", "--for", "-1"], "expected a number of seconds"),
        (["snapshot", "--for", "nan"], "expected a number of seconds"),
        (["snapshot"], "no instrumented program is running: start it with `asynctop run app.py`"),
        ([], "no instrumented program is running: start it with `asynctop run app.py`"),
        (["run", "app.py", "--flag"], "`run` belongs to the runtime"),
        (["demo", "bogus"], "there is no demo 'bogus'"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    argv: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("asynctop: ")
    assert err.count("\n") == 1
    assert says in err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for command in ("run", "connect", "ls", "snapshot", "demo"):
        assert f"\n    {command} " in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert "protocol 1.0" in capsys.readouterr().out


def test_ls_says_so_when_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls"]) == 0
    assert "No instrumented program is running" in capsys.readouterr().out
    assert main(["ls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_ls(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls"]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["PID", "STATE", "PYTHON", "RUNTIME", "COMMAND"]
    assert line.split() == [str(PID), "running", "3.13.0", "asyncio", "app.py", "--port", "80"]
    assert main(["ls", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["pid"] == PID
    assert listed["socket"] == str(program)
    assert listed["argv"] == ["app.py", "--port", "80"]


def test_snapshot_takes_the_only_program(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"]["pid"] == PID
    assert [task["name"] for task in found["tasks"]] == ["one", "two"]
    assert found["tasks"][0]["waiting_on"]["type"] == "lock"


def test_snapshot_without_json_is_a_report(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", str(program), "--for", "0.5"]) == 0
    assert "2 live tasks" in capsys.readouterr().out


@pytest.mark.usefixtures("program")
def test_several_programs_are_listed_to_choose_from(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A second name of the same socket, of a process that is there.
    os.link(directory / socket_name(PID), directory / socket_name(os.getppid()))
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert "name the program" in err


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("argv", [["connect", str(PID)], []])
def test_the_console_opens_on_the_target(
    argv: list[str], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Target | None] = []

    def open_console(target: Target | None, successor: Successor) -> int:
        opened.append(target)
        return 0

    monkeypatch.setattr(cli, "open_console", open_console)
    assert main(argv) == 0
    assert opened == [Target(str(directory / socket_name(PID)), PID)]


@pytest.mark.usefixtures("program")
def test_without_a_terminal_there_is_no_console(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["connect", str(PID)]) == 2
    assert "needs a terminal" in capsys.readouterr().err


def test_the_list_of_demos(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("slow-poll ") for line in lines)


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing(arguments: object) -> int:
        raise ModuleNotFoundError("No module named 'numpy.typing'", name="numpy.typing")

    monkeypatch.setattr(cli, "_run", missing)
    assert main(["snapshot"]) == 2
    assert (
        "numpy.typing is missing: install it with `pip install 'asynctop[console]'`"
        in capsys.readouterr().err
    )


def test_an_interrupt_ends_it_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert main(["ls"]) == 130
    assert capsys.readouterr().err == ""


def test_ls_imports_neither_textual_nor_numpy() -> None:
    script = "import sys; from asynctop_console.cli import main; main(['ls']); print(*sys.modules, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = run.stdout.splitlines()
    assert "asynctop_console.cli" in imported
    assert not {"numpy", "textual", "rich", "asynctop"} & set(imported)
