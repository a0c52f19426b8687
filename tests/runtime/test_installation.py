"""`install()` and `uninstall()`, faults as consoles see them, forked children, and the bare command."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import asynctop
from asynctop.core.stock import StockHandle
from asynctop.publisher.owned import identity
from asynctop_protocol import Connection, Hello, Message, Role, Subscribe, Tick
from conftest import python_core_only

if sys.version_info >= (3, 12):
    pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


@pytest.fixture
def installed(core_name: str) -> Iterator[str]:
    assert asynctop.install()
    assert asynctop.install()
    (name,) = os.listdir(os.environ["ASYNCTOP_DIR"])
    yield os.path.join(os.environ["ASYNCTOP_DIR"], name)
    asynctop.uninstall()
    asynctop.uninstall()


def first_tick(path: str) -> tuple[Hello, Tick]:
    connection = Connection(Role.CONSOLE)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(path)
        sock.sendall(connection.send(Hello(Role.CONSOLE)) + connection.send(Subscribe(1)))
        while True:
            for message in connection.receive(sock.recv(65536)):
                if isinstance(message, Tick):
                    assert connection.peer is not None
                    return connection.peer, message


@python_core_only
def test_a_hook_that_fails_is_switched_off_and_says_so(
    installed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise RuntimeError("broken by a test")

    async def main() -> str:
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))
        return "well"

    with monkeypatch.context() as patch:
        patch.setattr("asynctop.core.python.spawns._kind_of", fails)
        assert asyncio.run(main()) == "well"
    assert asyncio.events.Handle is StockHandle
    _, tick = first_tick(installed)
    assert tick.faults == ["the hooks failed and is switched off: RuntimeError: broken by a test"]


def test_an_incident_hook_that_fails_is_switched_off_alone(
    installed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise RuntimeError("broken by a test")

    async def never_awaited() -> None: ...

    monkeypatch.setattr("asynctop.incident_log.IncidentLog.note", fails)
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="never_awaited' was never awaited"):
            never_awaited()  # type: ignore[unused-coroutine]
    assert type(warnings._warn_unawaited_coroutine) is FunctionType  # type: ignore[attr-defined]
    assert asyncio.events.Handle is not StockHandle
    _, tick = first_tick(installed)
    assert tick.faults == ["the incident hooks failed and is switched off: RuntimeError: broken by a test"]


class Unlike(asyncio.Task[str]):
    """A task that does not answer."""

    def get_coro(self) -> Any:
        raise RuntimeError("broken by the program")


class Nameless(type):
    """Of classes without a name."""

    def __getattribute__(cls, name: str) -> Any:
        if name == "__qualname__":
            raise RuntimeError("broken by the program")
        return super().__getattribute__(name)


class Setter(metaclass=Nameless):
    """A callback without a name."""

    def __call__(self, future: asyncio.Future[str]) -> None:
        future.set_result("well")


@pytest.mark.parametrize("breaks", ["task", "callback"])
def test_what_the_programs_own_classes_break_is_told_and_the_program_goes_on(
    installed: str, breaks: str
) -> None:
    async def well() -> str:
        await asyncio.sleep(0)
        return "well"

    async def main() -> str:
        loop = asyncio.get_running_loop()
        if breaks == "task":
            return await Unlike(well(), loop=loop)
        future = loop.create_future()
        loop.call_soon(Setter(), future)
        return str(await future)

    for _ in range(2):
        assert asyncio.run(main()) == "well"
    assert asyncio.events.Handle is StockHandle
    _, tick = first_tick(installed)
    assert tick.faults == ["the hooks failed and is switched off: RuntimeError: broken by the program"]


def test_waiting_for_a_console(installed: str) -> None:
    assert not asynctop.await_console(0)
    connection = Connection(Role.CONSOLE)
    messages: list[Message] = []

    def listen(sock: socket.socket) -> None:
        with sock:
            while data := sock.recv(65536):
                messages.extend(connection.receive(data))

    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(installed)
    sock.sendall(connection.send(Hello(Role.CONSOLE)) + connection.send(Subscribe(1)))
    listening = threading.Thread(target=listen, args=[sock])
    listening.start()
    assert asynctop.await_console(20)
    asynctop.uninstall()  # it tells all that there is, and waits until the console has hung up
    listening.join()
    assert isinstance(messages[-1], Tick)
    assert not asynctop.await_console(0)


def test_a_forked_child_serves_on_its_own_socket(installed: str) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        names = sorted(thread.name for thread in threading.enumerate() if "asynctop" in thread.name)
        os.write(writer, f"{len(os.listdir(os.environ['ASYNCTOP_DIR']))} {names}".encode())
        asynctop.uninstall()
        os._exit(0)
    os.close(writer)
    with open(reader) as text:
        assert text.read() == "2 ['asynctop-publisher', 'asynctop-stalls']"
    assert os.waitpid(child, 0)[1] == 0
    hello, _ = first_tick(installed)
    assert hello.pid == os.getpid()


def test_no_socket_no_hooks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    monkeypatch.setenv("ASYNCTOP_DIR", str(shared))
    assert not asynctop.install()
    assert "mode 0755" in caplog.text


def test_a_core_that_there_is_not(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("ASYNCTOP_CORE", "fortran")
    assert not asynctop.install()
    assert 'ASYNCTOP_CORE is "fortran"' in caplog.text


def test_a_threshold_that_makes_no_sense() -> None:
    with pytest.raises(ValueError, match=r"0\.001 to 3600 seconds, found -1"):
        asynctop.install(stall_threshold=-1)


def test_the_command_without_the_console() -> None:
    code = (
        "import sys; sys.modules['asynctop_console'] = None; "
        "import asynctop.__main__ as m; sys.exit(m.main())"
    )
    done = subprocess.run([sys.executable, "-c", code, "ls"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'asynctop[console]'" in done.stderr


def test_our_sockets_stay_ours_whatever_the_program_puts_in_place_of_os_fstat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as sock, monkeypatch.context() as patch:
        ours = identity(sock)
        patch.setattr("os.fstat", lambda descriptor: os.stat("/"))
        assert identity(sock) == ours


@pytest.mark.usefixtures("installed")
def test_the_parent_of_a_fork_goes_on_without_a_loop() -> None:
    for _ in range(2):
        child = os.fork()
        if child == 0:
            asynctop.uninstall()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert {"asynctop-publisher", "asynctop-stalls"} <= {each.name for each in threading.enumerate()}
