"""Looks at the real programs for a minute each, and prints what was said: nothing, for they are healthy.

python -m tests.real --help says how to choose. The exit status is 1 where something was said.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from .programs_under_load import CORES, LOOPS, PAUSE_MS, PROGRAMS, Program, Seen, binary_of_postgres, observe


def main() -> int:
    """Look at them, some at a time."""
    parser = argparse.ArgumentParser(prog="python -m tests.real", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*PROGRAMS, []], help="all, if none")
    parser.add_argument("--for", type=float, default=60, dest="seconds", help="each (%(default)g)")
    parser.add_argument(
        "--pause", type=int, default=PAUSE_MS, metavar="MS", help="between requests (%(default)s)"
    )
    parser.add_argument("--at-a-time", type=int, default=2, metavar="N", help="programs (%(default)s)")
    parser.add_argument("--core", choices=CORES, action="append", help="all, if none")
    parser.add_argument("--loop", choices=LOOPS, action="append", help="all, if none")
    options = parser.parse_args()
    programs = [PROGRAMS[name] for name in options.names or PROGRAMS]
    if not binary_of_postgres() and PROGRAMS["postgres_pool"] in programs:
        print("postgres_pool is left out, as PostgreSQL is not installed", file=sys.stderr)
        programs.remove(PROGRAMS["postgres_pool"])

    def look(case: tuple[Program, str, str]) -> tuple[tuple[Program, str, str], list[Seen]]:
        return case, observe(*case, options.seconds, options.pause)

    cases = [
        (program, core, loop)
        for program in programs
        for core in options.core or CORES
        for loop in options.loop or LOOPS
    ]
    print(f"{'program':<20} {'core':<7} {'loop':<8} {'busy':>5} {'lag':>8}  said in {options.seconds:g} s")
    said = 0
    with ThreadPoolExecutor(options.at_a_time) as pool:
        for (_, core, loop), seen in pool.map(look, cases):
            for one in seen:
                said += len(one.findings)
                numbers = f"{one.busy_ratio:>5.0%} {one.max_lag_ms:>5,.0f} ms"
                print(
                    f"{one.name:<20} {core:<7} {loop:<8} {numbers}  {len(one.findings) or 'nothing'}",
                    flush=True,
                )
                for finding in one.findings:
                    print(f"    {finding}", flush=True)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
