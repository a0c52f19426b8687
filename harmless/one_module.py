"""The child: one module of unittest tests in this process, with asynctop installed or without.

    python one_module.py MODULE FILE {plain,instrumented}

FILE gets one JSON line per test as it ends, [id, outcome, traceback or reason], and at the end of all
["", "", "what was wrong with asynctop, empty where nothing was"].
"""

from __future__ import annotations

import json
import sys
import unittest
from asyncio import events
from types import TracebackType
from typing import Any, TextIO, TypeAlias

Error: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Outcomes(unittest.TestResult):
    """Writes down what becomes of each test, at once: the process may not live until the end."""

    def __init__(self, file: TextIO) -> None:
        super().__init__()
        self._file = file
        self._failed: set[str] = set()
        """Tests that had a failing part: what is said of them later does not count."""

    def note(self, name: str, outcome: str, text: str = "") -> None:
        """Write a line."""
        if name not in self._failed:
            print(json.dumps([name, outcome, text]), file=self._file, flush=True)
        if outcome in ("failed", "error"):
            self._failed.add(name)

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: D102, N802
        self.note(test.id(), "passed")

    def addError(self, test: unittest.TestCase, err: Error) -> None:  # noqa: D102, N802
        self.note(test.id(), "error", self._text(err, test))

    def addFailure(self, test: unittest.TestCase, err: Error) -> None:  # noqa: D102, N802
        self.note(test.id(), "failed", self._text(err, test))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: D102, N802
        self.note(test.id(), "skipped", reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Error) -> None:  # noqa: D102, N802
        self.note(test.id(), "failed as expected")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: D102, N802
        self.note(test.id(), "passed unexpectedly")

    def addSubTest(  # noqa: D102, N802
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: Error | None
    ) -> None:
        if err is not None:
            self.note(test.id(), "failed", self._text(err, subtest))

    def _text(self, err: Error, test: unittest.TestCase) -> str:
        text: Any = self._exc_info_to_string(err, test)  # type: ignore[attr-defined]
        return str(text)


def main() -> None:
    """Run the tests."""
    module, path, how = sys.argv[1:]
    # As with `python -m unittest`, where the tests find nothing of ours to import.
    sys.argv = ["python -m unittest", module]
    sys.path[0] = ""
    stock = events.Handle
    problem = ""
    if how == "instrumented":
        import asynctop

        if not asynctop.install():
            raise SystemExit("asynctop.install() refused: see above")
    with open(path, "w", encoding="utf-8") as file:
        outcomes = Outcomes(file)
        try:
            tests = unittest.defaultTestLoader.loadTestsFromName(module)
        except unittest.SkipTest as reason:
            outcomes.note(module, "skipped", str(reason))
        else:
            tests.run(outcomes)
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
        outcomes.note("", "", problem)


if __name__ == "__main__":
    main()
