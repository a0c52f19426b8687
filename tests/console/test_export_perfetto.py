"""The trace for Perfetto: polls, wakes, stalls and incidents, each once, and no name that could break it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asynctop_console.export import perfetto
from asynctop_console.source import TargetError
from asynctop_console.source.recording import Recording
from asynctop_protocol.messages import Incident, Incidents, Message, Reset, Stalls, Tick, WakerSource

from .program import HOSTILE, MS, SECOND, hello, history, loops, named, spawned, stall
from .screens import NOW, three
from .test_recording import write

Event = dict[str, Any]

INCIDENT = Incident(1, "coroutine-never-awaited", 0, 0, 0, "f", NOW, 2, "", [("g", "/srv/app/web.py", 9)])
OURS, THEIRS = stall(1, ongoing=True, started=NOW), stall(2, task=0, started=NOW)
POLLS: list[list[Message]] = [
    three(),
    [
        # 2 is woken by 1 in 1's second poll, at its very end; 1 wakes itself.
        history(2, [(NOW + 9_000, NOW + 12_000, NOW + 15_000)], WakerSource.TASK, waker=1, name=0),
        history(1, [(NOW, NOW + 1_000, NOW + 4_001), (NOW + 2_000, NOW + 5_000, NOW + 9_000)], name=5),
        loops(busy=113 * MS + SECOND // 4, lag=3 * MS),
        Tick(NOW + SECOND),
    ],
    [Stalls([OURS, THEIRS]), Incidents([INCIDENT]), Tick(NOW + 2 * SECOND)],
    [
        Stalls([replace(OURS, duration_ns=900 * MS, ongoing=False)]),
        Incidents([INCIDENT]),
        Tick(NOW + 3 * SECOND),
    ],
    [Stalls([stall(3, ongoing=True, line=45, started=NOW)]), Tick(NOW + 4 * SECOND)],
]


def trace(path: Path) -> tuple[list[Event], Event, str]:
    """The events, what is said about the whole, and the note."""
    out = io.StringIO()
    note = perfetto.export(Recording(path), out)
    found = json.loads(out.getvalue())
    return found["traceEvents"], found["otherData"], note


def of(events: list[Event], **members: object) -> Iterator[Event]:
    return (event for event in events if members.items() <= event.items())


def labels(events: list[Event]) -> dict[tuple[str, int, int], str]:
    """What processes and threads are called."""
    return {
        (event["name"], event["pid"], event["tid"]): event["args"]["name"] for event in of(events, ph="M")
    }


def test_polls_are_slices_on_the_tracks_of_their_tasks(tmp_path: Path) -> None:
    events, about, note = trace(write(tmp_path / "a.rec", POLLS))
    assert note == ""
    assert about == {"program": "app.py --port 80", "python": "3.13.0", "runtime": "asyncio"}
    kind = 1_000_000_001
    assert labels(events) == {
        ("process_name", 7, 0): "app.py --port 80",
        ("process_name", kind, 0): "app.handler (app/main.py:12)",
        ("thread_name", kind, 1): "main",
        ("thread_name", kind, 2): "fetch",
        ("thread_name", 7, 1): "loop 1 MainThread",
        ("thread_name", 7, 1_000_000_000): "in no loop",
    }
    now = NOW // 1000
    assert [
        (event["name"], event["tid"], round(event["ts"] - now, 3), event["dur"], event.get("args"))
        for category in ("poll", "scheduled")
        for event in of(events, ph="X", cat=category)
    ] == [
        ("app.handler", 1, 1, 3.001, None),
        ("app.handler", 1, 5, 4, None),
        ("app.handler", 2, 12, 3, None),
        ("scheduled", 1, 0, 1, {"woken by": "timer on_timer"}),
        # Woken while it ran, it began to wait when it no longer did.
        ("scheduled", 1, 4.001, 0.999, {"woken by": "timer on_timer"}),
        ("scheduled", 2, 9, 3, {"woken by": "task main"}),
    ]


def test_an_arrow_leads_from_the_poll_that_woke_to_the_one_it_led_to(tmp_path: Path) -> None:
    events, _, _ = trace(write(tmp_path / "a.rec", POLLS))
    arrows = [*of(events, ph="s"), *of(events, ph="f")]
    now = NOW // 1000
    assert [(each["tid"], each["id"], round(each["ts"] - now, 3)) for each in arrows] == [
        (1, 1, 8.999),
        (2, 1, 12),
    ]


def test_no_arrow_leads_from_a_poll_that_is_not_there(tmp_path: Path) -> None:
    woken = history(2, [(NOW, NOW + 10, NOW + 20)], WakerSource.TASK, waker=3)
    later = history(3, [(NOW, NOW + 30, NOW + 40)])
    events, _, _ = trace(write(tmp_path / "a.rec", [three(), [woken, later, Tick(NOW + SECOND)]]))
    assert len(list(of(events, cat="poll"))) == 2
    assert list(of(events, cat="wake")) == []


def test_tasks_that_came_while_the_recorder_connected_anew_have_their_names(tmp_path: Path) -> None:
    state = [*three(NOW + SECOND)[1:-1], spawned([4]), named([4], ["new"])]
    polled = history(4, [(NOW, NOW + 1_000, NOW + 2_000)])
    anew: list[Message] = [hello(), Reset(), *state, polled, Tick(NOW + SECOND)]
    events, _, _ = trace(write(tmp_path / "a.rec", POLLS[:2], [anew]))
    assert labels(events)["thread_name", 1_000_000_001, 4] == "new"


def test_stalls_and_incidents_are_told_once(tmp_path: Path) -> None:
    # A console that connects anew is told of all anew.
    again = [hello(), Reset(), *three(NOW + 5 * SECOND)[1:-1], Stalls([THEIRS])]
    path = write(tmp_path / "a.rec", POLLS, [[*again, Incidents([INCIDENT]), Tick(NOW + 5 * SECOND)]])
    events, _, _ = trace(path)
    assert [
        (event["name"], event["dur"], event["args"]["task"], event["args"]["ongoing"])
        for event in of(events, cat="stall")
    ] == [
        ("blocking in load() at app/web.py:44", 500_000, "", False),
        ("blocking in load() at app/web.py:44", 900_000, "main", False),
        ("blocking in load() at app/web.py:45", 500_000, "main", True),
    ]
    (incident,) = of(events, cat="incident")
    assert (incident["ph"], incident["ts"], incident["args"]["count"]) == ("i", NOW / 1000, 2)
    assert incident["args"]["stack"] == ["g() at /srv/app/web.py:9"]


def test_what_was_over_before_the_recording_began_is_not_in_it(tmp_path: Path) -> None:
    """A program tells new consoles of its last stalls and incidents, which may be hours ago."""
    early = [
        stall(1, started=NOW - SECOND, duration=999 * MS),
        stall(2, started=NOW - SECOND, duration=SECOND),
    ]
    incident = replace(INCIDENT, at_ns=NOW - 1)
    told = [*three()[:-1], Stalls(early), Incidents([incident]), Tick(NOW)]
    events, _, _ = trace(write(tmp_path / "a.rec", [told]))
    assert [event["dur"] for event in of(events, cat="stall")] == [1_000_000]
    assert list(of(events, cat="incident")) == []


def test_curves_of_each_loop(tmp_path: Path) -> None:
    events, _, _ = trace(write(tmp_path / "a.rec", POLLS))
    curves = [(event["name"], event["args"]) for event in of(events, ph="C", ts=(NOW + SECOND) / 1000)]
    assert curves == [("loop 1 busy", {"%": 25.0}), ("loop 1 lag", {"ms": 3.0})]


def test_a_recording_without_polls_says_so(tmp_path: Path) -> None:
    _, _, note = trace(write(tmp_path / "a.rec", [three()]))
    assert note == perfetto.NO_POLLS
    _, _, note = trace(write(tmp_path / "b.rec", [[hello(), Tick(NOW)]]))
    assert note == perfetto.NO_POLLS


def test_a_recording_that_was_cut_off_gives_what_is_left(tmp_path: Path) -> None:
    path = write(tmp_path / "a.rec", POLLS)
    path.write_bytes(path.read_bytes()[:-5])
    events, _, _ = trace(path)
    assert len(list(of(events, cat="poll"))) == 3
    assert [event["args"]["ongoing"] for event in of(events, cat="stall")] == [False, False]


def test_a_recording_cut_off_in_its_first_batch_holds_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.rec", [three()])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(TargetError, match="holds nothing yet"):
        trace(path)


def test_a_damaged_recording_is_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.rec", POLLS)
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(TargetError, match="is damaged"):
        trace(path)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names(tmp_path: Path, name: str) -> None:
    batch: list[Message] = [
        spawned([9]),
        named([9], [name]),
        history(9, [(0, NOW, NOW + 1)]),
        Tick(NOW + SECOND),
    ]
    events, _, _ = trace(write(tmp_path / "a.rec", [three(), batch]))
    (label,) = (label for (_, _, tid), label in labels(events).items() if tid == 9)
    assert label.isprintable()
    assert len(label) <= 200


def test_tracks_of_tasks_long_gone_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perfetto, "_SPARE_TRACKS", 2)
    unknown: list[Message] = [history(100 + each, [(0, NOW + each, NOW + each + 1)]) for each in range(20)]
    again: list[Message] = [history(100, [(0, NOW + SECOND, NOW + SECOND + 1)]), Tick(NOW + SECOND)]
    events, _, _ = trace(write(tmp_path / "a.rec", [three(), [*unknown, *again]]))
    assert len(list(of(events, cat="poll"))) == 21
    named = [event["args"]["name"] for event in of(events, name="thread_name", tid=100)]
    assert named == ["task 100", "task 100"]
