"""A console that is connected to a process while that lives, and counts the polls that it is told of."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path

from asynctop_protocol import Connection, Hello, Role, Subscribe, Totals, socket_name

INTERVAL_NS = 100_000_000
"""Ten batches a second, as the console on a screen has them."""


class Watching(threading.Thread):
    """Looks on while `process` runs. `directory` is the ASYNCTOP_DIR that it was given."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        super().__init__(daemon=True)
        self._polls: dict[int, int] = {}
        """By kind."""
        self._process = process
        self._path = os.path.join(directory, socket_name(process.pid))
        self.start()

    @property
    def polls(self) -> int:
        """How many polls there have been, as of the last batch."""
        return sum(self._polls.values())

    def run(self) -> None:
        """Until the process ends, or has nothing more to tell."""
        with socket.socket(socket.AF_UNIX) as sock:
            while True:
                try:
                    sock.connect(self._path)
                    break
                except OSError:  # not there yet
                    try:
                        self._process.wait(0.02)
                        return
                    except subprocess.TimeoutExpired:
                        continue
            connection = Connection(Role.CONSOLE)
            try:
                sock.sendall(connection.send(Hello(Role.CONSOLE)) + connection.send(Subscribe(INTERVAL_NS)))
                while data := sock.recv(1 << 18):
                    for message in connection.receive(data):
                        if isinstance(message, Totals):
                            self._polls |= zip(message.kind, message.polls, strict=True)
            except OSError:
                pass  # it was killed
