"""Completion for shells: a script that completes what the command line's parser knows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import shtab

from asynctop_console.lints import LINTS
from asynctop_demos import DEMOS

_FILES = ("arguments", "file", "program", "target")
_NAMES = {"demo": sorted(DEMOS), "lints": sorted(lint.name for lint in LINTS)}
"""What a command's NAME is one of."""


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell: bash, zsh or fish. The parser is good for nothing else from then on."""
    for name, command in _commands(parser):
        for argument in command._actions:
            if argument.dest in _FILES:
                argument.complete = shtab.FILE  # type: ignore[attr-defined]
            elif argument.dest == "name":
                argument.choices = _NAMES[name]
    return shtab.complete(parser, shell).strip()


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()
