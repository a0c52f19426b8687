"""Findings are the same from look to look, whatever of them changes, and different ones are told apart."""

from __future__ import annotations

from asynctop_console.lints import Finding, Severity
from asynctop_console.lints.numbering import _MOST, Numbering

LOAD = ("load", "app.py", 7)


def finding(
    subject: int, place: tuple[str, str, int] | None = LOAD, message: str = "", lint: str = "long-poll-cpu"
) -> Finding:
    return Finding(lint, Severity.ERROR, "task", subject, "worker", message, place=place)


def test_each_finding_of_a_look_has_a_number_of_its_own() -> None:
    numbering = Numbering()
    callbacks = [finding(1), finding(1, ("load", "app.py", 9)), finding(2), finding(2), finding(1, lint="x")]
    first = numbering.numbered(callbacks)
    assert list(first) == [1, 2, 3, 4, 5]
    assert numbering.numbered(reversed(callbacks)).keys() == first.keys()
    assert {number: each.lint for number, each in first.items()}[5] == "x"


def test_a_finding_keeps_its_number_while_its_subject_its_place_or_its_words_change() -> None:
    numbering = Numbering()
    numbering.numbered([finding(1), finding(9, ("other", "app.py", 40))])
    changes = [
        finding(1, message="52 times"),
        finding(2),
        finding(3, ("load", "app.py", 8)),
        finding(3, None),
        finding(3, ("save", "db.py", 8)),
    ]
    for change in changes:
        assert numbering.numbered([finding(9, ("other", "app.py", 40)), change]) == {
            2: finding(9, ("other", "app.py", 40)),
            1: change,
        }


def test_what_a_task_does_in_another_function_is_another_thing() -> None:
    numbering = Numbering()
    numbering.numbered([finding(1)])
    assert list(numbering.numbered([finding(1, ("save", "app.py", 9))])) == [2]
    assert list(numbering.numbered([finding(1)])) == [1]


def test_tasks_that_come_and_go_at_one_line_take_turns() -> None:
    numbering = Numbering()
    for subject in range(0, 50, 5):
        findings = [finding(subject + each) for each in range(5)]
        assert numbering.numbered(findings).keys() == set(range(1, 6))


def test_what_is_the_same_in_all_comes_before_what_is_alike() -> None:
    numbering = Numbering()
    numbering.numbered([finding(1), finding(2)])
    assert numbering.numbered([finding(2), finding(3)]) == {2: finding(2), 1: finding(3)}
    assert numbering.numbered([finding(3), finding(2), finding(1)])[3] == finding(1)


def test_one_that_comes_back_has_its_number_again_and_few_are_remembered() -> None:
    numbering = Numbering()
    numbering.numbered([finding(1, None)])
    assert numbering.numbered([]) == {}
    assert list(numbering.numbered([finding(2, None)])) == [2]
    assert list(numbering.numbered([finding(1, None)])) == [1]
    for subject in range(3, _MOST + 2):
        numbering.numbered([finding(subject, None)])
    assert list(numbering.numbered([finding(1, None)])) == [1]
    assert list(numbering.numbered([finding(2, None)])) == [_MOST + 2]
