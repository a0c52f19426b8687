"""Running a module of pytest's tests."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from noting import Notes

OPTIONS = (
    "--override-ini=addopts=",  # one process, no coverage
    "--strict-markers",
    "-mnot dev_mode and not autobahn and not internal",  # as in aiohttp's own options
    "-pno:cacheprovider",
)


class Reports:
    """A plugin that notes what becomes of each test."""

    def __init__(self, notes: Notes) -> None:
        self._note = notes.note

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One of a test's three phases is over."""
        expected = hasattr(report, "wasxfail")
        if report.failed:
            self._note(report.nodeid, "failed" if report.when == "call" else "error", report.longreprtext)
        elif report.skipped:
            self._note(report.nodeid, "failed as expected" if expected else "skipped", report.longreprtext)
        elif report.when == "call":
            self._note(report.nodeid, "passed unexpectedly" if expected else "passed")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module's tests were looked for."""
        if not report.passed:
            self._note(report.nodeid, "error" if report.failed else "skipped", report.longreprtext)


def run(module: str, notes: Notes) -> str:
    """Run the tests. Returns what was wrong with the run as a whole, nothing where tests failed."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    status = pytest.main([spec.origin, *OPTIONS], plugins=[Reports(notes)])
    usual = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
    return "" if status in usual else f"pytest ended with {status!r}"
