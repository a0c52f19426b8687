"""Opening a line in the user's editor."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from typing import TypeAlias

Place: TypeAlias = tuple[str, int]
"""(file, line)"""

_PLUS = ("vi", "vim", "nvim", "nano", "pico", "emacs", "emacsclient", "kak", "micro", "joe", "mg", "ne")
_GOTO = ("code", "code-insiders", "codium", "cursor", "windsurf")
_COLON = ("hx", "helix", "subl", "zed", "lapce")
_LINE = ("pycharm", "idea", "charm", "kate", "mate")
_HABITS = {
    **dict.fromkeys(_PLUS, ("+{line}", "{file}")),
    **dict.fromkeys(_GOTO, ("--goto", "{file}:{line}")),
    **dict.fromkeys(_COLON, ("{file}:{line}",)),
    **dict.fromkeys(_LINE, ("--line", "{line}", "{file}")),
}
"""How editors are told a line, by the names of their programs; to others goes the file alone."""


class EditorError(Exception):
    """Why there is nothing to edit or nothing to edit with, in one line for a person."""


def editor_command(environ: Mapping[str, str], file: str, line: int) -> list[str]:
    """The command that opens the file at the line: by `$VISUAL`, else `$EDITOR`, else vi."""
    chosen = environ.get("VISUAL") or environ.get("EDITOR") or "vi"
    try:
        words = shlex.split(chosen)
    except ValueError:
        words = []
    if not words or shutil.which(words[0], path=environ.get("PATH")) is None:
        raise EditorError(f"There is no editor {chosen!r}: set VISUAL or EDITOR to one")
    # Nothing that a program says of itself may come to be an option of the editor.
    if not os.path.isabs(file) or not os.path.isfile(file):
        raise EditorError(f"There is no file {file} here")
    habit = _HABITS.get(os.path.basename(words[0]).removesuffix(".exe"), ("{file}",))
    return words + [word.format(file=file, line=max(line, 1)) for word in habit]


def edit(command: list[str]) -> str:
    """Run it until the user leaves it; returns why it failed, "" where it did not.

    It raises nothing: Textual, which has lent its terminal, would not take it back.
    """
    # A Ctrl-C in the editor is the editor's, though the terminal sends it to both.
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        status = subprocess.run(command, check=False).returncode
    except OSError as error:
        return f"{command[0]} cannot be started: {error.strerror}"
    finally:
        signal.signal(signal.SIGINT, before)
    return f"{command[0]} ended with status {status}" if status else ""
