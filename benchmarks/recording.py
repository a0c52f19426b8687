"""Recordings: opening a large one and seeking in it, and what it costs a program to be traced.

    python benchmarks/recording.py [--gigabytes N] [--polls N] [--seconds N]

The large ones are of a made-up program (`synthetic.py`) with 10,000 tasks, 5 % of which change ten times a
second; one has a trace of 200,000 polls a second. Opening is reading where its blocks are. Seeking is until
the model knows all about a moment. Both are processor time: what else the machine does is not in it. Then
`asynctop record --trace` beside a real program with that many polls: what the program takes of a core, and
what it takes with a console connected that is told as often, or with a recording without a trace. Linux only.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic_ns, process_time, sleep

import numpy as np

from asynctop_console.observe import replayed
from asynctop_console.record import is_long
from asynctop_console.source.recording import Recording, Writer
from asynctop_protocol import Connection, History, Message, Role, Tick, WakerSource, frames
from measuring import Cell, Program, Spread, Table, arguments, busy, environment, main, reader
from synthetic import Synthetic

_TASKS = 10_000
_INTERVAL_NS = 100_000_000
_PER_BLOCK = 10
"""As `asynctop record` does it: a block each second."""
_SEEKS = 20
_WORKERS = 200
_WARM_UP_S = 3.0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = arguments(__doc__, rounds=3)
    found.add_argument("--gigabytes", type=float, default=1.0, help="how large a recording (%(default)s)")
    found.add_argument("--polls", type=int, default=200_000, help="how many a second (%(default)s)")
    found.add_argument("--seconds", type=float, default=20.0, help="how long to look (%(default)s)")
    return found


def measure(options: argparse.Namespace) -> list[Table]:
    """Large recordings, and the cost of making one."""
    large = Table("Recording: opening a large one, and seeking in it")
    for polls in (0, options.polls):
        with tempfile.NamedTemporaryFile(suffix=".rec") as file:
            path = Path(file.name)
            raw = _write(path, int(options.gigabytes * 1e9), polls)
            large.rows.append(_reading(path, polls, raw))
    return [large, _cost(options)]


def _write(path: Path, size: int, polls: int) -> int:
    """A recording of at least so many bytes. How many they were before they were compressed."""
    now, raw = monotonic_ns(), 0
    (opening, _), *batches = _speech(now, polls)
    with path.open("wb") as file:
        writer = Writer(file)
        while writer.written < size:
            # The same section again and again, but for the time of each tick.
            tick, from_ns = frames(Tick(now)), now
            data, traced = opening + tick, tick
            for number, (batch, history) in enumerate(batches, 1):
                now += _INTERVAL_NS
                tick = frames(Tick(now))
                data += batch + tick
                traced += history + tick
                if number % _PER_BLOCK == 0:
                    writer.add(data, begins=number == _PER_BLOCK, from_ns=from_ns, until_ns=now)
                    if polls:
                        writer.add(traced, begins=False, from_ns=from_ns, until_ns=now, polls=True)
                    raw += len(data) + bool(polls) * len(traced)
                    data, traced, from_ns = b"", b"", now + _INTERVAL_NS
    return raw


def _speech(now: int, polls: int) -> list[tuple[bytes, bytes]]:
    """What is said on one connection: batches, without their ticks, and the polls of a trace."""
    synthetic, connection = Synthetic(_TASKS), Connection(Role.RUNTIME)
    said: list[tuple[bytes, bytes]] = []

    def say(batch: list[Message]) -> int:
        data, traced = (b"".join(map(connection.send, each)) for each in (batch[:-1], _trace(now, polls)))
        said.append((data, traced))
        return len(data)

    state_size = size = say(synthetic.opening(now))
    while not is_long((len(said) - 1) * _INTERVAL_NS, size, state_size) or len(said) % _PER_BLOCK != 1:
        now += _INTERVAL_NS
        size += say(synthetic.tick(now))
    return said


def _trace(now: int, polls: int) -> Iterator[Message]:
    """The polls up to this tick."""
    random_numbers = np.random.default_rng(now)
    rows = polls * _INTERVAL_NS // 10**9
    if rows:
        ends = now - np.arange(rows, 0, -1) * (_INTERVAL_NS // rows)
        took, waited = (random_numbers.pareto(1.5, (2, rows)) * 1500).astype(np.int64)
        wakers = random_numbers.choice([WakerSource.TASK, WakerSource.TIMER], rows)
        tasks = random_numbers.integers(1, _TASKS + 1, rows)
        by = np.where(wakers == WakerSource.TASK, np.roll(tasks, 1), 0)
        names = np.where(wakers == WakerSource.TASK, 0, 1)
        columns = (tasks, ends - took - waited, wakers, by, names, ends - took, ends)
        yield replace(History(*(column.tolist() for column in columns)), first=1)


def _reading(path: Path, polls: int, raw: int) -> dict[str, Cell]:
    began = process_time()
    recording = Recording(path)
    opened = process_time() - began
    length = recording.until_ns - recording.from_ns
    moments = random.Random(7)
    seeks = []
    for _ in range(_SEEKS):
        began = process_time()
        model = replayed(recording, recording.from_ns + int(length * moments.random()))
        seeks.append((process_time() - began) * 1000)
        assert model.tasks.rows == _TASKS
    return {
        "polls traced a second": polls,
        "GB": path.stat().st_size / 1e9,
        "minutes": length / 60e9,
        "compressed to, %": 100 * path.stat().st_size / raw,
        "open, s": opened,
        "target": "<= 1",
        "seek, ms": Spread.of(seeks),
        "seek at most, ms": max(seeks),
        "target of that": "<= 200",
    }


def _cost(options: argparse.Namespace) -> Table:
    """What is taken of a core, in a program that is asked for so many polls a second."""
    table = Table(f"Recording: beside {_WORKERS} tasks with {options.polls:,} polls a second")
    words = (str(_WORKERS), str(options.polls))
    with environment() as env:
        for core in ("c", "python"):
            chosen = env | {"ASYNCTOP_CORE": core}
            for way in ("no console", "console", "record", "record --trace"):
                with Program([sys.executable], "polls_program.py", *words, env=chosen) as program:
                    program.hear()
                    sleep(_WARM_UP_S)
                    found = _beside(program, way, options.seconds, env)
                table.rows.append({"core": core, "way": way} | found)
    return table


def _beside(program: Program, way: str, seconds: float, env: dict[str, str]) -> dict[str, Cell]:
    def share() -> dict[str, Cell]:
        [found] = busy([program.pid], lambda: sleep(seconds))
        return {"program, % of a core": 100 * found}

    if way == "no console":
        return share()
    if way == "console":
        with reader(program, env, _INTERVAL_NS):
            return share()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "of_the_program.rec")
        options = ["--for", str(seconds + 1), *way.split()[1:], str(program.pid)]
        command = [sys.executable, "-m", "asynctop", "record", "-o", str(path), *options]
        recorder = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        found = share()
        _, said = recorder.communicate()
        figures = {"MB a minute": path.stat().st_size / 1e6 / (seconds + 1) * 60}
        if way.endswith("--trace"):
            polls = re.search(r"([\d,]+) polls (?:\(([\d,]+) more)?", said)
            assert polls is not None, said
            kept, lost = (int((each or "0").replace(",", "")) for each in polls.groups())
            found |= {"polls a second": kept / (seconds + 1), "dropped, %": 100 * lost / (kept + lost)}
        return found | figures


if __name__ == "__main__":
    main(parser(), measure)
