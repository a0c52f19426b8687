"""The lints' pages show the programs that the tests run, and there is one for each lint."""

from __future__ import annotations

from pathlib import Path

import pytest

from asynctop_console.lints import LINTS, Lint

from .scenarios.programs import SICK, program, truth

pytestmark = pytest.mark.source_tree

PAGES = Path(__file__).parent.parent / "docs/lints"
AGAIN = "`make lint-pages` makes the pages anew"


def test_every_lint_has_a_page_and_the_index_names_it() -> None:
    names = {lint.name for lint in LINTS}
    assert {path.stem for path in PAGES.glob("*.md")} == names | {"README"}, AGAIN
    index = (PAGES / "README.md").read_text("utf-8")
    assert [
        lint.name for lint in LINTS if f"({lint.name}.md) | {lint.severity} | {lint.summary} |" not in index
    ] == []


@pytest.mark.parametrize("lint", LINTS, ids=lambda lint: lint.name)
def test_a_page_says_what_the_lint_says(lint: Lint) -> None:
    page = (PAGES / f"{lint.name}.md").read_text("utf-8")
    assert lint.summary in page, AGAIN
    assert lint.explanation in page, AGAIN


@pytest.mark.parametrize("name", SICK)
def test_a_page_shows_the_sick_program_the_sentence_and_the_mended_program(name: str) -> None:
    true = truth(name)
    page = (PAGES / f"{true.lint}.md").read_text("utf-8")
    sick, mended = (page.find(f"```python\n{program(health, name)}```") for health in ("sick", "healthy"))
    assert 0 < sick < mended, AGAIN
    assert "\nsubject: " not in page
    assert true.place is None or f"/{true.place}" in page[sick:mended], AGAIN
