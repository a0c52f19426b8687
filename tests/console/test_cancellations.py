"""Cancellations that are swallowed or slow, as one look after another finds them."""

from __future__ import annotations

from asynctop_console.lints import Finding, check_all
from asynctop_console.model import Model, limits
from asynctop_protocol.messages import Chain, Chains, Incident, Incidents, Outcome, State, Tick

from .program import MS, SECOND, ended, kinds, named, polled, spawned, texts

LOCK = ("acquire", "/usr/lib/python3.13/asyncio/locks.py", 9)


def program(*names: str) -> Model:
    model = Model()
    ids = range(1, len(names) + 1)
    parents = [0, *ids][: len(names)]
    for message in (texts(), kinds(), spawned(ids, parent=parents), named(ids, list(names))):
        model.fold(message)
    return model


def look(
    model: Model,
    at_ns: int,
    task: int = 1,
    handled: int = 0,
    *,
    line: int = 44,
    since_ns: int | None = None,
    pending: bool = False,
) -> None:
    """A tick, a look at a cancelled task, and another tick."""
    state = polled([task], State.IDLE, since=at_ns - 1 if since_ns is None else since_ns)
    model.fold(state)
    model.fold(Tick(at_ns))
    frames = [("work", "/srv/app/web.py", line), LOCK]
    chain = Chain(task, frames, cancelling=1, cancellation_pending=pending, handles_cancellation=handled)
    model.fold(Chains(1, [chain], done=True))
    model.fold(Tick(at_ns + 10 * MS))


def found(model: Model) -> list[str]:
    return [finding.lint for finding in check_all(model)]


def only(model: Model) -> Finding:
    (finding,) = check_all(model)
    return finding


def test_who_goes_on_in_look_after_look_has_swallowed_it() -> None:
    model = program("worker")
    for at_ns in range(SECOND, 2 * SECOND, 200 * MS):
        look(model, at_ns)
    finding = only(model)
    assert (finding.lint, finding.subject_id, finding.tasks) == ("cancellation-swallowed", 1, frozenset({1}))
    assert finding.place == ("work", "/srv/app/web.py", 44)
    assert finding.message == (
        "Task worker was cancelled, but caught the CancelledError and goes on in work() at app/web.py:44, "
        "for 800ms now. Catch Exception instead of BaseException, or raise CancelledError again."
    )


def test_who_has_not_moved_since_long_is_seen_in_one_look() -> None:
    model = program("worker")
    look(model, 5 * SECOND, since_ns=3 * SECOND)
    assert "for 2.01s now" in only(model).message
    other = program("worker")
    look(other, 5 * SECOND, since_ns=3 * SECOND, handled=7)
    assert only(other).message.startswith(
        "Task worker was cancelled, and is busy with its cleanup in work() at app/web.py:44, for 2.01s now."
    )


def test_who_has_moved_since_the_look_is_not_known_to_have_been_there_before() -> None:
    model = program("worker")
    model.fold(polled([1], State.IDLE, since=0))
    model.fold(Tick(5 * SECOND))
    model.fold(Chains(1, [Chain(1, [LOCK], cancelling=1, handles_cancellation=7)], done=True))
    model.fold(polled([1], State.IDLE, since=5 * SECOND))
    model.fold(Tick(6 * SECOND))
    assert found(model) == []


def test_one_cleanup_is_slow_and_many_short_ones_are_not() -> None:
    slow, quick = program("worker"), program("worker")
    for number, at_ns in enumerate(range(SECOND, 3 * SECOND, 200 * MS), 1):
        look(slow, at_ns, handled=7)
        look(quick, at_ns, handled=number)
    assert found(slow) == ["cancellation-slow"]
    assert found(quick) == []


def test_looks_far_apart_say_nothing_of_the_time_between() -> None:
    model = program("worker")
    for at_ns in range(SECOND, 9 * SECOND, 2 * SECOND):
        look(model, at_ns)
    assert found(model) == []


def test_what_has_yet_to_land_is_not_swallowed() -> None:
    model = program("worker")
    for at_ns in range(SECOND, 3 * SECOND, 200 * MS):
        look(model, at_ns, since_ns=0, pending=True)
    assert found(model) == []


def test_tasks_at_one_line_are_one_finding_and_remembered_when_they_have_ended() -> None:
    model = program("worker", "other")
    for at_ns in range(SECOND, 2 * SECOND, 200 * MS):
        look(model, at_ns)
        look(model, at_ns + 20 * MS, task=2)
    for task in (1, 2):
        model.fold(polled([task], State.DONE))
        model.fold(ended([task], Outcome.RETURNED))
    model.fold(Tick(3 * SECOND))
    finding = only(model)
    assert finding.tasks == {1, 2}
    assert "and went on in work() at app/web.py:44, for 800ms then, and 1 more like it." in finding.message
    assert model.chains == {}


def test_memory_is_bounded() -> None:
    model = program("worker")
    for number in range(1, limits.CANCELLATIONS + 10):
        look(model, SECOND, handled=number)
    assert len(list(model.cancellations)) == limits.CANCELLATIONS
    assert len(model.cancellations._open) == limits.CANCELLATIONS


def test_state_lost_is_told_of_the_task_that_lives_on() -> None:
    model = program("reader", "Task-2")
    model.fold(polled([2], State.DONE))
    model.fold(ended([2], Outcome.CANCELLED))
    stack = [
        ("read_frame", "/srv/app/web.py", 7),
        ("StreamReader.readexactly", "/usr/lib/python3.13/a.py", 1),
    ]
    model.fold(
        Incidents([Incident(1, "state-lost-on-cancel", 2, 0, 1, "Task-2", SECOND, 3, "header", stack)])
    )
    model.fold(Tick(SECOND))
    finding = only(model)
    assert (finding.subject_id, finding.subject_name, finding.place) == (1, "reader", stack[0])
    assert finding.message == (
        "Task reader was cancelled in read_frame() at app/web.py:7 in the middle of a message, 3 times: what "
        "it had read of it (header) is lost, and the stream was read again as if one began there. Close the "
        "connection then, or keep what was read outside of what is cancelled."
    )
