"""What being watched costs a program: its time against the plain program's.

    python benchmarks/overhead.py [--others] [--python PATH]... [--loop LOOP]... [--workload NAME]...

Each round runs every workload plain and in every way of being watched, each in a fresh interpreter, in turns;
every other round goes backwards. The figures are ratios of two runs of one round. `--others` measures beside
ours what people would use instead: see `ways.py`.
"""

from __future__ import annotations

import argparse
import sys

from measuring import Cell, Table, arguments, environment, main
from ways import (
    C_CONSOLE,
    C_CORE,
    OTHERS,
    OURS,
    PLAIN,
    PYTHON_CONSOLE,
    PYTHON_CORE,
    Runs,
    Way,
    alternate,
    running,
    version,
)
from workloads import WORKLOADS

C_TARGETS = {
    "asyncio": {"sleep0": 0.78, "pingpong": 0.80, "spawn": 1.00, "timers": 0.95},
    "uvloop": {"sleep0": 1.10, "pingpong": 1.12, "spawn": 1.15, "timers": 1.10},
}
"""With a console."""
PYTHON_TARGETS = {"asyncio": {"sleep0": 1.40, "pingpong": 1.40, "spawn": 2.00}, "uvloop": {}}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = with_programs(arguments(__doc__, rounds=7))
    found.add_argument("--workload", action="append", choices=tuple(WORKLOADS), help="a workload (all)")
    found.add_argument("--share", type=float, default=1.0, help="how much of each workload (%(default)s)")
    return found


def with_programs(found: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The options that say what is measured, and beside what."""
    found.add_argument("--python", action="append", metavar="PATH", help="an interpreter (this one)")
    found.add_argument("--loop", action="append", choices=tuple(C_TARGETS), help="an event loop (all)")
    found.add_argument("--others", action="store_true", help="measure what people would use instead, too")
    return found


def measure(options: argparse.Namespace) -> list[Table]:
    """For each interpreter, a table against the targets, and one of every way to be watched."""
    ways = [*OURS, *(OTHERS if options.others else ())]
    tables = []
    with environment() as env:
        for python in options.python or [sys.executable]:
            runs = {
                (loop, workload): _runs(ways, options, python, loop, workload, env)
                for loop in options.loop or C_TARGETS
                for workload in options.workload or WORKLOADS
            }
            tables += [_against_targets(runs, python), _all_ways(runs, ways, python)]
    return tables


_Found = dict[tuple[str, str], dict[Way, Runs]]
"""By loop and workload, and by way: the runs that it is one of."""


def _runs(
    ways: list[Way], options: argparse.Namespace, python: str, loop: str, workload: str, env: dict[str, str]
) -> dict[Way, Runs]:
    found: dict[Way, Runs] = {}
    for less in dict.fromkeys(way.share for way in ways):
        alike = [way for way in ways if way.share == less]
        share = str(options.share * less)

        def seconds(way: Way, share: str = share) -> dict[str, float]:
            with running(way, python, loop, "workloads.py", workload, share, env=env) as program:
                program.go_on()
                return {"s": program.hear()}

        found |= dict.fromkeys(alike, alternate([PLAIN, *alike], options.rounds, seconds))
    return found


def _against_targets(found: _Found, python: str) -> Table:
    table = Table(
        f"Overhead, Python {version(python)}: ratio to the plain program's time, median (and quartiles)"
    )
    for (loop, workload), runs in found.items():
        row: dict[str, Cell] = {
            "loop": loop,
            "workload": workload,
            "plain, s": runs[C_CORE].of(PLAIN, "s", table),
        }
        for core, console, targets in (
            (C_CORE, C_CONSOLE, C_TARGETS),
            (PYTHON_CORE, PYTHON_CONSOLE, PYTHON_TARGETS),
        ):
            row |= {way.name: runs[way].ratio(way, "s", table) for way in (core, console)}
            row[f"{core.name}'s target"] = at_most(targets[loop].get(workload))
        table.rows.append(row)
    return table


def _all_ways(found: _Found, ways: list[Way], python: str) -> Table:
    table = Table(f"Overhead beside others, Python {version(python)}: medians of the ratios", medians=True)
    for way in ways:
        ratios = {
            f"{workload}, {loop}": runs[way].ratio(way, "s", table)
            for (loop, workload), runs in found.items()
        }
        table.rows.append({"way": way.title, **ratios})
    return table


def at_most(target: float | None) -> str:
    """A target, where there is one."""
    return "" if target is None else f"<= {target:.2f}"


if __name__ == "__main__":
    main(parser(), measure)
