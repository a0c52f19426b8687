"""How the source stands, and what the screen says about it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from asynctop_console.source.live import Phase, SourceState
from asynctop_console.views import app as app_module
from asynctop_console.views import hold as hold_module
from asynctop_console.views.list import ListScreen
from asynctop_protocol.messages import Reset, Stalls, Subscribe, Tick

from .program import MS, SECOND, hello, kinds, polled, stall
from .screens import NOW, Frozen, Screen, blocking, console, settled, three


def told(screen: Screen) -> list[str]:
    """What is said in passing."""
    return [notification.message for notification in screen.app._notifications]


def test_connecting_says_how_to_make_a_program_visible() -> None:
    async def run() -> None:
        source = Frozen(state=SourceState(Phase.CONNECTING))
        async with console(source=source, target="pid 7") as screen:
            text = "\n".join(screen.rows)
            assert "Connecting to pid 7" in text
            assert "import asynctop; asynctop.install()" in text
            assert "asynctop run app.py" in text
            assert "connecting" in screen.line("status")

    asyncio.run(run())


def test_no_tasks_yet() -> None:
    async def run() -> None:
        async with console(hello(), Tick(NOW)) as screen:
            assert any("No tasks yet" in row for row in screen.rows)
            await screen.press("3")
            assert any("No stalls: no poll took longer than 100ms" in row for row in screen.rows)
            await screen.press("6")
            assert any("No warnings" in row for row in screen.rows)
            await screen.press("2")
            assert any("No tasks yet" in row for row in screen.rows)

    asyncio.run(run())


def test_pause_holds_the_screen_and_counts_what_waits() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("space")
            await screen.say(polled([1], polls=77), Tick(NOW + 1), Tick(NOW + 2), after_ns=3 * SECOND)
            assert "PAUSED 2 updates held" in screen.line("status")
            assert "77" not in screen.rows[0]
            await screen.press("space")
            assert "PAUSED" not in screen.line("status")
            assert " 77 " in screen.rows[0]

    asyncio.run(run())


def test_a_long_pause_stops_reading_instead_of_growing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold_module, "_MOST_WAITING", 3)

    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("space")
            await screen.say(*(Tick(NOW + n) for n in range(1, 9)))
            assert "PAUSED 3 updates held" in screen.line("status")
            assert screen.source.queue.qsize() == 5
            await screen.press("space")
            assert screen.app.model.now_ns == NOW + 8

    asyncio.run(run())


def test_reconnecting_counts_down_and_keeps_the_last_data() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            at = asyncio.get_running_loop().time() + 3.2
            screen.source.state = SourceState(Phase.WAITING, "lost", 2, at)
            await screen.say()
            assert "reconnecting in 3 s (try 2)" in screen.line("status")
            assert "main" in screen.rows[0]
            faint = screen.listing.palette()["faint", "ground"]
            assert {segment.style for segment in screen.table.render_line(2)} == {faint}

    asyncio.run(run())


def test_after_its_exit_everything_stays_and_a_restart_carries_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "_SEARCH_S", 0)
    again = Frozen(*three(greeting=hello(pid=8)), *blocking())
    found: list[Frozen] = []

    async def run() -> None:
        async with console(*three(), successor=lambda: found.pop() if found else None) as screen:
            screen.source.end()
            await screen.press("j", "enter")
            assert "EXITED, waiting for a restart" in screen.line("status")
            assert "fetch" in screen.page
            found.append(again)
            while again.queue.qsize():
                await settled(screen.pilot)
            screen.clock.ns += SECOND
            screen.app.paint()
            await screen.press("1")
            assert "EXITED" not in screen.line("status")
            assert screen.app.model.hello is not None
            assert screen.app.model.hello.pid == 8

    asyncio.run(run())


@pytest.mark.parametrize(
    "keys",
    [
        ("j", "enter"),
        ("2", "enter"),
        ("2", "enter", "question_mark"),
        ("3", "enter"),
        ("6", "enter"),
        ("7", "enter"),
        ("2", "s"),
        ("c",),
        ("question_mark",),
        ("2", "colon"),
    ],
    ids=" ".join,
)
def test_after_a_restart_no_page_is_open_about_the_program_before(keys: tuple[str, ...]) -> None:
    async def run() -> None:
        async with console(*three(), *blocking()) as screen:
            await screen.say(after_ns=SECOND)
            await screen.press(*keys)
            assert not isinstance(screen.app.screen, ListScreen)
            await screen.say(*three(greeting=hello(pid=8)), after_ns=SECOND)
            names = {"2": "kinds", "3": "stalls", "6": "warnings", "7": "loops"}
            shown = screen.listing.KEYS_OF
            assert shown == names.get(keys[0], "tasks")
            assert told(screen) == ["pid 7 has been restarted: this is pid 8"]
            await screen.press("1", "j", "enter")
            assert "task 2" in screen.page, "all goes on"

    asyncio.run(run())


def test_after_a_restart_no_row_is_chosen_or_marked_or_followed() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("2", "m", "1", "j", "j", "m", "f")
            tasks = screen.table
            assert (tasks.cursor, tasks.marked, tasks.follow) == (3, {3}, True)
            await screen.say(*three(greeting=hello(pid=8)), after_ns=SECOND)
            assert (tasks.cursor, tasks.marked, tasks.follow) == (None, set(), False)
            assert screen.ids == [1, 2, 3]
            assert "marked" not in screen.line("status")
            await screen.press("2")
            assert screen.table.marked == set()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "kept"), [("state:idle", True), ("kind:K1", False), ("fetch parent:1", False)]
)
def test_after_a_restart_only_filters_by_words_hold(text: str, kept: bool) -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            screen.listing.set_filter(text)
            await screen.say(*three(greeting=hello(pid=8)), after_ns=SECOND)
            assert (f"filter {text}" in screen.line("status")) == kept
            assert screen.ids == [1, 2, 3]

    asyncio.run(run())


def test_a_connection_to_the_same_process_changes_nothing_of_what_is_open() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("j", "m", "enter")
            await screen.say(Reset(), *three(), after_ns=SECOND)
            assert " fetch  task 2" in screen.page
            assert told(screen) == []
            await screen.press("escape")
            assert (screen.table.cursor, screen.table.marked) == (2, {2})

    asyncio.run(run())


def test_a_held_screen_shows_the_program_before_until_it_goes_on() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("j", "enter", "space")
            await screen.say(*three(greeting=hello(pid=8, started_at_ns=9)), after_ns=SECOND)
            assert "fetch  task 2" in screen.page
            assert told(screen) == []
            await screen.press("space")
            assert screen.listing.KEYS_OF == "tasks"
            assert told(screen) == ["pid 7 has been restarted: this is pid 8"]

    asyncio.run(run())


def test_another_protocol_is_said_in_full() -> None:
    async def run() -> None:
        source = Frozen(fails="cannot understand pid 7: it speaks protocol 9.0, this console 1.0")
        async with console(source=source) as screen:
            text = "\n".join(screen.rows)
            assert "it speaks protocol 9.0, this console 1.0" in text
            assert "FAILED" in screen.line("status")

    asyncio.run(run())


def test_a_hostile_stream_ends_the_source_and_not_the_console() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.say(replace(kinds(), first=10**9))
            assert "FAILED" in screen.line("status")
            assert screen.ids == [1, 2, 3]

    asyncio.run(run())


def test_dropped_data_and_faults_are_shown() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.say(Tick(NOW + 1, {"wakes": 12}))
            assert "dropped 12" in screen.line("meters")
            assert "data was dropped on the way: wakes 12" in screen.line("banner")
            await screen.say(Tick(NOW + 2, {}, ["call_soon: TypeError in our hook"]))
            assert "switched off in the program: call_soon: TypeError" in screen.line("banner")

    asyncio.run(run())


def test_a_silent_program_is_called_silent() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.say(after_ns=4 * SECOND)
            assert "silent for 4.00s" in screen.line("status")

    asyncio.run(run())


def test_the_meters_say_how_the_program_does() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            meters = screen.line("meters")
            assert "3 tasks ►0 ○0  ·3 ✓0" in meters
            assert "lag 2.00ms p99 2.00ms max 2.00ms" in meters

    asyncio.run(run())


def test_the_last_stall_stays_in_sight() -> None:
    async def run() -> None:
        async with console(*three(), *blocking()) as screen:
            over = stall(task=3, duration=500 * MS)
            over = replace(over, started_ns=NOW - 500 * MS)
            ready = polled([3], max_poll=600 * MS)
            await screen.say(ready, Stalls([over]), Tick(NOW + 2 * SECOND))
            assert "last stall 500ms  worker  app/web.py:44 in load  2s ago" in screen.line("banner")
            assert "loop blocked" not in screen.line("status")

    asyncio.run(run())


def test_no_color_leaves_glyphs_and_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def run() -> None:
        async with console(*three(), *blocking()) as screen:
            assert screen.app.theme == "asynctop-plain"
            assert "BLOCKING" in screen.rows[0]
            assert screen.rows[0].startswith("█")
            assert screen.app.native_ansi_color, "else default colours would come out black on black"
            await screen.press("j")
            assert all(segment.style and segment.style.reverse for segment in screen.table.render_line(2))

    asyncio.run(run())


def test_the_rate_is_asked_for_and_changed_by_keys() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            assert screen.source.sent[0] == Subscribe(250 * MS)
            await screen.press("greater_than_sign", "less_than_sign", "less_than_sign")
            assert [m.interval_ns for m in screen.source.sent if isinstance(m, Subscribe)] == [
                250 * MS,
                100 * MS,
                250 * MS,
                500 * MS,
            ]

    asyncio.run(run())


def test_what_is_held_stands_in_the_order_of_its_moment() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.say(polled([3], polls=71, busy=[SECOND]), Tick(NOW + 1))
            assert screen.ids == [1, 2, 3], "an order holds for a second"
            await screen.press("space")
            assert screen.ids == [3, 1, 2]

    asyncio.run(run())


def test_a_long_command_is_cut_and_not_left_out() -> None:
    async def run() -> None:
        long = replace(
            hello(), argv=["/srv/a/very/long/way/to/python", "-m", "some.package", "--option=1" * 9]
        )
        async with console(*three(greeting=long), size=(80, 24)) as screen:
            status = screen.line("status")
            assert "pid 7  -m some.package --option=1--option" in status
            assert "… " in status
            assert status.endswith(" ● live ")

    asyncio.run(run())
