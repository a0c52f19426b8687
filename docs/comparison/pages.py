"""The pages: the table, and for each scenario what every tool said. Made of what is kept."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.scenarios.programs import SICK, program, truth

from .judging import Cell
from .results import Results
from .tools import HERE, TOOLS, Tool

_PAGE = """\
# asynctop beside other tools

{scenarios} small programs, each with one classic sickness of async programs and one line that is to blame.
Each ran under each of these tools, one at a time, used as its manual says. A cell is what came of it, and the
name of a program leads to what each tool said, in its own words. `python -m docs.comparison` makes the pages.

- **line**: the tool complained, and the guilty line stands in a complaint.
- symptom: it complained, but does not name that line.
- *1 of N*: a tool that never complains, but shows what there is, showed that line among N at once.
- –: neither.
- †: it complained of the healthy twin too, the same program without the sickness.

{table}

## In all

Of {scenarios} sick programs. The last column is how often a † stands, and of how many healthy twins: of those
whose sick program it had complained of, as far as they were run.

{totals}

## How each was used

Every program was looked at for about 2.5 seconds from when it was ready. Tools that can be told what counts
as slow were told 50 ms. Python was {python}, and {python315} for the tools marked 3.15, which need it.

{used}

## What to know before believing it

- The programs are asynctop's own tests: it was written to find what is in them. They are no sample of what
  goes wrong elsewhere.
- One rule judges all tools, asynctop too, and it is generous: a line that stands in a complaint counts,
  whether or not the complaint says what is wrong with it. Where there is a †, a complaint is worth little.
- Most of these tools promise less than this table asks for. aiocop, blockbuster, loopsentry, aiodebug and
  logfire look for what blocks the loop and for nothing else, pyleak for that and for what a test leaves
  behind. The tools that show stacks leave it to the reader to know which is sick.
- blockbuster raises an exception in the program instead of letting it block: it is made for tests. So is
  pyleak, for which the programs were ended like tests.
- Some of the programs silence logging or warnings, as happens in production. Those lines were left out here,
  so that tools which speak through them could be heard.
- Each cell is one run, on two processors that other work kept very busy. What took long then was often
  waiting for its turn: complaints of that, which a quiet machine would not bring forth, are in the table too.
- Quotations are cut: of a complaint its beginning and the lines around the guilty one, of many only one.
"""

_VERDICTS = {
    "line": "names the line",
    "symptom": "complains, but does not name the line",
    "shown": "shows the line",
    "silent": "does not find it",
    "failed": "could not be used",
}


def pages(results: Results) -> dict[Path, str]:
    """All pages, by where they belong."""
    return {
        HERE / "README.md": _overview(results),
        **{HERE / "scenarios" / f"{name}.md": _scenario(name, results) for name in SICK},
    }


def write(results: Results) -> None:
    """Write them, and remove those of scenarios that are no more."""
    made = pages(results)
    (HERE / "scenarios").mkdir(exist_ok=True)
    for stale in set((HERE / "scenarios").glob("*.md")) - set(made):
        stale.unlink()
    for path, text in made.items():
        path.write_text(text, "utf-8")


def _overview(results: Results) -> str:
    heads = ["| program |", "| --- |"]
    for tool in TOOLS:
        heads[0] += f" {tool.name} |"
        heads[1] += " --- |"
    rows = [
        f"| [{name}](scenarios/{name}.md) | "
        + " | ".join(
            _short(results.of("sick", name, tool.key), _doubtful(results, name, tool)) for tool in TOOLS
        )
        + " |"
        for name in SICK
    ]
    totals = [
        "| tool | line | symptom | shown | – | failed | † |",
        "|" + " --- |" * 7,
    ]
    for tool in TOOLS:
        counted = Counter(results.of("sick", name, tool.key).verdict for name in SICK)
        alarms = sum(_doubtful(results, name, tool) for name in SICK)
        asked = sum(results.has("healthy", name, tool.key) for name in SICK)
        numbers = " | ".join(str(counted[verdict]) for verdict in _VERDICTS)
        totals.append(f"| {tool.name} | {numbers} | {alarms} of {asked} |")
    return _PAGE.format(
        scenarios=len(SICK),
        python=results.versions["False"],
        python315=results.versions["True"],
        table="\n".join([*heads, *rows]),
        totals="\n".join(totals),
        used="\n".join(f"- **{tool.title}**{' (3.15)' * tool.newest}: {tool.used}." for tool in TOOLS),
    )


def _doubtful(results: Results, name: str, tool: Tool) -> bool:
    """Whether it complained of the healthy twin too."""
    return (
        results.has("healthy", name, tool.key) and results.of("healthy", name, tool.key).verdict == "symptom"
    )


def _short(cell: Cell, doubtful: bool) -> str:
    mark = " †" * (doubtful and cell.verdict in ("line", "symptom"))
    return {
        "line": f"**line**{mark}",
        "symptom": f"symptom{mark}",
        "shown": f"*1 of {cell.others + 1}*",
        "silent": "–",
        "failed": "failed",
    }[cell.verdict]


def _scenario(name: str, results: Results) -> str:
    true = truth(name)
    text = program("sick", name)
    summary = re.match(r'"""(.+)', text)
    assert summary
    parts = [
        f"# {name}",
        summary[1].removesuffix('"""'),
        f"The guilty line is marked. Under each tool, `{true.place}` is looked for in what it said. "
        "[The table](../README.md) tells how they were used, "
        f"[the lint's page](../../lints/{true.lint}.md) what to do.",
        f"```python\n{text}```",
    ]
    for tool in TOOLS:
        cell = results.of("sick", name, tool.key)
        parts.append(f"## {tool.name}: {_VERDICTS[cell.verdict]}{_besides(cell)}")
        parts.append(f"~~~~text\n{cell.quote}\n~~~~" if cell.quote else "Silence.")
        if _doubtful(results, name, tool):
            said = results.of("healthy", name, tool.key).quote
            parts += ["Of the healthy twin it said:", f"~~~~text\n{said}\n~~~~"]
    return "\n\n".join(parts) + "\n"


def _besides(cell: Cell) -> str:
    if not cell.others or cell.verdict not in ("line", "symptom", "shown"):
        return ""
    return (
        f", among {cell.others} others"
        if cell.verdict == "shown"
        else f", one complaint of {cell.others + 1}"
    )
