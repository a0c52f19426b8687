"""Kinds: labels, sums and quantiles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asynctop_console.model import Model, limits
from asynctop_protocol import ProtocolError
from asynctop_protocol.messages import Kinds, Message, State, Texts

from .program import SECOND, kinds, polled, spawned, texts, totals


def model_with(*messages: Message) -> Model:
    model = Model()
    for message in messages:
        model.fold(message)
    return model


def test_a_kind_says_what_it_is_and_where() -> None:
    table = model_with(texts(), kinds()).kinds
    assert table.label(1) == "app.handler"
    assert table.defined_at(1) == "/srv/app/web.py:40"
    assert table.spawn(1) == ("/srv/app/main.py", 12)


@pytest.mark.parametrize("number", [0, 2, -1, 10**12])
def test_an_unknown_kind_says_so(number: int) -> None:
    table = model_with(texts(), kinds()).kinds
    assert table.label(number) == "(unknown)"
    assert table.defined_at(number) is None
    assert table.spawned_at(number) is None
    assert table.quantile_ns(number, 0.5) is None


def test_texts_may_come_after_the_kind() -> None:
    model = model_with(kinds())
    assert model.kinds.label(1) == "(unknown)"
    model.fold(texts())
    assert model.kinds.label(1) == "app.handler"


def test_live_tasks_are_those_spawned_less_those_ended() -> None:
    model = model_with(kinds())
    model.fold(totals(spawned=10, returned=4))
    assert model.kinds.live.tolist() == [0, 6]
    model.fold(totals(kind=99, spawned=5))
    assert model.kinds.live.tolist() == [0, 6]


def test_polls_that_are_running_count_for_the_kinds_of_their_tasks() -> None:
    two = Kinds(1, [1, 1], [1, 1], [1, 1], [1, 1], [1, 1])
    of_two = replace(totals(1, max_poll=4 * SECOND), busy_ns=[9 * SECOND])
    states = [State.POLLING, State.POLLING, State.IDLE, State.POLLING, State.SCHEDULED]
    model = model_with(
        *(two, of_two, totals(2, max_poll=5)),
        spawned([1, 2, 3, 4, 5], kind=[1, 1, 1, 2, 2]),
        polled([1, 2, 3, 4, 5], state=states, since=[2 * SECOND, 7 * SECOND, 0, SECOND, 0]),
    )
    table, tasks = model.kinds, model.tasks
    assert table.busy_at(10 * SECOND, tasks).tolist() == [0, 20 * SECOND, 9 * SECOND]
    assert table.max_poll_at(10 * SECOND, tasks).tolist() == [0, 8 * SECOND, 9 * SECOND]
    assert table.max_poll_at(3 * SECOND, tasks).tolist() == [0, 4 * SECOND, 2 * SECOND]
    assert table.busy_at(0, tasks).tolist() == table.busy_ns.tolist() == [0, 9 * SECOND, 0]
    assert table.max_poll_ns.tolist() == [0, 4 * SECOND, 5]


def test_a_poll_of_a_kind_that_is_not_known_yet_counts_for_none() -> None:
    model = model_with(kinds(), spawned([1], kind=9), polled([1], state=State.POLLING))
    assert model.kinds.busy_at(SECOND, model.tasks).tolist() == [0, 0]
    assert model.kinds.max_poll_at(SECOND, model.tasks).tolist() == [0, 0]


def test_a_quantile_is_the_middle_of_its_bucket_and_never_above_the_longest_poll() -> None:
    model = model_with(kinds())
    # 10 polls of 0 ns, 80 of 1024..1447 ns, 10 of 1448..2047 ns, of which the longest took 1500 ns.
    model.fold(totals(histogram=[10, *[0] * 20, 80, 10], max_poll=1500))
    table = model.kinds
    assert table.quantile_ns(1, 0.05) == 0
    assert table.quantile_ns(1, 0.5) == 1217  # 2**10.25
    assert table.quantile_ns(1, 0.9) == 1217
    assert table.quantile_ns(1, 0.99) == 1500
    assert table.quantile_ns(1, 1.0) == 1500


def test_there_is_no_quantile_of_no_polls() -> None:
    model = model_with(kinds())
    model.fold(totals(histogram=[]))
    assert model.kinds.quantile_ns(1, 0.5) is None


def test_a_shorter_histogram_replaces_a_longer_one() -> None:
    model = model_with(kinds())
    model.fold(totals(histogram=[0, 0, 0, 9], max_poll=100))
    model.fold(totals(histogram=[0, 1], max_poll=100))
    assert model.kinds.histogram[1].sum() == 1


def test_a_kinds_numbers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KINDS", 50)
    model = model_with(Kinds(49, [1], [1], [1], [1], [1]))
    for first in (-1, 50):
        with pytest.raises(ProtocolError, match="expected 0 to 49"):
            model.fold(Kinds(first, [1], [1], [1], [1], [1]))


def test_number_0_may_be_announced_and_stays_unknown() -> None:
    model = model_with(Texts(0, ["?", "app.handler"]), Kinds(0, [1, 1], [1, 1], [1, 1], [1, 1], [1, 1]))
    assert model.text(0) == ""
    assert [model.kinds.label(number) for number in (0, 1)] == ["(unknown)", "app.handler"]


def test_texts_are_bounded_in_number_and_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TEXTS", 50)
    monkeypatch.setattr(limits, "TEXT_CHARS", 100)
    model = model_with(Texts(49, ["a" * 90]))
    assert model.text(49) == "a" * 90
    assert model.text(48) == model.text(50) == model.text(-1) == ""
    for _ in range(3):
        model.fold(Texts(1, ["b" * 10]))
    with pytest.raises(ProtocolError, match="expected 0 to 49"):
        model.fold(Texts(50, ["c"]))
    with pytest.raises(ProtocolError, match="101 characters of texts, the console takes 100"):
        model.fold(Texts(1, ["d" * 11]))
