"""Recordings: what was written is what is read, cut off or whole, and a replay is that in its time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path

import pytest

from asynctop_console.lints import RULES
from asynctop_console.model import Model
from asynctop_console.observe import replayed
from asynctop_console.snapshot import snapshot
from asynctop_console.source import Phase, TargetError
from asynctop_console.source.recording import Recording, Writer, is_recording
from asynctop_console.source.replay import ReplaySource, batches
from asynctop_console.views.app import ConsoleApp
from asynctop_protocol import Connection, frames
from asynctop_protocol.messages import Hello, History, Message, Reset, Role, Tick, Watch
from asynctop_protocol.recordings import label, stored

from .program import MS, SECOND, ended, history, polled, spawned
from .screens import NOW, Screen, blocking, three

SECTION: list[list[Message]] = [
    three(),
    [polled([2], polls=301), Tick(NOW + SECOND)],
    [spawned([4], created=NOW + SECOND), *blocking(NOW + 2 * SECOND)],
    [ended([3], at=NOW + 3 * SECOND), Tick(NOW + 3 * SECOND)],
]
LATER: list[list[Message]] = [
    [three()[0], Reset(), *three(NOW + 10 * SECOND)[1:]],
    [polled([1], polls=6), Tick(NOW + 20 * SECOND)],
]


def wire(section: Iterable[list[Message]]) -> list[bytes]:
    """Each batch, as a program sends it over one connection."""
    connection = Connection(Role.RUNTIME)
    return [b"".join(connection.send(message) for message in batch) for batch in section]


def at(batch: list[Message]) -> int:
    tick = batch[-1]
    assert isinstance(tick, Tick)
    return tick.at_ns


def write(path: Path, *sections: list[list[Message]]) -> Path:
    """A recording with a block for each batch."""
    with path.open("wb") as file:
        writer = Writer(file)
        for section in sections:
            for number, (batch, data) in enumerate(zip(section, wire(section), strict=True)):
                writer.add(data, begins=number == 0, from_ns=at(batch), until_ns=at(batch))
        assert writer.written == file.tell()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.rec", SECTION, LATER)


def told(model: Model) -> str:
    return json.dumps(snapshot(model, RULES))


def test_a_replay_shows_what_was_shown_live_at_every_moment(path: Path) -> None:
    live, recording = Model(), Recording(path)
    for batch in SECTION:
        for message in batch:
            live.fold(message)
        assert told(replayed(recording, at(batch))) == told(live)
        assert told(replayed(recording, at(batch) + SECOND // 2)) == told(live)


def test_reading_begins_at_the_last_state_before_those_seconds_that_are_shown(path: Path) -> None:
    recording = Recording(path)
    assert (recording.from_ns, recording.until_ns) == (NOW, NOW + 20 * SECOND)
    begun = [next(batches(recording, NOW + after * SECOND)) for after in (0, 14, 15, 99)]
    assert [at(batch) - NOW for batch in begun] == [0, 0, 10 * SECOND, 10 * SECOND]
    assert all(isinstance(batch[0], Hello) for batch in begun)


def test_a_recording_that_is_not_compressed(tmp_path: Path) -> None:
    path = tmp_path / "stored.rec"
    frame = b"".join(stored(iter([*wire(SECTION), b""])))
    path.write_bytes(label(True, at(SECTION[0]), at(SECTION[-1]), len(frame)) + frame)
    assert is_recording(str(path))
    assert [at(batch) for batch in batches(Recording(path), NOW)] == [at(batch) for batch in SECTION]
    large = bytes(range(256)) * 2000
    path.write_bytes(label(True, 1, 2, len(frame := b"".join(stored(iter([large, large[:7]]))))) + frame)
    assert b"".join(Recording(path).data(0)) == large + large[:7]


def test_messages_that_span_two_blocks(tmp_path: Path) -> None:
    data = b"".join(wire(SECTION))
    path = tmp_path / "b.rec"
    with path.open("wb") as file:
        writer = Writer(file)
        for start in range(0, len(data), 7):
            writer.add(data[start : start + 7], begins=start == 0, from_ns=NOW, until_ns=NOW + 3 * SECOND)
    assert [at(batch) for batch in batches(Recording(path), NOW)] == [at(batch) for batch in SECTION]


def test_a_recording_cut_off_anywhere_replays_up_to_there(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    times = [at(batch) for batch in (*SECTION, *LATER)]
    cut = tmp_path / "cut.rec"
    seen = set()
    for length in range(0, len(whole), 7):
        cut.write_bytes(whole[:length])
        if not is_recording(str(cut)):
            with pytest.raises(TargetError, match=r"holds nothing|is no recording"):
                Recording(cut)
            continue
        found = [at(batch) for batch in batches(Recording(cut), NOW)]
        assert found == times[: len(found)]
        seen.add(len(found))
    assert seen == set(range(len(times)))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "holds nothing yet"),
        (b"hello", "is no recording"),
        (b"\x50\x2a\x4d\x18" + bytes(60), "is no recording"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, data: bytes, expected: str) -> None:
    path = tmp_path / "c.rec"
    path.write_bytes(data)
    assert not is_recording(str(path))
    with pytest.raises(TargetError, match=expected):
        Recording(path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        assert not is_recording(str(path))
        with pytest.raises(TargetError, match="cannot read"):
            Recording(path)


def test_a_damaged_recording_says_so_in_one_line(tmp_path: Path, path: Path) -> None:
    whole = bytearray(path.read_bytes())
    damaged = tmp_path / "d.rec"
    complaints = []
    version = 16  # of its place in a label
    for place in (version, *range(0, len(whole), 11)):
        changed = whole.copy()
        changed[place] ^= 0xFF
        damaged.write_bytes(changed)
        try:
            replayed(Recording(damaged), NOW + 99 * SECOND)
        except TargetError as error:
            complaints.append(str(error).partition(str(damaged))[2])
    assert "\n" not in "".join(complaints)
    for expected in (" is damaged after byte", " is no recording", " is a recording of version"):
        assert any(complaint.startswith(expected) for complaint in complaints)


async def replaying(path: Path) -> tuple[ReplaySource, list[int]]:
    source = ReplaySource(Recording(path))
    source.toggle()
    return source, []


def test_a_held_replay_goes_on_step_by_step(path: Path) -> None:
    async def run() -> None:
        source, _ = await replaying(path)
        async with aclosing(source.messages()) as messages:
            times = []
            async for message in messages:
                if isinstance(message, Tick):
                    times.append(message.at_ns - NOW)
                    source.step()
                    if source.at_end:
                        break
        assert times == [0, SECOND, 2 * SECOND, 3 * SECOND, 10 * SECOND, 20 * SECOND]
        assert source.state.phase is Phase.REPLAYING

    asyncio.run(run())


def test_a_replay_of_what_was_cut_off_says_so_at_its_end(tmp_path: Path, path: Path) -> None:
    cut = tmp_path / "cut.rec"
    cut.write_bytes(path.read_bytes()[:-1])

    async def run(path: Path, last_ns: int) -> str:
        source = ReplaySource(Recording(path))
        source.seek(99 * SECOND)
        messages = source.messages()
        while await anext(messages) != Tick(NOW + last_ns):
            pass
        further = asyncio.ensure_future(anext(messages))
        await asyncio.sleep(0)  # it finds that there are none
        source.toggle()
        further.cancel()
        await asyncio.wait([further])
        return source.state.text

    assert asyncio.run(run(path, 20 * SECOND)) == "■ 0:20 / 0:20"
    assert asyncio.run(run(cut, 10 * SECOND)) == "■ 0:10 / 0:20 cut off here"


def test_a_replay_is_as_fast_as_it_is_asked_to_be(tmp_path: Path) -> None:
    ticks: list[list[Message]] = [[Tick(NOW + n * 100 * MS)] for n in range(1, 4)]
    path = write(tmp_path / "e.rec", [three(), *ticks])

    async def run() -> float:
        source = ReplaySource(Recording(path))
        loop = asyncio.get_running_loop()
        began = loop.time()
        while source.faster(1) < 30.0:
            pass
        async with aclosing(source.messages()) as messages:
            async for message in messages:
                if isinstance(message, Tick) and source.at_end:
                    return loop.time() - began
        raise AssertionError("it has no end")

    assert asyncio.run(run()) >= 0.3 / 30


def test_seeking_starts_the_messages_there(path: Path) -> None:
    async def run() -> None:
        source, _ = await replaying(path)
        for step, expected in ((2, 2), (-1, 1), (-9, 0), (99, 20)):
            source.seek(step * SECOND)
            times = []
            async with aclosing(source.messages()) as messages:
                async for message in messages:
                    if isinstance(message, Tick):
                        times.append(message.at_ns - NOW)
                        if message.at_ns - NOW >= expected * SECOND:
                            break
            assert times[-1] == expected * SECOND
            assert f" 0:{expected:02} / 0:20" in source.state.text

    asyncio.run(run())


def test_the_console_on_a_recording(path: Path) -> None:
    async def run() -> None:
        source, _ = await replaying(path)
        app = ConsoleApp(source, target="a.rec")
        async with app.run_test(size=(120, 30)) as pilot:
            await pilot.pause()
            screen = Screen(app, pilot, source, None)  # type: ignore[arg-type]

            async def press(key: str, until: int) -> None:
                await screen.press(key)
                while app.model.now_ns - NOW != until * SECOND:
                    await pilot.pause()
                app.paint()
                await pilot.pause()

            await press("]", 3)
            assert "REPLAY ‖ 0:05 / 0:20" in screen.line("status")
            assert len(app.model.tasks.id[: app.model.tasks.rows]) == 4
            await press("[", 0)
            assert "REPLAY ‖ 0:00 / 0:20" in screen.line("status")
            assert app.model.stalls == []
            await press(".", 1)
            await press(".", 2)
            assert [stall.ongoing for stall in app.model.stalls] == [True]
            await screen.press("enter")
            assert "a recording has single polls where" in screen.page

    asyncio.run(run())


@pytest.fixture(params=["among the rest", "apart"])
def trace(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A recording of a trace, with the polls in blocks of their own or among the rest."""
    path = traced(tmp_path / "t.rec")
    return apart(path, tmp_path / "u.rec") if request.param == "apart" else path


def apart(path: Path, other: Path) -> Path:
    """The same recording with blocks of two batches, and the polls in blocks of their own."""
    pairs: list[list[list[Message]]] = []
    for batch in batches(Recording(path), NOW):
        if isinstance(batch[0], Hello) or len(pairs[-1]) == 2:
            pairs.append([])
        pairs[-1].append(batch)
    with other.open("wb") as file:
        writer = Writer(file)
        for pair in pairs:
            rest = [[each for each in batch if not isinstance(each, History)] for batch in pair]
            polls = [[each for each in batch if isinstance(each, History | Tick)] for batch in pair]
            for kind in (rest, polls):
                data = b"".join(frames(message) for batch in kind for message in batch)
                writer.add(
                    data,
                    begins=kind is rest and isinstance(rest[0][0], Hello),
                    from_ns=at(pair[0]),
                    until_ns=at(pair[-1]),
                    polls=kind is polls,
                )
    return other


def traced(path: Path) -> Path:
    """A recording of a trace, in two sections: tasks 1 and 2 are polled by turns, just before each second."""
    sections: list[list[list[Message]]] = [[three()], [[three()[0], Reset(), *three(NOW + 6 * SECOND)[1:]]]]
    for number in range(1, 12):
        at_ns = NOW + number * SECOND
        poll = (at_ns - 260 * MS, at_ns - 255 * MS, at_ns - 250 * MS)
        message = history(1 + number % 2, [poll], first=number)
        sections[number > 6].append([message, Tick(at_ns)])
    return write(path, *sections)


def seconds_of(messages: Iterable[Message]) -> list[int]:
    ends = (each.ended_ns for each in messages if isinstance(each, History))
    return [(end - NOW) // SECOND + 1 for column in ends for end in column]


def test_the_history_of_any_task_is_found_in_a_trace(trace: Path) -> None:
    async def run() -> None:
        source, _ = await replaying(trace)
        came: list[Message] = []

        async def until(seconds: int) -> None:
            async for message in messages:
                came.append(message)
                if isinstance(message, Tick) and message.at_ns >= NOW + seconds * SECOND:
                    return

        async with aclosing(source.messages()) as messages:
            for number in range(4):
                source.step()
                await until(number + 1)
            assert seconds_of(came) == [], "nobody watches"
            source.send(Watch([1]))
            source.step()
            await until(5)
            assert seconds_of(came) == [2, 4]
            source.send(Watch([1, 2]))
            source.step()  # the second section's state
            for number in range(5, 11):
                source.step()
                await until(number + 1)
            assert seconds_of(came) == [2, 4, 1, 3, 5, 6, 7, 8, 9, 10, 11]
            assert sum(isinstance(each, Hello) for each in came) == 2, "only history is looked for"
        source.seek(-2 * SECOND)
        source.send(Watch([2]))
        came.clear()
        async with aclosing(source.messages()) as messages:
            await until(9)
            source.step()
            await until(10)
        assert seconds_of(came) == [1, 3, 5, 7, 9]

    asyncio.run(run())


def test_a_task_that_is_looked_at_after_the_end_has_its_history(trace: Path) -> None:
    async def run() -> None:
        source, _ = await replaying(trace)
        app = ConsoleApp(source, target="t.rec")
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.pause()
            screen = Screen(app, pilot, source, None)  # type: ignore[arg-type]
            await screen.press("]", "]", "]")
            while app.model.now_ns - NOW != 11 * SECOND:
                await pilot.pause()
            await screen.press("j", "enter")
            while not (watched := app.model.watched.get(2)) or not watched.polls:
                await pilot.pause()
            app.paint()
            await pilot.pause()
            assert [(poll.ended_ns - NOW) // SECOND + 1 for poll in watched.last(9)] == [11, 9, 7, 5, 3, 1]
            assert screen.page.count("5.00ms") >= 6

    asyncio.run(run())


def test_a_snapshot_of_a_trace_is_as_one_without(tmp_path: Path, trace: Path) -> None:
    assert told(replayed(Recording(trace), NOW)) == told(
        replayed(Recording(write(tmp_path / "v.rec", [three()])), NOW)
    )


def test_polls_apart_are_read_for_those_who_want_them(tmp_path: Path) -> None:
    path = traced(tmp_path / "t.rec")
    recording = Recording(apart(path, tmp_path / "u.rec"))
    whole = [message for batch in batches(Recording(path), NOW) for message in batch]
    again = [message for batch in batches(recording, NOW) for message in batch]
    assert [type(message) for message in again] == [type(message) for message in whole]
    assert seconds_of(again) == seconds_of(whole) == list(range(1, 12))
    without = [message for batch in batches(recording, NOW, lambda: False) for message in batch]
    assert [type(each) for each in without] == [type(each) for each in whole if not isinstance(each, History)]
    turns = iter([False, True] * 7)
    some = list(batches(recording, NOW, lambda: next(turns)))
    assert seconds_of(message for batch in some for message in batch) == [1, 3, 5, 8, 10]
    cut = tmp_path / "cut.rec"
    cut.write_bytes(recording.path.read_bytes()[:-1])
    assert [at(batch) for batch in batches(Recording(cut), NOW)] == [at(batch) for batch in some]
