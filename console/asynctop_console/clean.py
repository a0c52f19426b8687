"""Texts from a foreign program, made fit for a terminal.

A task's name may hold an escape sequence, a bidi override or half a megabyte. Behind this door there are only
printable characters, in sane lengths, so that a view can put any text on the terminal. How wide a character
is remains the views' concern.
"""

from __future__ import annotations

from dataclasses import replace

from asynctop_protocol.messages import Hello

LENGTH = 400
"""Longest text kept, in characters: room for a long path, and no name needs more."""

ELLIPSIS = "…"

_MOST_ARGUMENTS = 100
"""A shell's `*` makes more; the first ones say what runs."""

_SHOWN = {"\n": "↵", "\r": "↵", "\t": " ", "\xa0": " ", "\u3000": " "}


def clean(text: str, length: int = LENGTH) -> str:
    """Return `text` in printable characters only, at most `length` long, cut at its end.

    Control characters (C0, C1, ESC), bidi and zero-width characters, lone surrogates and whatever else
    `str.isprintable` refuses become visible escapes such as `\\x1b`; a newline becomes "↵".
    """
    if len(text) > length:
        text = text[: length - 1] + ELLIPSIS
    if text.isprintable():
        return text
    shown = "".join(char if char.isprintable() else _visible(char) for char in text)
    return shown if len(shown) <= length else shown[: length - 1] + ELLIPSIS


def clean_path(path: str, length: int = LENGTH) -> str:
    """The same for a file's path, whose end tells more than its beginning: cut on the left."""
    shown = clean(path, length=max(len(path), 1) * len(r"\U0010ffff"))
    return shown if len(shown) <= length else ELLIPSIS + shown[1 - length :]


def clean_hello(hello: Hello) -> Hello:
    """The same for what a program says about itself."""
    return replace(
        hello,
        argv=[clean(argument) for argument in hello.argv[:_MOST_ARGUMENTS]],
        python=clean(hello.python),
        runtime=clean(hello.runtime),
        core=clean(hello.core),
    )


def program(argv: list[str]) -> str:
    """What tells a command line from others: without the interpreter and our own `run`, its path in short."""
    words = list(argv)
    if len(words) > 1 and _name(words[0]).startswith(("python", "pypy")):
        del words[0]
    if words[:3] == ["-m", "asynctop", "run"]:
        words = _without_options(words[3:])
    elif len(words) > 1 and (_name(words[0]), words[1]) == ("asynctop", "run"):
        words = _without_options(words[2:])
    if words and words[0].startswith("/"):
        words[0] = "/".join(words[0].split("/")[-2:])
    return " ".join(words or argv)


def _without_options(words: list[str]) -> list[str]:
    """What is left of `run`'s words: all its long options have a value but one."""
    while words and words[0].startswith("--"):
        alone = words[0] in ("--", "--wait") or "=" in words[0]
        words = words[1 if alone else 2 :]
    return words


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _visible(char: str) -> str:
    return _SHOWN.get(char) or char.encode("unicode_escape").decode("ascii")
