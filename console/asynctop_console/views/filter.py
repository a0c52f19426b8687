"""The filter's little language, and which rows pass it.

    fetch state:idle busy>10ms !name:worker !lint

Words separated by blanks must all hold; a leading `!` inverts one, quotes keep blanks and colons in one. A
bare word
is looked for in every text of a row. Which fields there are is each screen's own table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asynctop_console.views.frame import Frame

Mask: TypeAlias = NDArray[np.bool_]
Coded: TypeAlias = tuple[NDArray[np.integer], list[str]]
"""A text per row: numbers into a list in which each text stands once (or as often as there are rows)."""


class FilterError(ValueError):
    """What is wrong with the filter as typed so far, in one line for a person."""


@dataclass(frozen=True, slots=True)
class Text:
    """A field of texts; a bare word is looked for in those that are `free`."""

    of: Callable[[Frame], Coded]
    free: bool = True
    choices: tuple[str, ...] = ()
    """Where the texts are few: what they are. The filter's text must begin one of them."""


@dataclass(frozen=True, slots=True)
class Number:
    """A field of numbers; with `time` they are nanoseconds, and the filter's number needs a unit."""

    of: Callable[[Frame], NDArray[np.int64]]
    time: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """A field that holds or not, asked for by its name alone."""

    of: Callable[[Frame], Mask]


Fields: TypeAlias = dict[str, Text | Number | Flag]

_TERM = re.compile(
    r'(?P<inverted>!?)(?:(?P<field>[a-z_]+)(?P<compare>>=|<=|[:<>=]))?(?:"(?P<quoted>[^"]*)"?|(?P<bare>\S*))'
)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)([a-zµ]*)")
_TIMES = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_COMPARE: dict[str, Callable[[NDArray[np.int64], int], Mask]] = {
    ">": lambda values, limit: values > limit,
    ">=": lambda values, limit: values >= limit,
    "<": lambda values, limit: values < limit,
    "<=": lambda values, limit: values <= limit,
    "=": lambda values, limit: values == limit,
    ":": lambda values, limit: values == limit,
}

Term: TypeAlias = Callable[[Frame], Mask]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was understood."""

    text: str
    terms: tuple[Term, ...]

    def mask(self, frame: Frame) -> Mask | None:
        """Row by row whether it passes; None where there is nothing to filter by."""
        mask: Mask | None = None
        for term in self.terms:
            found = term(frame)
            mask = found if mask is None else mask & found
        return mask


NOTHING = Filter("", ())


def parse(text: str, fields: Fields) -> Filter:
    """Understand a filter. FilterError says what is not understood and what would be."""
    terms = [_term(match, fields) for match in _TERM.finditer(text) if match.group()]
    return Filter(text, tuple(terms))


def _term(match: re.Match[str], fields: Fields) -> Term:
    name, compare = match["field"], match["compare"]
    value = match["bare"] if match["quoted"] is None else match["quoted"]
    flag = fields.get(value) if not name and match["quoted"] is None else None
    if name:
        term = _field(name, compare, value, fields)
    elif isinstance(flag, Flag):
        term = flag.of
    elif flag is not None:
        example = (
            "10ms"
            if isinstance(flag, Number) and flag.time
            else "100"
            if isinstance(flag, Number)
            else "word"
        )
        sign = ":" if isinstance(flag, Text) else ">"
        raise FilterError(f'as in {value}{sign}{example}, or "{value}" for the word')
    elif value:
        free = [field.of for field in fields.values() if isinstance(field, Text) and field.free]
        term = _anywhere(free, value.lower())
    else:
        raise FilterError("! inverts what follows it: !state:idle")
    return _inverted(term) if match["inverted"] else term


def _field(name: str, compare: str, value: str, fields: Fields) -> Term:
    field = fields.get(name)
    if field is None:
        raise FilterError(f'no field "{name}"; there are {" ".join(fields)}')
    if isinstance(field, Flag):
        raise FilterError(f"{name} stands alone: {name} or !{name}")
    if isinstance(field, Text):
        if compare not in (":", "="):
            raise FilterError(f"{name} is a text: {name}:word")
        return _text(name, field, value.lower())
    limit = _amount(name, compare, value, field)
    hold = _COMPARE[compare]
    return lambda frame: hold(field.of(frame), limit)


def _text(name: str, field: Text, value: str) -> Term:
    if not field.choices:
        return _anywhere([field.of], value)
    if not any(choice.startswith(value) for choice in field.choices):
        raise FilterError(f'no {name} "{value}"; there are {" ".join(field.choices)}')

    def begins(frame: Frame) -> Mask:
        codes, texts = field.of(frame)
        return np.fromiter((text.startswith(value) for text in texts), np.bool_, len(texts))[codes]

    return begins


def _anywhere(columns: list[Callable[[Frame], Coded]], value: str) -> Term:
    def found(frame: Frame) -> Mask:
        mask: Mask | None = None
        for column in columns:
            codes, texts = column(frame)
            hits = np.fromiter((value in text.lower() for text in texts), np.bool_, len(texts))[codes]
            mask = hits if mask is None else mask | hits
        assert mask is not None, "every screen has a text to look in"
        return mask

    return found


def _inverted(term: Term) -> Term:
    return lambda frame: ~term(frame)


def _amount(name: str, compare: str, value: str, field: Number) -> int:
    example = f"{name}{compare}{'10ms' if field.time else '100'}"
    if not value:
        raise FilterError(f"{name}{compare} what? As in {example}")
    match = _AMOUNT.fullmatch(value.lower())
    units = _TIMES if field.time else _COUNTS
    if match is None or (match[2] and match[2] not in units):
        raise FilterError(f'"{value}" is no {"time" if field.time else "number"}; as in {example}')
    if match[2] not in units:
        raise FilterError(f"{value} what? As in {name}{compare}{value}ms")
    return min(int(float(match[1]) * units[match[2]]), 2**62)
