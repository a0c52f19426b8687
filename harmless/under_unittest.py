"""Running a module of unittest's tests."""

from __future__ import annotations

import unittest
from types import TracebackType
from typing import Any, TypeAlias

from noting import Notes

Error: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Outcomes(unittest.TestResult):
    """Notes what becomes of each test."""

    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self._note = notes.note

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: D102, N802
        self._note(test.id(), "passed")

    def addError(self, test: unittest.TestCase, err: Error) -> None:  # noqa: D102, N802
        self._note(test.id(), "error", self._text(err, test))

    def addFailure(self, test: unittest.TestCase, err: Error) -> None:  # noqa: D102, N802
        self._note(test.id(), "failed", self._text(err, test))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: D102, N802
        self._note(test.id(), "skipped", reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Error) -> None:  # noqa: D102, N802
        self._note(test.id(), "failed as expected")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: D102, N802
        self._note(test.id(), "passed unexpectedly")

    def addSubTest(  # noqa: D102, N802
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: Error | None
    ) -> None:
        if err is not None:
            self._note(test.id(), "failed", self._text(err, subtest))

    def _text(self, err: Error, test: unittest.TestCase) -> str:
        text: Any = self._exc_info_to_string(err, test)  # type: ignore[attr-defined]
        return str(text)


def run(module: str, notes: Notes) -> str:
    """Run the tests. Returns what was wrong with the run as a whole: nothing."""
    try:
        tests = unittest.defaultTestLoader.loadTestsFromName(module)
    except unittest.SkipTest as reason:
        notes.note(module, "skipped", str(reason))
    else:
        tests.run(Outcomes(notes))
    return ""
