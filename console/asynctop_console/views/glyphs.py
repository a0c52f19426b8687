"""Terminals that show nothing but ASCII: which those are, and what stands there for each glyph.

Stand-ins are as wide as what they stand for, and are put in on the way to the terminal, so that no screen
need know of them. In names that the program gives, what is not in the table becomes question marks.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len
from textual.driver import Driver

_STAND_INS = {
    **dict(zip("·○►✓✗⊘†●■◆↺▶‖×", ".o>vx/+*#*@>|x", strict=True)),  # states and other signs
    **dict(zip("←→↑↓▲▼│├└┤┘", "<>^v^v||`+'", strict=True)),
    **dict(zip("▁▂▃▄▅▆▇█▓▒░", "_.:-=+*#%:.", strict=True)),
    **dict(zip("…µ↵", "~u$", strict=True)),
    **dict(zip("▔▌▐▎▏▕━╸╺", "-|||||---", strict=True)),  # Textual's, like the next
    "🔎": "/ ",
}


class _Table(dict[int, str]):
    """For `str.translate`."""

    def __missing__(self, code: int) -> str:
        return "?" * cell_len(chr(code))


_TABLE = _Table({code: chr(code) for code in range(128)} | str.maketrans(_STAND_INS))


def in_ascii(text: str) -> str:
    """The text in ASCII, as wide as it was."""
    return text.translate(_TABLE)


def only_ascii(environ: Mapping[str, str], encoding: str | None) -> bool:
    """Whether a terminal to which one writes in this encoding shows nothing but ASCII: by the encoding, by
    the locale, or because it is Linux's own, whose font lacks most of our glyphs.

    Where no locale is set, as in many a container, it is taken to show everything: Python does so too.
    """
    if environ.get("TERM") == "linux" or not _is_utf8(encoding or "ascii"):
        return True
    language, characters = environ.get("LANG", ""), environ.get("LC_CTYPE", "")
    if characters == "C.UTF-8" and language in ("C", "POSIX"):
        characters = ""  # Python itself has put it there.
    locale = environ.get("LC_ALL") or characters or language
    _, dot, named = locale.partition(".")
    return locale in ("C", "POSIX") or (bool(dot) and not _is_utf8(named.partition("@")[0]))


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("-", "") == "utf8"


def in_ascii_only(driver: type[Driver]) -> type[Driver]:
    """The driver, but it writes nothing else."""

    class InAscii(driver):  # type: ignore[misc, valid-type]
        def write(self, data: str) -> None:
            super().write(in_ascii(data))

    return InAscii
