"""Folding as a whole: any messages in any order, connections, stalls, chains."""

from __future__ import annotations

import json
import pickle
from array import array
from contextlib import suppress
from dataclasses import fields
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asynctop_console.model import Model, limits
from asynctop_console.model.past import EarlierPast
from asynctop_console.report import report
from asynctop_console.snapshot import snapshot
from asynctop_protocol import ProtocolError
from asynctop_protocol.messages import (
    Cancellation,
    Cancellations,
    Cause,
    Chain,
    Chains,
    Hello,
    Incident,
    Incidents,
    Message,
    Part,
    Problem,
    Reset,
    Role,
    Stall,
    Stalls,
    Texts,
    Tick,
    Waiting,
)

from .program import SECOND, ended, hello, kinds, polled, spawned, stall, texts

NUMBERS = st.one_of(st.integers(0, 6), st.integers(-(2**63), 2**63 - 1))
STRINGS = st.text(st.characters(exclude_categories=()), max_size=8)
FRAMES = st.lists(st.tuples(STRINGS, STRINGS, NUMBERS), max_size=3)


def columns(rows: int) -> st.SearchStrategy[Any]:
    numbers = st.lists(NUMBERS, min_size=rows, max_size=rows)
    return numbers.map(lambda values: memoryview(array("q", values)))


def tables(message: type[Any]) -> st.SearchStrategy[Any]:
    """Messages whose columns and lists have one length."""

    def of(rows: int) -> st.SearchStrategy[Any]:
        strings = st.lists(STRINGS, min_size=rows, max_size=rows)
        histograms = st.lists(st.integers(0, 127).flatmap(columns), min_size=rows, max_size=rows)
        by_type = {
            "bool": st.booleans(),
            "int": NUMBERS,
            "str": STRINGS,
            "list[str]": strings,
            "Column": columns(rows),
            "list[Column]": histograms,
        }
        return st.builds(message, **{each.name: by_type[str(each.type)] for each in fields(message)})

    return st.integers(0, 4).flatmap(of)


STALLS = st.builds(
    Stall,
    *(NUMBERS, NUMBERS, NUMBERS, STRINGS, NUMBERS, NUMBERS, NUMBERS, st.booleans()),
    cause=st.sampled_from(Cause),
    samples=NUMBERS,
    stack=FRAMES,
    callee=STRINGS,
    coroutine=STRINGS,
    poll=NUMBERS,
    parts=st.lists(st.builds(Part, NUMBERS, STRINGS, NUMBERS, FRAMES), max_size=3),
)
INCIDENTS = st.builds(
    Incident,
    *(NUMBERS, STRINGS, NUMBERS, NUMBERS, NUMBERS, STRINGS, NUMBERS, NUMBERS, STRINGS, FRAMES),
)
WAITING = st.none() | st.builds(Waiting, STRINGS, NUMBERS, STRINGS, NUMBERS)
SPECIAL: dict[type[Any], st.SearchStrategy[Any]] = {
    Hello: st.builds(Hello, st.just(Role.RUNTIME), pid=NUMBERS, argv=st.lists(STRINGS, max_size=2)),
    Texts: st.builds(Texts, NUMBERS, st.lists(STRINGS, max_size=3)),
    Stalls: st.builds(Stalls, st.lists(STALLS, max_size=3)),
    Cancellations: st.builds(
        Cancellations,
        st.lists(
            st.builds(
                Cancellation,
                *(NUMBERS, NUMBERS, columns(3), NUMBERS, NUMBERS, NUMBERS, NUMBERS, STRINGS),
                *(FRAMES, FRAMES, FRAMES),
            ),
            max_size=3,
        ),
    ),
    Incidents: st.builds(Incidents, st.lists(INCIDENTS, max_size=3)),
    Chains: st.builds(
        Chains,
        NUMBERS,
        st.lists(
            st.builds(
                Chain, NUMBERS, FRAMES, WAITING, cancelling=NUMBERS, handles_cancellation=st.integers(0, 2)
            ),
            max_size=3,
        ),
        st.booleans(),
    ),
    Tick: st.builds(
        Tick, NUMBERS, st.dictionaries(STRINGS, NUMBERS, max_size=2), st.lists(STRINGS, max_size=2)
    ),
}
MESSAGES = st.one_of([SPECIAL.get(message, tables(message)) for message in get_args(Message)])


@settings(max_examples=300)
@given(st.lists(MESSAGES, max_size=12))
def test_any_messages_in_any_order_are_folded_or_refused(messages: list[Message]) -> None:
    model = Model()
    for message in messages:
        with suppress(ProtocolError):
            model.fold(message)
    ids = model.tasks.id.tolist()
    assert ids == sorted(set(ids))
    report(model)
    told = json.dumps(snapshot(model))
    again: Model = pickle.loads(pickle.dumps(model))
    again.past = EarlierPast(model.past, model.now_ns)
    assert json.dumps(snapshot(again)) == told


def test_ticks_set_the_clock_which_never_goes_back() -> None:
    model = Model()
    for at in (5, 9, 7):
        model.fold(Tick(at, {"events": 3}, ["hook x: \x1b"]))
    assert (model.observed_from_ns, model.now_ns, model.ticks) == (5, 9, 3)
    assert model.dropped == {"events": 3}
    assert model.faults == [r"hook x: \x1b"]


def test_a_reconnect_keeps_what_is_known_and_another_process_begins_afresh() -> None:
    model = Model()
    for message in (hello(pid=7), texts(), kinds(), spawned([1]), Tick(SECOND), Problem("going"), Reset()):
        model.fold(message)
    assert model.problem == "going"
    model.fold(hello(pid=7))
    assert model.tasks.rows == 1
    assert model.problem == ""
    model.fold(Tick(2 * SECOND))
    assert model.tasks.rows == 1, "the reset that was cut off is forgotten"
    model.fold(hello(pid=7, started_at_ns=5))
    assert model.tasks.rows == model.ticks == 0
    assert model.kinds.label(1) == "(unknown)"


def test_a_stall_that_goes_on_is_replaced_in_its_place() -> None:
    model = Model()
    model.fold(Stalls([stall(1, ongoing=True, duration=100), stall(2)]))
    model.fold(Stalls([stall(1, duration=700)]))
    assert [(one.id, one.duration_ns, one.ongoing) for one in model.stalls] == [
        (1, 700, False),
        (2, 500_000_000, False),
    ]


def test_what_stalls_all_the_time_does_not_drive_out_what_stalled_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "STALLS", 4)
    model = Model()
    model.fold(Stalls([stall(1, line=7), *(stall(number, ongoing=True) for number in range(2, 9))]))
    model.fold(Stalls([stall(number) for number in range(8, 12)]))
    assert [(one.id, one.ongoing) for one in model.stalls] == [
        (1, False),
        (9, False),
        (10, False),
        (11, False),
    ]
    model.fold(Stalls([stall(11, line=7), stall(12, line=9), stall(13, line=7)]))
    assert [one.id for one in model.stalls] == [9, 10, 12, 13]


def test_stalls_and_chains_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STALLS", 3)
    monkeypatch.setattr(limits, "CHAINS", 3)
    monkeypatch.setattr(limits, "FRAMES", 2)
    model = Model()
    model.fold(Stalls([stall(number) for number in range(1, 6)]))
    assert [one.id for one in model.stalls] == [3, 4, 5]
    assert [frame[0] for frame in model.stalls[0].stack] == ["load", "get"]
    for task in (1, 2, 3, 1, 4):
        model.fold(Chains(task, [Chain(task, [("f\n", "a.py", 1)])], done=task != 4))
    assert list(model.chains) == [3, 1, 4]
    assert model.chains[4].frames == [("f↵", "a.py", 1)]
    assert model.answered == 3


def test_a_task_may_end_in_the_batch_that_spawned_it() -> None:
    model = Model()
    for message in (spawned([1]), polled([1], polls=1), ended([1]), Tick(1)):
        model.fold(message)
    assert model.tasks.row(1) == 0
