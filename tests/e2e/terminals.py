"""A real terminal: tmux on a server of its own, with the console in it. Keys go in, text comes out."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from pathlib import Path

from .processes import DEADLINE_S, Lab

_LOOK_AGAIN_S = 0.05


class Terminal:
    """A shell command in a terminal; what it leaves, and its exit status, stay on the screen."""

    def __init__(self, tmux: str, lab: Lab, columns: int, rows: int, *argv: str | Path) -> None:
        self._tmux = (tmux, "-S", str(lab.directory.parent / f"{lab.directory.name}.tmux"), "-f", os.devnull)
        command = f"echo before; {shlex.join(map(str, argv))}; echo status $?; exec sleep 600"
        size = ("-x", str(columns), "-y", str(rows))
        subprocess.run(
            [*self._tmux, "new-session", "-d", *size, "-c", str(lab.work), command],
            env=lab.env,
            check=True,
        )

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    def type(self, text: str) -> None:
        """Type a text."""
        subprocess.run([*self._tmux, "send-keys", "-l", text], check=True)

    @property
    def text(self) -> str:
        """What the screen shows."""
        shown = subprocess.run([*self._tmux, "capture-pane", "-p"], check=True, capture_output=True)
        return shown.stdout.decode()

    def shows(self, pattern: str) -> re.Match[str]:
        """Wait until the screen shows a text, and is painted: what is asked for may come in two pieces."""
        expression = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + DEADLINE_S
        while True:
            text = self.text
            if found := expression.search(text):
                return found
            assert time.monotonic() < deadline, f"expected {pattern!r} on the screen, found:\n{text}"
            time.sleep(_LOOK_AGAIN_S)

    def pid(self) -> int:
        """The process of the shell in the terminal."""
        shown = subprocess.run(
            [*self._tmux, "display-message", "-p", "#{pane_pid}"], check=True, capture_output=True
        )
        return int(shown.stdout)

    def command(self) -> int:
        """The process of the command, which the shell waits for."""
        shell = self.pid()
        (command,) = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        return int(command)

    def close(self) -> None:
        """End everything in it."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)
        Path(self._tmux[2]).unlink(missing_ok=True)
