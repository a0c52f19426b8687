"""A console that only reads: it subscribes, decodes what comes, and shows nothing. Run by others here.

    python benchmarks/reader.py SOCKET INTERVAL_NS

Says "reading" after the first tick. For a line on standard input it says, once it has had a tick made later
than that, what it knows by then.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

from asynctop_protocol import (
    Connection,
    Hello,
    Kinds,
    Loops,
    Message,
    Role,
    Spawned,
    Stalls,
    Subscribe,
    Texts,
    Tick,
    Totals,
)


class Notes:
    """What a console is told that benchmarks ask it for."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {0: ""}
        self._kinds: dict[int, str] = {}
        self._running: tuple[str, int] = ("", 0)
        self.known: dict[str, Any] = {"sums": {}, "tasks": 0, "ticks": [], "stalls": {}}
        """Each kind's sums; how many tasks it was told of; each tick's time, the time it came in, and
        what was running in the last loop since when; stalls as last told."""

    def take(self, message: Message) -> None:
        """Take note of a message."""
        if isinstance(message, Texts):
            self._texts |= dict(enumerate(message.texts, message.first))
        elif isinstance(message, Kinds):
            self._kinds |= {n: self._texts[text] for n, text in enumerate(message.name, message.first)}
        elif isinstance(message, Totals):
            for row, kind in enumerate(message.kind):
                self.known["sums"][self._kinds[kind]] = {
                    "spawned": message.spawned[row],
                    "returned": message.returned[row],
                    "polls": message.polls[row],
                }
        elif isinstance(message, Spawned):
            self.known["tasks"] += len(message.id)
        elif isinstance(message, Loops) and message.current:
            self._running = (message.current[-1], message.current_since_ns[-1])
        elif isinstance(message, Stalls):
            for stall in message.stalls:
                self.known["stalls"][stall.id] = {
                    "name": stall.name,
                    "duration_ns": stall.duration_ns,
                    "ongoing": stall.ongoing,
                    "cause": stall.cause.name.lower(),
                    "stack": stall.stack,
                }
        elif isinstance(message, Tick):
            self.known["ticks"].append([message.at_ns, time.monotonic_ns(), *self._running])


def messages(path: str, interval_ns: int) -> Iterator[Message]:
    """What the program tells a console, until either ends."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(path)
        connection = Connection(Role.CONSOLE)
        sock.sendall(connection.send(Hello(Role.CONSOLE)) + connection.send(Subscribe(interval_ns)))
        while data := sock.recv(1 << 18):
            yield from connection.receive(data)


def main() -> None:
    """Read until the program ends."""
    notes = Notes()
    asked_ns = 0
    for message in messages(sys.argv[1], int(sys.argv[2])):
        notes.take(message)
        if not isinstance(message, Tick):
            continue
        if len(notes.known["ticks"]) == 1:
            print('"reading"', flush=True)
        if 0 < asked_ns < message.at_ns:
            asked_ns = 0
            print(json.dumps(notes.known), flush=True)
        if select.select([sys.stdin], [], [], 0)[0]:
            if not sys.stdin.readline():
                return
            asked_ns = time.monotonic_ns()


if __name__ == "__main__":
    main()
