"""Make the lints' pages: what each looks for, a sick program, what asynctop said of it, the mended one.

    python -m docs.lints [NAME ...]

Run it at the top of the checkout. The sick programs of tests/scenarios are really run, each for some seconds;
with names, those of these lints only. The index is always made anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.scenarios.programs import CORES, SICK, Case, observe, program, truth

from asynctop_console.lints import LINTS, Lint
from asynctop_console.lints.rules import thresholds

PAGES = Path(__file__).parent / "lints"

_AT_A_TIME = 2
"""Programs that run side by side: fewer than in the tests, for the sake of what is said of their times."""
_TRIES = 3
"""A busy machine may hide what a program is sick of."""

_INDEX = """\
# Lints

What asynctop looks for. Each lint has a page with a sick program, what asynctop said of it when it ran, and
the mended program. `asynctop lints` lists them as they are set, `asynctop lints NAME` explains one. What
other tools say of the same programs is in [the comparison](../comparison/README.md).

{table}

## Settings

Thresholds can be set, and lints switched off, in `asynctop/config.toml` in `$XDG_CONFIG_HOME` (`~/.config`),
or in the file that `ASYNCTOP_CONFIG` names. The console and `asynctop snapshot` obey.

```toml
[lints.lock-convoy]
least_waiters = 20

[lints.task-leak-by-kind]
silence = ["Server.handle", "keepalive-*"]

[lints.self-wake-spin]
off = true
```

`silence` holds kinds and names: a finding is not shown if the name of its subject matches one of them, or,
where that is a task, its kind. `*` stands for anything, `?` for one character, `[abc]` for one of these.
"""


def index() -> str:
    """The list of all lints."""
    rows = [f"| [{lint.name}]({lint.name}.md) | {lint.severity} | {lint.summary} |" for lint in LINTS]
    return _INDEX.format(table="\n".join(["| lint | severity | |", "| --- | --- | --- |", *sorted(rows)]))


def page(lint: Lint, said: dict[str, str]) -> str:
    """A lint's page. `said` has the sentence for each of its scenarios."""
    parts = [f"# {lint.name}", lint.summary, f"Severity: {lint.severity}."]
    known = thresholds(lint)
    if known:
        rows = [f"| `{each.name}` | {each.value:_} | {each.meaning} |" for each in known]
        parts += ["\n".join(["| threshold | usually | |", "| --- | --- | --- |", *rows])]
    for name, sentence in said.items():
        parts += ["## A sick program", _listing("sick", name), "asynctop says:", f"> {_escaped(sentence)}"]
    if lint.explanation:
        parts += ["## What it means, and what to do", lint.explanation]
    for name in said:
        parts += ["## The mended program", _listing("healthy", name)]
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    """Names such as `<lambda>` are no markup."""
    return re.sub(r"([<*\[])", r"\\\1", text)


def _listing(health: str, name: str) -> str:
    return f"```python\n{program(health, name)}```"


def sentence(name: str) -> str:
    """What asynctop says of a scenario's sick program, when it really runs."""
    true = truth(name)
    subject = {"type": true.subject_type, "name": true.subject_name}
    for _ in range(_TRIES):
        findings = observe(Case("sick", name, CORES[0], true.loops[0]))["lints"]
        for finding in findings:
            if finding["lint"] == true.lint and subject.items() <= finding["subject"].items():
                message: str = finding["message"]
                return message
    raise SystemExit(f"lints.py: expected {true.lint} about {subject}, found {findings}")


def main(chosen: Iterable[str]) -> None:
    """Write the pages of the chosen lints, or of all."""
    lints = [lint for lint in LINTS if not chosen or lint.name in chosen]
    if unknown := set(chosen) - {lint.name for lint in lints}:
        raise SystemExit(f"lints.py: expected names of lints, found {', '.join(sorted(unknown))}")
    scenarios = [name for name in SICK if truth(name).lint in {lint.name for lint in lints}]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        said = dict(zip(scenarios, pool.map(sentence, scenarios), strict=True))
    PAGES.mkdir(exist_ok=True)
    for stale in {path.stem for path in PAGES.glob("*.md")} - {lint.name for lint in LINTS} - {"README"}:
        (PAGES / f"{stale}.md").unlink()
    for lint in lints:
        own = {name: text for name, text in said.items() if truth(name).lint == lint.name}
        (PAGES / f"{lint.name}.md").write_text(page(lint, own), "utf-8")
    (PAGES / "README.md").write_text(index(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
