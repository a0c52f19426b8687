"""The comparison with other tools: its rule, and that its pages show what was said of today's programs."""

from __future__ import annotations

from importlib import import_module

import pytest

from .scenarios.programs import SICK

pytestmark = pytest.mark.source_tree

AGAIN = "`python -m docs.comparison` runs what is missing, and makes the pages anew"
PLACE = "shop.py:12"


def verdict(*words: str, complains: bool = True) -> tuple[str, int]:
    cell = import_module("docs.comparison.judging").judged(list(words), PLACE, complains)
    return cell.verdict, cell.others


@pytest.mark.parametrize(
    "words", ["blocked at shop.py:12", 'File "x/shop.py", line 12, in pay', '"File \\"shop.py\\", line 12"']
)
def test_a_complaint_with_the_line_names_it(words: str) -> None:
    assert verdict(words) == ("line", 0)


@pytest.mark.parametrize(
    "words", ["blocked at shop.py:120", "blocked at workshop.py:12", "blocked at shop.py:1", "blocked"]
)
def test_a_complaint_with_another_line_is_a_symptom(words: str) -> None:
    assert verdict(words) == ("symptom", 0)


def test_complaints_that_differ_in_their_numbers_are_one() -> None:
    assert verdict("shop.py:12 took 0.31 s", "shop.py:12 took 0.29 s", "bank.py:3") == ("line", 1)


def test_who_never_complains_shows_the_line_among_those_of_the_same_look() -> None:
    assert verdict("a.py:1 shop.py:12 b.py:2 b.py:2", "c.py:3", complains=False) == ("shown", 2)
    assert verdict("a.py:1 shop.py:13", complains=False) == ("silent", 0)


def test_nothing_said_is_silence() -> None:
    assert verdict() == ("silent", 0)
    assert verdict(" \n") == ("silent", 0)


def test_a_quotation_is_cut_around_the_line() -> None:
    judging = import_module("docs.comparison.judging")
    words = "\n".join(
        ["slow", *(f"frame {number} at far.py:{number}" for number in range(100)), PLACE, "end"]
    )
    quote = judging.judged([words], PLACE, complains=True).quote.splitlines()
    assert quote[0] == "slow"
    assert quote[-2:] == [PLACE, "end"]
    assert "[...]" in quote
    assert len(quote) < 20


def test_every_scenario_was_run_under_every_tool() -> None:
    results = import_module("docs.comparison.results").Results.read()
    tools = import_module("docs.comparison.tools").TOOLS
    everywhere = {tool.key for tool in tools}
    assert {name: set(ran) for name, ran in results.cells["sick"].items()} == dict.fromkeys(
        SICK, everywhere
    ), AGAIN


def test_the_pages_show_what_was_said() -> None:
    results = import_module("docs.comparison.results").Results.read()
    module = import_module("docs.comparison.pages")
    pages = module.pages(results)
    assert {path: path.read_text("utf-8") for path in pages} == pages, AGAIN
    assert set((module.HERE / "scenarios").glob("*.md")) | {module.HERE / "README.md"} == set(pages), AGAIN
