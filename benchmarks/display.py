"""The console's screen beside very many tasks: its processor time, memory and frames, and keys.

    python benchmarks/display.py [--tasks N] [--rate HZ] [--seconds N]

`asynctop connect SOCKET` in a real pseudo-terminal of 160x48, beside a program that is made up
(`synthetic.py`), 5 % of whose tasks change with each tick. The screen is painted four times a second, or ten
times, once `>` has been pressed. A key's time is from its being pressed until the
cursor is drawn in another row, keys being pressed at any time. A frame is a turn of the console's event loop,
as asynctop, which watches the console, tells. A slow terminal takes 30 kB a second. Ingesting is from bytes
to the model, alone. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from statistics import quantiles
from time import monotonic_ns, perf_counter, process_time
from typing import NamedTuple

from asynctop_console.model import Model
from asynctop_console.source.live import SocketSource
from asynctop_console.source.target import Target
from asynctop_protocol import Connection, Loops, Role, Subscribe, Tick
from measuring import Cell, Program, Table, arguments, busy, environment, main
from synthetic_program import speech
from terminal import COLUMNS, ROWS, Terminal, terminal


class _Size(NamedTuple):
    tasks: int
    ticks: int
    """A second."""
    paintings: int = 4
    """A second: 4 or 10."""
    share: int = 12
    """The most that the console should take of a core, %."""


_SIZES = (_Size(1_000_000, 4), _Size(10_000, 10, 4, 6), _Size(10_000, 10, 10, 6))
_ALL_IN = b"polls/s"
"""On the screen once the program has told of all its tasks: some are drawn before."""
_WARM_UP_S = 8.0
_TOO_LONG_S = 60.0
_KEYS = 100
_SLOW = 30_000
"""Bytes a second."""
_UP, _DOWN = b"\x1b[A", b"\x1b[B"
_CURSOR = re.compile(rb"48;2;(36;52;76|187;48;70)$")
"""The background of the cursor's row, in the dark theme: of a task's, and of one's that blocks."""
_WRITTEN = re.compile(rb"\x1b\[([\d;]*)m|\x1b\[(\d+);\d+H|[^\x1b]+")
"""A style, which holds for what follows, a move to a row, or text."""
_RECENT = 200_000
"""Bytes in which the cursor has been drawn for certain."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = arguments(__doc__, rounds=20)
    found.add_argument("--tasks", type=int, help="how many tasks (a million, and ten thousand)")
    found.add_argument("--rate", type=int, default=4, help="ticks a second, with --tasks (%(default)s)")
    found.add_argument("--seconds", type=float, default=20.0, help="how long to look (%(default)s)")
    return found


def measure(options: argparse.Namespace) -> list[Table]:
    """Each size, and how fast the model takes in what comes."""
    sizes = [_Size(options.tasks, options.rate)] if options.tasks else _SIZES
    beside = Table(f"Display: {COLUMNS}x{ROWS}, 5 % of the tasks changing with each tick")
    slow = Table(f"Display: a terminal that takes {_SLOW // 1000} kB a second")
    ingesting = Table("Display: from the wire into the model")
    with environment() as env:
        for size in sizes:
            beside.rows.append(_beside(size, options.seconds, env))
        slow.rows.append(_slowed(sizes[-1], options.seconds, env))
    ingesting.rows.append(_ingested(sizes[0].tasks, options.rounds))
    return [beside, slow, ingesting]


def _beside(size: _Size, seconds: float, env: dict[str, str]) -> dict[str, Cell]:
    with _console(size, env) as (screen, _):
        [console] = busy([screen.pid], lambda: screen.read(seconds))
        written = _written_held(screen, seconds)
        keys = _key_times(screen)
        memory = _memory_mb(screen.pid)
    with _console(size, env, watched=True) as (screen, path):
        frames = _frames(screen, path, seconds)
    return {
        "tasks": f"{size.tasks:,}",
        "ticks a second": size.ticks,
        "paintings": size.paintings,
        "% of a core": console * 100,
        "target, %": f"< {size.share}",
        "MB": memory,
        "target, MB": "< 400",
        "key to screen, p50, ms": quantiles(keys, n=100)[49] * 1000,
        "p99, ms": quantiles(keys, n=100)[98] * 1000,
        "target, ms": "< 20",
        "longest frame, ms": max(frames) / 1e6,
        "target, longest, ms": "<= 16",
        "kB a tick to the terminal, order held": written / (seconds * size.ticks) / 1000,
        "target, kB": "< 2",
    }


def _slowed(size: _Size, seconds: float, env: dict[str, str]) -> dict[str, Cell]:
    with _console(size, env) as (screen, _):
        screen.read(seconds, rate=_SLOW)
        keys = _key_times(screen, rate=_SLOW)
    return {
        "tasks": f"{size.tasks:,}",
        "ticks a second": size.ticks,
        "paintings": size.paintings,
        "key to screen, p50, ms": quantiles(keys, n=100)[49] * 1000,
        "longest, ms": max(keys) * 1000,
        "target, ms": "< 1000",
    }


def _ingested(tasks: int, rounds: int) -> dict[str, Cell]:
    opening, *batches = speech(Connection(Role.RUNTIME), tasks, 10**9 // 4)
    connection, model = Connection(Role.CONSOLE), Model()
    for message in connection.receive(opening):
        model.fold(message)
    took = []
    for batch in batches[:rounds]:
        began = process_time()
        updates = 0
        for message in [*connection.receive(batch), Tick(monotonic_ns())]:
            model.fold(message)
            updates += len(getattr(message, "polls", ()))
        took.append(updates / (process_time() - began))
    return {
        "tasks": f"{tasks:,}",
        "million task updates a second of processor time": sorted(took)[len(took) // 2] / 1e6,
        "target": ">= 2",
    }


@contextmanager
def _console(size: _Size, env: dict[str, str], *, watched: bool = False) -> Iterator[tuple[Terminal, Path]]:
    """A console that is warm, and where asynctop listens in it, if it is watched."""
    socket = Path(env["ASYNCTOP_DIR"], "made-up.sock")
    socket.unlink(missing_ok=True)
    words = [str(size.tasks), str(10**9 // size.ticks), str(socket)]
    with Program([sys.executable], "synthetic_program.py", *words, env=env) as program:
        program.hear()
        run = ["-m", "asynctop", "run", "-m", "asynctop"] if watched else ["-m", "asynctop"]
        with terminal([sys.executable, *run, "connect", str(socket)], env) as screen:
            screen.read(_TOO_LONG_S, until=lambda: screen.shows(_ALL_IN))
            if size.paintings == 10:
                screen.press(b">")
            screen.read(_WARM_UP_S)
            yield screen, Path(env["ASYNCTOP_DIR"], f"{screen.pid}.sock")


def _written_held(screen: Terminal, seconds: float) -> int:
    """Bytes to the terminal while the order is held, as it is for two seconds once the cursor has moved."""
    before = screen.written
    for number in range(int(seconds)):
        screen.press(_UP if number % 2 else _DOWN)
        screen.read(seconds / int(seconds))
    return screen.written - before


def _key_times(screen: Terminal, rate: float = float("inf")) -> list[float]:
    """From a key to the cursor in another row, s."""
    times = []
    for number in range(_KEYS):
        key = _UP if number // 20 % 2 else _DOWN
        screen.read(random.uniform(0.05, 0.2), rate=rate)
        row = _cursor(screen.since(max(screen.written - _RECENT, 0)))
        offset, began = screen.press(key), perf_counter()
        screen.read(
            _TOO_LONG_S,
            until=lambda offset=offset, row=row: _cursor(screen.since(offset)) not in (row, 0),  # type: ignore[misc]
            rate=rate,
        )
        times.append(perf_counter() - began)
    return times


def _cursor(written: bytes) -> int:
    """The row in which the cursor was drawn last, 0 for none."""
    found = row = 0
    on_cursor = False
    for piece in _WRITTEN.finditer(written):
        style, to = piece.groups()
        if style is not None:
            on_cursor = _CURSOR.search(style) is not None
        elif to:
            row = int(to)
        elif on_cursor:
            found = row
    return found


def _frames(screen: Terminal, path: Path, seconds: float) -> list[int]:
    """The longest turn of the console's loop within each tenth of a second, ns."""
    found: list[int] = []

    async def listen() -> None:
        source = SocketSource(Target(str(path)))
        source.send(Subscribe(10**9 // 10))
        async with asyncio.timeout(seconds), aclosing(source.messages()) as messages:
            loops: Loops | None = None
            async for message in messages:
                if isinstance(message, Loops):
                    loops = message
                elif isinstance(message, Tick) and loops is not None:
                    found.append(max(loops.max_turn_ns))

    async def both() -> None:
        reading = asyncio.get_running_loop().run_in_executor(None, screen.read, seconds)
        try:
            await listen()
        except TimeoutError:
            pass
        await reading

    asyncio.run(both())
    return found[1:]


def _memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


if __name__ == "__main__":
    main(parser(), measure)
