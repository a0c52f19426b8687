"""A burst of tasks: are the sums exact, what does it take in memory, and in time?

    python benchmarks/burst.py [--tasks N]

The program spawns all tasks at once, each of two polls, and awaits them: plain, with a console that reads,
and with another beside it that is stopped as by Ctrl-Z before the burst and goes on after it. Then each
console is asked for the sums it was told. Memory is resident megabytes: before, at the peak, and after the
burst. Linux only.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from measuring import Program, Spread, Table, arguments, environment, main, reader

_CONSOLES = {"plain": 0, "one console": 1, "one more, stopped": 2}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = arguments(__doc__, rounds=5)
    found.add_argument("--tasks", type=int, default=100_000, help="how many tasks (%(default)s)")
    return found


def measure(options: argparse.Namespace) -> list[Table]:
    """One row for each way of being watched."""
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in _CONSOLES}
    wrong: dict[str, list[str]] = {way: [] for way in _CONSOLES}
    with environment() as env:
        for number in range(options.rounds):
            for way in _CONSOLES if number % 2 == 0 else reversed(_CONSOLES):
                found, sums = _run(options.tasks, _CONSOLES[way], env)
                runs[way].append(found)
                expected = {"spawned": options.tasks, "returned": options.tasks, "polls": 2 * options.tasks}
                wrong[way] += [str(of_one) for of_one in sums if of_one != expected]
    table = Table(f"Burst: {options.tasks:,} tasks at once, median (and quartiles)")
    for way, found_ones in runs.items():
        ratios = [
            one["seconds"] / plain["seconds"] for one, plain in zip(found_ones, runs["plain"], strict=True)
        ]
        table.rows.append(
            {
                "way": way,
                "s": Spread.of([one["seconds"] for one in found_ones]).median,
                "against plain": Spread.of(ratios),
                **{
                    f"{when}, MB": Spread.of([one[when] for one in found_ones]).median
                    for when in ("before", "peak", "after")
                },
                "sums": "; ".join(wrong[way]) or ("exact" if _CONSOLES[way] else ""),
            }
        )
    return [table]


def _run(tasks: int, consoles: int, env: dict[str, str]) -> tuple[dict[str, float], list[dict[str, int]]]:
    """What the program took, and the sums that each console was told."""
    with ExitStack() as stack:
        setup = "asynctop" if consoles else "-"
        program = stack.enter_context(
            Program([sys.executable], "burst_program.py", str(tasks), setup, env=env)
        )
        program.hear()
        readers = [stack.enter_context(reader(program, env)) for _ in range(consoles)]
        for console in readers[1:]:
            console.stop()
        program.go_on()
        found = program.hear()
        for console in readers[1:]:
            console.resume()
        for console in readers:
            console.go_on()
        return found, [console.hear()["sums"]["short"] for console in readers]


if __name__ == "__main__":
    main(parser(), measure)
