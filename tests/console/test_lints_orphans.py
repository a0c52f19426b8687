"""Orphaned tasks: whose parent has gone, and whom nobody holds."""

from __future__ import annotations

from typing import Any

import pytest

from asynctop_console.lints import Finding, check_all
from asynctop_console.model import Model
from asynctop_protocol.messages import Chain, Chains, State, Tick

from .program import SECOND, ended, kinds, named, polled, spawned, texts

CHAIN = Chain(2, [("keep_alive", "/srv/app/web.py", 44)], held=False)


def findings(
    *chains: Chain, parent: int = 1, after: tuple[Any, ...] = (), now: int = 5 * SECOND
) -> list[Finding]:
    model = Model()
    before = (
        texts(),
        kinds(),
        spawned([1]),
        spawned([2, 3], parent=parent),
        named([1, 2, 3], ["open", "a", "b"]),
    )
    for message in (*before, ended([1], at=SECOND), *after, Chains(1, list(chains), done=True), Tick(now)):
        model.fold(message)
    return check_all(model)


def test_an_orphan_is_told_with_where_it_was_spawned_and_what_it_waits_for() -> None:
    (finding,) = findings(CHAIN)
    assert (finding.lint, finding.subject_type, finding.subject_id) == ("orphaned-task", "task", 2)
    assert finding.message == (
        "Task a lives on 4.00s after its parent has ended, and nobody holds or awaits it: "
        "spawned at app/main.py:12, waiting in keep_alive() at app/web.py:44. "
        "Keep what create_task() returns, or spawn it in a TaskGroup that outlives it."
    )
    assert finding.place == ("", "/srv/app/main.py", 12)


def test_those_of_a_kind_are_one_finding() -> None:
    (finding,) = findings(CHAIN, Chain(3, CHAIN.frames, held=False))
    assert "app/web.py:44. So do 1 more of its kind. Keep" in finding.message


@pytest.mark.parametrize(
    ("chain", "changes"),
    [
        pytest.param(Chain(2, CHAIN.frames), {}, id="somebody holds it"),
        pytest.param(CHAIN, {"parent": 3}, id="its parent lives"),
        pytest.param(CHAIN, {"parent": 0}, id="it has no parent"),
        pytest.param(CHAIN, {"now": SECOND * 3 // 2}, id="its parent has just ended"),
        pytest.param(CHAIN, {"after": (polled([2], state=State.SCHEDULED),)}, id="it is about to run"),
        pytest.param(CHAIN, {"after": (ended([2]),)}, id="it has ended since"),
    ],
)
def test_no_orphan(chain: Chain, changes: dict[str, Any]) -> None:
    assert findings(chain, **changes) == []


def test_of_a_parent_long_forgotten_the_childs_age_is_told() -> None:
    (finding,) = findings(CHAIN, parent=77)
    assert "lives on 5.00s after" in finding.message
