"""The list of tasks as somebody sees it who presses keys."""

from __future__ import annotations

import asyncio

import pytest
from rich.cells import cell_len
from textual import events

from asynctop_protocol.messages import Outcome, Tick, WakerSource

from .program import MS, SECOND, ended, loops, named, polled, spawned
from .screens import NOW, blocking, console, settled, three


def test_the_busiest_stands_first_and_each_key_sorts() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            assert screen.ids == [1, 2, 3]
            for key, order in (("M", [2, 3, 1]), ("P", [2, 3, 1]), ("A", [1, 2, 3]), ("B", [1, 2, 3])):
                await screen.press(key)
                assert screen.ids == order, key
            await screen.press("i")
            assert screen.ids == [3, 2, 1]
            await screen.press("left")
            assert screen.table.sort == "polls"
            await screen.press("l", "l")
            assert screen.table.sort == "max"

    asyncio.run(run())


def test_a_click_on_a_title_sorts_and_on_a_row_chooses() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            header = screen.table.render_line(0).text
            await screen.pilot.click(screen.table, offset=(header.index("max poll") + 2, 0))
            assert screen.table.sort == "max"
            await screen.pilot.click(screen.table, offset=(5, 2))
            assert screen.table.cursor == screen.ids[1]

    asyncio.run(run())


def test_the_chosen_row_stays_on_its_task_when_the_order_changes() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("j", "k", "j")
            assert screen.table.cursor == 2
            busier = polled([3], busy=[SECOND], polls=[80])
            await screen.say(busier, Tick(NOW + SECOND), after_ns=SECOND)
            assert screen.ids == [1, 2, 3], "held, as the cursor has just moved"
            await screen.say(after_ns=2 * SECOND)
            assert screen.ids == [3, 1, 2]
            assert screen.table.cursor == 2
            await screen.press("down")
            assert screen.table.cursor == 2, "it is the last one by now"

    asyncio.run(run())


def test_the_order_is_held_from_the_key_on_however_late_the_frames_are() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("j")
            await screen.say(polled([3], busy=[SECOND]), Tick(NOW + SECOND), after_ns=3 * SECOND)
            assert screen.ids == [1, 2, 3]
            await screen.say(after_ns=2 * SECOND)
            assert screen.ids == [3, 1, 2]

    asyncio.run(run())


def test_home_end_and_pages_move_and_esc_lets_go() -> None:
    async def run() -> None:
        ids = list(range(1, 201))
        many = [*three()[:3], spawned(ids), polled(ids, busy=[MS * (201 - id) for id in ids]), Tick(NOW)]
        async with console(*many) as screen:
            await screen.press("G")
            assert screen.table.cursor == 200
            assert "200" in screen.rows[-1]
            await screen.press("pageup")
            assert screen.table.cursor == 200 - screen.table.page
            await screen.press("home")
            assert screen.table.cursor == 1
            await screen.press("escape")
            assert screen.table.cursor is None

    asyncio.run(run())


def test_following_keeps_the_chosen_row_in_sight() -> None:
    async def run() -> None:
        ids = list(range(1, 201))
        many = [*three()[:3], spawned(ids), polled(ids, busy=[MS * (201 - id) for id in ids]), Tick(NOW)]
        async with console(*many) as screen:
            await screen.press("j", "f")
            assert "following" in screen.line("status")
            await screen.say(polled([2], busy=[1]), Tick(NOW + 1), after_ns=5 * SECOND)
            assert screen.table.order.position(2) == 199
            assert screen.table.scroll_offset.y > 0

    asyncio.run(run())


def test_finished_tasks_stand_last_and_can_be_hidden() -> None:
    async def run() -> None:
        gone = ended([1], outcome=Outcome.RAISED, at=NOW, exception=4)
        async with console(*three()) as screen:
            await screen.say(gone, Tick(NOW), after_ns=SECOND)  # the order is taken once a second
            assert screen.ids == [2, 3, 1]
            await screen.press("d")
            assert screen.ids == [2, 3]
            assert "finished hidden" in screen.line("status")
            await screen.press("d")
            assert screen.ids == [2, 3, 1]

    asyncio.run(run())


def test_a_blocking_task_stands_first_in_red_words_while_its_time_counts() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.say(*blocking())
            assert screen.ids[0] == 3, "at once, whatever the order's age"
            assert "BLOCKING 500ms" in screen.rows[0]
            assert "loop blocked 500ms by worker (app/web.py:44 in load)" in screen.line("status")
            assert "BLOCKING 500ms" in screen.line("banner")
            await screen.say(after_ns=240 * MS)
            assert "BLOCKING 500ms" in screen.rows[0], "more is not known before the next tick"
            await screen.say(after_ns=500 * MS)
            assert "BLOCKING 1.24s" in screen.rows[0]
            assert "loop blocked 1.24s" in screen.line("status")

    asyncio.run(run())


def test_the_exclamation_mark_leaves_only_tasks_with_warnings() -> None:
    async def run() -> None:
        async with console(*three(), *blocking()) as screen:
            await screen.say(after_ns=SECOND)
            await screen.press("exclamation_mark")
            assert screen.ids == [3]
            assert "! worker" in screen.rows[0]

    asyncio.run(run())


def test_the_filter_follows_what_is_typed_and_says_what_is_wrong() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("slash", *"fet")
            assert screen.ids == [2]
            assert "1 of 3" in screen.line("hint")
            await screen.press("space", *"busy>", "1")
            assert "1 what? As in busy>1ms" in screen.line("hint")
            assert screen.ids == [2], "the words before hold"
            await screen.press("0", "m", "s", "enter")
            assert screen.ids == [2]
            assert "filter fet busy>10ms" in screen.line("status")
            await screen.press("escape")
            assert screen.ids == [1, 2, 3]

    asyncio.run(run())


def keys(text: str) -> list[str]:
    return ["space" if char == " " else char for char in text]


def test_the_last_filter_that_was_right_holds_while_one_is_wrong() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("slash", *keys("busy>15ms !fetch"))
            assert screen.ids == [1]
            await screen.press("home", "delete")
            assert 'no field "usy"' in screen.line("hint")
            assert screen.ids == [1]
            await screen.press("b")
            assert "1 of 3" in screen.line("hint")

    asyncio.run(run())


def test_keys_take_effect_in_the_order_they_are_typed() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            # All at once, as from a fast typist on a slow line.
            for key in ("slash", *"wrong", "ctrl+u", *"fet", "ctrl+a", "!", "enter", "j"):
                screen.app.post_message(events.Key(key, key if len(key) == 1 else None))
            await settled(screen.pilot)
            assert screen.listing.rows.filter.text == "!fet"
            assert screen.table.cursor == 3, "j came after Enter"

    asyncio.run(run())


def test_the_count_beside_the_filter_follows_the_program() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("slash")
            await screen.say()
            assert "3 of 3" in screen.line("hint")
            await screen.press(*"fet")
            await screen.say(spawned([4]), named([4], ["prefetch"]), Tick(NOW + SECOND), after_ns=SECOND)
            assert "2 of 4" in screen.line("hint")
            await screen.press("space", *"busy>")
            await screen.say()
            assert "busy> what?" in screen.line("hint")

    asyncio.run(run())


def test_enter_keeps_no_filter_that_is_wrong() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("slash", *keys("fet busy>1"), "enter")
            assert "1 what? As in busy>1ms" in screen.line("hint")
            await screen.press("0", "m", "s", "enter", "j")
            assert screen.listing.rows.filter.text == "fet busy>10ms"
            assert screen.table.cursor == 2

    asyncio.run(run())


def test_a_filter_can_be_pasted() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("slash", "!")
            screen.app.post_message(events.Paste("name:fetch\nbusy>1"))
            await screen.press("enter")
            assert screen.listing.rows.filter.text == "!name:fetch"

    asyncio.run(run())


def test_no_match_is_said_and_esc_in_the_filter_drops_it() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("slash", *"nobody")
            assert any("No match: 0 of 3 tasks pass  nobody" in row for row in screen.rows)
            await screen.press("escape")
            assert screen.ids == [1, 2, 3]

    asyncio.run(run())


def test_n_goes_through_the_matches_of_the_last_filter() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("slash", *"!name:fetch", "escape", "n")
            assert screen.table.cursor == 3
            await screen.press("n")
            assert screen.table.cursor == 1
            await screen.press("N")
            assert screen.table.cursor == 3

    asyncio.run(run())


def test_y_copies_the_name() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("j", "y")
            assert screen.app.clipboard == "fetch"

    asyncio.run(run())


HOSTILE = [
    "\x1b[31mred\x1b[2J",
    "[/x] [bold]",
    "‮evil⁦",
    "読み取り" * 30,
    "🦄" * 50,
    "a" * 1_000_000,
    "e\u0301" * 90,
]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_hostile_names_do_not_break_the_lines(width: int) -> None:
    async def run() -> None:
        ids = list(range(1, len(HOSTILE) + 1))
        messages = [*three()[:3], spawned(ids), named(ids, HOSTILE), polled(ids), Tick(NOW)]
        async with console(*messages, size=(width, 24)) as screen:
            assert len(screen.rows) == len(HOSTILE)
            for y in range(screen.table.size.height):
                text = screen.table.render_line(y).text
                assert cell_len(text) == screen.table.size.width, text
                assert text.isprintable()
            await screen.press("enter")
            assert "[31mred" in screen.page

    asyncio.run(run())


@pytest.mark.parametrize(
    ("width", "gone"),
    [
        (80, {"state", "wakes", "idle", "sched", "age", "last waker"}),
        (100, {"state", "wakes", "idle", "sched"}),
        (160, set()),
    ],
)
def test_columns_leave_in_their_order_as_it_narrows(width: int, gone: set[str]) -> None:
    async def run() -> None:
        woken = polled([1], waker_source=WakerSource.TIMER)
        async with console(*three(), woken, loops(), Tick(NOW), size=(width, 24)) as screen:
            header = screen.table.render_line(0).text
            titles = {"state", "wakes", "idle", "sched", "age", "last waker", "max poll", "spawned at"}
            assert {title for title in titles if title not in header} == gone
            assert screen.table.size.height == 21, "the header and 20 rows"
            assert "375" not in screen.line("footer")
            for id in ("status", "meters", "footer"):
                assert cell_len(screen.line(id)) == width

    asyncio.run(run())


def test_a_smaller_terminal_is_told_so() -> None:
    async def run() -> None:
        async with console(*three(), size=(60, 15)) as screen:
            assert "60x15: asynctop needs 80x24" in screen.line("footer")
            assert screen.ids == [1, 2, 3]

    asyncio.run(run())
