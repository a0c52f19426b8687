"""The trail: every moment that it keeps is what was shown then, and the console goes back to it."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from asynctop_console import trail as trail_module
from asynctop_console.lints import RULES
from asynctop_console.model import Model
from asynctop_console.model.past import EarlierPast, OfLoop
from asynctop_console.snapshot import snapshot
from asynctop_console.trail import Trail
from asynctop_console.views import hold as hold_module
from asynctop_protocol import Connection, Role
from asynctop_protocol.codec import encode
from asynctop_protocol.limits import MAX_FRAME_BYTES
from asynctop_protocol.messages import Chains, Message, Reset, Tick

from .program import MS, SECOND, chain, ended, hello, history, lock, loops, named, polled, spawned
from .screens import NOW, Frozen, Screen, blocking, console, settled, three


def lasting(seconds: int) -> Iterator[list[Message]]:
    """What a program says second by second: tasks that come and go, stalls, chains, polls of one task."""
    yield three()
    for second in range(1, seconds):
        now = NOW + second * SECOND
        batch: list[Message] = [
            spawned([3 + second], created=now),
            named([3 + second], [f"task {second}"]),
            polled([1, 2], polls=[5, 300 + second], busy=second * MS),
            loops(polls=375 + second, busy=(113 + second) * MS),
            history(1, [(now - 3 * MS, now - 2 * MS, now - MS)]),
            Chains(second, [chain(2, lock(7)), chain(1, holds=[7])], done=True),
        ]
        if second > 4:
            batch.append(ended([second - 1], at=now))
        if second == 6:  # a reconnect
            batch = [hello(), Reset(), *three()[1:-1], *batch]
        yield [*batch, *(blocking(now) if second % 5 == 0 else [Tick(now)])]


def told(model: Model) -> str:
    watched = model.watched.get(1)
    polls = watched.last(99) if watched else None
    return json.dumps([snapshot(model, RULES), polls, sorted(model.chains), model.ticks])


async def follow(trail: Trail, batches: Iterator[list[Message]]) -> tuple[Model, dict[int, str]]:
    """A console's model after these batches, and what it told after each."""
    sender, receiver, model, shown = Connection(Role.RUNTIME), Connection(Role.CONSOLE), Model(), {}
    for batch in batches:
        for each in batch:
            if each == hello():
                sender, receiver = Connection(Role.RUNTIME), Connection(Role.CONSOLE)
            for message, payload in receiver.receive_payloads(sender.send(each)):
                model.fold(message)
                if trail.add(message, payload, model):
                    await trail.keep(model)
        shown[model.now_ns] = told(model)
    return model, shown


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sections of four ticks."""
    monkeypatch.setattr(trail_module, "_SECTION_TICKS", 4)


@pytest.mark.usefixtures("_short")
def test_every_moment_is_what_was_shown_then() -> None:
    trail = Trail()
    model, shown = asyncio.run(follow(trail, lasting(20)))
    before = told(model)
    assert len(set(shown.values())) == 20
    for at_ns, expected in shown.items():
        assert told(trail.at(at_ns, model.past)) == expected
        assert told(trail.at(at_ns + SECOND - 1, model.past)) == expected
    assert told(trail.at(0, model.past)) == shown[trail.from_ns] == shown[NOW]
    assert told(model) == before
    assert [trail.next_ns(at_ns) for at_ns in shown] == [*list(shown)[1:], model.now_ns]


@pytest.mark.usefixtures("_short")
def test_an_earlier_moment_knows_the_past_up_to_then_and_adds_nothing() -> None:
    trail = Trail()
    model, _ = asyncio.run(follow(trail, lasting(20)))
    second = NOW // SECOND

    def polls(model: Model) -> list[float]:
        found = model.past.loops.window(1, model.past.second, 1, 12)[OfLoop.POLLS]
        return [round(value, 3) for value in found.tolist()]

    late = polls(model)
    earlier = trail.at((second + 9) * SECOND, model.past)
    assert isinstance(earlier.past, EarlierPast)
    assert earlier.past.second == second + 8
    assert polls(earlier)[-8:] == [1.0] * 8
    assert str(polls(earlier)[0]) == "nan", "nobody looked before that"
    assert polls(model) == late


@pytest.mark.usefixtures("_short")
def test_the_oldest_is_forgotten_first() -> None:
    whole, bounded = Trail(), Trail(most_bytes=20_000)
    model, shown = asyncio.run(follow(whole, lasting(60)))
    asyncio.run(follow(bounded, lasting(60)))
    assert whole.from_ns == NOW
    assert NOW < bounded.from_ns < model.now_ns
    assert told(bounded.at(NOW, model.past)) == shown[bounded.from_ns]
    assert told(bounded.at(model.now_ns, model.past)) == shown[model.now_ns]


def test_another_program_leaves_another_trail() -> None:
    async def run() -> None:
        trail, greeting = Trail(), hello(pid=8)
        model, _ = await follow(trail, lasting(3))
        model.fold(greeting)
        assert not trail.add(greeting, b"", model)
        assert trail.from_ns == 0

    asyncio.run(run())


def test_of_too_many_tasks_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail_module, "MOST_TASKS", 5)
    trail = Trail()
    asyncio.run(follow(trail, lasting(3)))
    assert trail.from_ns == NOW
    asyncio.run(follow(trail, lasting(4)))
    assert trail.from_ns == 0


def test_a_model_that_was_asked_this_and_that_is_kept_without_it() -> None:
    model = Model()
    for batch in lasting(6):
        for message in batch:
            model.fold(message)
    lean = len(pickle.dumps(model))
    assert model.waits.resources
    assert model.waits.cycles() == []
    assert len(pickle.dumps(model)) == lean


class Kept(Frozen):
    """A source of a live program, with what its messages were read from."""

    async def messages(self) -> AsyncGenerator[Message, None]:
        async for message in super().messages():
            [self.payload] = encode(message, MAX_FRAME_BYTES)
            yield message


@asynccontextmanager
async def kept(seconds: int) -> AsyncIterator[Screen]:
    """The console, after so many seconds of the program."""
    batches = lasting(seconds)
    async with console(source=Kept(*next(batches))) as screen:
        for number, batch in enumerate(batches, 1):
            await follows(screen, batch, NOW + number * SECOND)
        yield screen


async def follows(screen: Screen, batch: list[Message], now_ns: int) -> None:
    """The program says this up to that time."""
    screen.clock.ns += SECOND
    await screen.say(*batch)
    await until(screen, now_ns)


async def until(screen: Screen, now_ns: int) -> None:
    """A thread has a hand in it."""
    while screen.app.model.now_ns < now_ns or screen.source.queue.qsize():
        await screen.pilot.pause()
    screen.app.paint()
    await settled(screen.pilot)


def shown(screen: Screen) -> int:
    """Which second is on the screen."""
    return (screen.app.frame().model.now_ns - NOW) // SECOND


def test_back_in_time_and_on_and_back_to_now() -> None:
    async def run() -> None:
        async with kept(20) as screen:
            assert "● live" in screen.line("status")
            assert "task 19" in "".join(screen.rows)
            await screen.press("[")
            assert shown(screen) == 14
            assert "‖ 0:05 ago, space for now" in screen.line("status")
            assert "task 14" in "".join(screen.rows)
            assert "task 15" not in "".join(screen.rows)
            await screen.press(".")
            assert shown(screen) == 15
            assert "loop blocked 500ms by worker" in screen.line("status")
            assert "BLOCKING 500ms" in screen.line("banner")
            await screen.press("{")
            assert shown(screen) == 0
            assert "‖ 0:19 ago (earliest), space for now" in screen.line("status")
            await screen.say(*three(NOW + 30 * SECOND)[4:], after_ns=0)
            await until(screen, NOW + 30 * SECOND)
            assert "‖ 0:30 ago (earliest), space for now" in screen.line("status"), "it goes on beneath"
            await screen.press("]", "]")
            assert shown(screen) == 10
            await screen.press("space")
            assert shown(screen) == 30
            assert "● live" in screen.line("status")
            await screen.press("[", "}")
            assert "● live" in screen.line("status"), "what is later than now is now"

    asyncio.run(run())


async def looks(screen: Screen) -> list[list[str]]:
    """What there is to see on each screen."""
    seen = []
    for key in "1234567":
        await screen.press(key)
        seen.append([screen.line("meters"), screen.line("banner"), *screen.rows])
    return seen


def test_every_screen_shows_the_moment_as_it_was() -> None:
    async def run() -> None:
        async with kept(16) as screen:
            live = await looks(screen)
            for number, batch in enumerate(list(lasting(20))[16:], 16):
                await follows(screen, batch, NOW + number * SECOND)
            later = await looks(screen)
            await screen.press("[", ".")
            assert shown(screen) == 15
            assert await looks(screen) == live
            assert all(now != then for now, then in zip(later, live, strict=True))

    asyncio.run(run())


def test_a_page_says_that_polls_of_an_earlier_moment_are_not_known() -> None:
    async def run() -> None:
        async with kept(4) as screen:
            await screen.press("j", "enter")
            assert "none since this page was opened" in screen.page
            await screen.press("[")
            assert "nobody had this page open by then" in screen.page

    asyncio.run(run())


def test_while_paused_the_next_update_is_a_key_away() -> None:
    async def run() -> None:
        async with kept(4) as screen:
            await screen.press("space")
            await screen.say(*blocking(NOW + 5 * SECOND), Tick(NOW + 6 * SECOND))
            assert "PAUSED 2 updates held" in screen.line("status")
            await screen.press(".")
            assert shown(screen) == 5
            assert "‖ 0:01 ago" in screen.line("status")
            assert screen.app.model.now_ns == NOW + 6 * SECOND
            await screen.press(".", ".")
            assert shown(screen) == 6

    asyncio.run(run())


def test_a_long_pause_goes_on_as_an_earlier_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold_module, "_MOST_WAITING", 3)

    async def run() -> None:
        async with kept(4) as screen:
            await screen.press("space")
            await screen.say(*(Tick(NOW + number * SECOND) for number in range(4, 9)))
            await until(screen, NOW + 8 * SECOND)
            assert "‖ 0:05 ago, space for now" in screen.line("status")
            assert shown(screen) == 3

    asyncio.run(run())


def test_nothing_to_go_back_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold_module, "MOST_TASKS", 2)
    said: list[str] = []

    async def run() -> None:
        async with console(*three()) as screen:
            monkeypatch.setattr(screen.app, "notify", lambda text, **_: said.append(text))
            await screen.press("[", ".")
            assert "● live" in screen.line("status")
        assert said == ["Of more than 2 tasks nothing is kept to go back to: use `asynctop record`"] * 2

    asyncio.run(run())
