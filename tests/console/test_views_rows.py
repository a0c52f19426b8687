"""What one does with a row: mark it, copy it, open its line; and saving everything."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.cells import cell_len

from asynctop_console.snapshot import snapshot
from asynctop_console.views.app import ConsoleApp
from asynctop_console.views.editor import EditorError, edit, editor_command
from asynctop_protocol.messages import Chain, Chains, Kinds, Message, Texts, Tick

from .program import SECOND, loops, named
from .screens import NOW, Screen, blocking, console, three


def test_marked_rows_have_a_sign_and_can_be_filtered() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("j", "m", "j", "m")
            assert [row[1] for row in screen.rows] == [" ", "*", "*"]
            assert "2 marked" in screen.line("status")
            assert all(cell_len(row) <= 100 for row in screen.rows)
            await screen.press("slash", *"marked", "enter")
            assert screen.ids == [2, 3]
            await screen.press("g", "m")
            assert screen.ids == [3]
            await screen.press("2", "m")
            assert "1 marked" in screen.line("status"), "each screen has its own"

    asyncio.run(run())


def test_a_row_is_copied_as_the_snapshot_has_it() -> None:
    hostile = "\x1b]52;c;ZWNobw==\x07 é\u202e"

    async def run() -> None:
        async with console(*three(), named([2], [hostile]), loops(), *blocking()) as screen:
            await screen.say(after_ns=SECOND)
            whole = snapshot(screen.app.model)
            for keys, section, index in (
                (["j"], "tasks", None),
                (["2"], "kinds", 0),
                (["6", "j"], "lints", None),
            ):
                await screen.press(*keys, "Y")
                copied = screen.app.clipboard
                assert copied.isascii()
                assert copied.isprintable()
                rows = whole[section]
                assert json.loads(copied) in (rows if index is None else [rows[index]])
            await screen.press("3", "Y")
            assert json.loads(screen.app.clipboard) == {"stalls": whole["stalls"]}

    asyncio.run(run())


@pytest.fixture
def editor(tmp_path: Path) -> Path:
    """A directory of editors that note what they are started with."""
    for name in ("vim", "code", "hx", "pycharm", "mine"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" > {tmp_path}/started\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / "app.py").write_text("pass\n")
    return tmp_path


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"EDITOR": "vim"}, ["vim", "+12", "app.py"]),
        ({"EDITOR": "mine", "VISUAL": "vim -n"}, ["vim", "-n", "+12", "app.py"]),
        ({"EDITOR": "code --wait"}, ["code", "--wait", "--goto", "app.py:12"]),
        ({"EDITOR": "hx"}, ["hx", "app.py:12"]),
        ({"EDITOR": "pycharm"}, ["pycharm", "--line", "12", "app.py"]),
        ({"EDITOR": "mine"}, ["mine", "app.py"]),
    ],
)
def test_each_editor_is_told_the_line_in_its_way(
    editor: Path, chosen: dict[str, str], words: list[str]
) -> None:
    command = editor_command({"PATH": str(editor), **chosen}, str(editor / "app.py"), 12)
    assert command == [word.replace("app.py", str(editor / "app.py")) for word in words]


@pytest.mark.parametrize(
    ("chosen", "file", "says"),
    [
        ({"EDITOR": "vim"}, "/nowhere/app.py", "There is no file /nowhere/app.py here"),
        ({"EDITOR": "vim"}, "-c:!reboot", "There is no file -c:!reboot here"),
        ({"EDITOR": "nobody"}, "app.py", "There is no editor 'nobody': set VISUAL or EDITOR"),
        ({"EDITOR": "vim '"}, "app.py", "There is no editor"),
        ({}, "app.py", "There is no editor 'vi'"),
    ],
)
def test_what_cannot_be_opened_is_told(editor: Path, chosen: dict[str, str], file: str, says: str) -> None:
    path = str(editor / file) if file == "app.py" else file
    with pytest.raises(EditorError, match=says.replace("(", r"\(")):
        editor_command({"PATH": str(editor), **chosen}, path, 12)


def test_an_editor_that_fails_is_told_and_signals_are_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    assert edit(["true"]) == ""
    assert edit(["false"]) == "false ended with status 1"
    assert edit(["/"]).startswith("/ cannot be started: ")
    assert not edit(["sh", "-c", f"kill -INT {os.getpid()}"])
    assert signal.getsignal(signal.SIGINT) is before


def at(file: Path) -> list[Message]:
    """Three tasks of a kind that is defined in this file."""
    return [*three(), Texts(2, [str(file)]), Kinds(1, [1], [2], [40], [2], [12]), Tick(NOW)]


async def noted(screen: Screen, editor: Path) -> str:
    """What the editor is started with by `e`."""
    (editor / "started").unlink(missing_ok=True)
    await screen.press("e")
    return (editor / "started").read_text().strip()


def test_e_opens_the_line_of_the_row(editor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConsoleApp, "suspend", lambda app: nullcontext())
    monkeypatch.setenv("PATH", str(editor), prepend=":")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "vim")
    file = editor / "app.py"

    async def run() -> None:
        waits = Chain(2, [("handler", str(file), 41), ("sleep", "/usr/lib/python3.13/asyncio/tasks.py", 9)])
        async with console(*at(file), Chains(1, [waits], done=True), Tick(NOW)) as screen:
            assert await noted(screen, editor) == f"vim +40 {file}", "where it is defined"
            await screen.press("j")
            assert await noted(screen, editor) == f"vim +41 {file}", "where it waits"
            await screen.press("enter")
            assert await noted(screen, editor) == f"vim +41 {file}"
            await screen.press("2")
            assert await noted(screen, editor) == f"vim +40 {file}"

    asyncio.run(run())


def test_a_line_that_is_not_here_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "cat")

    async def run() -> None:
        async with console(*three(), *blocking()) as screen:
            for keys, said in (
                (["e"], "There is no file /srv/app/web.py here"),
                (["3", "e"], "There is no file /srv/app/web.py here"),
                (["5", "e"], "There is no line to open here"),
            ):
                await screen.press(*keys)
                assert [each.message for each in screen.app._notifications] == [said], "the last one alone"

    asyncio.run(run())


def test_a_snapshot_is_saved_where_the_console_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("ctrl+s")
            (path,) = tmp_path.glob("*.json")  # noqa: ASYNC240
            assert path.name.startswith("asynctop-7-")
            assert json.loads(path.read_text()) == snapshot(screen.app.model)
            monkeypatch.setattr(Path, "open", refuse)
            await screen.press("ctrl+s")
            assert any("Cannot save here: " in each.message for each in screen.app._notifications)

    asyncio.run(run())


def refuse(path: Path, mode: str) -> None:
    raise PermissionError(13, "Permission denied")
