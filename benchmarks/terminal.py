"""A command in a pseudo-terminal of 160x48, whose other end takes note of what is written when."""

from __future__ import annotations

import fcntl
import math
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from time import perf_counter, sleep

COLUMNS, ROWS = 160, 48
_MOVE = re.compile(rb"\x1b\[(\d+);\d+H|(\n)|([^\x00-\x1f\x1b])|\x1b\[[0-9;?>]*[A-Za-z$]|.", re.DOTALL)
"""Where the cursor goes: to a row, a row down, or along the row it is in. Everything else leaves it there."""


_SIP = 300
"""Bytes that a slow terminal reads at once."""


class Terminal:
    """The pseudo-terminal's other end. Times are seconds since the command was started."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self._descriptor = descriptor
        self._began = perf_counter()
        self._chunks: list[bytes] = []
        self._times: list[float] = []

    @property
    def written(self) -> int:
        """Bytes so far."""
        return sum(map(len, self._chunks))

    def press(self, key: bytes) -> int:
        """Press a key. Returns how many bytes had been read before."""
        os.write(self._descriptor, key)
        return self.written

    def since(self, offset: int) -> bytes:
        """What was written after so many bytes."""
        return b"".join(self._chunks)[offset:]

    def read(self, seconds: float, until: Callable[[], bool] = lambda: False, rate: float = math.inf) -> None:
        """Read for a while, or until something is so; so many bytes a second at most."""
        end = perf_counter() + seconds
        while (left := end - perf_counter()) > 0 and not until():
            if select.select([self._descriptor], [], [], left)[0]:
                try:
                    data = os.read(self._descriptor, 1 << 16 if rate == math.inf else _SIP)
                except OSError:  # how Linux says that the other end was closed
                    sys.exit(f"expected a console, found its end: {b''.join(self._chunks)[-500:].decode()}")
                self._chunks.append(data)
                self._times.append(perf_counter() - self._began)
                sleep(len(data) / rate)

    def shows(self, text: bytes) -> bool:
        """Whether a text has been written."""
        return text in b"".join(self._chunks[-100:])

    def when_shown(self, text: bytes) -> float:
        """When this text was first there."""
        return self._time_of(b"".join(self._chunks).index(text) + len(text))

    def when_full(self) -> float:
        """When something had been written in every row for the first time."""
        row, rows = 1, set()
        for move in _MOVE.finditer(b"".join(self._chunks)):
            to, down, along = move.groups()
            if to:
                row = int(to)
            elif down:
                row += 1
            elif along:
                rows.add(row)
                if len(rows) == ROWS:
                    return self._time_of(move.end())
        sys.exit(f"expected a frame of {ROWS} rows, found {len(rows)} of them written")

    def _time_of(self, offset: int) -> float:
        ends = accumulate(map(len, self._chunks))
        return next(time for end, time in zip(ends, self._times, strict=True) if end >= offset)


@contextmanager
def terminal(command: list[str], env: dict[str, str]) -> Iterator[Terminal]:
    """Run a command in a terminal, and end it."""
    pid, descriptor = pty.fork()
    if not pid:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execve(command[0], command, env | {"TERM": "xterm-256color", "COLORTERM": "truecolor"})
    try:
        yield Terminal(pid, descriptor)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(descriptor)
