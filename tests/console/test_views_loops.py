"""Screen 7, the detail of a loop, that of a kind, and the plots on them."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from asynctop_console.views.lines import TextLine
from asynctop_console.views.loops import LoopsScreen
from asynctop_console.views.page import Page
from asynctop_console.views.plots import CELLS_S, COUNTS, LEFT, RATES, SHARES, TIMES, Plot, plot_lines
from asynctop_protocol.messages import Loops, LoopState, Message, Tick

from .program import MS, SECOND, loops, totals
from .screens import NOW, Screen, blocking, console, three


def text(line: TextLine) -> str:
    return "".join(piece.text for piece in line.pieces)


def bars(lines: list[TextLine]) -> list[str]:
    return [text(line)[LEFT:] for line in lines]


def minute(loop: int = 1) -> list[Message]:
    """A minute after `three`, in which the loop is ever busier."""
    messages: list[Message] = []
    for second in range(1, 61):
        row = loops(polls=375 + second * second, busy=113 * MS + second * second * 8 * MS, lag=second * MS)
        messages += [totals(spawned=3 + second, histogram=[0] * 40 + [5, 3 + second]), row]
        messages.append(Tick(NOW + second * SECOND))
    return messages


def plots(screen: Screen) -> list[str]:
    assert isinstance(screen.app.screen, LoopsScreen)
    return screen.app.screen.plots.text.splitlines()


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 48)])
def test_loops_are_listed_and_the_chosen_one_is_plotted(size: tuple[int, int]) -> None:
    async def run() -> None:
        async with console(*three(), *minute(), size=size) as screen:
            await screen.press("7")
            (row,) = screen.rows
            assert row.split()[:3] == ["1", "MainThread", "asyncio" if size[0] > 100 else "·"]
            assert "idle" in row
            assert " 95%" in row
            assert row.split()[-1] == "60.0ms"
            lines = plots(screen)
            assert lines[0].startswith(" busy             100% ┤")
            assert "now       95%" in lines[1]
            assert lines[-1].startswith(" 1s a column")
            assert lines[-1].endswith("└10s  now┘")
            titles = [line.split()[0] for line in lines if line.startswith(" ") and line[1] not in " 1"]
            assert titles[:4] == ["busy", "lag", "polls/s", "tasks"]
            assert len(titles) == (5 if size[1] == 24 else 6)
            room = size[1] - 3 - screen.table.size.height
            assert room - 2 <= len(lines) <= room
            assert all(len(line) <= size[0] - 1 for line in lines)

    asyncio.run(run())


def test_a_closed_loop_stands_last_and_a_blocked_one_in_red() -> None:
    async def run() -> None:
        none = [0, 0, 0]
        states = [LoopState.CLOSED, LoopState.STALLED, LoopState.IDLE]
        several = Loops(
            [1, 2, 3], ["a", "b", "c"], ["asyncio", "uvloop", "trio"], states,
            none, none, none, none, none, none, ["", "worker", ""], [0, NOW - SECOND, 0],
        )  # fmt: skip
        async with console(*three()[:-2], several, *blocking()) as screen:
            await screen.press("7")
            assert screen.ids == [2, 3, 1]
            assert "█ stalled 1.00s worker" in " ".join(screen.rows[0].split())
            red = screen.listing.palette()["text", "blocking.cursor"]
            assert {segment.style for segment in screen.table.render_line(1)} == {red}
            await screen.press("G", "enter")
            assert screen.page.startswith(" a  loop 1  asyncio")
            assert "spawned/s, all" in screen.page

    asyncio.run(run())


def test_there_is_something_to_see_before_the_first_second_is_over() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("7")
            assert screen.rows[0].split()[-6:] == ["-", "-", "-", "2.00ms", "2.00ms", "2.00ms"]
            assert "now         -" in plots(screen)[1]
            await screen.press("enter")
            assert "max ever 2.00ms" in screen.page

    asyncio.run(run())


def test_plots_show_more_time_or_less() -> None:
    async def run() -> None:
        async with console(*three(), *minute()) as screen:
            await screen.press("7")
            for seconds in ("2s", "5s", "10s", "30s", "1m", "2m", "10m", "10m"):
                await screen.press("minus")
                assert plots(screen)[-1].startswith(f" {seconds} a column")
            for _ in CELLS_S:
                await screen.press("plus")
            assert plots(screen)[-1].startswith(" 1s a column")

    asyncio.run(run())


def test_the_plots_stand_still_in_a_pause_and_go_on_after_it() -> None:
    async def run() -> None:
        async with console(*three(), *minute()) as screen:
            await screen.press("7")
            before = plots(screen)
            await screen.press("space")
            await screen.say(loops(polls=10_000), Tick(NOW + 61 * SECOND), after_ns=SECOND)
            assert plots(screen) == before
            await screen.press("space")
            assert plots(screen) != before

    asyncio.run(run())


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_the_pages_of_a_loop_and_of_a_kind_have_larger_plots(size: tuple[int, int]) -> None:
    async def run() -> None:
        async with console(*three(), *minute(), size=size) as screen:
            await screen.press("7", "enter")
            assert screen.page.startswith(" MainThread  loop 1  asyncio")
            assert "lag         60.0ms   p99 60.0ms   max 60.0ms   max ever 60.0ms" in screen.page
            wide = screen.page.splitlines()
            for title in (" busy ", " lag ", " polls/s ", " tasks ", " spawned/s ", " ended/s "):
                assert sum(line.startswith(title) for line in wide) == 1, title
            await screen.press("minus")
            assert " 2s a column" in screen.page
            await screen.press("escape", "2", "enter")
            assert screen.page.startswith(" app.handler")
            assert "63 live of 63 spawned" in screen.page
            for title in (" poll time ", " wait, mean ", " polls/s ", " tasks "):
                assert sum(line.startswith(title) for line in screen.page.splitlines()) == 1, title
            assert "p50    1.25ms" in screen.page
            assert all(len(line) < size[0] for line in screen.page.splitlines())

    asyncio.run(run())


def test_long_turns_are_on_the_page_of_their_loop() -> None:
    async def run() -> None:
        long = loops(
            max_turn_ns=80 * MS,
            max_turn_since_ns=NOW + SECOND,
            max_turn_polls=40,
            max_turn_poll_ns=3 * MS,
            max_turn_kind=1,
        )
        async with console(*three(), long, Tick(NOW + 5 * SECOND)) as screen:
            await screen.press("7", "enter")
            (line,) = [line for line in screen.page.splitlines() if "40 polls" in line]
            assert line.split()[:3] == ["4s", "ago", "80.0ms"]
            assert line.endswith("40 polls and callbacks, the longest 3.00ms  most of it in app.handler")

    asyncio.run(run())


def test_bars_are_as_high_as_their_numbers() -> None:
    (plot,) = plots_of_one = (Plot("busy", SHARES, 0, "bar.busy"),)
    values = np.array([[0, 0.01, 0.25, 0.5, 1.0, np.nan, 7.0]])
    lines = plot_lines(plots_of_one, values, 1, 5)
    assert bars(lines)[:4] == ["    █ █", "    █ █", "   ██ █", "▁▁███ █"]
    roles = {glyph: piece.role for piece in lines[3].pieces[-5:] for glyph in piece.text}
    assert roles["▁"] == plot.role
    assert lines[3].pieces[-1].role == "bad"
    assert lines[3].pieces[2].role == "faint", "nought is a line, a gap is nothing"


def test_what_stands_in_front_hides_what_is_behind_it() -> None:
    pair = (Plot("lag", TIMES, 1, "place", 0, ("max", "p50")),)
    values = np.array([[20e6, 10e3, 10e6, np.nan], [1e9, 1e6, 10e6, np.nan]])
    lines = plot_lines(pair, values, 1, 4)
    assert bars(lines)[:3] == ["▄   ", "█ ▄ ", "█▒█ "]
    looks = [[(piece.text, piece.role) for piece in line.pieces] for line in lines[:3]]
    assert looks[0][-2:] == [("▄", "bad"), ("   ", "text")]
    assert looks[2][-4:] == [("█", "place"), ("▒", "bar.behind"), ("█", "place"), (" ", "text")]


@pytest.mark.parametrize(
    ("unit", "number", "shown"),
    [
        (COUNTS, 12.4, "12"),
        (RATES, 0.25, "0.2"),
        (RATES, 0, "0"),
        (RATES, 31_234.9, "31235"),
        (SHARES, 0.256, "26%"),
        (SHARES, 0.0034, "0.3%"),
        (TIMES, 1.5e6, "1.50ms"),
    ],
)
def test_numbers_are_written_in_their_units(unit: object, number: float, shown: str) -> None:
    assert unit.text(number) == shown  # type: ignore[attr-defined]


def test_scales_go_up_to_round_numbers() -> None:
    tops = [COUNTS.top(most) for most in (0, 9, 10, 11, 20, 21, 50, 51, 999, 1_000_000)]
    assert tops == [10, 10, 10, 20, 20, 50, 50, 100, 1000, 1_000_000]


def test_times_on_the_axis_stand_where_they_were() -> None:
    lines = plot_lines((Plot("busy", SHARES, 0, "bar.busy"),), np.zeros((1, 60)), 2, 4)
    axis = bars(lines)[-1]
    assert len(axis) == 60
    for ago, mark in ((30, "└30s "), (60, "└1m "), (90, "└1m30s "), (120, "└2m ")):
        assert axis.index(mark) == 60 - ago // 2


def test_a_cursor_on_the_plots_tells_what_was_at_a_moment() -> None:
    async def run() -> None:
        async with console(*three(), *minute()) as screen:
            await screen.press("7", "enter")
            assert " 1s a column" in screen.page
            await screen.press("left", "left", "left")
            lines = screen.page.splitlines()
            axis = next(line for line in reversed(lines) if "▲" in line)
            assert axis.startswith(" 2s ago ")
            assert " Over time   1s a column   ▲ 2s ago" in lines
            assert axis.index("▲") == len(axis) - 3
            busy = next(index for index, line in enumerate(lines) if line.startswith(" busy"))
            assert lines[busy + 1].split()[:2] == ["then", "92%"], "57**2 - 56**2 times 8 ms are 904 ms"
            chosen = [piece for piece in screen_lines(screen)[busy + 4].pieces if piece.ground]
            assert [(piece.text, piece.ground) for piece in chosen] == [("█", "cursor")]
            await screen.press("right", "right", "right")
            assert "▲" not in screen.page
            assert "now       95%" in screen.page

    asyncio.run(run())


def test_the_plots_go_back_and_stay_where_they_are_while_time_goes_on() -> None:
    async def run() -> None:
        async with console(*three(), *minute(), size=(80, 24)) as screen:
            await screen.press("7", "enter", "H", "H", "H")
            axis = next(line for line in reversed(screen.page.splitlines()) if "▲" in line)
            assert axis.startswith(" 1m20s ago")
            assert "now" not in axis
            await screen.press("l")
            bars = [line[LEFT:] for line in screen.page.splitlines() if "│" in line]
            await screen.say(loops(polls=9_000), Tick(NOW + 62 * SECOND))
            assert " 1m21s ago" in screen.page
            assert [line[LEFT:] for line in screen.page.splitlines() if "│" in line] == bars
            await screen.press("minus")
            assert "Over time   2s a column   ▲ 1m20s ago" in screen.page
            await screen.press("L", "L", "L")
            assert "2s a column" in screen.page

    asyncio.run(run())


def screen_lines(screen: Screen) -> list[TextLine]:
    assert isinstance(screen.app.screen, Page)
    return screen.app.screen.page.lines
