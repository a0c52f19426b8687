"""Lints over incidents: what each says, about whom."""

from __future__ import annotations

from typing import Any

import pytest

from asynctop_console.lints import Finding, check_all
from asynctop_console.model import Model
from asynctop_protocol.messages import Incident, Incidents, Outcome, Stalls, Tick

from .program import SECOND, ended, kinds, loops, named, spawned, stall, texts

LIBRARY = "/usr/lib/python3.13/asyncio/base_events.py"
CALLER = ("handle", "/srv/app/web.py", 44)
SAVE = ("Store.save", "/srv/app/store.py", 7)


def incident(type_: str, **changes: Any) -> Incident:
    fields: dict[str, Any] = {
        "id": 1,
        "task": 0,
        "kind": 0,
        "loop": 1,
        "name": "worker",
        "at_ns": SECOND,
        "count": 1,
        "text": "",
        "stack": [CALLER],
    }
    return Incident(type=type_, **(fields | changes))


def findings(*messages: Any) -> list[Finding]:
    model = Model()
    before = (texts(), kinds(), loops(), spawned([1, 2, 3]), named([1, 2, 3], ["boss", "worker", "worker"]))
    for message in (*before, *messages, Tick(2 * SECOND)):
        model.fold(message)
    return check_all(model)


def about(finding: Finding) -> tuple[str, int, str]:
    return finding.subject_type, finding.subject_id, finding.subject_name


def test_a_coroutine_that_nobody_awaits() -> None:
    forgotten = incident(
        "coroutine-never-awaited", name="Store.save", count=1200, stack=[CALLER, SAVE], loop=0
    )
    (finding,) = findings(Incidents([forgotten]))
    assert (finding.lint, *about(finding)) == ("coroutine-never-awaited", "kind", 0, "Store.save")
    assert finding.message == (
        "Coroutine Store.save(), defined at app/store.py:7, was never awaited, "
        "called in handle() at app/web.py:44, 1,200 times. "
        "Put await before the call, or give its coroutine to asyncio.create_task()."
    )
    assert finding.place == CALLER


def test_a_coroutine_whose_call_is_not_known() -> None:
    forgotten = incident("coroutine-never-awaited", name="app.handler", stack=[SAVE])
    (finding,) = findings(Incidents([forgotten]))
    assert about(finding) == ("kind", 1, "app.handler")
    assert "was never awaited. Put" in finding.message
    assert finding.place == SAVE


def test_an_exception_that_nobody_asked_for_is_that_of_the_last_task_of_that_name() -> None:
    failed = incident("task-exception-never-retrieved", text="ValueError: no", count=2)
    end = ended(
        [1, 2, 3], outcome=[Outcome.RAISED, Outcome.RAISED, Outcome.RETURNED], at=[5, 4, 6], exception=4
    )
    (finding,) = findings(end, Incidents([failed]))
    assert about(finding) == ("task", 2, "worker")
    assert finding.message == (
        "Task worker ended with ValueError: no, and nobody asked for it: "
        "raised in handle() at app/web.py:44, 2 times. Await it, or handle the exception."
    )
    assert (finding.tasks, finding.place) == (frozenset({2}), CALLER)


@pytest.mark.parametrize(("at", "exception"), [(2 * SECOND, 4), (4, 5)], ids=["later", "otherwise"])
def test_a_task_that_failed_later_or_otherwise_is_another_one(at: int, exception: int) -> None:
    failed = incident("task-exception-never-retrieved", text="ValueError: no")
    end = ended([2, 3], outcome=Outcome.RAISED, at=[4, at], exception=[4, exception])
    (finding,) = findings(end, Incidents([failed]))
    assert about(finding) == ("task", 2, "worker")


def test_a_futures_exception_concerns_the_loop() -> None:
    failed = incident("task-exception-never-retrieved", name="Future", text="OSError", stack=[])
    (finding,) = findings(Incidents([failed]))
    assert about(finding) == ("loop", 1, "Future")
    assert (
        finding.message
        == "Future ended with OSError, and nobody asked for it. Await it, or handle the exception."
    )
    assert finding.place is None


@pytest.mark.parametrize("known", [0, 2])
def test_a_task_that_vanished_was_spawned_somewhere(known: int) -> None:
    lost = incident("pending-task-destroyed", task=known)
    (finding,) = findings(ended([2], outcome=Outcome.DESTROYED), Incidents([lost]))
    assert about(finding) == ("task", 2, "worker")
    assert finding.message == (
        "Task worker was destroyed while it was pending, spawned at app/main.py:12, waiting in handle() at "
        "app/web.py:44: nobody held a reference to it. Keep what create_task() returns until it is done."
    )
    assert finding.place == ("", "/srv/app/main.py", 12)


def test_a_task_that_vanished_unseen() -> None:
    (finding,) = findings(Incidents([incident("pending-task-destroyed")]))
    assert about(finding) == ("loop", 1, "worker")
    assert finding.place == CALLER


@pytest.mark.parametrize(("task", "what"), [(0, "callback worker"), (2, "task worker")])
def test_a_call_from_a_foreign_thread(task: int, what: str) -> None:
    stack = [CALLER, ("BaseEventLoop.call_later", LIBRARY, 700)]
    called = incident("call-from-wrong-thread", text="reader", task=task, stack=stack, count=3)
    (finding,) = findings(Incidents([called]))
    assert about(finding) == ("loop", 1, "MainThread")
    assert finding.message == (
        f"Thread reader has scheduled {what} on the event loop of MainThread in handle() at app/web.py:44, "
        "3 times: the loop may not notice, or break. "
        "Use loop.call_soon_threadsafe(), or asyncio.run_coroutine_threadsafe()."
    )
    assert (finding.tasks, finding.place) == (frozenset({task} - {0}), CALLER)


def test_a_loop_that_waits_for_a_loop_is_not_just_blocked() -> None:
    stalls = [stall(1, task=2), stall(2, task=2, line=70)]
    nested = incident("nested-run-in-a-thread", task=2, text="pool_0", stack=stalls[0].stack)
    stalled, found = findings(Stalls(stalls), Incidents([nested]))
    if found.lint != "nested-run-in-a-thread":
        stalled, found = found, stalled
    assert (stalled.lint, stalled.place) == ("long-poll-blocking-call", stalls[1].stack[1])
    assert about(found) == ("task", 2, "worker")
    assert found.message == (
        "Task worker blocked its event loop to wait for another one, in thread pool_0, in load() at "
        "app/web.py:44. Await the coroutine here instead of running it there."
    )
