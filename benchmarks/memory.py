"""What being watched costs in memory: bytes per live task, per task that has ended, and over a long time.

    python benchmarks/memory.py [--python PATH] [--tasks N] [--through N]

With a million live tasks, and with a million that have ended and are all remembered (where ours keeps 2,000
unless a benchmark makes it keep more), above the same program without ours. Then ten million tasks pass
through with a console connected, and memory is to stay what it was. Private memory; see `memory_program.py`.
"""

from __future__ import annotations

import argparse
import sys

from measuring import Failed, Table, arguments, environment, main, reader
from memory_program import SAMPLES
from ways import C_CONSOLE, C_CORE, OURS, PLAIN, PYTHON_CONSOLE, Way, alternate, running, version

TARGETS = {"live": 400, "ended": 160}
"""Bytes of the C core, for each task."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = arguments(__doc__, rounds=3)
    found.add_argument("--python", default=sys.executable, metavar="PATH", help="an interpreter (this one)")
    found.add_argument("--tasks", type=int, default=1_000_000, help="how many tasks (%(default)s)")
    found.add_argument("--through", type=int, default=10_000_000, help="how many pass through (%(default)s)")
    return found


def measure(options: argparse.Namespace) -> list[Table]:
    """A row for each core and what it keeps; then one for each soak."""
    with environment() as env:
        return [_per_task(options, env), _soak(options, env)]


def _per_task(options: argparse.Namespace, env: dict[str, str]) -> Table:
    table = Table(
        f"Memory, Python {version(options.python)}: bytes for each of {options.tasks:,} tasks, "
        "above the plain program's, median (and quartiles)"
    )
    for what, target in TARGETS.items():

        def grown(way: Way, what: str = what) -> dict[str, float]:
            arguments = (what, str(options.tasks))
            with running(way, options.python, "asyncio", "memory_program.py", *arguments, env=env) as program:
                program.go_on()
                found = {"bytes": program.hear() / options.tasks}
                if way is not PLAIN:
                    with reader(program, env) as console:
                        console.go_on()
                        found["told"] = console.hear()["tasks"]
                return found

        runs = alternate([PLAIN, *OURS], options.rounds, grown)
        for way in OURS:
            table.rows.append(
                {
                    "tasks": what,
                    "way": way.name,
                    "bytes": runs.difference(way, "bytes", table),
                    "target": f"<= {target}" if way in (C_CORE, C_CONSOLE) else "",
                    "plain program's": runs.of(PLAIN, "bytes", table),
                    "a new console is told of": runs.of(way, "told", table),
                }
            )
    return table


def _soak(options: argparse.Namespace, env: dict[str, str]) -> Table:
    table = Table(
        f"Soak, Python {version(options.python)}: {options.through:,} tasks pass through, memory in MB after"
    )
    for way in (PLAIN, C_CONSOLE, PYTHON_CONSOLE):
        arguments = ("through", str(options.through))
        try:
            with running(way, options.python, "asyncio", "memory_program.py", *arguments, env=env) as program:
                program.go_on()
                found = [program.hear() / 1e6 for _ in range(SAMPLES)]
        except Failed as failed:
            table.rows.append({"way": way.name, "a tenth": table.note(failed.reason)})
            continue
        first, half, last = found[1], found[len(found) // 2 - 1], found[-1]
        table.rows.append(
            {
                "way": way.name,
                "a tenth": first,
                "half": half,
                "all": last,
                "most": max(found),
                "growth from a tenth on, bytes per task": (last - first) * 1e6 / (0.9 * options.through),
            }
        )
    return table


if __name__ == "__main__":
    main(parser(), measure)
