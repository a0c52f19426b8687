"""Stalls for speedscope: every nanosecond of them, under the stacks that were seen."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asynctop_console.export import speedscope
from asynctop_console.source import TargetError
from asynctop_console.source.recording import Recording
from asynctop_protocol.messages import Message, Part, Reset, Stall, Stalls, Tick

from .program import HOSTILE, MS, SECOND, hello, stall
from .screens import NOW, three
from .test_recording import write

RUN = ("run", "/usr/lib/python3.13/asyncio/runners.py", 118)
LOAD = ("load", "/srv/app/web.py", 44)
SAVE = ("save", "/srv/app/web.py", 50)


def of(number: int, duration: int, *parts: Part, **others: Any) -> Stall:
    return replace(
        stall(number, duration=duration, started=NOW),
        **{"stack": [RUN, LOAD], "parts": list(parts), **others},
    )


def profiles(path: Path) -> tuple[dict[str, Any], str]:
    """The file, and the note."""
    out = io.StringIO()
    note = speedscope.export(Recording(path), out)
    return json.loads(out.getvalue()), note


def stacks(told: dict[str, Any], profile: int = 0) -> list[tuple[list[str], int]]:
    """The functions of each sample, and its weight."""
    frames, found = told["shared"]["frames"], told["profiles"][profile]
    assert sum(found["weights"]) == found["endValue"] - found["startValue"]
    return [
        ([frames[number]["name"] for number in sample], weight)
        for sample, weight in zip(found["samples"], found["weights"], strict=True)
    ]


def test_a_stall_is_shared_among_its_stacks_as_its_samples_were(tmp_path: Path) -> None:
    twofold = of(1, 100, Part(2, "time.sleep", 2, []), Part(1, "", 1, [SAVE]))
    path = write(tmp_path / "a.rec", [three(), [Stalls([twofold]), Tick(NOW + SECOND)]])
    told, note = profiles(path)
    assert note == ""
    assert told["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert stacks(told) == [(["run", "load", "time.sleep"], 66), (["run", "save"], 34)]
    assert told["shared"]["frames"] == [
        {"name": "run", "file": RUN[1], "line": 118},
        {"name": "load", "file": LOAD[1], "line": 44},
        {"name": "time.sleep"},
        {"name": "save", "file": SAVE[1], "line": 50},
    ]
    assert told["profiles"][0]["name"] == "loop 1 MainThread, stalled ×1 for 100ns"


def test_each_stall_counts_once_and_with_all_its_time(tmp_path: Path) -> None:
    first: list[Message] = [Stalls([of(1, 10 * MS, ongoing=True)]), Tick(NOW + SECOND)]
    later: list[Message] = [Stalls([of(1, 30 * MS), of(2, 5 * MS, loop=2, stack=[])]), Tick(NOW + 2 * SECOND)]
    anew = [hello(), Reset(), *three(NOW)[1:-1], Stalls([of(1, 30 * MS)]), Tick(NOW + 3 * SECOND)]
    going_on: list[Message] = [Stalls([of(3, 7 * MS, ongoing=True)]), Tick(NOW + 4 * SECOND)]
    told, _ = profiles(write(tmp_path / "a.rec", [three(), first, later], [anew, going_on]))
    assert stacks(told) == [(["run", "load"], 30 * MS), (["run", "load"], 7 * MS)]
    assert stacks(told, 1) == [(["app.handler: nobody saw where"], 5 * MS)]


def test_a_recording_without_stalls_says_so(tmp_path: Path) -> None:
    told, note = profiles(write(tmp_path / "a.rec", [three()]))
    assert (told["profiles"], note) == ([], speedscope.NO_STALLS)


def test_a_recording_cut_off_in_its_first_batch_holds_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.rec", [three()])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(TargetError, match="holds nothing yet"):
        profiles(path)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names(tmp_path: Path, name: str) -> None:
    hostile = replace(of(1, 1, Part(1, name, 0, [(name, name, 1)])), task=0, kind=0, name=name)
    told, _ = profiles(write(tmp_path / "a.rec", [three(), [Stalls([hostile]), Tick(NOW + SECOND)]]))
    for frame in told["shared"]["frames"]:
        assert frame["name"].isprintable()
        assert len(frame["name"]) <= 400
