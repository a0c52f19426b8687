"""Sources: finding programs, connecting to them, losing them. Real sockets with a fake runtime behind."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from asynctop_console.observe import observe
from asynctop_console.source import Phase, SocketSource, Successor, Target, TargetError, programs, resolve
from asynctop_console.source import link as link_module
from asynctop_console.source.link import greet
from asynctop_console.source.retry import Retry
from asynctop_protocol.messages import Hello, Inspect, Message, Problem, Subscribe, Tick, Watch
from asynctop_protocol.paths import socket_name

from .program import SECOND, FakeRuntime, hello, kinds, named, spawned, texts

UID = os.getuid()
PID = os.getpid()
BATCH = (texts(), kinds(), spawned([1, 2]), named([1, 2], ["one", "two"]), Tick(SECOND))


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sockets' directory, made as the runtime makes it."""
    path = tmp_path / "s"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("ASYNCTOP_DIR", str(path))
    return path


@pytest.fixture
def gone() -> int:
    """The pid of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


@asynccontextmanager
async def running(runtime: FakeRuntime, path: Path) -> AsyncIterator[Target]:
    server = await runtime.serve(str(path))
    try:
        yield Target(str(path), PID)
    finally:
        await runtime.finished()
        server.close()


def dead_socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    return path


def complaint(error: pytest.ExceptionInfo[TargetError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# Resolving


def test_a_pid_and_a_path_are_targets(directory: Path) -> None:
    path = dead_socket(directory / socket_name(PID))
    expected = Target(str(path), PID)
    assert resolve(str(PID), os.environ, UID) == resolve(str(path), os.environ, UID) == expected
    other = dead_socket(directory / "other")
    assert resolve(str(other), os.environ, UID) == Target(str(other), 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "neither a pid nor"),
        ("no/such", "neither a pid nor"),
        ("0", "there is no process 0"),
        ("9" * 30, "there is no process 999"),
        ("９", "neither a pid nor"),
        ("-5", "neither a pid nor"),
        ("tcp://localhost:1", "expected a pid or the path"),
        ("a\0b", "is no path of a socket"),
        ("x" * 5000, "is no path of a socket"),
        pytest.param(str(PID), f"process {PID} is not instrumented", id="ourselves"),
    ],
)
@pytest.mark.usefixtures("directory")
def test_what_is_no_target_is_told_in_one_line(text: str, says: str) -> None:
    with pytest.raises(TargetError) as error:
        resolve(text, os.environ, UID)
    assert says in complaint(error)


def test_a_file_and_a_directory_are_no_sockets(tmp_path: Path) -> None:
    recording = tmp_path / "recording"
    recording.write_bytes(b"x")
    for path, what in ((recording, "a file"), (tmp_path, "a directory")):
        with pytest.raises(TargetError, match=f"is {what}, expected a Unix socket"):
            resolve(str(path), os.environ, UID)


def test_a_process_that_is_gone_is_told_from_one_that_is_not_instrumented(directory: Path, gone: int) -> None:
    with pytest.raises(TargetError, match=f"there is no process {gone}"):
        resolve(str(gone), os.environ, UID)


# The directory


def test_without_a_directory_there_are_no_programs(tmp_path: Path) -> None:
    assert asyncio.run(programs({"ASYNCTOP_DIR": str(tmp_path / "none")}, UID)) == []


def test_a_directory_that_others_can_enter_is_refused(directory: Path) -> None:
    directory.chmod(0o750)
    with pytest.raises(TargetError, match="has mode 0750, expected 0700"):
        asyncio.run(programs(os.environ, UID))


def test_another_users_directory_is_refused(directory: Path) -> None:
    with pytest.raises(TargetError, match=f"belongs to user {UID}, expected {UID + 1}"):
        asyncio.run(programs(os.environ, UID + 1))


def test_a_link_to_a_directory_is_refused(directory: Path) -> None:
    link = directory.parent / "link"
    link.symlink_to(directory)
    with pytest.raises(TargetError, match="should be a directory"):
        asyncio.run(programs({"ASYNCTOP_DIR": str(link)}, UID))


def test_a_relative_directory_is_refused() -> None:
    with pytest.raises(TargetError, match="ASYNCTOP_DIR"):
        asyncio.run(programs({"ASYNCTOP_DIR": "here"}, UID))


def test_programs_are_listed_with_what_they_say(directory: Path, gone: int) -> None:
    async def scenario() -> None:
        (directory / "note.txt").touch()
        dead_socket(directory / socket_name(gone))
        dead_socket(directory / socket_name(os.getppid()))
        async with running(FakeRuntime(hello(pid=PID), BATCH), directory / socket_name(PID)):
            found = {program.target.pid: program for program in await programs(os.environ, UID)}
        assert found.keys() == {PID, os.getppid()}
        assert found[PID].state == "running"
        assert found[PID].hello == hello(pid=PID)
        assert found[os.getppid()].state == "dead"
        assert found[os.getppid()].hello is None

    asyncio.run(scenario())


def test_there_is_no_successor_in_an_unsafe_directory(directory: Path) -> None:
    directory.chmod(0o755)
    assert Successor(None, os.environ, UID)() is None


def test_a_successor_is_run_by_the_same_command_and_started_later(directory: Path) -> None:
    async def scenario() -> None:
        path = directory / socket_name(PID)
        async with running(FakeRuntime(hello(pid=PID, started_at_ns=50)), path) as target:
            for former, follows in (
                (None, True),
                (hello(started_at_ns=49), True),
                (hello(started_at_ns=50), False),
                (replace(hello(started_at_ns=49), argv=["other.py"]), False),
            ):
                successor = Successor(former, os.environ, UID)
                source = await asyncio.to_thread(successor)
                assert (source.target if source else None) == (target if follows else None)
                assert await asyncio.to_thread(successor) is None, "nobody follows itself"

    asyncio.run(scenario())


# Connecting


@pytest.mark.parametrize(
    ("greeting", "batch", "says"),
    [
        pytest.param(hello(protocol=(2, 0)), (), "2.0", id="another version"),
        pytest.param(b"\xff" * 100, (), "cannot understand", id="garbage"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", (), "cannot understand", id="another protocol"),
    ],
)
def test_a_program_that_cannot_be_understood(
    tmp_path: Path, greeting: Message | bytes, batch: tuple[Message, ...], says: str
) -> None:
    async def scenario() -> None:
        async with running(FakeRuntime(greeting, batch), tmp_path / "s") as target:
            await greet(target)

    with pytest.raises(TargetError) as error:
        asyncio.run(scenario())
    assert says in complaint(error)
    assert f"pid {PID}" in complaint(error)


def test_a_program_that_hangs_up_says_nothing_or_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        silent = FakeRuntime(b"")
        silent.hang_up_after = 0
        async with running(silent, tmp_path / "s") as target:
            with pytest.raises(TargetError, match="without a word"):
                await greet(target)
        telling = FakeRuntime(hello(), [Problem("too many consoles")])
        telling.hang_up_after = 0
        async with running(telling, tmp_path / "t") as target:
            with pytest.raises(TargetError, match="closed the connection: too many consoles"):
                [message async for message in SocketSource(target).messages()]

    asyncio.run(scenario())


def test_a_program_that_does_not_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(FakeRuntime(b""), tmp_path / "s") as target:
            with pytest.raises(TargetError, match=r"has not answered in 0\.01 s"):
                await greet(target, timeout_s=0.01)

    asyncio.run(scenario())


def test_another_users_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "peer_uid", lambda connected: UID + 1)

    async def scenario() -> None:
        async with running(FakeRuntime(hello()), tmp_path / "s") as target:
            with pytest.raises(TargetError, match=f"runs as user {UID + 1}, you are {UID}"):
                await greet(target)

    asyncio.run(scenario())


def test_sockets_without_a_program(tmp_path: Path) -> None:
    for path, says in ((dead_socket(tmp_path / "dead"), "nobody listens"), (tmp_path / "none", "is gone")):
        with pytest.raises(TargetError, match=says):
            asyncio.run(greet(Target(str(path))))
    with pytest.raises(TargetError, match="cannot connect"):
        asyncio.run(greet(Target(str(tmp_path / ("x" * 200)))))


# Messages


def test_a_source_gives_all_messages_and_subscribes(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = FakeRuntime(hello(pid=PID), BATCH)
        async with running(runtime, tmp_path / "s") as target:
            source = SocketSource(target)
            source.send(Subscribe(5))
            seen: list[str] = []
            phases = {source.state.phase}
            async with aclosing(source.messages()) as messages:
                async for message in messages:
                    phases.add(source.state.phase)
                    seen.append(type(message).__name__)
                    if message == Tick(20 * SECOND):
                        break
        assert seen == ["Hello", "Texts", "Kinds", "Spawned", "Named", "Tick", "Tick", "Tick"]
        assert phases == {Phase.CONNECTING, Phase.LIVE}
        assert [type(message) for message in runtime.heard] == [Hello, Subscribe]

    asyncio.run(scenario())


def test_a_lost_program_is_tried_again_and_subscribed_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = FakeRuntime(hello(pid=PID), BATCH)
        runtime.hang_up_after = 2
        waits: list[float] = []
        phases: list[tuple[Phase, int]] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            phases.append((source.state.phase, source.state.tries))
            if len(waits) == 2:
                server.close()
                (tmp_path / "s").unlink(missing_ok=True)
            if len(waits) == 5:
                raise asyncio.CancelledError

        server = await runtime.serve(str(tmp_path / "s"))
        source = SocketSource(Target(str(tmp_path / "s"), PID), sleep)
        source.send(Subscribe(5))
        with pytest.raises(asyncio.CancelledError):
            async for _ in source.messages():
                pass
        assert waits == [1, 1, 2, 3, 5]
        assert phases == [(Phase.WAITING, tries) for tries in (1, 1, 2, 3, 4)]
        await runtime.finished()
        assert runtime.heard.count(Subscribe(5)) == 2
        source.send(Subscribe(6))  # Nobody hears it, nobody minds.

    asyncio.run(scenario())


def test_what_is_watched_is_watched_again_after_a_reconnect(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = FakeRuntime(hello(pid=PID), BATCH)
        runtime.hang_up_after = 3
        waits = 0

        async def sleep(seconds: float) -> None:
            nonlocal waits
            waits += 1
            if waits == 3:
                raise asyncio.CancelledError

        async with running(runtime, tmp_path / "s") as target:
            source = SocketSource(target, sleep)
            for message in (Subscribe(5), Watch([1, 2]), Watch([3])):
                source.send(message)
            with pytest.raises(asyncio.CancelledError):
                async for _ in source.messages():
                    pass
        assert [list(message.tasks) for message in runtime.heard if isinstance(message, Watch)] == [[3]] * 3

    asyncio.run(scenario())


def test_a_program_that_has_exited_ends_the_messages(tmp_path: Path, gone: int) -> None:
    async def scenario() -> None:
        runtime = FakeRuntime(hello(pid=gone), BATCH)
        runtime.hang_up_after = 1
        async with running(runtime, tmp_path / "s") as target:
            source = SocketSource(target)
            seen = [message async for message in source.messages()]
        assert len(seen) == 6
        assert source.state.phase is Phase.EXITED
        assert source.state.text == f"pid {PID} has exited"

    asyncio.run(scenario())


def test_a_program_never_reached_is_an_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        source = SocketSource(Target(str(tmp_path / "none"), PID))
        with pytest.raises(TargetError, match="is gone"):
            async for _ in source.messages():
                pass
        assert source.state.phase is Phase.FAILED

    asyncio.run(scenario())


def test_retries_come_ever_later_up_to_five_seconds() -> None:
    retry = Retry()
    delays = [retry.delay_s] + [(retry := retry.failed()).delay_s for _ in range(6)]
    assert delays == [0, 1, 2, 3, 5, 5, 5]
    assert retry.tries == 6


# Observing


@pytest.mark.parametrize("crowd", [0, 2])
def test_observing_looks_at_all_tasks_or_in_a_crowd_at_the_cancelled_and_at_all_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crowd: int
) -> None:
    monkeypatch.setattr("asynctop_console.observe._CROWD", crowd)

    async def scenario() -> None:
        runtime = FakeRuntime(hello(), BATCH)
        async with running(runtime, tmp_path / "s") as target:
            model = await observe(SocketSource(target), seconds=10)
        asked = [message for message in runtime.heard if isinstance(message, Inspect)]
        assert [(each.request, list(each.tasks), each.cancelled, each.stranded) for each in asked] == [
            (1, [], crowd < 2, False),
            (2, [], False, True),
        ]
        assert model.now_ns == 21 * SECOND
        assert model.chains[1].frames == [("handler", "/srv/app/web.py", 41)]
        assert model.tasks.names.tolist() == ["one", "two"]

    asyncio.run(scenario())


def test_observing_ends_when_nothing_comes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(FakeRuntime(hello(), BATCH), tmp_path / "s") as target:
            model = await observe(SocketSource(target), seconds=30, grace_s=-29.9)
            assert len(model.chains) == model.tasks.rows == 2
        async with running(FakeRuntime(hello()), tmp_path / "t") as target:
            source = SocketSource(target)
            source.send = lambda message: None  # type: ignore[method-assign]
            with pytest.raises(TargetError, match="has sent nothing to show"):
                await observe(source, seconds=0, grace_s=0.05)

    asyncio.run(scenario())


def test_a_program_that_sends_nonsense_cannot_be_observed(tmp_path: Path) -> None:
    async def scenario() -> None:
        nonsense = type(texts())(10**9, ["x"])
        async with running(FakeRuntime(hello(), [nonsense]), tmp_path / "s") as target:
            with pytest.raises(TargetError, match="cannot understand"):
                await observe(SocketSource(target), seconds=1)

    asyncio.run(scenario())
