"""What the console costs to look at: its processor time, in a real terminal, over a made-up program.

    python benchmarks/console_paint.py [TASKS] [SECONDS]     measure
    python benchmarks/console_paint.py --show [TASKS]        just look

The console runs in a pseudo-terminal of 160x48 whose other end is read as fast as it writes: the whole
display path, which Textual's headless mode skips. Folding is included, making up the data is not.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import sys
import tempfile
import termios
from pathlib import Path
from time import monotonic, process_time

from synthetic import Synthetic

from asynctop_console.views.app import ConsoleApp

_WARM_UP_S = 3.0


class Measured(ConsoleApp):
    """A console that ends by itself and writes down what it cost."""

    def __init__(self, source: Synthetic, seconds: float, result: Path) -> None:
        super().__init__(source)
        self._synthetic = source
        self._seconds = seconds
        self._result = result

    def on_ready(self) -> None:
        self.set_timer(_WARM_UP_S, self._begin)

    def _begin(self) -> None:
        self._began = (monotonic(), process_time(), self._synthetic.spent_ns, self.model.ticks)
        self.set_timer(self._seconds, self._end)

    def _end(self) -> None:
        wall, cpu, made_up, ticks = self._began
        passed = monotonic() - wall
        spent = process_time() - cpu - (self._synthetic.spent_ns - made_up) / 1e9
        result = {"cpu": spent / passed, "ticks_per_second": (self.model.ticks - ticks) / passed}
        self._result.write_text(json.dumps(result))
        self.exit()


def measure(tasks: int, seconds: float) -> dict[str, float]:
    """Run the console in a pseudo-terminal and read what it writes."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        child, terminal = pty.fork()
        if not child:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            Measured(Synthetic(tasks), seconds, result).run()
            os._exit(0)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 48, 160, 0, 0))
        written = 0
        began = monotonic()
        while True:
            try:
                data = os.read(terminal, 1 << 16)
            except OSError:  # How Linux says that the other end was closed.
                break
            if not data:
                break
            written += len(data) if monotonic() - began > _WARM_UP_S else 0
        os.waitpid(child, 0)
        found: dict[str, float] = json.loads(result.read_text())
        return found | {"bytes_per_second": written / seconds}


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--show"]:
        ConsoleApp(Synthetic(int(arguments[1]) if arguments[1:] else 100_000)).run()
        return
    tasks = int(arguments[0]) if arguments else 100_000
    seconds = float(arguments[1]) if arguments[1:] else 10.0
    found = measure(tasks, seconds)
    print(
        f"{tasks:,} tasks, {found['ticks_per_second']:.1f} ticks/s: {found['cpu']:.1%} of a core, "
        f"{found['bytes_per_second'] / 1000:.1f} kB/s to the terminal"
    )


if __name__ == "__main__":
    main()
