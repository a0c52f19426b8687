"""The command line, up to where the screens begin."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from asynctop_console import cli
from asynctop_console.cli import main
from asynctop_console.lints import RULES
from asynctop_console.settings import Settings
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
    monkeypatch.setenv("ASYNCTOP_CONFIG", os.devnull)
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
        (["lints", "bogus"], "there is no lint 'bogus', expected one of: "),
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
    for command in ("run", "connect", "ls", "snapshot", "export", "metrics", "demo", "lints"):
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
    opened: list[tuple[Target | None, Settings]] = []

    def open_console(target: Target | None, settings: Settings, successor: Successor) -> int:
        opened.append((target, settings))
        return 0

    monkeypatch.setattr(cli, "open_console", open_console)
    assert main(argv) == 0
    assert opened == [(Target(str(directory / socket_name(PID)), PID), Settings())]


@pytest.mark.parametrize("argv", [[], ["connect", "0"], ["snapshot"], ["demo", "web"], ["lints"]])
def test_bad_settings_are_told_before_anything_else(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[lints.lock-convoy]\noff = 1")
    monkeypatch.setenv("ASYNCTOP_CONFIG", str(settings))
    assert main(argv) == 2
    expected = f"asynctop: {settings}: lints.lock-convoy.off: expected true or false, found 1\n"
    assert capsys.readouterr() == ("", expected)


@pytest.mark.usefixtures("program")
def test_snapshot_obeys_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["snapshot", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)["lints"]
    assert [finding["lint"] for finding in before] == ["lock-held-long-while-waiting"]
    (tmp_path / "settings.toml").write_text("[lints.lock-held-long-while-waiting]\noff = true")
    monkeypatch.setenv("ASYNCTOP_CONFIG", str(tmp_path / "settings.toml"))
    assert main(["snapshot", "--json"]) == 0
    after = json.loads(capsys.readouterr().out)
    assert after["lints"] == []
    assert not any(task["lints"] for task in after["tasks"])


def test_the_lints_are_listed_as_they_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.toml").write_text(
        "[lints.lock-convoy]\nleast_waiters = 2000\nsilence = ['a*']\n[lints.semaphore-leak]\noff = true"
    )
    monkeypatch.setenv("ASYNCTOP_CONFIG", str(tmp_path / "settings.toml"))
    assert main(["lints"]) == 0
    out = capsys.readouterr().out
    for rule in RULES:
        assert f"{rule.lint.name} ({rule.lint.severity}" in out
    assert re.search(
        r"^ +least_waiters = 2_000 +tasks that wait for the lock \(usually 8\)$", out, re.MULTILINE
    )
    assert "silent about: 'a*'" in out
    assert "semaphore-leak (error, off)\n" in out
    assert main(["lints", "lock-convoy"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("lock-convoy (warning)\n")
    assert "Do less under the lock" in page
    assert main(["lints", "lock-convoy", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["lint"] == "lock-convoy"
    assert (found["off"], found["silence"]) == (False, ["a*"])
    assert found["thresholds"][0] == {
        "name": "least_waiters",
        "value": 2000,
        "default": 8,
        "meaning": "tasks that wait for the lock",
    }


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


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("s", {"snapshot"}),
        ("demo l", {"leak", "lock-convoy"}),
        ("lints self", {"self-wake-spin"}),
        ("snapshot --f", {"--for"}),
        ("completion ", {"bash", "zsh", "fish"}),
        ("replay README.m", {"README.md"}),
    ],
)
def test_bash_completes_what_is_typed(
    typed: str, offered: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", "bash"]) == 0
    (tmp_path / "README.md").write_text("")
    words = ["asynctop", *typed.split(" ")]
    script = f"""
{capsys.readouterr().out}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}
_shtab_asynctop asynctop '{words[-1]}' '{words[-2]}'
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    ended = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(ended.stdout.split()) == offered


@pytest.mark.parametrize("shell", cli.SHELLS)
def test_there_is_a_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "lock-convoy" in script
    assert "snapshot" in script
