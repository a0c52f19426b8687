"""The stall watcher: look by look, on a core that says what it is told to; then each cause in real time."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from _thread import get_ident
from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from asynctop import stalls
from asynctop.causes import Collections, Evidence
from asynctop.core import Core
from asynctop.core.contract import Look, Running
from asynctop.queues import Queues, Turns, waits
from asynctop.stacks import Sight
from asynctop.stalls import StallWatcher
from asynctop_protocol import Cause, Connection, Hello, Part, Role, Stall, Stalls

MS = 1_000_000
STACK = [("handler", "app.py", 3)]


class FakeCore:
    """Loops that do what a test says."""

    def __init__(self) -> None:
        self.now: list[Running] = []
        self.ended: list[Running] = []
        self.place = (1, 2)
        self.sight = Sight(tuple(STACK), "", "handler", True)
        self.busy_ns: int | None = 25 * MS
        """How much processor time every thread used between two looks."""
        self.kept_ns = self.waited_ns = 0
        """For how long others had the processors between two looks: the watcher's, and each thread's."""
        self.turns = 1000
        """The watcher's, between two looks: it asked for the interpreter's lock all the time."""
        self._last_ns = 0

    def at(self, now_ms: int, late_ms: int = 0) -> Look:
        """The watcher's turn."""
        previous, self._last_ns = self._last_ns, now_ms * MS
        return Look(now_ms * MS, late_ms * MS, previous, {77: self.busy_ns})

    def running(self) -> list[Running]:
        return self.now

    def long_polls(self) -> list[Running]:
        ended, self.ended = self.ended, []
        return ended


def poll(since_ms: int, took_ms: int = 0, *, loop: int = 1, task: int = 5) -> Running:
    return Running(loop, task, 2 if task else 0, "job", since_ms * MS, 77, took_ms * MS)


def unexpected(error: BaseException) -> None:
    raise error


@pytest.fixture
def fake() -> FakeCore:
    return FakeCore()


@pytest.fixture
def watcher(fake: Any, monkeypatch: pytest.MonkeyPatch) -> StallWatcher:
    monkeypatch.setattr(stalls, "poll_stack", lambda core, running: (fake.sight, fake.place))
    monkeypatch.setattr(
        Queues,
        "turns",
        lambda *_: {77: Turns(fake.waited_ns, 9), get_ident(): Turns(fake.kept_ns, fake.turns)},
    )
    return StallWatcher(fake, 50 * MS, lambda: None, unexpected)


def told(watcher: StallWatcher, version: int = 0) -> list[Stall]:
    """What a console learns."""
    connection = Connection(Role.CONSOLE)
    connection.receive(Connection(Role.RUNTIME).send(Hello(Role.RUNTIME)))
    messages = connection.receive(watcher.since(version)[1])
    return [stall for message in messages if isinstance(message, Stalls) for stall in message.stalls]


def news(watcher: StallWatcher, version: int = 0) -> list[tuple[int, int, bool, int]]:
    """(id, duration in ms, ongoing, samples)."""
    return [(each.id, each.duration_ns // MS, each.ongoing, each.samples) for each in told(watcher, version)]


def test_begin_go_on_end(fake: FakeCore, watcher: StallWatcher) -> None:
    fake.now = [poll(0)]
    seen = []
    for now in (10, 30, 60, 110):
        watcher.look(fake.at(now))
        seen.append(news(watcher))
    fake.now, fake.ended = [], [poll(0, 120)]
    watcher.look(fake.at(130))
    seen.append(news(watcher))
    assert seen == [[], [], [(1, 60, True, 2)], [(1, 110, True, 3)], [(1, 120, False, 3)]]
    (stall,) = told(watcher)
    assert (stall.task, stall.kind, stall.name, stall.loop, stall.stack) == (5, 2, "job", 1, STACK)


def test_only_what_is_news_to_a_console(fake: FakeCore, watcher: StallWatcher) -> None:
    fake.ended = [poll(0, 60), poll(70, 80, task=0)]
    watcher.look(fake.at(200))
    version, _ = watcher.since(0)
    both = told(watcher)
    assert [(each.id, each.task, each.samples) for each in both] == [(1, 5, 0), (2, 0, 0)]
    assert watcher.since(version) == (version, b"")
    fake.ended = [poll(210, 60)]
    watcher.look(fake.at(300))
    assert news(watcher, version) == [(3, 60, False, 0)]


def test_a_new_poll_is_a_new_stall(fake: FakeCore, watcher: StallWatcher) -> None:
    fake.now = [poll(0), poll(0, loop=2)]
    watcher.look(fake.at(60))
    fake.ended = [poll(0, 61)]
    fake.now = [poll(62), poll(0, loop=2)]
    watcher.look(fake.at(130))
    assert sorted(news(watcher)) == [(1, 61, False, 1), (2, 130, True, 2), (3, 68, True, 1)]


def test_short_polls_are_none(fake: FakeCore, watcher: StallWatcher) -> None:
    for now in range(0, 500, 25):
        fake.now = [poll(now - 5)]
        watcher.look(fake.at(now))
    assert watcher.since(0) == (0, b"")


def test_ended_stalls_are_bounded(fake: FakeCore, watcher: StallWatcher) -> None:
    fake.ended = [poll(100 * number, 60) for number in range(1, 1001)]
    watcher.look(fake.at(200_000))
    assert [each.id for each in told(watcher)] == list(range(745, 1001))


@pytest.mark.parametrize(
    ("busy_ns", "late_ms", "cause"),
    [
        (0, 0, Cause.BLOCKING),
        (25 * MS, 5, Cause.CPU),
        (25 * MS, 0, Cause.BLOCKING),
        (200 * MS, 200, Cause.GIL),
    ],
)
def test_causes(
    fake: FakeCore,
    watcher: StallWatcher,
    busy_ns: int,
    late_ms: int,
    cause: Cause,
) -> None:
    fake.busy_ns = busy_ns
    fake.now = [poll(0)]
    for now in (0, 25, 50, 75):
        watcher.look(fake.at(now + 300, late_ms))
    (stall,) = told(watcher)
    assert stall.cause == cause


def test_code_that_moves_on_computes_however_promptly_others_run(
    fake: FakeCore, watcher: StallWatcher
) -> None:
    fake.now = [poll(0)]
    for instruction in range(4):
        fake.place = (1, instruction)
        watcher.look(fake.at((instruction + 2) * 30))
    (stall,) = told(watcher)
    assert stall.cause == Cause.CPU


def test_what_was_called_and_which_poll_it_was(fake: FakeCore, watcher: StallWatcher) -> None:
    fake.now = [poll(0)._replace(poll=1)]
    inner = (*STACK, ("load", "app.py", 9))
    sights = [Sight(inner, "time.sleep", "handler", True), Sight(tuple(STACK), "", "handler", True)]
    for now, sight in zip((30, 60, 110, 180), (0, 0, 1, 0), strict=True):
        fake.sight = sights[sight]
        watcher.look(fake.at(now))
    fake.now, fake.ended = [], [poll(0, 200)._replace(poll=1, last=True)]
    watcher.look(fake.at(205))
    (stall,) = told(watcher)
    assert (stall.callee, stall.coroutine, stall.poll, stall.last) == ("time.sleep", "handler", 1, True)
    assert stall.parts == [Part(3, "time.sleep", 2, []), Part(1, "", 1, [])]


def test_stacks_kept_of_a_poll_are_bounded(fake: FakeCore, watcher: StallWatcher) -> None:
    fake.now = [poll(0)]
    often = fake.sight
    for second in range(1, 300):
        fake.sight = often if second % 2 else Sight((("f", "app.py", second),), "", "", True)
        watcher.look(fake.at(second * 2000))
    (stall,) = told(watcher)
    assert (stall.samples, len(stall.parts)) == (299, 8)
    assert (stall.parts[0].samples, stall.stack) == (150, STACK)
    assert len(watcher._watched[1].sights) <= stalls.MOST_SIGHTS


def test_who_was_kept_off_the_processors_has_not_blocked(fake: FakeCore, watcher: StallWatcher) -> None:
    fake.now, fake.busy_ns, fake.waited_ns = [poll(0)], 0, 25 * MS
    for now in (25, 50, 75):
        watcher.look(fake.at(now))
    (stall,) = told(watcher)
    assert (stall.duration_ns, stall.cause) == (75 * MS, Cause.UNKNOWN)


def test_a_watcher_kept_off_the_processors_does_not_suspect_the_lock(
    fake: FakeCore, watcher: StallWatcher
) -> None:
    fake.now, fake.busy_ns, fake.kept_ns, fake.turns = [poll(0)], 100 * MS, 95 * MS, 2
    for now in (100, 200, 300):
        watcher.look(fake.at(now, late_ms=100))
    (stall,) = told(watcher)
    assert stall.cause == Cause.CPU


@pytest.mark.parametrize(("late_ms", "cause"), [(6, Cause.UNKNOWN), (0, Cause.BLOCKING)])
def test_who_had_a_processor_for_less_than_the_threshold_has_not_computed(
    fake: FakeCore, watcher: StallWatcher, late_ms: int, cause: Cause
) -> None:
    fake.now, fake.busy_ns = [poll(0)], 8 * MS
    for now in (25, 50, 75, 100):
        fake.place = (1, now)
        watcher.look(fake.at(now, late_ms))
    (stall,) = told(watcher)
    assert stall.cause == cause


def test_c_code_that_had_no_processor_has_not_held_the_lock_for_long(
    fake: FakeCore, watcher: StallWatcher
) -> None:
    fake.now, fake.busy_ns = [poll(0)], 40 * MS
    watcher.look(fake.at(300, late_ms=280))
    (stall,) = told(watcher)
    assert stall.cause == Cause.UNKNOWN


@pytest.mark.parametrize(
    ("turns", "busy_ms", "cause"),
    [(3, 30, Cause.UNKNOWN), (1000, 30, Cause.UNKNOWN), (3, 200, Cause.UNKNOWN), (1000, 200, Cause.GIL)],
)
def test_a_program_that_was_stopped_meanwhile_has_not_held_the_lock(
    fake: FakeCore, watcher: StallWatcher, turns: int, busy_ms: int, cause: Cause
) -> None:
    fake.now, fake.busy_ns, fake.turns = [poll(0)], 30 * MS, 6
    for now in (30, 60, 90):
        watcher.look(fake.at(now, late_ms=5))
    fake.busy_ns, fake.turns = busy_ms * MS, turns
    watcher.look(fake.at(290, late_ms=200))
    (stall,) = told(watcher)
    assert (stall.duration_ns, stall.cause) == (290 * MS, cause)


def test_what_was_before_the_processors_queue_was_read_tells_nothing(
    fake: FakeCore, watcher: StallWatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.now, fake.busy_ns = [poll(0)], 0
    monkeypatch.setattr(Queues, "turns", lambda *_: {})
    for now in (25, 50, 75):
        watcher.look(fake.at(now))
    (stall,) = told(watcher)
    assert stall.cause == Cause.UNKNOWN


def test_a_lock_that_another_thread_holds_is_not_this_polls_fault(
    fake: FakeCore, watcher: StallWatcher
) -> None:
    fake.now, fake.busy_ns, fake.waited_ns = [poll(0)], 1 * MS, 30 * MS
    watcher.look(fake.at(300, late_ms=280))
    (stall,) = told(watcher)
    assert stall.cause == Cause.UNKNOWN


def test_turns_are_known_only_between_two_looks_that_ask_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    queues, me = Queues(), get_ident()
    turns = {me: Turns(100, 1), 1: Turns(100, 1)}
    monkeypatch.setattr("asynctop.queues._turns", lambda thread: turns[thread])
    assert queues.turns({1}, 0) == {}
    turns = {me: Turns(170, 4), 1: Turns(150, 90)}
    assert queues.turns({1}, 0) == {me: (70, 3), 1: (50, 89)}
    assert queues.turns({1}, time.monotonic_ns()) == {}
    assert queues.turns(set(), 0) == {}
    assert queues.turns({1}, 0) == {}


def test_who_asks_for_the_lock_has_a_turn_each_switch_interval() -> None:
    assert Turns(60 * MS, 20).asked_ns == 160 * MS, "it had to wait for its turns, too"
    assert Turns(0, 0).asked_ns == inf, "the system does not tell"
    assert (Turns(60 * MS, 20).kept_ns, Turns(60 * MS, 2).kept_ns) == (0, 60 * MS)


def test_a_thread_that_computes_without_the_lock_does_not_wait() -> None:
    begin, over = threading.Event(), threading.Event()

    def work() -> None:
        begin.wait()
        while not over.is_set():
            hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert thread.ident is not None
        while waits(thread.ident) is False:
            pass  # it starts
        begin.set()
        while waits(thread.ident):
            pass
    finally:
        begin.set()
        over.set()
        thread.join()
    assert waits(thread.ident) is None


def test_who_is_ready_to_run_does_not_block() -> None:
    for waiting, cause in ((True, Cause.BLOCKING), (None, Cause.BLOCKING), (False, Cause.UNKNOWN)):
        evidence = Evidence()
        evidence.sample((1, 2), calls=True, waits=waiting)
        evidence.look(0, 0, 0, 0)
        evidence.came(0)
        evidence.had(0)
        evidence.measure(100, 0, 0)
        assert evidence.cause(100, 0, threshold_ns=20) == cause


def test_a_collection_says_its_generation() -> None:
    collections = Collections()
    collections._notice("start", {"generation": 2})
    collections._starts[0], collections._ends[0], collections._generations[0] = 100, 200, 1
    assert collections.within(150, 100) == (50, 0, 1)
    assert collections.within(300, 100) == (0, 0, 0)
    now = time.monotonic_ns()
    spent, _, generation = collections.within(now - MS, 3600 * 10**9)
    assert (spent > 0, generation) == (True, 2)


def test_collecting_garbage_comes_before_all_else() -> None:
    evidence = Evidence()
    assert evidence.cause(100, 0) == Cause.UNKNOWN
    assert evidence.cause(100, 51) == Cause.GC
    assert evidence.cause(100, 51, 41, 20) == Cause.GC
    assert evidence.cause(100, 51, 40, 20) == Cause.UNKNOWN


@pytest.mark.parametrize("cause", [Cause.BLOCKING, Cause.CPU, Cause.GIL])
def test_in_real_time(hooked: Core, cause: Cause) -> None:
    over = threading.Event()
    ongoing: list[Stall] = []
    watcher = StallWatcher(hooked, 50 * MS, lambda: None, unexpected)

    def block() -> None:
        over.wait()

    def compute() -> None:
        while not over.is_set():
            sum(range(1000))

    def hold() -> None:
        while not over.is_set():
            sum(range(10_000_000))  # one call into C, which never lets go of the lock

    work: dict[Cause, Callable[[], None]] = {Cause.BLOCKING: block, Cause.CPU: compute, Cause.GIL: hold}

    async def main() -> None:
        work[cause]()

    def watch() -> None:
        while not over.wait(0.1):
            for stall in told(watcher):
                # While others have the processors, nothing can be said.
                if stall.cause is not Cause.UNKNOWN and (stall.samples >= 3 or not stall.ongoing):
                    ongoing.append(stall)
                    over.set()

    helper = threading.Thread(target=watch)
    watcher.start()
    helper.start()
    try:
        asyncio.run(main())
        helper.join()
    finally:
        over.set()
        watcher.stop()
    assert ongoing[0].cause == cause


def test_what_has_ended_is_known_once_it_has_settled(hooked: Core) -> None:
    watcher = StallWatcher(hooked, 50 * MS, lambda: None, unexpected)

    async def main() -> None:
        time.sleep(0.06)  # noqa: ASYNC251 - that is what it is for

    watcher.start()
    try:
        asyncio.run(main())
        watcher.settle(20)
        (stall,) = told(watcher)
    finally:
        watcher.stop()
    assert not stall.ongoing
    asyncio.run(main())
    watcher.settle(20)  # nobody looks any more
    assert len(told(watcher)) == 1
