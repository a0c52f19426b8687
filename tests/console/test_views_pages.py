"""Kinds, stalls, warnings, details and help, and the ways between them."""

from __future__ import annotations

import asyncio
from array import array
from dataclasses import replace

from asynctop_console.views.keys import EVERYWHERE, KEYS, bindings, keys_of
from asynctop_protocol.messages import (
    Chain,
    Chains,
    Inspect,
    Kinds,
    Outcome,
    Part,
    Stalls,
    Texts,
    Tick,
    Waiting,
    WakerSource,
)

from .program import MS, SECOND, ended, polled, spawned, stall, totals
from .screens import NOW, blocking, console, three, two_kinds


def test_tab_and_numbers_go_through_the_screens() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            seen = [screen.listing.KEYS_OF]
            for _ in range(7):
                await screen.press("tab")
                seen.append(screen.listing.KEYS_OF)
            assert seen == ["tasks", "kinds", "stalls", "tree", "resources", "warnings", "loops", "tasks"]
            for key, name in zip("2345671", [*seen[1:7], "tasks"], strict=True):
                await screen.press(key)
                assert name == screen.listing.KEYS_OF

    asyncio.run(run())


def test_a_screen_left_and_come_back_to_is_as_it_was() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("2", "M", "1", "P", "2")
            assert screen.table.sort == "max"
            await screen.press("1")
            assert screen.table.sort == "polls"

    asyncio.run(run())


def test_a_kind_has_exact_sums_and_leads_to_its_tasks() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("2")
            (row,) = screen.rows
            assert "app.handler" in row
            assert "app/main.py:12" in row
            await screen.press("enter")
            assert "3 live of 3 spawned" in screen.page
            assert "/srv/app/web.py:40" in screen.page
            await screen.press("enter")
            assert screen.listing.KEYS_OF == "tasks"
            assert "filter kind:K1 " in screen.line("status")
            assert screen.ids == [1, 2, 3]

    asyncio.run(run())


def test_a_kind_that_blocks_stands_first_with_the_poll_that_is_running() -> None:
    async def run() -> None:
        async with console(*three(), *two_kinds()) as screen:
            await screen.press("2")
            assert screen.ids == [2, 1]
            assert screen.rows[0].split()[-4:] == ["0", "13.0s", "-", "13.0s"]
            assert "113ms" in screen.rows[1]
            await screen.press("M")
            assert screen.ids == [2, 1]
            await screen.press("slash", *"busy>1s", "space", *"max>1s", "enter")
            assert screen.ids == [2]
            await screen.press("enter")
            assert "busy 13.0s" in screen.page
            assert "longest 13.0s" in screen.page
            await screen.say(*two_kinds(), totals(2, spawned=1, max_poll=MS, histogram=[0] * 40 + [1]))
            assert "max 13.0s" in screen.page

    asyncio.run(run())


def test_a_kind_leads_to_its_own_tasks_alone() -> None:
    """`ticker` holds `tick`, and there is a `tick` in another file."""

    async def run() -> None:
        names = Texts(6, ["tick", "ticker"])
        more = Kinds(2, [6, 7, 6], [2, 2, 3], [50, 60, 5], [3, 3, 3], [13, 14, 15])
        sums = [replace(totals(spawned=1), kind=array("q", [kind])) for kind in (2, 3, 4)]
        tasks = spawned([4, 5, 6], kind=[2, 3, 4])
        async with console(*three(), names, more, tasks, *sums, Tick(NOW)) as screen:
            await screen.press("2")
            assert screen.table.order.position(4) is not None
            screen.table.choose(4)
            await screen.press("enter")
            assert screen.page.startswith(" tick  kind K4\n")
            await screen.press("enter")
            assert screen.ids == [6]
            screen.listing.set_filter("kind:tick")
            await screen.press("g")
            assert screen.ids == [4, 5, 6], "a word is looked for in the names"
            await screen.press("2")
            screen.listing.set_filter("kind:K2")
            assert screen.ids == [2]

    asyncio.run(run())


def test_stalls_are_grouped_by_line_and_ongoing_ones_stand_first() -> None:
    async def run() -> None:
        old = Stalls([stall(2, line=90, duration=9 * SECOND), stall(3, line=90, duration=SECOND)])
        async with console(*three(), old, *blocking()) as screen:
            await screen.press("3")
            first, second = screen.rows
            assert "app/web.py:44" in first
            assert "BLOCKING 500ms" in first
            assert "app/web.py:90" in second
            assert " 2   10.0s" in second
            await screen.press("G", "enter")
            assert "total 10.0s" in screen.page
            assert "/venv/lib/python3.13/site-packages/requests/api.py:73" in screen.page
            await screen.press("j", "enter")
            assert "main" in screen.page
            await screen.press("escape", "escape")
            assert screen.listing.KEYS_OF == "stalls"

    asyncio.run(run())


def test_the_detail_says_all_about_a_task_and_leads_to_its_parent() -> None:
    async def run() -> None:
        woken = polled([2], polls=300, busy=20 * MS, waker_source=WakerSource.TASK, waker_task=3, wakes=9)
        async with console(*three(), woken, Tick(NOW)) as screen:
            await screen.press("j", "enter")
            (inspect,) = [m for m in screen.source.sent if isinstance(m, Inspect)]
            chain = Chain(2, [("handler", "/srv/app/web.py", 41)], Waiting("lock", 5, "a lock", holder=3))
            await screen.say(Chains(inspect.request, [chain], done=True), Tick(NOW + 1))
            page = screen.page
            for text in (
                "/srv/app/web.py:40",
                "/srv/app/main.py:12",
                "spawned by  main",
                "/srv/app/web.py:41",
                "lock a lock",
                "held by     worker",
                "last waker  task worker",
                "busy 20.0ms",
                "p50",
                "p99",
            ):
                assert text in page, text
            await screen.press("j", "enter")
            assert screen.page.startswith(" main  task 1")
            await screen.press("escape")
            assert screen.page.startswith(" fetch  task 2")
            await screen.press("escape")
            assert screen.table.cursor == 2

    asyncio.run(run())


def test_the_detail_of_an_ended_task_says_how() -> None:
    async def run() -> None:
        gone = ended([2], outcome=Outcome.RAISED, at=NOW, exception=4)
        async with console(*three()) as screen:
            await screen.say(gone, Tick(NOW + SECOND), after_ns=SECOND)
            await screen.press("G", "enter")
            assert "✗ raised 2s ago" in screen.page
            assert "exception   ValueError: no" in screen.page

    asyncio.run(run())


def test_the_detail_of_a_blocking_task_shows_the_stack_and_the_warning() -> None:
    async def run() -> None:
        async with console(*three(), *blocking()) as screen:
            await screen.say(after_ns=SECOND)
            await screen.press("enter")
            assert "BLOCKING 1.50s  app/web.py:44 in load" in screen.page
            assert "! The event loop was blocked" in screen.page
            assert "Stalls of this task: 1" in screen.page

    asyncio.run(run())


def test_a_stall_in_several_places_is_a_tree_with_shares() -> None:
    parts = [Part(3, "time.sleep", 3, []), Part(1, "", 2, [("parse", "/srv/app/web.py", 9)])]

    async def run() -> None:
        seen = Stalls([replace(stall(7, line=90), callee="time.sleep", parts=parts)])
        async with console(*three(), seen) as screen:
            await screen.say(Tick(NOW + SECOND), after_ns=SECOND)
            await screen.press("3", "enter")
            lines = [" ".join(line.split()) for line in screen.page.splitlines()]
            assert any("in time.sleep()" in line for line in lines)
            start = next(number for number, line in enumerate(lines) if line.startswith("100% run"))
            assert [line.split()[:2] for line in lines[start : start + 5]] == [
                ["100%", "run"],
                ["100%", "load"],
                ["75%", "get"],
                ["75%", "time.sleep()"],
                ["25%", "parse"],
            ]

    asyncio.run(run())


def test_warnings_are_sentences_that_lead_to_their_tasks() -> None:
    async def run() -> None:
        async with console(*three(), *blocking()) as screen:
            await screen.say(after_ns=SECOND)
            await screen.press("6")
            assert "long-poll-blocking-call" in screen.rows[0]
            await screen.press("enter", "j", "enter")
            assert screen.page.startswith(" worker  task 3")

    asyncio.run(run())


def test_the_help_has_every_key_of_its_screen() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("question_mark")
            for key in keys_of("tasks"):
                shown = screen.app.keymap.shown(key)
                assert not shown or (shown in screen.page and key.help in screen.page), key.id
            assert "parent:T7" in screen.page
            assert "kind:K7" in screen.page
            await screen.press("f1")
            assert screen.listing.KEYS_OF == "tasks"

    asyncio.run(run())


def test_the_footer_and_the_palette_come_from_the_same_table() -> None:
    async def run() -> None:
        async with console(*three(), size=(160, 30)) as screen:
            for key in keys_of("tasks"):
                if key.short:
                    assert f" {key.short} " in screen.line("footer")
            assert screen.line("footer").endswith("  q quit")
            commands = {command.title for command in screen.app.get_system_commands(screen.app.screen)}
            assert commands == {key.named for key in keys_of("tasks") if screen.app.keymap.shown(key)}
            assert {"theme: dark, light or plain", "filter the rows while you type"} <= commands

    asyncio.run(run())


def test_keys_have_ids_of_their_own_and_do_not_clash() -> None:
    assert len({key.id for key in KEYS}) == len(KEYS)
    for name in EVERYWHERE:
        keys = [key for binding in bindings(name) for key in binding.key.split(",")]
        assert len(set(keys)) == len(keys), name


def test_q_and_ctrl_c_quit() -> None:
    async def run(key: str) -> None:
        async with console(*three()) as screen:
            await screen.pilot.press("slash" if key == "ctrl+c" else "j", key)
            assert not screen.app.is_running or screen.app._exit

    asyncio.run(run("q"))
    asyncio.run(run("ctrl+c"))
