"""The lints and how they are set, for people and for scripts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from asynctop_console.lints import Rule
from asynctop_console.lints.rules import thresholds

_WIDTH = 110


def catalogue(rules: Iterable[Rule]) -> str:
    """Each with its severity, its summary, its thresholds, and what the user has switched off."""
    return "\n\n".join("\n".join(_lines(rule)) for rule in rules)


def page(rule: Rule) -> str:
    """One of them, with what it means and what to do."""
    paragraphs = rule.lint.explanation.split("\n\n")
    return "\n\n".join(["\n".join(_lines(rule)), *(_wrapped(text) for text in paragraphs if text)])


def described(rule: Rule) -> dict[str, Any]:
    """One of them, for scripts."""
    lint = rule.lint
    return {
        "lint": lint.name,
        "severity": str(lint.severity),
        "summary": lint.summary,
        "explanation": lint.explanation,
        "off": rule.off,
        "silence": list(rule.silence),
        "thresholds": [
            {"name": known.name, "value": known.value, "default": known.default, "meaning": known.meaning}
            for known in thresholds(lint)
        ],
    }


def _lines(rule: Rule) -> list[str]:
    lint = rule.lint
    lines = [f"{lint.name} ({lint.severity}{', off' if rule.off else ''})", _wrapped(lint.summary)]
    for known in thresholds(lint):
        # As one would write it in the settings.
        shown = f"{known.name} = {known.value:_}"
        usually = f" (usually {known.default:_})" if known.value != known.default else ""
        lines.append(f"    {shown:<28} {known.meaning}{usually}")
    if rule.silence:
        lines.append(_wrapped(f"silent about: {', '.join(map(repr, rule.silence))}"))
    return lines


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="    ", subsequent_indent="    ")
