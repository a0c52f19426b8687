"""Recording a real program, and replaying that."""

from __future__ import annotations

import re
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from asynctop_console.source.recording import Recording
from asynctop_console.source.replay import batches
from asynctop_protocol.messages import History

from .processes import ASYNCTOP, RUN, Json, Lab, Process, complaint, eventually, snapshot_of

BLOCKER = """
import asyncio, time

async def block():
    while True:
        time.sleep(0.2)
        await asyncio.sleep(0.01)

async def main():
    print("ready", flush=True)
    await asyncio.create_task(block(), name="blocker")

asyncio.run(main())
"""

BUSY = """
import asyncio

async def turns():
    while True:
        for _ in range(100):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)

async def main():
    print("ready", flush=True)
    await asyncio.gather(*(turns() for _ in range(20)))

asyncio.run(main())
"""

NEVER_IDLE = BUSY.replace("        await asyncio.sleep(0.001)\n", "")


@pytest.fixture
def program(lab: Lab) -> Process:
    return lab.run(lab.program(BLOCKER))


def replayed(lab: Lab, path: Path, *options: str) -> Json:
    return snapshot_of(lab.start(*ASYNCTOP, "replay", path, "--json", *options))


def recording(lab: Lab, program: Process) -> tuple[Process, Path]:
    """A recorder of the program, and its file, in which there is something by now."""
    path = lab.work / "of_the_program.rec"
    recorder = lab.start(*ASYNCTOP, "record", "-o", path, str(program.pid))
    lab.written(path)
    return recorder, path


def traced(recording: Recording) -> list[int]:
    """The numbers of the polls of its trace, which ascend."""
    numbers = [
        number
        for batch in batches(recording, recording.from_ns)
        for message in batch
        if isinstance(message, History)
        for number in range(message.first, message.first + len(message.task))
    ]
    assert all(former < latter for former, latter in pairwise(numbers))
    return numbers


def told(numbers: list[int], path: Path) -> str:
    """What the recorder says of such a trace."""
    lost = numbers[-1] - len(numbers)
    return f" {len(numbers):,} polls {f'({lost:,} more dropped) ' if lost else ''}in {path}"


def test_a_recording_tells_what_the_program_did(lab: Lab, program: Process) -> None:
    path = lab.work / "a.rec"
    recorder = lab.start(*ASYNCTOP, "record", str(program.pid), "-o", path, "--for", "2")
    assert recorder.status() == 0
    assert "the time is over" in recorder.stderr.all()
    program.kill()  # nobody need be there any more
    found = replayed(lab, path)
    assert {stall["stack"][0]["line"] for stall in found["stalls"]} == {6}
    early = replayed(lab, path, "--at", "0")
    assert early["observed"]["until"] < found["observed"]["until"]


def test_a_trace_has_each_poll_though_the_recorder_connects_anew(lab: Lab) -> None:
    program = lab.run(lab.program(BUSY))
    path = lab.work / "t.rec"
    recorder = lab.start(*ASYNCTOP, "record", str(program.pid), "-o", path, "--trace", "--for", "9")
    assert recorder.status() == 0
    program.kill()
    said = recorder.stderr.all()
    recording = Recording(path)
    assert sum(block.begins for block in recording.blocks) > 1
    numbers = traced(recording)
    assert numbers[0] == 1
    assert told(numbers, path) in said


def test_a_loop_that_is_never_idle_is_traced_as_far_as_it_lets_us_and_the_rest_is_counted(lab: Lab) -> None:
    program = lab.run(lab.program(NEVER_IDLE))
    path = lab.work / "n.rec"
    recorder = lab.start(*ASYNCTOP, "record", str(program.pid), "-o", path, "--trace", "--for", "5")
    assert recorder.status() == 0
    said = recorder.stderr.all()
    assert "the time is over" in said
    numbers = traced(Recording(path))
    (lost,) = re.findall(rf" {len(numbers):,} polls \(([\d,]+) more dropped\) in ", said) or ["0"]
    assert int(lost.replace(",", "")) >= numbers[-1] - len(numbers)


def test_a_flight_recorder_keeps_what_was_before_the_stall(lab: Lab) -> None:
    directory = lab.work / "flights"
    options = ("--flight-recorder", str(directory), "--flight-limit", "150")
    lab.start(*RUN, *options, lab.program(BLOCKER))
    eventually(lambda: any(directory.glob("*.rec")), f"a file in {directory}")
    (path,) = directory.iterdir()
    found = replayed(lab, path)
    assert {stall["stack"][0]["line"] for stall in found["stalls"]} == {6}
    polls = [m for batch in batches(Recording(path), 0) for m in batch if isinstance(m, History)]
    assert polls


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_recording_ends_when_it_is_told_to(lab: Lab, program: Process, number: int) -> None:
    recorder, path = recording(lab, program)
    recorder.signal(number)
    assert recorder.status() == 0
    assert f"in {path}: stopped" in recorder.stderr.all()
    assert replayed(lab, path)["tasks"]


def test_a_recording_ends_in_time_beside_a_program_that_is_stopped(lab: Lab, program: Process) -> None:
    path = lab.work / "stopped.rec"
    recorder = lab.start(*ASYNCTOP, "record", "-o", path, "--for", "3", str(program.pid))
    lab.written(path)
    program.signal(signal.SIGSTOP)
    assert recorder.status() == 0
    assert "the time is over, and the program has been silent" in recorder.stderr.all()
    assert replayed(lab, path)["tasks"]


def test_a_recording_ends_with_the_program(lab: Lab, program: Process) -> None:
    recorder, path = recording(lab, program)
    program.signal(signal.SIGKILL)
    assert recorder.status() == 0
    assert "the program has ended" in recorder.stderr.all()
    assert replayed(lab, path)["tasks"]


def test_a_recorder_that_is_killed_leaves_what_it_had(lab: Lab, program: Process) -> None:
    recorder, path = recording(lab, program)
    recorder.signal(signal.SIGKILL)
    recorder.status()
    assert replayed(lab, path)["tasks"]


def test_what_cannot_be_recorded_or_replayed(lab: Lab, program: Process) -> None:
    there = lab.work / "there.rec"
    there.write_text("mine")
    pid = str(program.pid)
    for arguments, expected in (
        (("record", pid, "-o", there), "exists already"),
        (("record", pid, "-o", lab.work / "no" / "folder.rec"), "cannot write"),
        (("record", pid), "required: -o"),
        (("replay", there), "is no recording"),
        (("replay", lab.work / "none.rec"), "cannot read"),
    ):
        assert expected in complaint(lab.start(*ASYNCTOP, *arguments))
    assert there.read_text() == "mine"
    program.kill()
    assert complaint(lab.start(*ASYNCTOP, "record", pid, "-o", lab.work / "gone.rec"))
    assert not (lab.work / "gone.rec").exists()
