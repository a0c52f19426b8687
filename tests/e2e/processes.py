"""Real processes: started, listened to line by line, ended, and looked for afterwards.

Nothing here sleeps for a while and hopes. It waits for what happens, and fails with what it saw when that
does not happen in time.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

Json: TypeAlias = dict[str, Any]

DEADLINE_S = 60.0
"""For everything that takes a moment on an idle machine. Long, because a busy machine is no failure."""

_LOOK_AGAIN_S = 0.02

ASYNCTOP = (sys.executable, "-m", "asynctop")
RUN = (*ASYNCTOP, "run")
PYTHON = (sys.executable,)


def eventually(happened: Callable[[], bool], what: str, saw: Callable[[], str] = lambda: "") -> None:
    """Wait for what nobody announces. Fails with `what` was expected and what `saw` says instead."""
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline, f"expected {what} within {DEADLINE_S:g} s, found:\n{saw()}"
        time.sleep(_LOOK_AGAIN_S)


class Output:
    """What a process writes to one stream, read as it comes so that the process never waits for us."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._data = b""
        self._ended = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream:
            with self._news:
                self._data += line
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def line(self, pattern: str) -> re.Match[str]:
        """Wait for a line that matches."""
        expression = re.compile(pattern, re.MULTILINE)
        with self._news:
            self._news.wait_for(lambda: self._ended or expression.search(self.so_far), DEADLINE_S)
        found = expression.search(self.so_far)
        assert found, f"expected a line like {pattern!r}, found {self.so_far!r}"
        return found

    @property
    def so_far(self) -> str:
        """Everything up to now."""
        return self._data.decode(errors="replace")

    def all(self) -> str:
        """Everything, once the process and whoever has its stream have ended."""
        self._thread.join(DEADLINE_S)
        assert self._ended, f"somebody still holds the stream that has said {self.so_far!r}"
        self._stream.close()
        return self.so_far


class Process:
    """A process in a session of its own."""

    def __init__(
        self,
        argv: Iterable[str | Path],
        env: Mapping[str, str],
        cwd: Path | None = None,
        stdin: bytes | None = None,
    ) -> None:
        self._popen = subprocess.Popen(
            list(argv),
            env=env,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._popen.stdout
        assert self._popen.stderr
        self.pid = self._popen.pid
        self.stdout = Output(self._popen.stdout)
        self.stderr = Output(self._popen.stderr)
        if stdin is not None:
            with suppress(BrokenPipeError):  # it need not read, and may have ended by now
                self.say(stdin)
            with suppress(BrokenPipeError):
                self.say_no_more()

    def say(self, data: bytes) -> None:
        """Write to its standard input."""
        assert self._popen.stdin
        self._popen.stdin.write(data)
        self._popen.stdin.flush()

    def say_no_more(self) -> None:
        """Close its standard input."""
        assert self._popen.stdin
        self._popen.stdin.close()

    def signal(self, number: int) -> None:
        """Send a signal to it, and not to its children."""
        self._popen.send_signal(number)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def status(self) -> int:
        """Wait for its end. Its exit status, or the negative number of the signal that ended it."""
        try:
            return self._popen.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"has not ended; said {self.stdout.so_far!r}, {self.stderr.so_far!r}"
            ) from None

    def kill(self) -> None:
        """End it and everything it has started, whatever state they are in."""
        for pid in self.family():
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        self._popen.wait()
        if self._popen.stdin and not self._popen.stdin.closed:
            try:
                self._popen.stdin.close()
            except BrokenPipeError:
                pass
        self.stdout.all()
        self.stderr.all()

    def family(self) -> list[int]:
        """Pids of its session: it, and what it has started."""
        return [
            pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _session(pid) == self.pid
        ]

    def rss(self) -> int:
        """Resident memory, in bytes."""
        found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert found
        return int(found[1]) * 1024

    @property
    def asleep(self) -> bool:
        """Whether its main thread waits for something."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"

    def threads(self) -> int:
        """How many threads it has."""
        return len(os.listdir(f"/proc/{self.pid}/task"))


def _session(pid: int) -> int | None:
    """The session of a process that has not ended; zombies count as ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, _parent, _group, session = text.rpartition(")")[2].split()[:4]
    return int(session) if state not in "ZX" else None


class Lab:
    """A directory of sockets of its own, and the processes that use it."""

    def __init__(self, directory: Path, work: Path) -> None:
        self.directory = directory
        self.work = work
        """Where programs are written, and run."""
        self._processes: list[Process] = []

    @property
    def env(self) -> dict[str, str]:
        """The environment of the processes: ours, without what would change what they say."""
        kept = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
        return kept | {
            "ASYNCTOP_CONFIG": os.devnull,
            "ASYNCTOP_DIR": str(self.directory),
            "XDG_STATE_HOME": str(self.work),
            "TMPDIR": str(self.work),  # a program that is killed leaves what it has there
            "TERM": "xterm-256color",
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",  # see `end_with_stacks`
        }

    def start(
        self,
        *argv: str | Path,
        stdin: bytes | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] = {},
    ) -> Process:
        """Start a process. It is ended with the test, if not before."""
        process = Process(argv, {**self.env, **env}, cwd or self.work, stdin)
        self._processes.append(process)
        return process

    def program(self, source: str, name: str = "program.py") -> Path:
        """Write a program."""
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return path

    def run(
        self, program: str | Path, *arguments: str, ready: str = "^ready", env: Mapping[str, str] = {}
    ) -> Process:
        """`asynctop run` a program, and wait for its line `ready`: it is instrumented by then."""
        process = self.start(*RUN, program, *arguments, env=env)
        process.stdout.line(ready)
        assert self.socket(process).exists()
        return process

    def snapshot(self, target: Process, seconds: float = 0) -> Json:
        """What `asynctop snapshot --json` says about a program."""
        return snapshot_of(
            self.start(*ASYNCTOP, "snapshot", str(target.pid), "--for", f"{seconds:g}", "--json")
        )

    def socket(self, process: Process) -> Path:
        """Where a program listens."""
        return self.directory / f"{process.pid}.sock"

    def written(self, path: Path) -> None:
        """Wait until there is something in a file."""
        eventually(lambda: path.exists() and path.stat().st_size > 0, f"something in {path}")

    def consoles(self, process: Process) -> int:
        """How many connections a program has accepted: the kernel lists its ends under the socket's path."""
        path = str(self.socket(process))
        connected = "03"
        lines = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
        return sum(words[-1] == path and words[5] == connected for words in lines)

    def leaves_nothing(self, process: Process) -> None:
        """A program that has ended in its own way has left neither socket nor process."""
        assert not process.running
        assert process.family() == []
        assert not self.socket(process).exists()

    def end_with_stacks(self) -> str:
        """End what still runs, and tell what its threads were doing."""
        running = [process for process in self._processes if process.running]
        for process in running:
            process.signal(signal.SIGABRT)
        return "\n".join(f"{process.pid}:\n{process.stderr.all()}" for process in running)

    def close(self) -> None:
        """End what still runs."""
        for process in self._processes:
            process.kill()
        assert [pid for process in self._processes for pid in process.family()] == []


_UNWANTED = {
    "PYTHONASYNCIODEBUG",
    "PYTHONWARNINGS",
    "PYTHONDEVMODE",
    "NO_COLOR",
    "FORCE_COLOR",
    "COLUMNS",
    "LINES",
}


def snapshot_of(process: Process) -> Json:
    """What a started `asynctop snapshot --json` prints in the end."""
    status = process.status()
    assert (status, process.stderr.all()) == (0, "")
    snapshot: Json = json.loads(process.stdout.all())
    return snapshot


def complaint(process: Process) -> str:
    """The one line on standard error with which a command refuses bad input, without "asynctop: "."""
    status, out, err = process.status(), process.stdout.all(), process.stderr.all()
    assert (status, out, err.count("\n")) == (2, "", 1), (status, out, err)
    assert err.startswith("asynctop: "), err
    return err.removeprefix("asynctop: ").rstrip("\n")
