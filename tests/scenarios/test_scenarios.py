"""Every classic sickness of an async program, and its healthy twin: real programs, judged by what
`asynctop snapshot --json` says of them.

What a scenario is, and how it says what is true of it, stands in programs.py. The sick program must be found,
its healthy twin must raise no warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from ..e2e.processes import Json
from .programs import AT_A_TIME, HERE, NAMES, SICK, Case, cases, observe, truth

pytestmark = pytest.mark.timeout(900)  # a test waits for all the programs before its own


@pytest.fixture(scope="module")
def snapshots(request: pytest.FixtureRequest) -> Iterator[dict[Case, Future[Json]]]:
    """All that are to be judged, some at a time: a test waits for its own."""
    wanted = [
        item.callspec.params["case"]
        for item in request.session.items
        if hasattr(item, "callspec") and isinstance(item.callspec.params.get("case"), Case)
    ]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        running = {case: pool.submit(observe, case) for case in wanted}
        yield running
        for future in running.values():
            future.cancel()


def described(case: Case) -> str:
    return f"{case.name}-{case.core}-{case.loop}"


@pytest.mark.parametrize("case", cases("sick", SICK), ids=described)
def test_a_sick_program_is_diagnosed(case: Case, snapshots: dict[Case, Future[Json]]) -> None:
    lints = snapshots[case].result()["lints"]
    true = truth(case.name)
    findings = [finding for finding in lints if finding["lint"] == true.lint]
    subjects = {(finding["subject"]["type"], finding["subject"]["name"]) for finding in findings}
    assert (true.subject_type, true.subject_name) in subjects, lints
    mine = [
        finding
        for finding in findings
        if (finding["subject"]["type"], finding["subject"]["name"]) == (true.subject_type, true.subject_name)
    ]
    if true.place:
        assert any(re.search(rf"(^|\W){re.escape(true.place)}\b", finding["message"]) for finding in mine), (
            lints
        )
        assert any(
            finding["place"]
            and f"{Path(finding['place']['file']).name}:{finding['place']['line']}" == true.place
            for finding in mine
        ), lints
    assert {finding["lint"] for finding in lints} <= {true.lint} | true.also, lints


@pytest.mark.parametrize("case", cases("healthy", NAMES), ids=described)
def test_a_healthy_program_raises_no_warning(case: Case, snapshots: dict[Case, Future[Json]]) -> None:
    snapshot = snapshots[case].result()
    assert snapshot["lints"] == []
    assert snapshot["faults"] == []
    assert snapshot["target"]["core"] == case.core


def test_every_sick_program_has_a_healthy_twin() -> None:
    assert {path.stem for path in (HERE / "healthy").glob("*.py")} == set(NAMES)
