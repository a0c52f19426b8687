"""Which lint a stall belongs to, what it says of it, and what a stall's samples come to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asynctop_console.lints import Finding, check_all
from asynctop_console.model import Model
from asynctop_console.model.stalls import clean_stall, lines, share, tree
from asynctop_protocol.messages import Cause, Kinds, Part, Stall, Stalls, Texts, Tick

from .program import SECOND, kinds, named, spawned, stall, texts, totals

LIB = "/usr/lib/python3.13/"
HANDLER = ("handler", "/srv/app/web.py", 40)
LOAD = ("load", "/srv/app/store.py", 7)
GETADDRINFO = ("getaddrinfo", LIB + "socket.py", 962)
LOG = ("Logger.info", LIB + "logging/__init__.py", 1489)
EMIT = ("Slow.emit", "/srv/app/logs.py", 3)
GET = ("Queue.get", LIB + "queue.py", 171)
WAIT = ("Condition.wait", LIB + "threading.py", 327)
EVENT = ("Event.wait", LIB + "threading.py", 629)
FRAMEWORK = ("start", "/venv/lib/python3.13/site-packages/aiohttp/web_protocol.py", 5)


def stalled(
    *stack: tuple[str, str, int], callee: str = "", cause: Cause = Cause.BLOCKING, **others: object
) -> Stall:
    return replace(stall(cause=cause), stack=list(stack), callee=callee, coroutine="handler", **others)  # type: ignore[arg-type]


def found(*stalls: Stall) -> list[Finding]:
    model = Model()
    for message in (texts(), kinds(), spawned([1]), named([1], ["worker"]), Tick(1), Stalls(list(stalls))):
        model.fold(message)
    model.fold(Tick(2 * SECOND))
    return check_all(model)


@pytest.mark.parametrize(
    ("seen", "lint", "line"),
    [
        (stalled(HANDLER, callee="time.sleep"), "long-poll-blocking-call", "web.py:40"),
        (stalled(HANDLER, LOAD, callee="time.sleep"), "long-poll-blocking-call", "store.py:7"),
        (stalled(HANDLER, GETADDRINFO, callee="socket.getaddrinfo"), "synchronous-dns", "web.py:40"),
        (stalled(HANDLER, callee="socket.gethostbyname"), "synchronous-dns", "web.py:40"),
        (stalled(HANDLER, callee="socket.socket.connect"), "long-poll-blocking-call", "web.py:40"),
        (stalled(HANDLER, LOG, EMIT, callee="time.sleep"), "blocking-logging-handler", "web.py:40"),
        (stalled(HANDLER, EMIT, callee="time.sleep"), "long-poll-blocking-call", "logs.py:3"),
        (stalled(HANDLER, LOAD, callee="_thread.lock.__enter__"), "blocking-lock", "store.py:7"),
        (stalled(HANDLER, callee="_thread.RLock.acquire"), "blocking-lock", "web.py:40"),
        (stalled(HANDLER, GET, WAIT, callee="_thread.lock.acquire"), "blocking-lock", "web.py:40"),
        (stalled(HANDLER, callee="queue.SimpleQueue.get"), "blocking-lock", "web.py:40"),
        (
            stalled(HANDLER, EVENT, WAIT, callee="_thread.lock.acquire"),
            "long-poll-blocking-call",
            "web.py:40",
        ),
        (stalled(LOAD, callee="sqlite3.connect().execute"), "synchronous-file-or-sqlite-io", "store.py:7"),
        (stalled(LOAD, callee="io.FileIO.read"), "synchronous-file-or-sqlite-io", "store.py:7"),
        (stalled(LOAD, callee="open"), "synchronous-file-or-sqlite-io", "store.py:7"),
        (stalled(LOAD, callee="os.fsync"), "synchronous-file-or-sqlite-io", "store.py:7"),
        (stalled(LOAD, callee="os.read"), "long-poll-blocking-call", "store.py:7"),
        (stalled(LOAD, callee="open_shop"), "long-poll-blocking-call", "store.py:7"),
        (stalled(LOAD, callee="sqlite3.connect", cause=Cause.GIL), "long-poll-gil-held-in-c", "store.py:7"),
        (stalled(LOAD, callee="gc.collect(2)", cause=Cause.GC), "gc-pause", "store.py:7"),
        (stalled(LOAD, callee="len", cause=Cause.CPU), "long-poll-cpu", "store.py:7"),
        (stalled(LOAD, callee="time.sleep", task=0), "blocking-callback", "store.py:7"),
        (
            stalled(LOAD, cause=Cause.CPU, poll=1, last=True),
            "slow-first-poll-never-yields",
            "store.py:7",
        ),
        (stalled(LOAD, cause=Cause.CPU, poll=1), "long-poll-cpu", "store.py:7"),
        (
            stalled(LOAD, cause=Cause.CPU, poll=1, ongoing=True, duration_ns=1000 * 1_000_000),
            "slow-first-poll-never-yields",
            "store.py:7",
        ),
        (
            stalled(LOAD, cause=Cause.CPU, poll=1, ongoing=True, duration_ns=999 * 1_000_000),
            "long-poll-cpu",
            "store.py:7",
        ),
        (stalled(LOAD, cause=Cause.CPU, poll=2, last=True), "long-poll-cpu", "store.py:7"),
        (stalled(LOAD, poll=1, last=True), "long-poll-blocking-call", "store.py:7"),
    ],
)
def test_each_stall_is_one_finding_of_the_rule_that_knows_most(seen: Stall, lint: str, line: str) -> None:
    (finding,) = found(seen)
    assert finding.lint == lint
    assert f"app/{line}" in finding.message
    assert finding.place is not None
    assert f"{finding.place[1].rpartition('/')[2]}:{finding.place[2]}" == line


IMPORT = ("_find_and_load", "<frozen importlib._bootstrap>", 1176)
SPAWN = ("create_subprocess_exec", LIB + "asyncio/subprocess.py", 218)
START = ("Thread.start", LIB + "threading.py", 969)
WRITE = ("_SelectorSocketTransport.write", LIB + "asyncio/selector_events.py", 1072)
STARTED = ("Condition.wait", LIB + "threading.py", 327)
MS = 1_000_000


@pytest.mark.parametrize(
    "seen",
    [
        stalled(HANDLER, IMPORT, LOAD, callee="os.stat"),
        stalled(HANDLER, IMPORT, cause=Cause.CPU),
        stalled(HANDLER, SPAWN, callee="_posixsubprocess.fork_exec"),
        stalled(HANDLER, WRITE, callee="socket.socket.send"),
        stalled(HANDLER, callee="uvloop.loop.UVStream.write"),
        stalled(HANDLER, START, STARTED, callee="_thread.lock.acquire"),
        stalled(HANDLER, callee="time.sleep", ongoing=True, duration_ns=99 * MS),
        stalled(HANDLER, callee="time.sleep", cause=Cause.UNKNOWN),
    ],
)
def test_where_there_is_nothing_to_mend_nothing_is_said(seen: Stall) -> None:
    assert found(seen) == []


def test_a_stall_that_nobody_saw_is_counted_with_those_of_its_kind_that_were_seen() -> None:
    unseen = stalled(id=1, samples=0, duration_ns=900 * MS, cause=Cause.GIL)
    (finding,) = found(unseen, *(stalled(HANDLER, id=number, cause=Cause.GIL) for number in (2, 3)))
    assert "for 900ms by task worker in handler() at app/web.py:40, 3 times" in finding.message


def test_a_stall_that_nobody_saw_is_most_likely_where_most_were_seen() -> None:
    seen = [stalled(LOAD, id=2), *(stalled(HANDLER, id=number) for number in (3, 4))]
    first, second = found(stalled(id=1, samples=0), *seen)
    assert ("times" in first.message, "3 times" in second.message) == (False, True)


SET_UP = stalled(HANDLER, cause=Cause.CPU, poll=1, started_ns=SECOND, duration_ns=SECOND // 2)


@pytest.mark.parametrize(
    ("seen", "other", "kind", "told"),
    [
        (SET_UP, SECOND + 1, 1, False),
        (replace(SET_UP, poll=2), SECOND + 1, 1, True),
        (replace(SET_UP, duration_ns=2 * SECOND), SECOND + 1, 1, True),
        (SET_UP, SECOND - 1, 1, True),
        (SET_UP, SECOND - 1, 2, False),
    ],
    ids=[
        "over before anybody looked",
        "not the first poll",
        "seen to end",
        "another task was there",
        "a framework's task was there",
    ],
)
def test_what_a_loop_does_first_of_all_keeps_nobody_waiting(
    seen: Stall, other: int, kind: int, told: bool
) -> None:
    model = Model()
    framework = Texts(6, ["Loop.run", FRAMEWORK[1]]), Kinds(2, [6], [7], [5], [0], [0])
    tasks = spawned([1], created=1), spawned([2], kind=kind, created=other)
    for message in (texts(), kinds(), *framework, *tasks, Stalls([seen]), Tick(2 * SECOND)):
        model.fold(message)
    assert bool(check_all(model)) is told


def test_collections_while_a_program_loads_are_no_pauses() -> None:
    collects = replace(SET_UP, cause=Cause.GC, callee="gc.collect(2)", duration_ns=SECOND)
    assert found(collects) == []
    (finding,) = found(replace(collects, poll=2))
    assert finding.lint == "gc-pause"


def test_a_stall_that_goes_on_is_told_once_it_is_long() -> None:
    (finding,) = found(stalled(HANDLER, callee="time.sleep", ongoing=True, duration_ns=100 * MS))
    assert finding.lint == "long-poll-blocking-call"


def test_what_most_samples_saw_decides() -> None:
    parts = [Part(3, "time.sleep", 1, []), Part(4, "os.fsync", 0, [HANDLER, LOAD])]
    (finding,) = found(stalled(HANDLER, callee="time.sleep", parts=parts))
    assert (finding.lint, finding.place) == ("synchronous-file-or-sqlite-io", LOAD)


def test_a_computation_is_one_finding_whatever_line_was_seen() -> None:
    elsewhere = ("load", "/srv/app/store.py", 9)
    seen = [stalled(line, cause=Cause.CPU, id=at) for at, line in enumerate((LOAD, elsewhere, elsewhere), 1)]
    (finding,) = found(*seen)
    assert finding.message == (
        "The event loop was kept busy for 500ms by task worker in load() at app/store.py:9, "
        "3 times, 1.50s in all, last 500ms ago. Move the work to a process, or pause in it."
    )


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (
            stalled(HANDLER, LOAD, callee="_thread.lock.__enter__"),
            "The event loop waited for another thread to release a threading.Lock for 500ms by task worker "
            "in load() at app/store.py:7, called by handler() at app/web.py:40. ",
        ),
        (
            stalled(HANDLER, GET, WAIT, callee="_thread.lock.acquire"),
            " waited for another thread in queue.Queue.get() ",
        ),
        (
            stalled(LOAD, callee="gc.collect(2)", cause=Cause.GC),
            " by a garbage collection of generation 2 for ",
        ),
        (stalled(LOAD, callee="re.Pattern.match", cause=Cause.GIL), " lock, in re.Pattern.match() for "),
    ],
)
def test_a_finding_says_what_was_waited_for(seen: Stall, sentence: str) -> None:
    (finding,) = found(seen)
    assert sentence in finding.message


@pytest.mark.parametrize(("pauses", "lints"), [(3, []), (4, ["gc-pause"])])
def test_a_few_short_collections_are_no_finding(pauses: int, lints: list[str]) -> None:
    short = {"callee": "gc.collect(2)", "cause": Cause.GC, "duration_ns": 110 * MS}
    seen = [stalled(LOAD, id=number, **short) for number in range(pauses)]  # type: ignore[arg-type]
    assert [finding.lint for finding in found(*seen)] == lints


@pytest.mark.parametrize(
    ("name", "shown"), [("Task-7", "handler"), ("aiohttp.start", "handler"), ("worker", "worker")]
)
def test_a_frameworks_task_is_called_by_the_users_function(name: str, shown: str) -> None:
    model = Model()
    model.fold(Texts(1, [FRAMEWORK[1], FRAMEWORK[0]]))
    model.fold(Kinds(1, [2], [1], [5], [0], [0]))
    model.fold(Stalls([stalled(FRAMEWORK, HANDLER, callee="time.sleep", name=name)]))
    model.fold(Tick(SECOND))
    (finding,) = check_all(model)
    assert finding.subject_name == shown


def test_a_callback_is_called_by_the_users_method() -> None:
    reads = ("_SelectorSocketTransport._read_ready", LIB + "asyncio/selector_events.py", 952)
    received = ("Echo.data_received", "/srv/app/echo.py", 5)
    (finding,) = found(stalled(reads, received, callee="time.sleep", task=0, name=reads[0]))
    assert (finding.subject_type, finding.subject_name) == ("loop", "Echo.data_received")


def test_parts_share_frames_with_the_stack() -> None:
    parts = [Part(3, "time.sleep", 2, []), Part(1, "", 1, [EMIT]), Part(1, "", 99, [EMIT])]
    seen = clean_stall(stalled(HANDLER, LOAD, callee="time.sleep", parts=parts))
    assert [part.rest for part in seen.parts] == [[HANDLER, LOAD], [HANDLER, EMIT], [EMIT]]
    assert share(seen, lambda part: part.callee == "time.sleep") == 0.6
    assert lines([seen]).most_common(1) == [((LOAD, "time.sleep"), 3)]


def test_a_tree_goes_deeper_only_where_stacks_part() -> None:
    parts = [Part(1, "", 2, [EMIT]), Part(3, "time.sleep", 2, []), Part(4, "", 1, [EMIT])]
    seen = clean_stall(stalled(HANDLER, LOAD, parts=parts))
    assert [(depth, branch.frame, branch.callee, branch.samples) for depth, branch in tree(seen)] == [
        (0, HANDLER, "", 8),
        (1, LOAD, "", 4),
        (2, None, "time.sleep", 3),
        (2, EMIT, "", 1),
        (1, EMIT, "", 4),
    ]


def test_a_stall_whose_cause_is_unknown_is_nobodys() -> None:
    assert found(stalled(LOAD, callee="time.sleep", cause=Cause.UNKNOWN)) == []


@pytest.mark.parametrize(
    ("polls", "lint"), [(3, "slow-first-poll-never-yields"), (4, "long-poll-cpu"), (0, "long-poll-cpu")]
)
def test_a_first_poll_that_goes_on_is_judged_by_those_before(polls: int, lint: str) -> None:
    model = Model()
    ended = polls and 3
    first = replace(totals(spawned=ended + 1, returned=ended), polls=[polls])
    going_on = stalled(LOAD, cause=Cause.CPU, poll=1, ongoing=True)
    for message in (texts(), kinds(), first, Stalls([going_on]), Tick(SECOND)):
        model.fold(message)
    assert [finding.lint for finding in check_all(model)] == [lint]
