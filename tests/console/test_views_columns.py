"""Which columns are shown, by which one sorts, and which figures stand in them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from asynctop_console.memory import Memory, memory_path
from asynctop_protocol.messages import State, Tick

from .program import MS, SECOND, ended, named, polled, spawned
from .screens import NOW, Screen, console, three


def header(screen: Screen) -> list[str]:
    return screen.table.render_line(0).text.replace("▼", "").replace("▲", "").split()


async def pick(screen: Screen, title: str) -> None:
    """Enter on the line of this title."""
    page = screen.page.splitlines()
    index = next(i for i, line in enumerate(page) if line.endswith(f" {title}"))
    while (at := screen.app.screen.page.cursor) != index:  # type: ignore[attr-defined]
        await screen.press("j" if at < index else "k")
    await screen.press("enter")


def test_every_column_can_be_sorted_by_also_those_not_shown() -> None:
    async def run() -> None:
        woken = polled([1, 2, 3], polls=[5, 300, 70], busy=[90 * MS, 20 * MS, 3 * MS], wakes=[7, 8, 9])
        async with console(*three(), woken, Tick(NOW), size=(80, 24)) as screen:
            await screen.press("s")
            assert "▼   busy" in screen.page
            assert "▲" not in screen.page
            await pick(screen, "wakes")
            assert screen.ids == [3, 2, 1]
            assert "by wakes" in screen.line("status"), "as it is not among the columns"
            await screen.press("s")
            await pick(screen, "wakes")
            assert screen.ids == [1, 2, 3]
            await screen.press("s", "escape")
            assert screen.table.sort == "wakes"

    asyncio.run(run())


def test_columns_are_chosen_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "state/asynctop/console.json"

    async def first() -> None:
        async with console(*three(), size=(160, 40), memory=Memory(path)) as screen:
            assert "kind" in header(screen)
            assert "parent" not in header(screen)
            await screen.press("c")
            await pick(screen, "kind")
            assert "[ ] kind" in screen.page
            await pick(screen, "parent")
            await screen.press("escape")
            assert "kind" not in header(screen)
            assert "parent" in header(screen)
            assert "fetch" in screen.rows[1]
            assert screen.rows[1].endswith(" main")

    async def again(memory: Memory, kind: bool) -> None:
        async with console(*three(), size=(160, 40), memory=memory) as screen:
            assert ("kind" in header(screen)) == kind
            await screen.press("2")
            assert "kind" in header(screen), "the other screens are as they were"

    asyncio.run(first())
    assert json.loads(path.read_text()) == {"columns": {"tasks": {"kind": False, "parent": True}}}
    asyncio.run(again(Memory(path), kind=False))
    asyncio.run(again(Memory(), kind=True))


def test_one_column_stays() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("6", "c")
            titles = [line.split("] ")[1] for line in screen.page.splitlines() if "[x]" in line]
            for title in titles:
                await pick(screen, title)
            assert screen.page.count("[x]") == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "{",
        '{"columns": 1}',
        '{"columns": {"tasks": 7}}',
        '{"columns": {"tasks": {"no": true}}}',
    ],
)
def test_a_memory_without_meaning_is_forgotten(tmp_path: Path, text: str) -> None:
    (tmp_path / "console.json").write_text(text)

    async def run() -> None:
        async with console(*three(), memory=Memory(tmp_path / "console.json")) as screen:
            assert "busy" in header(screen)

    asyncio.run(run())


def test_what_cannot_be_remembered_is_told_and_holds_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def run() -> None:
        async with console(*three(), memory=Memory(tmp_path / "file/console.json")) as screen:
            await screen.press("c")
            await pick(screen, "kind")
            said = [each.message for each in screen.app._notifications]
            assert said == [f"Cannot remember this in {tmp_path}/file/console.json: File exists"]
            await screen.press("escape")
            assert "kind" not in header(screen)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"XDG_STATE_HOME": "/var/state"}, Path("/var/state/asynctop/console.json")),
        ({"XDG_STATE_HOME": "relative"}, Path("~/.local/state/asynctop/console.json").expanduser()),
        ({}, Path("~/.local/state/asynctop/console.json").expanduser()),
    ],
)
def test_where_the_memory_is(environ: dict[str, str], path: Path) -> None:
    assert memory_path(environ) == path


def test_r_shows_the_figures_of_the_last_seconds() -> None:
    async def run() -> None:
        async with console(*three(), size=(160, 40)) as screen:
            # The first tick begins the recent past, and 6 s later it begins anew.
            for second in (3, 6):
                await screen.say(Tick(NOW + second * SECOND))
            now = NOW + 7 * SECOND
            more = polled([1, 2, 3], polls=[5, 310, 70], busy=[90 * MS, 21 * MS, 3 * MS])
            running = polled([3], state=State.POLLING, since=now - 80 * MS, polls=70, busy=3 * MS)
            await screen.say(more, running, spawned([4], created=now - SECOND), named([4], ["new"]))
            await screen.say(polled([4], polls=2, busy=MS))
            await screen.say(Tick(now), after_ns=SECOND)
            assert screen.ids == [1, 3, 2, 4]
            await screen.press("r")
            assert "last 4.0 s" in screen.line("status")
            assert screen.ids == [3, 2, 4, 1]
            rows = {int(row.split()[2]): row.split() for row in screen.rows}
            figures = {id: (row[6], row[7], row[9], row[10]) for id, row in rows.items()}
            assert figures[2] == ("10", "1.00ms", "0ns", "4.00s"), "polls, busy, sched, idle"
            assert figures[1] == ("0", "0ns", "0ns", "4.00s")
            assert figures[3][:2] == ("0", "80.0ms")
            assert figures[4][:2] == ("2", "1.00ms"), "all of a task that is new"
            await screen.press("slash", *"busy>50ms", "enter")
            assert screen.ids == [3], "the filter goes by what is shown"
            await screen.press("escape", "r")
            assert "last " not in screen.line("status")
            assert screen.ids == [1, 3, 2, 4]

    asyncio.run(run())


def test_what_has_ended_does_nothing_lately() -> None:
    async def run() -> None:
        async with console(*three(), ended([1], at=NOW), Tick(NOW), size=(160, 40)) as screen:
            for second in (3, 6, 9):
                await screen.say(Tick(NOW + second * SECOND), after_ns=SECOND)
            await screen.press("r")
            (row,) = [row.split() for row in screen.rows if " main " in row]
            assert row[6:8] == ["0", "0ns"]
            assert row[10] == "0ns"

    asyncio.run(run())
