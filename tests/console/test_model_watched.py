"""Watched tasks in the model: their polls, what woke them, and their times."""

from __future__ import annotations

import pytest

from asynctop_console.model import Model, Poll, Waker, limits
from asynctop_protocol.messages import Histograms, Tick, WakerSource

from .program import SECOND, hello, history, polled, spawned

TIMER = Waker(WakerSource.TIMER, 0, 5)


def test_polls_come_newest_first_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HISTORY", 3)
    model = Model()
    model.fold(history(7, [(10, 20, 50), (60, 61, 61)]))
    model.fold(history(7, [(70, 90, 95), (96, 97, 98)]))
    watched = model.watched.get(7)
    assert watched is not None
    assert watched.polls == 3
    assert watched.since_ns == 61
    assert watched.last(2) == [Poll(96, TIMER, 97, 98), Poll(70, TIMER, 90, 95)]
    assert [(poll.waited_ns, poll.ran_ns) for poll in watched.last(9)] == [(1, 1), (20, 5), (1, 0)]
    assert watched.last(0) == []


def test_wakers_are_counted_the_most_frequent_first() -> None:
    model = Model()
    task, io = Waker(WakerSource.TASK, 3, 0), Waker(WakerSource.IO, 0, 2)
    rows = [task, TIMER, task, io, task, TIMER]
    sources, tasks, names = zip(*rows, strict=True)
    model.fold(history(7, [(at, at, at) for at in range(6)], sources, tasks, names))
    watched = model.watched.get(7)
    assert watched is not None
    assert watched.wakers() == [(task, 3), (TIMER, 2), (io, 1)]


def test_where_a_poll_yielded_is_kept_where_it_is_told() -> None:
    model = Model()
    model.fold(history(7, [(1, 2, 3)]))
    model.fold(history(7, [(4, 5, 6), (7, 8, 9)], yielded=((2, 0), (41, 0))))
    watched = model.watched.get(7)
    assert watched is not None
    assert [poll.yielded for poll in watched.last(3)] == [(0, 0), (2, 41), (0, 0)]


def test_a_message_may_hold_several_tasks() -> None:
    model = Model()
    both = history(1, [(1, 2, 3), (4, 5, 6)])
    both.task[1] = 2  # type: ignore[index]
    model.fold(both)
    assert [watched.polls for task in (1, 2) if (watched := model.watched.get(task))] == [1, 1]


def test_only_so_many_tasks_are_kept_and_those_left_are_forgotten() -> None:
    model = Model()
    for task in range(1, limits.WATCHED + 3):
        model.fold(history(task, [(1, 2, 3)]))
    assert [model.watched.get(task) is None for task in (1, 2, 3)] == [True, True, False]
    model.watched.keep([3])
    assert model.watched.get(3) is not None
    assert model.watched.get(4) is None


def test_times_are_never_above_the_longest() -> None:
    model = Model()
    for message in (hello(), spawned([1]), polled([1], max_poll=1000), Tick(SECOND)):
        model.fold(message)
    counts = [0] * 20 + [1]
    model.fold(Histograms([1], [700], [counts], [counts]))
    watched = model.watched.get(1)
    assert watched is not None
    assert (watched.ran.quantile_ns(0.5), watched.waited.quantile_ns(0.5)) == (861, 700)
    model.fold(hello(pid=8))
    assert model.watched.get(1) is None


def test_the_axis_has_the_longest_of_each_part() -> None:
    model = Model()
    now = 1000
    model.fold(
        history(7, [(0, 100, 110), (895, 900, 920), (921, 925, 927), (970, 990, 990), (998, 999, 1005)])
    )
    watched = model.watched.get(7)
    assert watched is not None
    ran, waited = watched.longest(now, 200, 4)
    # Parts of 50, the last of which begins now: from 850, 900, 950, 1000 on.
    assert ran.tolist() == [0, 20, 6, 6]
    assert waited.tolist() == [5, 4, 20, 0]
    assert [each.tolist() for each in watched.longest(1049, 100, 1)] == [[6], [0]]


def test_polls_are_found_by_when_they_ended() -> None:
    model = Model()
    model.fold(history(7, [(at - 5, at - 3, at) for at in (10, 20, 30, 40)]))
    watched = model.watched.get(7)
    assert watched is not None
    assert [watched.since(ns) for ns in (0, 10, 11, 40, 41)] == [4, 4, 3, 1, 0]
    assert [poll.ended_ns for poll in watched.last(2, before=1)] == [30, 20]
    assert [poll.ended_ns for poll in watched.last(2, before=3)] == [10]
    assert watched.last(2, before=9) == []
