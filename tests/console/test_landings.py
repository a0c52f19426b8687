"""Cancellations that landed, in sentences and on pages; wakers as a chain; incidents one by one."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from asynctop_console.lints import check_all
from asynctop_console.model import Model, limits
from asynctop_console.model.landings import Landings, reason
from asynctop_console.snapshot import snapshot
from asynctop_protocol.messages import (
    Cancellation,
    Cancellations,
    Chain,
    Chains,
    Incident,
    Incidents,
    Message,
    Outcome,
    State,
    Tick,
    WakerSource,
)

from .program import MS, SECOND, ended, polled
from .screens import NOW, console, three
from .test_views_links import first, go_to

STACK = [("fetch", "/srv/app/web.py", 44), ("Event.wait", "/usr/lib/python3.13/asyncio/locks.py", 9)]
MAIN = [("main", "/srv/app/main.py", 31)]
BY_MAIN = Cancellation(1, 1, [2], NOW - 1200 * MS, NOW - 1188 * MS, WakerSource.TASK, 1, "", MAIN, STACK, [])
TIMEOUT = replace(
    BY_MAIN,
    id=5,
    count=7,
    tasks=[3, 2],
    source=WakerSource.TIMER,
    by=0,
    name="Timeout._on_timeout",
    by_stack=[],
    timeout=[("sets", "/srv/app/web.py", 12)],
)
GOES_ON = Chains(1, [Chain(2, [("fetch", "/srv/app/web.py", 46)], cancelling=1)], done=True)


@pytest.mark.parametrize(
    ("landing", "text"),
    [
        (BY_MAIN, "by task main, then at app/main.py:31"),
        (replace(BY_MAIN, by_stack=[]), "by task main"),
        (TIMEOUT, "by the timeout set at app/web.py:12"),
        (replace(TIMEOUT, timeout=[], name="TimerContext.timeout"), "by timer TimerContext.timeout"),
        (
            replace(TIMEOUT, timeout=[], source=WakerSource.CALLBACK, name="TaskGroup._on_task_done"),
            "by its TaskGroup, as another task in it failed",
        ),
        (replace(TIMEOUT, timeout=[], source=WakerSource.IO, name="on_close"), "by I/O on_close"),
        (replace(BY_MAIN, source=WakerSource.UNKNOWN), ""),
    ],
)
def test_who_or_what_requested_it_is_said_in_words(landing: Cancellation, text: str) -> None:
    assert reason(landing, "main") == text


def test_the_sentence_says_who_requested_it() -> None:
    model = Model()
    for message in (*three(), Cancellations([BY_MAIN]), polled([2], State.IDLE, since=NOW - SECOND)):
        model.fold(message)
    for message in (Tick(NOW), GOES_ON, Tick(NOW + 10 * MS)):
        model.fold(message)
    (finding,) = check_all(model)
    assert finding.message.startswith(
        "Task fetch was cancelled by task main, then at app/main.py:31, but caught the CancelledError and "
        "goes on in fetch() at app/web.py:46"
    )
    (told,) = snapshot(model)["cancellations"]
    assert (told["by"]["task"], told["by"]["name"], told["by"]["then_at"]) == (
        1,
        "main",
        "/srv/app/main.py:31",
    )
    cancelled = {task["name"]: task["cancelled"] for task in snapshot(model)["tasks"]}
    assert cancelled["main"] is None
    assert cancelled["fetch"]["landed_at"] == "/srv/app/web.py:44"


def test_of_many_tasks_at_a_place_each_keeps_what_is_its_own() -> None:
    landings = Landings()
    landings.landed([BY_MAIN])
    landings.landed([replace(BY_MAIN, count=3, tasks=[2, 3, 4], landed_ns=NOW)])
    known = {task: landings.of(task) for task in (2, 3, 4, 5)}
    assert known[2] == BY_MAIN
    assert known[3] is not None
    assert (known[3].landed_ns, known[3].by) == (0, 1)
    assert known[4] is not None
    assert known[4].landed_ns == NOW
    assert known[5] is None


def test_what_is_remembered_is_bounded() -> None:
    landings = Landings()
    for number in range(limits.LANDED + 10):
        landings.landed([replace(BY_MAIN, id=number, tasks=[number])])
    assert len(landings.places) == limits.INCIDENTS
    assert [landings.of(number) is None for number in (9, 10)] == [True, False]


def test_the_page_of_a_task_says_who_cancelled_it_and_leads_there() -> None:
    async def run() -> None:
        async with console(*three(), Cancellations([BY_MAIN]), GOES_ON, Tick(NOW)) as screen:
            screen.app.show_task(2)
            await screen.say()
            page = screen.page
            assert "requested   1s ago by task main, then at app/main.py:31" in page
            assert "landed      after 12.0ms, app/web.py:44 in fetch()" in page
            assert "since then  swallowed: it goes on, at app/web.py:46" in page
            await go_to(screen, "→ requested")
            assert first(screen).startswith(" main  task 1")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("news", "said"),
    [
        ([Chains(1, [Chain(2, STACK)], True)], "withdrawn: who requested it has called uncancel()"),
        ([Chains(1, [Chain(2, STACK, cancelling=1, handles_cancellation=3)], True)], "it cleans up, at app/"),
        ([Chains(1, [Chain(2, STACK, cancelling=1, cancellation_pending=True)], True)], "another one is on"),
        ([polled([2], State.DONE), ended([2], Outcome.CANCELLED)], "it ended, as it was told"),
        ([polled([2], State.DONE), ended([2], Outcome.RETURNED)], "it returned all the same"),
        ([], "asking the program ..."),
    ],
)
def test_what_became_of_it_is_said(news: list[Message], said: str) -> None:
    async def run() -> None:
        async with console(*three(), Cancellations([BY_MAIN]), *news, Tick(NOW)) as screen:
            screen.app.show_task(2)
            await screen.say()
            assert f"since then  {said}" in screen.page

    asyncio.run(run())


def test_timeouts_that_fired_are_resources_with_a_page() -> None:
    async def run() -> None:
        async with console(*three(), Cancellations([TIMEOUT]), Tick(NOW), size=(140, 40)) as screen:
            await screen.press("5")
            (row,) = screen.rows
            assert row.split()[:3] == ["timeout", "at", "app/web.py:12,"]
            assert "interrupts fetch() at ap" in row
            assert "fired=7" in row
            await screen.press("down", "enter")
            assert "fired       7 times, the last one 1s ago" in screen.page
            assert "► sets" in screen.page
            await go_to(screen, "→             fetch")
            assert "it fired    7 times while it waited there" in screen.page
            await go_to(screen, "→ it fired")
            assert first(screen).startswith(" at app/web.py:12, interrupts fetch()")

    asyncio.run(run())


def test_a_timeout_that_is_forgotten_says_so() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            screen.app.show_resource(-4)
            await screen.say()
            assert "This timeout is no longer known." in screen.page

    asyncio.run(run())


def test_wakers_are_followed_back() -> None:
    async def run() -> None:
        woken = polled(
            [1, 2, 3],
            waker_source=[WakerSource.TIMER, WakerSource.TASK, WakerSource.TASK],
            waker_task=[0, 1, 2],
            wakes=1,
        )
        async with console(*three(), woken, Tick(NOW), size=(100, 60)) as screen:
            screen.app.show_task(3)
            await screen.say()
            at = screen.page.splitlines().index(
                next(x for x in screen.page.splitlines() if "last waker" in x)
            )
            assert [line.strip() for line in screen.page.splitlines()[at : at + 3]] == [
                "→ last waker  task fetch",
                "→             which was last woken by task main",
                "which was last woken by timer",
            ]
            await go_to(screen, "→             which")
            assert first(screen).startswith(" main  task 1")

    asyncio.run(run())


def test_wakers_in_a_circle_end() -> None:
    async def run() -> None:
        woken = polled([1, 2], waker_source=WakerSource.TASK, waker_task=[2, 1], wakes=1)
        async with console(*three(), woken, Tick(NOW), size=(100, 60)) as screen:
            screen.app.show_task(1)
            await screen.say()
            assert "which was last woken by task main  in a circle" in screen.page

    asyncio.run(run())


def test_incidents_have_their_stacks_on_the_pages_of_what_they_happened_to() -> None:
    async def run() -> None:
        text = "ValueError: no such user"
        type_ = "task-exception-never-retrieved"
        incident = Incident(1, type_, 3, 0, 1, "worker", NOW - 2 * SECOND, 4, text, [*MAIN, STACK[0]])
        news: list[Message] = [
            polled([3], State.DONE),
            ended([3], Outcome.RAISED),
            Incidents([incident]),
            Tick(NOW),
        ]
        async with console(*three(), *news, size=(100, 60)) as screen:
            await screen.press("6", "I")
            assert "Incidents: 1 place, newest first" in first(screen)
            whole = screen.page[screen.page.index(f"  {type_}  4 times, last 2s ago  worker") :]
            assert text in whole
            assert "► fetch" in whole
            assert "/srv/app/main.py:31" in whole
            await go_to(screen, "→ task")
            assert text in screen.page
            await screen.press("escape", "escape")
            await screen.say(after_ns=2 * SECOND)
            await screen.press("down", "enter")
            assert "Incidents: 1" in screen.page
            assert "► fetch" in screen.page

    asyncio.run(run())


def test_where_nothing_was_noticed_the_page_says_so() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("6", "I")
            assert "No incidents" in screen.page

    asyncio.run(run())
