"""The snapshot's keys, which scripts rely on, and the values of a model with everything in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asynctop_console.model import Model
from asynctop_console.report import report
from asynctop_console.snapshot import snapshot
from asynctop_protocol.messages import (
    Cause,
    Chain,
    Chains,
    Histograms,
    LoopState,
    Outcome,
    Stalls,
    State,
    Tick,
    Waiting,
    WakerSource,
)

from .program import MS, SECOND, ended, hello, kinds, loops, named, polled, spawned, stall, texts, totals
from .screens import three, two_kinds

# As promised in the documentation of the snapshot.
KEYS = {
    "target": "pid argv python runtime core protocol_version started_at",
    "observed": "from until",
    "loops": "id thread runtime tasks busy_ns polls callbacks max_lag_ns busy_ratio state",
    "tasks": "id name kind state outcome exception loop parent spawned_at created_ns ended_ns polls busy_ns "
    "scheduled_ns idle_ns max_poll_ns current_poll_ns poll_p50_ns poll_p99_ns scheduled_p50_ns "
    "scheduled_p99_ns wakes self_wakes last_waker await_chain waiting_on awaits holds cancelling "
    "cancelled lints",
    "kinds": "kind defined_at spawned_at spawned live returned raised cancelled destroyed polls busy_ns "
    "scheduled_ns max_poll_ns poll_p50_ns poll_p99_ns",
    "stalls": "task name kind loop started_ns duration_ns ongoing cause samples stack",
    "resources": "",
    "incidents": "",
    "cancellations": "",
    "lints": "lint severity subject message place",
    "dropped": "",
}
NESTED = {
    ("tasks", "last_waker"): "source task name",
    ("tasks", "await_chain"): "function file line",
    ("tasks", "waiting_on"): "type id description holder",
    ("stalls", "stack"): "function file line",
    ("lints", "subject"): "type id name",
}


def full_model() -> Model:
    model = Model()
    for message in (
        hello(),
        texts(),
        kinds(),
        spawned([1, 2, 3], parent=[0, 1, 1], created=[100, 200, 300]),
        named([1, 2, 3], ["main", "worker", "failed"]),
        Tick(SECOND),
        polled(
            [1, 2],
            state=[State.POLLING, State.IDLE],
            since=[2 * SECOND, SECOND],
            polls=[4, 5],
            busy=[300, 400],
            scheduled=[30, 40],
            max_poll=[200, 300],
            wakes=[5, 6],
            self_wakes=[1, 0],
            waker_source=[WakerSource.TIMER, WakerSource.TASK],
            waker_task=[0, 1],
            waker_name=[5, 0],
        ),
        ended([3], Outcome.RAISED, at=900, exception=4),
        totals(spawned=3, returned=0, max_poll=200, histogram=[*[0] * 15, 9]),
        loops(polls=9, busy=700, lag=80, state=LoopState.RUNNING, since=2 * SECOND, current="main"),
        Stalls([stall(task=2)]),
        Chains(
            1, [Chain(2, [("handler", "/srv/app/web.py", 41)], Waiting("lock", 5, "a lock", 1))], done=True
        ),
        Tick(3 * SECOND),
    ):
        model.fold(message)
    return model


def rows(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_all_keys_are_there() -> None:
    found = snapshot(full_model())
    for section, keys in KEYS.items():
        assert section in found
        for row in rows(found[section]):
            assert set(keys.split()) <= row.keys()
    for (section, key), keys in NESTED.items():
        filled = [nested for row in found[section] for nested in rows(row[key]) if nested is not None]
        assert filled, f"the model has no {section}.{key}"
        assert all(set(keys.split()) <= nested.keys() for nested in filled)


def test_all_keys_are_there_when_nothing_is_known() -> None:
    found = snapshot(Model())
    assert KEYS.keys() <= found.keys()
    assert set(found["target"]) == set(KEYS["target"].split())
    assert found["tasks"] == found["loops"] == found["kinds"] == []


def test_it_is_json() -> None:
    found = snapshot(full_model())
    assert json.loads(json.dumps(found)) == found


def test_target_and_observation() -> None:
    found = snapshot(full_model())
    assert found["target"] == {
        "pid": 7,
        "argv": ["app.py", "--port", "80"],
        "python": "3.13.0",
        "runtime": "asyncio",
        "core": "c",
        "protocol_version": "1.0",
        "started_at": 1_700_000_000 * SECOND,
    }
    assert found["observed"] == {"from": SECOND, "until": 3 * SECOND}


def test_a_task_that_is_polled() -> None:
    assert snapshot(full_model())["tasks"][0] == {
        "id": 1,
        "name": "main",
        "kind": "app.handler",
        "state": "polling",
        "outcome": None,
        "exception": None,
        "loop": 1,
        "parent": None,
        "spawned_at": "/srv/app/main.py:12",
        "created_ns": 100,
        "ended_ns": None,
        "polls": 4,
        "busy_ns": SECOND + 300,
        "scheduled_ns": 30,
        "idle_ns": 2 * SECOND - 100 - 300 - 30,
        "max_poll_ns": SECOND,
        "current_poll_ns": SECOND,
        "poll_p50_ns": None,
        "poll_p99_ns": None,
        "scheduled_p50_ns": None,
        "scheduled_p99_ns": None,
        "wakes": 5,
        "self_wakes": 1,
        "last_waker": {"source": "timer", "task": None, "name": "on_timer"},
        "await_chain": [],
        "awaits": [],
        "holds": [],
        "cancelling": None,
        "cancelled": None,
        "waiting_on": None,
        "lints": [],
    }


def test_quantiles_of_a_watched_task() -> None:
    model = full_model()
    model.fold(Histograms([2], [100], [[0] * 10 + [99, 0, 0, 0, 1]], [[0] * 12 + [1, 1]]))
    _, worker, _ = snapshot(model)["tasks"]
    assert (worker["poll_p50_ns"], worker["poll_p99_ns"]) == (26, 26)
    assert (worker["scheduled_p50_ns"], worker["scheduled_p99_ns"]) == (53, 76)


def test_a_task_that_waits_and_one_that_failed() -> None:
    _, waiting, failed = snapshot(full_model())["tasks"]
    assert waiting["last_waker"] == {"source": "task", "task": 1, "name": "main"}
    assert waiting["await_chain"] == [{"function": "handler", "file": "/srv/app/web.py", "line": 41}]
    assert waiting["waiting_on"] == {"type": "lock", "id": 5, "description": "a lock", "holder": 1}
    assert waiting["lints"] == ["long-poll-blocking-call"]
    assert waiting["current_poll_ns"] is None
    assert (failed["state"], failed["outcome"], failed["exception"]) == ("done", "raised", "ValueError: no")
    assert (failed["ended_ns"], failed["idle_ns"], failed["parent"]) == (900, 600, 1)


def test_kinds_loops_stalls_and_lints() -> None:
    found = snapshot(full_model())
    (kind,) = found["kinds"]
    assert (kind["kind"], kind["spawned"], kind["live"]) == ("app.handler", 3, 3)
    assert kind["defined_at"] == "/srv/app/web.py:40"
    assert (kind["poll_p50_ns"], kind["poll_p99_ns"]) == (152, 152)
    assert (kind["busy_ns"], kind["max_poll_ns"]) == (SECOND, SECOND), "that of the poll that is running"
    (loop,) = found["loops"]
    assert (loop["tasks"], loop["state"], loop["busy_ns"]) == (2, "running", SECOND + 700)
    assert (found["stalls"][0]["cause"], found["stalls"][0]["kind"]) == ("blocking", "app.handler")
    (lint,) = found["lints"]
    assert (lint["lint"], lint["severity"]) == ("long-poll-blocking-call", "error")
    assert lint["subject"] == {"type": "task", "id": 2, "name": "worker"}
    assert found["dropped"] == {}


@pytest.mark.parametrize(("at", "ratio"), [(SECOND, None), (2 * SECOND, 0.25)])
def test_a_loop_has_a_busy_ratio_once_time_has_passed(at: int, ratio: float | None) -> None:
    model = Model()
    for message in (loops(), Tick(SECOND), loops(busy=250 * MS), Tick(at)):
        model.fold(message)
    assert snapshot(model)["loops"][0]["busy_ratio"] == ratio


def test_a_callbacks_stall_has_no_task() -> None:
    model = full_model()
    model.fold(Stalls([type(stall())(2, 0, 0, "on_data", 1, 5, 6, False, Cause.GC, 0, [])]))
    found = snapshot(model)["stalls"][1]
    assert (found["task"], found["kind"], found["name"], found["cause"]) == (None, None, "on_data", "gc")


def test_the_report_says_the_same_to_a_person() -> None:
    lines = report(full_model()).splitlines()
    assert lines[0] == "pid 7  app.py --port 80"
    assert lines[1] == "Python 3.13.0, asyncio, c core, observed for 2.00s"
    assert lines[2] == "2 live tasks: 1 polling, 0 scheduled, 1 idle"
    assert next(line for line in lines if line.startswith("app.handler")).endswith("app/main.py:12")
    assert "   500ms  blocking  worker  load() at app/web.py:44" in lines
    assert lines[-1].startswith(
        "error: The event loop was blocked in api.get() for 500ms by task worker in load() at app/web.py:44"
    )


def test_a_kind_that_blocks_is_the_busiest_of_the_report() -> None:
    model = Model()
    for message in (*three(), *two_kinds()):
        model.fold(message)
    lines = report(model).splitlines()
    first = lines.index(next(line for line in lines if line.startswith("KIND"))) + 1
    assert lines[first].split() == ["app.loader", "1", "1", "13.0s", "-", "13.0s", "app/main.py:14"]
    assert lines[first + 1].split()[:4] == ["app.handler", "3", "3", "113ms"]
