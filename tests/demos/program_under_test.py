"""Programs under test as real processes: started with plain Python, read line by line, ended by a signal."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


class Program:
    """One running program. Every wait here is for output or for the end, and pytest-timeout bounds it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def stdout_line(self, pattern: str) -> re.Match[str]:
        """Read standard output up to a line that matches."""
        return self._line(self.process.stdout, pattern)

    def stderr_line(self, pattern: str) -> re.Match[str]:
        """Read standard error up to a line that matches."""
        return self._line(self.process.stderr, pattern)

    def _line(self, stream: IO[str] | None, pattern: str) -> re.Match[str]:
        assert stream is not None
        for line in stream:
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"ended without a line like {pattern!r}: {self.process.communicate()}")

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send the signal; the exit status and what is left on standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate()
        return self.process.returncode, errors


@contextmanager
def running(path: Path, *arguments: str, debug: bool = False) -> Iterator[Program]:
    """Run a program; with `debug`, asyncio reports each callback longer than 0.1 s on standard error."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONASYNCIODEBUG"}
    if debug:
        environment["PYTHONASYNCIODEBUG"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        environment["TMPDIR"] = folder  # a program that is killed leaves what it has there
        # A job in the background of a shell ignores SIGINT, and children inherit that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process = subprocess.Popen(
                [sys.executable, path, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
        finally:
            signal.signal(signal.SIGINT, before)
        with process:
            try:
                yield Program(process)
            finally:
                process.kill()
