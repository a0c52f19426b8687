"""The flight recorder: the last polls of all tasks in a file when a stall lasts too long, and few files."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import asynctop
from asynctop.core import Core
from asynctop.flight import MOST_FILES, PAUSE_NS, FlightRecorder
from asynctop_protocol import (
    Cause,
    Connection,
    Hello,
    History,
    Message,
    Named,
    Reset,
    Role,
    Stall,
    Stalls,
    Tick,
    recordings,
)

MS = 1_000_000


def stall(number: int, duration_ns: int) -> Stall:
    return Stall(number, 1, 1, "blocker", 1, 0, duration_ns, True, Cause.UNKNOWN, 0, [])


def hello() -> Hello:
    return Hello(Role.RUNTIME, pid=7)


def unstored(frame: bytes) -> Iterator[bytes]:
    """What is in a zstd frame whose blocks hold data as they are."""
    start = len(b"".join(recordings.stored(iter(())))) - 3
    last = 0
    while not last:
        header = int.from_bytes(frame[start : start + 3], "little")
        last, length = header & 1, header >> 3
        yield frame[start + 3 : start + 3 + length]
        start += 3 + length
    assert start == len(frame)


def read(path: Path) -> list[Message]:
    data = path.read_bytes()
    label = recordings.read_label(data[: recordings.LABEL_BYTES])
    assert label is not None
    assert (label.begins, label.length) == (True, len(data) - recordings.LABEL_BYTES)
    connection = Connection(Role.CONSOLE)
    messages = connection.receive(b"".join(unstored(data[recordings.LABEL_BYTES :])))
    connection.end()
    tick = messages[-1]
    assert isinstance(tick, Tick)
    assert tick.at_ns <= label.until_ns == label.from_ns
    assert tick.dropped == {}
    return messages


def test_a_long_stall_leaves_a_file(core_name: str, tmp_path: Path) -> None:
    directory = tmp_path / "flights"

    async def steps(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def blocks() -> None:
        time.sleep(0.3)  # noqa: ASYNC251

    async def main() -> None:
        await asyncio.gather(steps(3000), steps(3000))
        await asyncio.create_task(blocks(), name="blocker")
        while not list(directory.glob("*.rec")):  # noqa: ASYNC110 - another thread writes it
            await asyncio.sleep(0.01)

    assert asynctop.install(flight_recorder=directory, flight_limit=0.2)
    try:
        asyncio.run(main())
    finally:
        asynctop.uninstall()
    (path,) = directory.iterdir()
    assert re.fullmatch(rf"asynctop-[\dT]+-{os.getpid()}\.rec", path.name)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    messages = read(path)
    assert isinstance(messages[0], Hello)
    assert [type(message) for message in messages].count(Reset) == 1
    (number,) = {each.task for message in messages if isinstance(message, Stalls) for each in message.stalls}
    names = dict(
        pair for each in messages if isinstance(each, Named) for pair in zip(each.id, each.names, strict=True)
    )
    assert names[number] == "blocker"
    polls = [task for each in messages if isinstance(each, History) for task in each.task]
    assert sorted(polls.count(task) for task in set(polls))[-2:] == [3001, 3001]


class Written(FlightRecorder):
    """One whose files are looked at."""

    def __init__(self, directory: Path) -> None:
        super().__init__(str(directory), 200 * MS)
        self.directory = directory

    def files(self, core: Core) -> int:
        self.proceed(core, hello, ())
        return len(list(self.directory.iterdir()))


def test_one_file_for_each_long_stall_but_not_too_often(
    core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic_ns()
    monkeypatch.setattr(time, "monotonic_ns", lambda: now)
    days = iter(range(1, 20))
    monkeypatch.setattr(time, "strftime", lambda _: f"202601{next(days):02}T000000")
    flight = Written(tmp_path)
    flight.start(core)
    assert flight.files(core) == 0
    flight.stalled(stall(1, 199 * MS))
    assert flight.files(core) == 0
    flight.stalled(stall(1, 201 * MS))
    assert flight.files(core) == 1
    now += PAUSE_NS
    flight.stalled(stall(1, 900 * MS))
    assert flight.files(core) == 1, "it has been told already"
    flight.stalled(stall(2, 300 * MS))
    assert flight.files(core) == 2
    now += PAUSE_NS - 1
    flight.stalled(stall(3, 300 * MS))
    assert flight.files(core) == 2, "a moment ago was the last one"
    now += 1
    assert flight.files(core) == 2, "what is long over is not written down"
    for number in range(4, 4 + MOST_FILES):
        now += PAUSE_NS
        flight.stalled(stall(number, 300 * MS))
        flight.files(core)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == MOST_FILES
    assert names[0].startswith("asynctop-20260103T")


def test_files_of_others_stay(core: Core, tmp_path: Path) -> None:
    for number in range(MOST_FILES + 5):
        (tmp_path / f"{number}.rec").touch()
    flight = Written(tmp_path)
    flight.start(core)
    flight.stalled(stall(1, 300 * MS))
    assert flight.files(core) == MOST_FILES + 6


def test_a_directory_that_cannot_be_written_to(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    there = tmp_path / "file"
    there.touch()
    assert not asynctop.install(flight_recorder=there)
    assert f"not instrumented: expected a directory to write flight recordings to, found a file: {there}" in (
        caplog.text
    )
    with pytest.raises(ValueError, match="expected a flight_limit"):
        asynctop.install(flight_recorder=tmp_path, flight_limit=0)


def test_a_failure_to_write_leaves_nothing_behind(core: Core, tmp_path: Path) -> None:
    flight = Written(tmp_path)
    flight.start(core)
    flight.stalled(stall(1, 300 * MS))

    class Failing:
        def since(self, version: int) -> tuple[int, bytes]:
            raise OSError("no space left")

        def due_ns(self) -> None: ...

    with pytest.raises(OSError, match="no space"):
        flight.proceed(core, hello, (Failing(),))
    assert list(tmp_path.iterdir()) == []
