"""Bad input: one line on standard error, exit status 2, and a program that goes on undisturbed."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asynctop_protocol import Connection
from asynctop_protocol.messages import Hello, Inspect, Message, Problem, Role, Subscribe, Tick

from .processes import ASYNCTOP, DEADLINE_S, RUN, Lab, Process, complaint

SNAPSHOT = (*ASYNCTOP, "snapshot", "--json", "--for", "0")

ECHO = """
import asyncio, sys
async def main():
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print("echo", line, end="", flush=True)
asyncio.run(main())
"""


@pytest.fixture
def program(lab: Lab) -> Iterator[Process]:
    """A program that must still work, and can still be looked at, when the test is over."""
    process = lab.run(lab.program(ECHO))
    yield process
    process.say(b"still here\n")
    process.stdout.line("^echo still here$")
    snapshot = lab.snapshot(process)
    assert snapshot["faults"] == []
    assert not any(snapshot["dropped"].values())
    process.say_no_more()
    assert process.status() == 0
    assert process.stderr.all() == ""
    lab.leaves_nothing(process)


def refused(lab: Lab, *argv: str | Path, **env: str) -> str:
    """The one line with which a command is refused."""
    return complaint(lab.start(*argv, env=env))


# What to look at


def test_no_such_process(lab: Lab) -> None:
    ended = lab.start("true")
    ended.status()
    assert "there is no process" in refused(lab, *SNAPSHOT, str(ended.pid))


@pytest.mark.usefixtures("program")
def test_a_process_without_asynctop(lab: Lab) -> None:
    assert "is not instrumented" in refused(lab, *SNAPSHOT, str(os.getpid()))


@pytest.mark.usefixtures("program")
def test_a_dead_socket(lab: Lab) -> None:
    path = lab.work / "dead.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    assert "nobody listens at" in refused(lab, *SNAPSHOT, path)


def test_no_such_path(lab: Lab) -> None:
    assert "neither a pid nor an existing" in refused(lab, *SNAPSHOT, "no/such.sock")


@pytest.mark.parametrize("command", ["snapshot", "connect"])
def test_a_path_that_is_no_socket(lab: Lab, command: str) -> None:
    text = refused(lab, *ASYNCTOP, command, lab.program(ECHO))
    assert "program.py is" in text
    assert "a directory" in refused(lab, *ASYNCTOP, command, lab.work)


FOREIGN = """
import os, socket, sys
if os.getuid() == 0:
    os.setuid(65534)  # nobody
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777 if os.getuid() == 65534 else 0)
listener.listen()
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_socket_of_another_user(lab: Lab) -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        path = Path(directory) / "foreign.sock"
        lab.start(sys.executable, lab.program(FOREIGN), path).stdout.line("^ready")
        text = refused(lab, *SNAPSHOT, path)
    # Root may connect to anything, and then sees who is there; others may not even connect.
    assert "runs as user 65534, you are 0" in text or "belongs to another user" in text


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan", "inf", "1e99", ""])
def test_a_time_that_is_none(lab: Lab, program: Process, seconds: str) -> None:
    text = refused(lab, *ASYNCTOP, "snapshot", str(program.pid), f"--for={seconds}", "--json")
    assert "expected a number of seconds" in text


# What is set


@pytest.mark.parametrize("command", ["snapshot", "connect", "lints"])
def test_settings_that_mean_nothing(lab: Lab, command: str) -> None:
    settings = lab.work / "settings.toml"
    settings.write_text("[lints.lock-convoy]\nleast_waiters = true\n")
    target = [] if command == "lints" else ["1"]
    text = refused(lab, *ASYNCTOP, command, *target, ASYNCTOP_CONFIG=str(settings))
    assert text.startswith(f"{settings}: lints.lock-convoy.least_waiters: expected a whole number")
    assert text.endswith("found true")


# Whose directory


@contextmanager
def directory(mode: int, owner: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, mode)
        if os.getuid() == 0:
            os.chown(path, owner, -1)
        yield path


@pytest.mark.parametrize(
    "argv", [(*SNAPSHOT, "1"), (*ASYNCTOP, "ls"), (*RUN, "program.py")], ids=lambda a: a[3]
)
def test_a_directory_that_others_can_enter(lab: Lab, argv: tuple[str, ...]) -> None:
    lab.program(ECHO)
    with directory(0o777, os.getuid()) as path:
        assert "0777" in refused(lab, *argv, ASYNCTOP_DIR=path)


@pytest.mark.parametrize(
    "argv", [(*SNAPSHOT, "1"), (*ASYNCTOP, "ls"), (*RUN, "program.py")], ids=lambda a: a[3]
)
def test_a_directory_of_somebody_else(lab: Lab, argv: tuple[str, ...]) -> None:
    lab.program(ECHO)
    if os.getuid() == 0:
        with directory(0o700, 65534) as path:
            assert "65534" in refused(lab, *argv, ASYNCTOP_DIR=path)
    else:
        assert refused(lab, *argv, ASYNCTOP_DIR="/")


def test_a_directory_that_cannot_be_made(lab: Lab) -> None:
    path = lab.program("", "file") / "below"
    assert str(path) in refused(lab, *RUN, lab.program(ECHO), ASYNCTOP_DIR=str(path))


def test_a_directory_by_a_relative_path(lab: Lab) -> None:
    assert "absolute path" in refused(lab, *RUN, lab.program(ECHO), ASYNCTOP_DIR="relative")


def test_a_directory_with_too_long_a_name(lab: Lab) -> None:
    assert "at most 103 bytes" in refused(lab, *RUN, lab.program(ECHO), ASYNCTOP_DIR="/tmp/" + "x" * 120)


# What to run


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "expected a program to run"),
        (["-m"], "expected a program to run"),
        (["--"], "expected a program to run"),
        (["missing.py"], "no readable file 'missing.py'"),
        (["python3", "program.py"], "leave 'python3' out"),
        (["ls"], "as in -m ls, or by its path: /"),
        (["-m", "missing"], "No module named missing"),
        (["-m", "missing.part"], "'missing'"),
        (["-m", "package"], "cannot be directly executed"),
        (["-m", "broken"], "broken.py, line 1: SyntaxError"),
        (["broken.py"], "broken.py, line 1: SyntaxError"),
        (["package"], "'__main__'"),
        (["nulls.py"], "null bytes"),
        (["--bogus", "program.py"], "--bogus"),
        (["--stall-threshold", "soon", "program.py"], "milliseconds"),
        (["--stall-threshold", "0", "program.py"], "milliseconds"),
        (["--stall-threshold"], "expected one argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_run(lab: Lab, words: list[str], says: str) -> None:
    lab.program("def broken(:\n", "broken.py")
    lab.program("", "package/__init__.py")
    lab.program("x = '\0'", "nulls.py")
    assert says in refused(lab, *RUN, *words)
    assert list(lab.directory.iterdir()) == []


def test_a_core_that_there_is_not(lab: Lab) -> None:
    text = refused(lab, *RUN, lab.program(ECHO), ASYNCTOP_CORE="nonsense")
    assert "ASYNCTOP_CORE" in text
    assert "nonsense" in text


# What the other end says


class Peer:
    """One end of a connection that says what it likes."""

    def __init__(self, sock: socket.socket, role: Role) -> None:
        sock.settimeout(DEADLINE_S)
        self.sock = sock
        self.connection = Connection(role)

    def until(self, kind: type[Message]) -> list[Message]:
        """The messages up to one of a kind, or to the end."""
        seen: list[Message] = []
        while not any(isinstance(message, kind) for message in seen):
            data = self.sock.recv(65536)
            if not data:
                break
            seen += self.connection.receive(data)
        return seen

    def rest(self) -> list[Message]:
        """The messages up to the end of the connection."""
        seen: list[Message] = []
        while data := self.sock.recv(65536):
            seen += self.connection.receive(data)
        return seen


@contextmanager
def console(lab: Lab, program: Process) -> Iterator[Peer]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(lab.socket(program)))
        yield Peer(sock, Role.CONSOLE)


def test_a_console_of_another_version_is_told(lab: Lab, program: Process) -> None:
    with console(lab, program) as peer:
        peer.sock.sendall(peer.connection.send(Hello(Role.CONSOLE, protocol=(99, 0))))
        problem = peer.rest()[-1]
    assert isinstance(problem, Problem)
    assert "protocol 1.0" in problem.text
    assert "99.0" in problem.text
    assert "\n" not in problem.text


HELLO = Connection(Role.CONSOLE).send(Hello(Role.CONSOLE))
THEIRS = "the hello of a program"
GARBAGE = {
    "noise": bytes(range(255, -1, -1)) * 16,
    "zeros": bytes(4096),
    "a huge frame": b"\xff" * 64,
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "hello twice": HELLO * 2,
    "noise after hello": HELLO + b"\xff\xfe" * 512,
    THEIRS: Connection(Role.RUNTIME).send(Hello(Role.RUNTIME)),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_a_program_answers_garbage_with_a_problem(lab: Lab, program: Process, name: str) -> None:
    with console(lab, program) as peer:
        peer.sock.sendall(GARBAGE[name])
        kinds = [type(message) for message in peer.rest()]
    assert kinds == [Hello, Problem]


@pytest.mark.parametrize("data", [b"", b"\0", HELLO[:-1], HELLO], ids=["nothing", "a byte", "half", "hello"])
def test_a_console_may_hang_up_at_any_time(lab: Lab, program: Process, data: bytes) -> None:
    with console(lab, program) as peer:
        peer.sock.sendall(data)


def test_a_console_may_ask_for_tasks_that_there_are_not(lab: Lab, program: Process) -> None:
    with console(lab, program) as peer:
        for message in (Hello(Role.CONSOLE), Subscribe(-(2**63)), Inspect(-1, [-1, 0, 2**62])):
            peer.sock.sendall(peer.connection.send(message))
        assert any(isinstance(message, Tick) for message in peer.until(Tick))


@contextmanager
def runtime(lab: Lab, answer: bytes) -> Iterator[str]:
    """A socket at which somebody answers every console with the same bytes."""
    path = str(lab.work / "fake.sock") if len(str(lab.work)) < 80 else str(lab.directory / "fake.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(DEADLINE_S)
                try:
                    sock.sendall(answer)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass
                except OSError:
                    pass  # the console has heard enough

        server = threading.Thread(target=serve)
        server.start()
        try:
            yield path
        finally:
            server.join()
    os.unlink(path)


def test_a_program_of_another_version(lab: Lab) -> None:
    hello = Connection(Role.RUNTIME).send(Hello(Role.RUNTIME, protocol=(99, 0), pid=1))
    with runtime(lab, hello) as path:
        text = refused(lab, *SNAPSHOT, path)
    assert "protocol 1.0" in text
    assert "99.0" in text


@pytest.mark.parametrize("name", [*(name for name in GARBAGE if name != THEIRS), "nothing"])
def test_a_socket_of_something_else(lab: Lab, name: str) -> None:
    with runtime(lab, GARBAGE.get(name, b"")) as path:
        assert path in refused(lab, *SNAPSHOT, path)


# Where to write


@pytest.mark.parametrize("what", ["snapshot", "snapshot --json", "ls", "ls --json"])
@pytest.mark.parametrize("end", ["| head -c 1", "| true", ">&-"])
def test_a_reader_that_has_seen_enough(lab: Lab, program: Process, what: str, end: str) -> None:
    target = f"{program.pid} --for 0" if what.startswith("snapshot") else ""
    script = f'"$0" -m asynctop {what} {target} {end}'
    shell = lab.start("sh", "-c", script, sys.executable)
    shell.status()
    assert shell.stderr.all() == ""


@pytest.mark.parametrize("what", ["snapshot", "ls"])
def test_a_full_disk(lab: Lab, program: Process, what: str) -> None:
    target = f"{program.pid} --for 0" if what == "snapshot" else ""
    shell = lab.start("sh", "-c", f'"$0" -m asynctop {what} {target} >/dev/full', sys.executable)
    assert "No space left" in complaint(shell)
