"""A hundred thousand tasks come and go at once, beside stopped consoles: nothing is lost or kept."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from asynctop_console.model import Model
from asynctop_protocol import Connection
from asynctop_protocol.messages import Hello, Role, Subscribe

from .processes import ASYNCTOP, DEADLINE_S, Json, Lab, Process, eventually, snapshot_of

BURST = """
import asyncio, ctypes, gc, sys

async def brief(number):
    await asyncio.sleep(0)
    if number % 10 == 0:
        raise ValueError(number)

async def burst():
    tasks = [asyncio.create_task(brief(number)) for number in range(100_000)]
    await asyncio.sleep(0)
    # Each has had its first poll, and is about to have its second.
    for task in tasks[1::10]:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        task.cancelled() or task.exception()

async def main():
    print("ready", flush=True)
    while command := await asyncio.to_thread(sys.stdin.readline):
        if command == "burst\\n":
            await burst()
        else:
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)
        print("over", flush=True)

asyncio.run(main())
"""

TASKS = 100_000

A_BURST = {
    "spawned": TASKS,
    "live": 0,
    "returned": TASKS * 8 // 10,
    "raised": TASKS // 10,
    "cancelled": TASKS // 10,
    "destroyed": 0,
    "polls": 2 * TASKS,
}
"""What a burst adds to the sums of its kind."""

BURSTS = 3

MOST_KEPT = 40 << 20
"""Bytes that the program may have more, after all bursts, than before the first: about 130 for each task
that there ever was, a fraction of what it takes to remember one. Half of that is used, whatever the number of
bursts: by the last 2000 tasks, which are kept for consoles to come, and by hash tables that had 100,000
entries, which Python does not shrink."""

RETURNING = {"PYTHONMALLOC": "malloc", "MALLOC_ARENA_MAX": "1"}
"""With this, memory that is free goes back to the system. Python's own allocator gives back only whole
megabytes in which not one object lives: resident memory would say little about what is kept."""


def tell(program: Process, command: str) -> None:
    """Have it do something, and wait until it has."""
    done = program.stdout.so_far.count("over\n")
    program.say(command.encode() + b"\n")
    program.stdout.line(rf"^ready\n(over\n){{{done + 1}}}")


def kept(program: Process) -> int:
    """Bytes of resident memory, without what is free."""
    tell(program, "trim")
    return program.rss()


class Console:
    """A console that is read when the test says so."""

    def __init__(self, sock: socket.socket) -> None:
        self.model = Model()
        self._sock = sock
        self._connection = Connection(Role.CONSOLE)
        sock.settimeout(DEADLINE_S)
        for message in (Hello(Role.CONSOLE), Subscribe(50_000_000)):
            sock.sendall(self._connection.send(message))

    def tick(self) -> Self:
        """Read up to the end of a batch."""
        ticks = self.model.ticks
        while self.model.ticks == ticks:
            data = self._sock.recv(1 << 20)
            assert data, "the program hung up"
            for message in self._connection.receive(data):
                self.model.fold(message)
        return self

    def sums(self) -> Json:
        """The sums of the tasks' kind."""
        kinds = self.model.kinds
        (row,) = [row for row in range(kinds.rows) if kinds.label(row) == "brief"]
        return {"live": int(kinds.live[row])} | {
            name: int(kinds.store[name][row]) for name in A_BURST if name != "live"
        }

    def catches_up(self, bursts: int) -> None:
        """Read until everything is there; the sums must be exact, and never more than that."""
        expected = after(bursts)
        eventually(lambda: self.tick().sums() == expected, f"{expected}", lambda: str(self.sums()))
        assert not any(self.model.dropped.values())


@contextmanager
def console(lab: Lab, program: Process) -> Iterator[Console]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(lab.socket(program)))
        yield Console(sock)


def after(bursts: int) -> Json:
    """The sums after so many bursts."""
    return {name: bursts * number for name, number in A_BURST.items()}


def test_a_burst_beside_consoles_that_stopped_reading_is_counted_exactly_and_forgotten(lab: Lab) -> None:
    program = lab.run(lab.program(BURST), env=RETURNING)
    before = kept(program)
    threads = program.threads()
    with console(lab, program) as reading, console(lab, program) as stopped:
        # It gives up ten seconds after its time, stopped or not.
        frozen = lab.start(*ASYNCTOP, "snapshot", str(program.pid), "--for", "5", "--json")
        eventually(lambda: lab.consoles(program) == 3, "a connected console", lambda: frozen.stderr.so_far)
        stopped.tick()
        frozen.signal(signal.SIGSTOP)
        tell(program, "burst")
        reading.catches_up(1)
        frozen.signal(signal.SIGCONT)
        snapshot = snapshot_of(frozen)
        (kind,) = [kind for kind in snapshot["kinds"] if kind["kind"] == "brief"]
        assert {name: kind[name] for name in A_BURST} == after(1)
        assert not any(snapshot["dropped"].values())
        assert snapshot["faults"] == []

        for bursts in range(2, BURSTS + 1):
            tell(program, "burst")
            reading.catches_up(bursts)
        stopped.catches_up(BURSTS)
        # Not before: a stopped console may hold the tasks of the batch that it is in the middle of.
        assert kept(program) - before < MOST_KEPT

    eventually(lambda: lab.consoles(program) == 0, "no connections")
    assert program.threads() == threads
    program.say_no_more()
    assert program.status() == 0
    assert program.stderr.all() == ""
    lab.leaves_nothing(program)
