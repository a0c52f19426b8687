"""The child: one module of tests in this process, with asynctop installed or without.

    python one_module.py {unittest,pytest} MODULE FILE {plain,instrumented}

FILE gets one JSON line per test as it ends, [id, outcome, traceback or reason], and at the end of all
["", "", "what was wrong with the run or with asynctop, empty where nothing was"].
"""

from __future__ import annotations

import importlib
import signal
import sys
from asyncio import events

from noting import Notes


def main() -> None:
    """Run the tests."""
    runner, module, path, how = sys.argv[1:]
    run = importlib.import_module(f"under_{runner}").run
    # As with `python -m unittest`, where the tests find nothing of ours to import.
    sys.argv = [f"python -m {runner}", module]
    sys.path[0] = ""
    # Ignored in what a shell starts in the background, or nohup: tests of them would then never end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    stock = events.Handle
    if how == "instrumented":
        import asynctop

        if not asynctop.install():
            raise SystemExit("asynctop.install() refused: see above")
    with open(path, "w", encoding="utf-8") as file:
        notes = Notes(file)
        problem = run(module, notes)
        if how == "instrumented":
            session = asynctop._session
            if session is None:
                problem = "a test has taken asynctop out"
            elif session._faults:
                problem = session._faults[0]
            elif events.Handle is stock:
                problem = "a test has taken the hooks out"
            asynctop.uninstall()
            if events.Handle is not stock:
                problem = problem or "uninstall() has left its hooks behind"
        notes.note("", "", problem)


if __name__ == "__main__":
    main()
