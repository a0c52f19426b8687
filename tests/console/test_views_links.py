"""Resources, the page of one, warnings, and the ways between them and the tasks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from asynctop_console.views.lines import Lines, TextLine
from asynctop_console.views.links import attributes_text, named
from asynctop_console.views.page import Page
from asynctop_protocol.messages import (
    Chain,
    Chains,
    Holding,
    Incident,
    Incidents,
    Message,
    Stalls,
    Tick,
    Waiting,
    WakerSource,
)

from .program import MS, SECOND, chain, ended, gather, hello, kinds, lock, polled, spawned, stall, texts
from .program import named as names
from .screens import NOW, Screen, console, three

DEADLOCK = Chains(
    1,
    [
        chain(1, gather(2), awaits=[2, 3]),
        chain(2, lock(80), holds=[70], line=44),
        chain(3, lock(70), holds=[80], line=55),
    ],
    done=True,
)
STUCK = polled(
    [1, 2, 3],
    since=[NOW - 9 * SECOND, NOW - 4 * SECOND, NOW - 2 * SECOND],
    busy=[3, 2, 1],
    waker_source=WakerSource.TASK,
    waker_task=[2, 1, 1],
    wakes=1,
)


def sick() -> list[Message]:
    return [*three(), STUCK, DEADLOCK, Tick(NOW)]


def cursor(screen: Screen) -> str:
    """The line that the cursor is on."""
    assert isinstance(screen.app.screen, Page)
    page = screen.app.screen.page
    return "" if page.cursor is None else page.text.splitlines()[page.cursor]


def first(screen: Screen) -> str:
    return screen.page.splitlines()[0]


async def go_to(screen: Screen, label: str) -> None:
    """Down to the line that begins so, and there."""
    for _ in range(60):
        if cursor(screen).startswith(label):
            await screen.press("enter")
            return
        await screen.press("down")
    raise AssertionError(f"no line {label!r} to go to in\n{screen.page}")


def test_resources_say_who_holds_them_and_who_waits_how_long() -> None:
    async def run() -> None:
        queue = Waiting("queue", 90, "asyncio.Queue, in get()", attributes={"size": 0, "maxsize": 10})
        chains = [*DEADLOCK.chains[1:], chain(1, queue)]
        async with console(
            *three(), STUCK, Chains(1, chains, done=True), Tick(NOW), size=(160, 48)
        ) as screen:
            await screen.press("5")
            assert [row.split() for row in screen.rows] == [
                ["queue", "asyncio.Queue", "-", "1", "9.00s", "size=0", "maxsize=10"],
                ["lock", "asyncio.Lock", "worker", "1", "4.00s", "locked=1", "waiters=1"],
                ["lock", "asyncio.Lock", "fetch", "1", "2.00s", "locked=1", "waiters=1"],
            ]
            for text, count in (("type:queue", 1), ("holder:fetch", 1), ("waiters>0", 3), ("longest<3s", 1)):
                screen.listing.set_filter(text)
                assert len(screen.rows) == count, text
            screen.listing.set_filter("")
            await screen.press("right", "i", "y")

    asyncio.run(run())


def test_before_the_first_answer_nobody_says_that_there_are_none() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("5")
            assert "Asking the program" in "\n".join(screen.rows)
            await screen.say(Chains(1, [chain(1), chain(2), chain(3)], done=True), Tick(NOW + 1))
            assert "No resources" in "\n".join(screen.rows)

    asyncio.run(run())


def test_a_resource_leads_to_its_holder_and_its_waiters() -> None:
    async def run() -> None:
        async with console(*sick()) as screen:
            await screen.press("5", "enter")
            assert first(screen) == " asyncio.Lock  lock"
            await go_to(screen, "→             worker")
            assert first(screen).startswith(" worker  task 3")
            await screen.press("escape")
            await screen.press("down")
            assert "fetch" in cursor(screen)
            assert cursor(screen).endswith("4.00s  app/web.py:44")
            await screen.press("enter")
            assert first(screen).startswith(" fetch  task 2")
            await screen.press("escape", "escape")
            assert screen.listing.KEYS_OF == "resources"

    asyncio.run(run())


def test_a_resource_that_nobody_wants_any_more_says_so() -> None:
    async def run() -> None:
        async with console(*sick()) as screen:
            await screen.press("5", "enter")
            gone = Chains(2, [chain(1), chain(2), chain(3)], done=True)
            await screen.say(gone, Tick(NOW + SECOND))
            assert "asyncio.Lock: nobody waits for it or holds it any more." in screen.page
            await screen.press("down", "enter", "escape")
            assert screen.listing.KEYS_OF == "resources"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("label", "title"),
    [
        ("→ waiting on", " asyncio.Lock  lock"),
        ("→ held by", " worker  task 3"),
        ("→ awaited by", " main  task 1"),
        ("→ holds", " asyncio.Lock  lock"),
        ("→ last waker", " main  task 1"),
        ("→ spawned by", " main  task 1"),
    ],
)
def test_a_task_leads_to_all_it_has_to_do_with_and_back(label: str, title: str) -> None:
    async def run() -> None:
        async with console(*sick(), size=(80, 24)) as screen:
            await screen.press("j", "enter")
            assert first(screen).startswith(" fetch  task 2")
            await go_to(screen, label)
            assert first(screen).startswith(title)
            await screen.press("escape")
            assert first(screen).startswith(" fetch  task 2")
            assert cursor(screen).startswith(label), "one comes back to where one left"

    asyncio.run(run())


def test_a_task_that_awaits_many_leads_to_those_that_hold_it_up() -> None:
    async def run() -> None:
        ids = range(1, 31)
        parts: list[Message] = [hello(), texts(), kinds(), spawned(ids), names(ids, [f"t{id}" for id in ids])]
        idle = polled(ids, since=ids, busy=[100 - id for id in ids])
        answer = Chains(1, [chain(1, gather(29), awaits=range(2, 31), any_of=True)], done=True)
        async with console(*parts, idle, Tick(NOW), answer, Tick(NOW)) as screen:
            await screen.press("enter")
            page = screen.page
            assert "→ one of      t2 " in page
            assert "t11" in page
            assert "t12" not in page
            assert "and 19 more" in page

    asyncio.run(run())


def test_of_a_warnings_tasks_those_that_live_come_first_and_few_that_have_ended() -> None:
    async def run() -> None:
        gone = ended(ids := range(4, 24), at=[NOW - id * SECOND for id in ids])
        stalls = Stalls([stall(number, task) for number, task in enumerate(range(3, 30), 1)])
        async with console(*three(), spawned(ids), gone, stalls, Tick(NOW)) as screen:
            await screen.say(after_ns=SECOND)
            await screen.press("6", "enter")
            _, tasks = screen.page.split("Tasks: 27")
            lines = tasks.split("\n\n")[0].split("\n")[1:]
            assert lines[0].startswith("→             worker")
            assert [line.split("ended ")[1] for line in lines[1:3]] == ["5.00s ago", "6.00s ago"]
            assert len(lines) == 12
            assert lines[-1].strip() == "and 16 more that have ended"

    asyncio.run(run())


def test_warnings_about_one_loop_are_told_apart_and_go_on_when_another_task_is_the_worst() -> None:
    async def run() -> None:
        both = Stalls([stall(1, 0, line=44), stall(2, 0, line=55), stall(3, 3, line=66)])
        async with console(*three(), both, Tick(NOW)) as screen:
            await screen.say(after_ns=SECOND)
            await screen.press("6")
            assert len([row for row in screen.rows if "blocking-callback" in row]) == 2
            await screen.press("/", *"66", "enter", "enter")
            assert "by task worker" in screen.page
            longer = Stalls([stall(4, 2, line=66, duration=900 * MS)])
            await screen.say(longer, Tick(NOW + SECOND), after_ns=2 * SECOND)
            assert "for 900ms by task" in screen.page
            assert "It is no longer so." not in screen.page

    asyncio.run(run())


def test_a_line_that_two_kinds_share_is_found_by_both() -> None:
    async def run() -> None:
        shared = Stalls([stall(1, 1), replace(stall(2, 0), kind=0, name="on_timer"), stall(3, 1)])
        async with console(*three(), shared, Tick(NOW), size=(160, 48)) as screen:
            await screen.press("3")
            (row,) = screen.rows
            assert "app.handler +1" in row
            await screen.press("/", *"kind:on_timer", "enter")
            assert screen.rows == [row]

    asyncio.run(run())


def test_a_warning_leads_to_its_subject_and_its_tasks() -> None:
    async def run() -> None:
        async with console(*sick()) as screen:
            await screen.say(after_ns=SECOND)
            await screen.press("6")
            assert "deadlock-two-locks" in screen.rows[0]
            await screen.press("enter")
            assert "Deadlock: fetch waits in handler() at app/web.py:44" in " ".join(screen.page.split())
            assert "  where       /srv/app/web.py:44" in screen.page
            assert "  in          handler" in screen.page
            await go_to(screen, "→ task        fetch")
            assert first(screen).startswith(" fetch  task 2")
            await screen.press("escape")
            await go_to(screen, "→             worker")
            assert first(screen).startswith(" worker  task 3")
            await screen.press("escape")
            gone = Chains(2, [chain(1), chain(2), chain(3)], done=True)
            await screen.say(gone, Tick(NOW + SECOND), after_ns=9 * SECOND)
            assert "It is no longer so." in screen.page
            await screen.press("escape")
            assert "No warnings" in "\n".join(screen.rows)

    asyncio.run(run())


def test_a_warning_about_a_kind_leads_to_the_tasks_of_the_kind() -> None:
    async def run() -> None:
        ids = range(1, 12)
        parts: list[Message] = [hello(), texts(), kinds(), spawned(ids), polled(ids, since=NOW - SECOND)]
        convoy = Chains(1, [chain(1, holds=[5]), *(chain(id, lock(5)) for id in ids[1:])], done=True)
        fresh = polled([1], since=NOW)
        async with console(*parts, fresh, Tick(NOW), convoy, Tick(NOW)) as screen:
            await screen.say(after_ns=SECOND)
            await screen.press("6", "enter")
            await go_to(screen, "→ kind        app.handler")
            assert screen.listing.KEYS_OF == "tasks"
            assert "filter kind:K1 " in screen.line("status")

    asyncio.run(run())


def test_a_warning_about_what_was_never_a_task_leads_to_no_tasks() -> None:
    async def run() -> None:
        caller = ("main", "/srv/app/main.py", 5)
        forgotten = Incident(1, "coroutine-never-awaited", 0, 0, 1, "save", NOW, 1, "", [caller])
        async with console(*three(), Incidents([forgotten]), Tick(NOW)) as screen:
            await screen.say(after_ns=SECOND)
            await screen.press("6", "enter")
            assert "  kind        save" in screen.page
            assert "→ kind" not in screen.page

    asyncio.run(run())


def test_lines_that_lead_to_the_same_place_are_lines_of_their_own() -> None:
    async def run() -> None:
        async with console(*sick()) as screen:
            await screen.press("enter")
            seen = []
            for _ in range(30):
                await screen.press("down")
                if cursor(screen) not in seen:
                    seen.append(cursor(screen))
            assert isinstance(screen.app.screen, Page)
            lines = screen.app.screen.page
            assert seen == [lines.text.splitlines()[stop] for stop in lines._stops]
            assert sum("fetch" in line for line in seen) == 2, "awaited, and the last waker"

    asyncio.run(run())


def test_the_cursor_stays_on_its_line_while_others_come_and_go() -> None:
    lines = Lines(lambda: None)  # type: ignore[arg-type, return-value]
    lines.lines, lines._stops = [], []
    one, two = TextLine(goal=1), TextLine(goal=2)
    lines.show([one, two, one])
    lines._chosen = (1, 1)
    assert lines.cursor == 2
    lines.show([TextLine(), one, two, two, one])
    assert lines.cursor == 4
    lines.show([TextLine(), one])
    assert (lines.cursor, lines.goal) == (1, 1)
    lines.show([two])
    assert lines.cursor is None
    assert lines.goal is None


def test_texts_of_resources() -> None:
    assert named("lock", "asyncio.Lock") == "asyncio.Lock"
    assert named("executor", "reports of 2 threads") == "executor reports of 2 threads"
    assert named("task group", "TaskGroup of 3") == "TaskGroup of 3"
    assert named("timer", "") == "timer"
    assert attributes_text({"size": 3, "maxsize": 10}) == "size=3 maxsize=10"


def test_hostile_names_do_no_harm() -> None:
    async def run() -> None:
        evil = "\x1b[2J[/red]\u202e" + "x" * 500
        waiting = Waiting(evil, -(2**63), evil, holder=2**62, attributes={evil: 2**62})
        chains = [
            Chain(1, [(evil, evil, -1)], waiting, holds=[Holding(evil, 2**63 - 1, evil, 99)]),
            Chain(2, [], None, awaits=[-(2**63), 2**63 - 1, 2, 2**40 + 2]),
        ]
        async with console(*three(), Chains(1, chains, done=True), Tick(NOW)) as screen:
            for key in ("4", "5"):
                await screen.press(key, "asterisk")
                for _ in range(len(screen.rows)):
                    await screen.press("enter", "down", "down", "escape", "down")
                assert "\x1b" not in "".join(screen.rows)

    asyncio.run(run())
