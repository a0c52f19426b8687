"""What the benchmarks share: fresh programs to measure, a console that only reads, and the statistics.

Everything measured runs in a fresh interpreter, which says what it has to say in lines of JSON and goes on
when it is sent a line.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
INTERVAL_NS = 250_000_000
"""The console's own: four ticks a second."""
_TOO_LONG_S = 300


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with its quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of some values; one value is its own quartiles."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))


Cell = str | int | float | Spread


@dataclass(slots=True)
class Table:
    """The figures of one benchmark: what JSON, the terminal and RESULTS.md all show."""

    title: str
    rows: list[dict[str, Cell]] = field(default_factory=list)
    medians: bool = False
    """Shown without quartiles; JSON has them."""
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> str:
        """What a cell says that has no figure, for a reason that is told below the table."""
        if text not in self.notes:
            self.notes.append(text)
        return f"no [{self.notes.index(text) + 1}]"

    def lines(self) -> Iterator[str]:
        """As a Markdown table, aligned so that a terminal shows it too."""
        header = list(dict.fromkeys(name for row in self.rows for name in row))
        texts = [header, *([self._shown(row.get(name, "")) for name in header] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        yield f"## {self.title}"
        yield ""
        for number, row in enumerate(texts):
            yield f"| {' | '.join(text.ljust(width) for text, width in zip(row, widths, strict=True))} |"
            if number == 0:
                yield f"| {' | '.join('-' * width for width in widths)} |"
        yield ""
        for number, note in enumerate(self.notes, 1):
            yield f"- [{number}] {note}"
        if self.notes:
            yield ""

    def _shown(self, cell: Cell) -> str:
        return _text(cell.median if self.medians and isinstance(cell, Spread) else cell)

    def plain(self) -> dict[str, Any]:
        """For JSON: a spread becomes its median and quartiles."""
        rows = [{name: _plain(cell) for name, cell in row.items()} for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": self.notes}


def _text(cell: Cell) -> str:
    if isinstance(cell, Spread):
        return f"{_text(cell.median)} ({_text(cell.low)} to {_text(cell.high)})"
    if isinstance(cell, float):
        return f"{cell:.2f}" if cell < 10 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _plain(cell: Cell) -> Any:
    return {"median": cell.median, "quartiles": [cell.low, cell.high]} if isinstance(cell, Spread) else cell


def arguments(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each is measured (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def show(tables: Sequence[Table], as_json: bool) -> None:
    """Print the tables."""
    if as_json:
        print(json.dumps([table.plain() for table in tables], indent=2))
    else:
        print("\n".join(line for table in tables for line in table.lines()), end="")


def main(parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], list[Table]]) -> None:
    """What each benchmark does when it is run by itself."""
    options = parser.parse_args()
    show(measure(options), options.json)


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """Environment variables for programs that see this source tree, and nobody else's programs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASYNCTOP", "PYTHON"))}
    folders = (str(ROOT / name) for name in ("runtime", "protocol", "console"))
    with tempfile.TemporaryDirectory(prefix="top") as directory:
        yield kept | {"PYTHONPATH": os.pathsep.join(folders), "ASYNCTOP_DIR": directory}


class Failed(SystemExit):
    """A program has ended, or was silent for too long, where it was expected to say something."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Program:
    """A fresh interpreter with a script of this folder: `command` starts it, `pid` is the command's."""

    def __init__(self, command: Sequence[str], script: str, *arguments: str, env: dict[str, str]) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed on exit)
        self._script = script
        self._process = subprocess.Popen(
            [*command, str(HERE / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=env,
            start_new_session=True,  # so that what the command starts can be ended with it
        )
        self.pid = self._process.pid

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        self._process.communicate()
        self._errors.close()

    def hear(self) -> Any:
        """What it says next. `Failed` where it ends instead, with the last line of its errors, and where that
        takes too long."""
        assert self._process.stdout is not None
        timer = threading.Timer(_TOO_LONG_S, self._kill)
        timer.start()
        try:
            for line in self._process.stdout:
                try:
                    return json.loads(line)
                except json.JSONDecodeError:  # what a tool has to say to its user
                    continue
        finally:
            late = timer.finished.is_set()
            timer.cancel()
        raise Failed(f"silent for {_TOO_LONG_S} seconds" if late else self._last_error())

    def go_on(self, line: str = "") -> None:
        """Send it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """As Ctrl-Z would."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """After `stop`."""
        os.kill(self.pid, signal.SIGCONT)

    def _kill(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has ended by itself
            pass

    def _last_error(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line[:1].strip() and "Warning: " not in line]
        return lines[-1] if lines else f"{self._script} ended with status {status}"


@contextmanager
def reader(program: Program, env: dict[str, str], interval_ns: int = INTERVAL_NS) -> Iterator[Program]:
    """A console that only reads `program`, which has been heard of by now. Returns after its first tick."""
    path = Path(env["ASYNCTOP_DIR"], f"{program.pid}.sock")
    with Program([sys.executable], "reader.py", str(path), str(interval_ns), env=env) as console:
        console.hear()
        yield console


def busy(pids: list[int], pause: Callable[[], None]) -> list[float]:
    """The share of a core that each process takes during `pause`."""
    before, began = [_cpu_s(pid) for pid in pids], perf_counter()
    pause()
    passed = perf_counter() - began
    return [(_cpu_s(pid) - was) / passed for pid, was in zip(pids, before, strict=True)]


def _cpu_s(pid: int) -> float:
    """Processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
