"""The picture of who waits for whom: what belongs to it, and for how long it counts."""

from __future__ import annotations

import pytest

from asynctop_console.lints import check_all
from asynctop_console.model import Model, Waits
from asynctop_protocol.messages import Chain, Chains, Message, State, Tick

from .program import MS, SECOND, chain, ended, gather, lock, polled
from .screens import NOW, three


def model_after(*messages: Message) -> Model:
    model = Model()
    for message in (*three(), *messages):
        model.fold(message)
    return model


DEADLOCK = [
    chain(1, gather(2), awaits=[2, 3]),
    chain(2, lock(80), holds=[70]),
    chain(3, lock(70), holds=[80]),
]


def pairs(awaits: dict[int, list[int]]) -> Waits:
    return Waits({task: chain(task, awaits=tasks) for task, tasks in awaits.items()})


def test_chains_are_joined_when_the_last_one_has_come() -> None:
    model = model_after(Chains(1, DEADLOCK[:2], done=False), Chains(1, DEADLOCK[2:], done=True))
    assert len(model.waits) == 0
    model.fold(Tick(NOW + 1))
    waits = model.waits
    assert waits.cycles() == [[2, 3]]
    assert waits.awaited_by == {2: [1], 3: [1]}
    assert {id: (each.holders, each.waiters) for id, each in waits.resources.items()} == {
        70: ([2], [3]),
        80: ([3], [2]),
    }
    model.fold(Tick(NOW + 2))
    assert model.waits is waits


def test_the_first_answer_is_shown_while_it_comes() -> None:
    model = model_after(Chains(1, DEADLOCK[:1], done=False), Tick(NOW + 1))
    assert len(model.waits) == 1
    for more in (Chains(1, DEADLOCK[1:], done=False), Tick(NOW + 2)):
        model.fold(more)
    assert len(model.waits) == 3


def test_what_is_waited_for_and_for_how_long_go_together() -> None:
    idle = polled([1, 2, 3], since=NOW - SECOND)
    model = model_after(idle, Chains(1, DEADLOCK, done=True), Tick(NOW))
    assert model.waits.idle_ns(2) == SECOND
    assert [finding.lint for finding in check_all(model)] == ["deadlock-two-locks"]
    # They go on: nobody knows what they wait for now, but not for those locks and not for a second.
    model.fold(polled([1, 2, 3], since=NOW + MS))
    model.fold(Tick(NOW + SECOND))
    assert model.waits.idle_ns(2) == SECOND
    model.fold(Chains(2, [chain(2)], done=True))
    model.fold(Tick(NOW + 2 * SECOND))
    assert model.waits.chain(3) is None
    assert check_all(model) == []


def test_who_holds_still_stays_in_the_picture() -> None:
    model = model_after(Chains(1, DEADLOCK, done=True), Tick(NOW + 1), polled([1], since=NOW + 2))
    model.fold(Chains(2, [DEADLOCK[1]], done=True))
    model.fold(Tick(NOW + SECOND))
    assert model.waits.chain(1) is None
    assert model.waits.cycles() == [[2, 3]]


@pytest.mark.parametrize("gone", [ended([3]), polled([3], state=State.DONE)])
def test_tasks_that_ended_are_not_in_it(gone: Message) -> None:
    model = model_after(Chains(1, DEADLOCK, done=True), gone, Tick(NOW + 1))
    assert len(model.waits) == 2
    assert model.waits.cycles() == []


def test_a_picture_does_not_count_for_ever() -> None:
    model = model_after(Chains(1, DEADLOCK, done=True), Tick(NOW + 1))
    model.fold(Tick(NOW + 10 * SECOND))
    assert len(model.waits) == 3
    model.fold(Tick(NOW + 20 * SECOND))
    assert len(model.waits) == 0
    assert check_all(model) == []


def test_chains_of_nobody_known_do_no_harm() -> None:
    model = Model()
    model.fold(Chains(1, [Chain(2**62, [])], done=True))
    model.fold(Tick(NOW))
    model.picture()
    assert len(model.waits) == 0


@pytest.mark.parametrize(
    ("awaits", "heads"),
    [
        ({1: [2], 2: [3], 3: []}, []),
        ({1: [2], 2: [1]}, [1]),
        ({5: [6], 6: [5], 1: [5]}, []),
        ({1: [2], 2: [1], 3: [4], 4: [3, 1]}, [1, 3]),
        ({2: [3], 3: [2], 1: [7], 7: [1, 2]}, [1]),
        ({4: [4]}, [4]),
        ({1: [99]}, []),
    ],
)
def test_of_tasks_that_only_await_each_other_the_oldest_is_the_head(
    awaits: dict[int, list[int]], heads: list[int]
) -> None:
    assert pairs(awaits).heads == heads


def test_a_holder_told_twice_is_one() -> None:
    waits = Waits({1: chain(1, lock(5)), 2: Chain(2, [], holds=[*chain(2, holds=[5]).holds * 2])})
    assert waits.resources[5].holders == [2]
    assert waits.holder(1) == 2


def test_of_two_tasks_that_held_a_lock_the_one_read_last_holds_it() -> None:
    waits = Waits({1: chain(1, holds=[5]), 2: chain(2, lock(5)), 3: chain(3, holds=[5])})
    assert waits.resources[5].holders == [3]
