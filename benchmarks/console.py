"""What the console costs: how long until it shows something, and its processor time.

    python benchmarks/console.py [--tasks N] [--seconds N]

`asynctop connect PID`, as a user types it, in a real pseudo-terminal of 160x48, beside a real program.
First paint: until something is written in each of the 48 rows, and until a task of the program is there to
be read, from the command's start. Then beside a program with very many tasks, 5 % of which change with each
tick, four times a second: processor time of the console and of the program, as shares of one core, and what
goes to the terminal. Linux only.
"""

from __future__ import annotations

import argparse
import sys
from time import sleep

from measuring import INTERVAL_NS, Program, Spread, Table, arguments, busy, environment, main
from terminal import COLUMNS, ROWS, terminal

_TASK = b"waiter_in_the_crowd"
_SHARE = 0.05
_FEW = 1000
_WARM_UP_S = 5.0
_TOO_LONG_S = 30.0
PAINT_TARGET_S = 0.6
CPU_TARGET = 10


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = arguments(__doc__, rounds=9)
    found.add_argument("--tasks", type=int, default=100_000, help="how many tasks (%(default)s)")
    found.add_argument("--seconds", type=float, default=20.0, help="how long to look (%(default)s)")
    return found


def measure(options: argparse.Namespace) -> list[Table]:
    """First paint, then processor time."""
    with environment() as env:
        return [first_paint(options.rounds, env), cost(options.tasks, options.seconds, env)]


def first_paint(rounds: int, env: dict[str, str]) -> Table:
    """From the command's start to the first frame."""
    full: list[float] = []
    filled: list[float] = []
    with _crowd(_FEW, env) as program:
        for number in range(rounds + 1):
            with terminal(_connect(program), env) as screen:
                screen.read(_TOO_LONG_S, until=lambda screen=screen: screen.shows(_TASK))  # type: ignore[misc]
                if number:  # the first one fills the caches
                    full.append(screen.when_full())
                    filled.append(screen.when_shown(_TASK))
    table = Table(f"Console: first paint of {COLUMNS}x{ROWS}, median (and quartiles)")
    table.rows.append(
        {
            "full frame, s": Spread.of(full),
            "target, s": f"<= {PAINT_TARGET_S:.2f}",
            "with tasks, s": Spread.of(filled),
        }
    )
    return table


def cost(tasks: int, seconds: float, env: dict[str, str]) -> Table:
    """Processor time beside a large program."""
    with _crowd(tasks, env) as program:
        [alone] = busy([program.pid], lambda: sleep(seconds / 2))
        with terminal(_connect(program), env) as screen:
            screen.read(_TOO_LONG_S, until=lambda: screen.shows(_TASK))
            screen.read(_WARM_UP_S)
            before = screen.written
            console, watched = busy([screen.pid, program.pid], lambda: screen.read(seconds))
            written = screen.written - before
    ticks = seconds * 1e9 / INTERVAL_NS
    table = Table(
        f"Console: beside {tasks:,} live tasks, {_SHARE:.0%} of them changing per tick, four ticks a second"
    )
    table.rows.append(
        {
            "console, % of a core": console * 100,
            "target, %": f"< {CPU_TARGET}",
            "kB per tick to the terminal": written / ticks / 1000,
            "program, %": watched * 100,
            "program without a console, %": alone * 100,
        }
    )
    return table


def _crowd(tasks: int, env: dict[str, str]) -> Program:
    program = Program([sys.executable], "crowd_program.py", str(tasks), str(_SHARE), env=env)
    program.hear()
    return program


def _connect(program: Program) -> list[str]:
    return [sys.executable, "-m", "asynctop", "connect", str(program.pid)]


if __name__ == "__main__":
    main(parser(), measure)
