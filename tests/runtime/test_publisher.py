"""The publisher over its real socket: greetings, refusals, limits, and a program that notices nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from asynctop.core import Core
from asynctop.incident_log import IncidentLog
from asynctop.publisher import server
from asynctop.publisher.client import LONGEST_NS, SHORTEST_NS, Client
from asynctop.publisher.outlet import Outlet
from asynctop.publisher.server import MAX_CLIENTS, Publisher, listen
from asynctop.stalls import StallWatcher
from asynctop_protocol import (
    Connection,
    Hello,
    Histograms,
    History,
    Incidents,
    Message,
    Problem,
    Role,
    Spawned,
    Subscribe,
    Tick,
    Trace,
    WakerSource,
    Watch,
)

T = TypeVar("T", bound=Message)
HELLO = Hello(Role.RUNTIME, pid=7)


class Console:
    """The other end of a connection."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(path)
        self.connection = Connection(Role.CONSOLE)
        self.got: list[Message] = []

    def send(self, message: Message) -> None:
        self.sock.sendall(self.connection.send(message))

    def until(self, kind: type[T]) -> T:
        """Read until a message of this kind has come, and return it."""
        while True:
            for number, message in enumerate(self.got):
                if isinstance(message, kind):
                    del self.got[: number + 1]
                    return message
            data = self.sock.recv(65536)
            assert data, f"closed before a {kind.__name__}"
            self.got += self.connection.receive(data)

    def closed(self) -> bool:
        return self.sock.recv(65536) == b""


@pytest.fixture
def failed() -> list[BaseException]:
    return []


@pytest.fixture
def incidents() -> IncidentLog:
    return IncidentLog(lambda: None)


@pytest.fixture
def publisher(hooked: Core, failed: list[BaseException], incidents: IncidentLog) -> Iterator[Publisher]:
    watcher = StallWatcher(hooked, 50_000_000, lambda: None, failed.append)
    path = os.path.join(os.environ["ASYNCTOP_DIR"], "test.sock")
    made = Publisher(hooked, (watcher, incidents), lambda: HELLO, path, ["a fault"], failed.append)
    made.start()
    yield made
    made.stop()
    assert failed == []
    assert not os.path.exists(path)


@pytest.fixture
def connect(publisher: Publisher) -> Iterator[Callable[[], Console]]:
    consoles: list[Console] = []

    def connect_one() -> Console:
        consoles.append(Console(publisher.path))
        return consoles[-1]

    yield connect_one
    for console in consoles:
        console.sock.close()


def test_hello_batches_and_faults(connect: Callable[[], Console]) -> None:
    consoles = [connect(), connect()]
    for console in consoles:
        assert console.until(Hello) == HELLO
        console.send(Hello(Role.CONSOLE))
        console.send(Subscribe(SHORTEST_NS))
    for console in consoles * 2:
        assert console.until(Tick).faults == ["a fault"]


def test_a_watched_task_is_told_of_until_its_console_goes(connect: Callable[[], Console]) -> None:
    done = threading.Event()

    async def ticks() -> None:
        while not done.is_set():  # noqa: ASYNC110 - it is to tick
            await asyncio.sleep(0.001)

    async def main() -> None:
        task = asyncio.create_task(ticks())
        await asyncio.sleep(0)  # its first poll is its spawner's doing, the others are the timer's
        await asyncio.to_thread(look)
        await task

    def look() -> None:
        try:
            console, other = connect(), connect()
            for each in (console, other):
                each.send(Hello(Role.CONSOLE))
                each.send(Subscribe(SHORTEST_NS))
            tasks = list(console.until(Spawned).id)
            console.send(Watch(tasks))
            polls = console.until(History)
            assert set(polls.task) <= set(tasks)
            assert set(polls.waker_source) == {WakerSource.TIMER}
            assert len(console.until(Histograms).task)
            other.until(Tick)
            other.until(Tick)
            assert not [message for message in other.got if isinstance(message, History | Histograms)]
            console.sock.close()
            other.send(Watch(tasks))
            other.until(History)
        finally:
            done.set()

    asyncio.run(main())


def test_consoles_trace_until_they_go(connect: Callable[[], Console]) -> None:
    done = threading.Event()

    async def ticks() -> None:
        while not done.is_set():  # noqa: ASYNC110 - it is to tick
            await asyncio.sleep(0.001)

    def following(console: Console, last: int) -> int:
        """The number of the last poll of the next batch, which goes on after this one."""
        polls = console.until(History)
        assert polls.first == last + 1
        return last + len(polls.task)

    def look() -> None:
        try:
            consoles = [connect(), connect(), connect()]
            for console in consoles:
                console.send(Hello(Role.CONSOLE))
                console.send(Subscribe(SHORTEST_NS))
            first, second, other = consoles
            first.send(Trace())
            last = following(first, following(first, 0))
            second.send(Trace(after=last))
            last = following(second, last)
            first.sock.close()
            following(second, following(second, last))
            other.until(Tick)
            other.until(Tick)
            assert not [message for message in other.got if isinstance(message, History)]
            second.sock.close()
            other.send(Trace(after=7))
            other.until(History)
        finally:
            done.set()

    async def main() -> None:
        tasks = [asyncio.create_task(ticks()) for _ in range(3)]
        await asyncio.to_thread(look)
        await asyncio.wait(tasks)

    asyncio.run(main())


def test_news_that_waits_is_told_without_another_ring(
    connect: Callable[[], Console], incidents: IncidentLog
) -> None:
    consoles = [connect(), connect()]
    incidents.note("type", None, [], name="before")
    for console in consoles:
        console.send(Hello(Role.CONSOLE))
        console.send(Subscribe(LONGEST_NS))
        assert [each.name for each in console.until(Incidents).incidents] == ["before"]
    incidents.note("type", None, [], name="after")
    # Of this nobody is told at once, but only that there is something: no bell is rung here.
    consoles[0].send(Subscribe(LONGEST_NS))
    for console in consoles:
        assert [each.name for each in console.until(Incidents).incidents] == ["after"]


def test_a_farewell_tells_all_that_there_is_to_tell(
    publisher: Publisher, connect: Callable[[], Console], incidents: IncidentLog
) -> None:
    assert not publisher.await_console(0)
    consoles, silent = [connect(), connect()], connect()
    for console in consoles:
        console.send(Hello(Role.CONSOLE))
        console.send(Subscribe(LONGEST_NS))
        console.until(Tick)
    assert publisher.await_console(20)
    incidents.note("type", None, [], name="before")
    consoles[0].send(Subscribe(LONGEST_NS))
    consoles[0].until(Incidents)
    consoles[0].until(Tick)  # the batch that comes at once
    incidents.note("type", None, [], name="last")  # it waits until the others have been told for long enough

    async def main() -> None:
        await asyncio.sleep(0)

    asyncio.run(main())
    farewell = threading.Thread(target=publisher.say_farewell, args=[20])
    farewell.start()
    assert [each.name for each in consoles[0].until(Incidents).incidents] == ["last"]
    for console in consoles:
        console.until(Spawned)
        console.until(Tick)
        assert console.closed()
        assert farewell.is_alive()  # until the last one has read everything, and closes
        console.sock.close()
    farewell.join()
    silent.until(Hello)


def test_a_farewell_does_not_wait_for_nobody(publisher: Publisher, connect: Callable[[], Console]) -> None:
    console = connect()
    console.send(Hello(Role.CONSOLE))
    console.send(Subscribe(LONGEST_NS))
    console.until(Tick)
    console.sock.close()
    publisher.say_farewell(20)
    publisher.say_farewell(20)


def test_garbage_is_answered_with_one_problem(connect: Callable[[], Console]) -> None:
    healthy, broken = connect(), connect()
    broken.sock.sendall(b"GET / HTTP/1.1\r\n\r\n" * 4)
    broken.until(Hello)
    assert "\n" not in broken.until(Problem).text
    assert broken.closed()
    healthy.send(Hello(Role.CONSOLE))
    healthy.send(Subscribe(SHORTEST_NS))
    healthy.until(Tick)


def test_another_version_is_told_both(connect: Callable[[], Console]) -> None:
    console = connect()
    console.send(Hello(Role.CONSOLE, protocol=(99, 0)))
    console.until(Hello)
    assert "99" in console.until(Problem).text
    assert console.closed()


def test_one_console_too_many_is_greeted_and_refused(connect: Callable[[], Console]) -> None:
    consoles = [connect() for _ in range(MAX_CLIENTS)]
    for console in consoles:
        console.until(Hello)
    extra = connect()
    extra.until(Hello)
    assert "consoles already" in extra.until(Problem).text
    assert extra.closed()


def test_a_silent_console_makes_room(connect: Callable[[], Console], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SILENT_NS", 0)
    silent = [connect() for _ in range(MAX_CLIENTS)]
    for console in silent:
        console.until(Hello)
    console = connect()
    console.send(Hello(Role.CONSOLE))
    console.send(Subscribe(SHORTEST_NS))
    console.until(Tick)
    assert silent[0].closed()


def test_another_users_console_learns_nothing(
    connect: Callable[[], Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "peer_uid", lambda sock: os.getuid() + 1)
    console = connect()
    assert console.until(Hello).pid == 0
    assert f"you are user {os.getuid() + 1}" in console.until(Problem).text


class RecordingOutlet:
    """An outlet that only remembers what it was asked."""

    def __init__(self) -> None:
        self.intervals: list[int] = []

    def put(self, frames: bytes, *, last: bool = False) -> bool:
        return True

    def subscribe(self, interval_ns: int) -> None:
        self.intervals.append(interval_ns)

    def watch(self, tasks: Sequence[int]) -> None: ...

    def trace(self, after: int) -> None: ...

    def finish(self) -> None: ...

    def finished(self) -> bool:
        return False

    def close(self) -> None: ...


@pytest.mark.parametrize(("asked", "given"), [(0, SHORTEST_NS), (10**15, LONGEST_NS), (10**9, 10**9)])
def test_intervals_are_bounded(asked: int, given: int) -> None:
    near, far = socket.socketpair()
    with near, far:
        outlet = RecordingOutlet()
        client = Client(near, HELLO, outlet, ())
        connection = Connection(Role.CONSOLE)
        far.sendall(connection.send(Hello(Role.CONSOLE)) + connection.send(Subscribe(asked)))
        client.readable()
        assert outlet.intervals == [given]


def test_a_stopped_console_holds_one_frame(core: Core) -> None:
    core.tell_faults(["x" * 400] * 30)
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        outlet = Outlet(near, core.cursor())
        outlet.subscribe(1)
        begun = 0
        for _ in range(2000):
            if outlet.due_ns() is not None:
                outlet.begin(0)
                begun += 1
            outlet.writable()
        assert 0 < begun < 100
        assert outlet.wants_to_write()


def test_what_is_put_in_between_is_bounded(core: Core) -> None:
    near, far = socket.socketpair()
    with near, far:
        opened = core.outlet(near.fileno(), near.fileno()) if core.sends else Outlet(near, core.cursor())
        puts = 0
        while opened.put(bytes(4096)):
            puts += 1
            assert puts < 1000
        assert opened.put(b"last words", last=True)
        opened.close()


def test_directories_of_others_are_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    with pytest.raises(PermissionError, match=r"mode 0700, found owner .* and mode 0755; set ASYNCTOP_DIR"):
        listen(str(open_to_all / "socket"))
    link = tmp_path / "link"
    (tmp_path / "own").mkdir(mode=0o700)
    link.symlink_to(tmp_path / "own")
    with pytest.raises(PermissionError, match=r"expected .*link to be a directory"):
        listen(str(link / "socket"))


def test_a_directory_of_another_owner_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "theirs"
    directory.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(PermissionError, match=f"found owner {os.stat(directory).st_uid} "):
        listen(str(directory / "socket"))


def test_a_stale_socket_file_is_replaced() -> None:
    path = os.path.join(os.environ["ASYNCTOP_DIR"], "stale")
    listen(path).close()
    with listen(path):
        assert os.stat(path).st_mode & 0o777 == 0o600
    os.unlink(path)
