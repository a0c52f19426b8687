"""Real programs that are healthy, under load: nothing is said of them.

A short look at each, with the cores and loops in turn; `python -m tests.real` looks for longer and at all.
PostgreSQL's program is left to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from .programs_under_load import CORES, LOOPS, PROGRAMS, Seen, observe

pytestmark = pytest.mark.timeout(300)

OBSERVED_S = 6.0
AT_A_TIME = 2

CASES = [
    (name, CORES[(number + turn) % len(CORES)], loop)
    for number, name in enumerate(PROGRAMS)
    for turn, loop in enumerate(LOOPS)
    if name != "postgres_pool"
]

Case = tuple[str, str, str]


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest) -> Iterator[dict[Case, Future[list[Seen]]]]:
    """All that are to be judged, some at a time: a test waits for its own."""
    params = [
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path
    ]
    wanted: list[Case] = [(str(each["name"]), str(each["core"]), str(each["loop"])) for each in params]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        running = {
            case: pool.submit(observe, PROGRAMS[case[0]], case[1], case[2], OBSERVED_S) for case in wanted
        }
        yield running
        for future in running.values():
            future.cancel()


@pytest.mark.parametrize(("name", "core", "loop"), CASES)
def test_nothing_is_said_of_it(name: str, core: str, loop: str, seen: dict[Case, Future[list[Seen]]]) -> None:
    for each in seen[name, core, loop].result():
        assert each.busy_ratio > 0.005, "it does nothing"
        assert {each.name: each.findings} == {each.name: []}
        assert each.snapshots[-1]["faults"] == []
        assert each.snapshots[-1]["target"]["core"] == core
