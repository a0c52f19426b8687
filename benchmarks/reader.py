"""A console that only reads: it subscribes, decodes what comes, and shows nothing. Run by others here.

    python benchmarks/reader.py SOCKET

Says "reading" after the first tick. For a line on standard input it says, once it has had a tick made later
than that, each kind's sums as they stand then.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

from asynctop_protocol import Connection, Hello, Kinds, Message, Role, Subscribe, Texts, Tick, Totals
from measuring import INTERVAL_NS


class Sums:
    """Each kind's sums, as last told."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {0: ""}
        self._kinds: dict[int, str] = {}
        self.of: dict[str, dict[str, int]] = {}

    def fold(self, message: Message) -> None:
        """Take note of a message."""
        if isinstance(message, Texts):
            self._texts |= dict(enumerate(message.texts, message.first))
        elif isinstance(message, Kinds):
            self._kinds |= {n: self._texts[text] for n, text in enumerate(message.name, message.first)}
        elif isinstance(message, Totals):
            for row, kind in enumerate(message.kind):
                self.of[self._kinds[kind]] = {
                    "spawned": message.spawned[row],
                    "returned": message.returned[row],
                    "polls": message.polls[row],
                }


def main() -> None:
    """Read until the program ends."""
    sums = Sums()
    asked_ns = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(sys.argv[1])
        connection = Connection(Role.CONSOLE)
        sock.sendall(connection.send(Hello(Role.CONSOLE)) + connection.send(Subscribe(INTERVAL_NS)))
        greeted = False
        while True:
            readable, _, _ = select.select([sock, sys.stdin], [], [])
            if sys.stdin in readable:
                if not sys.stdin.readline():
                    return
                asked_ns = time.monotonic_ns()
            if sock not in readable:
                continue
            data = sock.recv(1 << 18)
            if not data:
                return
            for message in connection.receive(data):
                sums.fold(message)
                if isinstance(message, Tick) and not greeted:
                    greeted = True
                    print('"reading"', flush=True)
                elif isinstance(message, Tick) and 0 < asked_ns < message.at_ns:
                    asked_ns = 0
                    print(json.dumps(sums.of), flush=True)


if __name__ == "__main__":
    main()
