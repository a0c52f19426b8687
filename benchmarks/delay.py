"""How much later a task is polled because the program is watched: milliseconds from its wake to its poll.

    python benchmarks/delay.py [--python PATH] [--loop asyncio|uvloop] [--tasks N] [--seconds N]

This process sends a line each millisecond to a program of 10,000 tasks that wake once a second each, and a
console asks for ten ticks a second. The delay is from the line's sending to the poll that it wakes, and so
has nothing in it of the timers' own resolution, which is a millisecond on asyncio.
"""

from __future__ import annotations

import argparse
import sys
from time import monotonic_ns, sleep

from measuring import Program, Table, arguments, environment, main
from ways import C_CONSOLE, OURS, PLAIN, Way, alternate, running, version

TARGET_MS = 0.2
"""The C core's, of p99.9, with a console."""
QUANTILES = ("p50", "p99", "p99.9", "max")
_INTERVAL_NS = 100_000_000
_EVERY_NS = 1_000_000
_WARM_UP_S = 2


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = arguments(__doc__, rounds=5)
    found.add_argument("--python", default=sys.executable, metavar="PATH", help="an interpreter (this one)")
    found.add_argument("--loop", default="asyncio", choices=("asyncio", "uvloop"), help="an event loop")
    found.add_argument("--tasks", type=int, default=10_000, help="how many tasks (%(default)s)")
    found.add_argument("--seconds", type=float, default=20, help="how long each is measured (%(default)s)")
    return found


def measure(options: argparse.Namespace) -> list[Table]:
    """A row for each way."""
    with environment() as env:

        def delays(way: Way) -> dict[str, float]:
            script = ("delay_program.py", str(options.tasks))
            with running(
                way, options.python, options.loop, *script, env=env, interval_ns=_INTERVAL_NS
            ) as program:
                sleep(_WARM_UP_S)
                tick(program, int(options.seconds * 1e9))
                return dict(program.hear())

        runs = alternate([PLAIN, *OURS], options.rounds, delays)
    table = Table(
        f"Delay on {options.loop}, Python {version(options.python)}: ms from wake to poll with "
        f"{options.tasks:,} tasks and ten ticks a second; the plain program's, and what each way adds to it"
    )
    table.rows.append({"way": "plain", **{name: runs.of(PLAIN, name, table) for name in QUANTILES}})
    for way in OURS:
        table.rows.append(
            {
                "way": way.name,
                **{name: runs.difference(way, name, table) for name in QUANTILES},
                "p99.9's target": f"<= {TARGET_MS:.2f}" if way is C_CONSOLE else "",
            }
        )
    return [table]


def tick(program: Program, for_ns: int) -> None:
    """Send the time each millisecond, and an empty line in the end."""
    began = due = monotonic_ns()
    while due < began + for_ns:
        due += _EVERY_NS
        sleep(max(0, due - monotonic_ns()) / 1e9)
        program.go_on(str(monotonic_ns()))
    program.go_on()


if __name__ == "__main__":
    main(parser(), measure)
