"""The filter's little language, and which rows pass it.

    fetch state:idle busy>10ms !name:worker parent:T7 !lint

Words separated by blanks must all hold; a leading `!` inverts one, quotes keep blanks and colons in one. A
bare word is looked for in every text of a row. Which fields there are is each screen's own table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asynctop_console.views.frame import Frame

Mask: TypeAlias = NDArray[np.bool_]


class FilterError(ValueError):
    """What is wrong with the filter as typed so far, in one line for a person."""


class Texts(Protocol):
    """A text per row."""

    def holding(self, word: str) -> Mask:
        """In which rows this word stands, whatever its case."""
        ...


class Coded(NamedTuple):
    """Texts that many rows share: numbers into a list of them, so that each is looked at once."""

    codes: NDArray[np.integer]
    texts: list[str]

    def holding(self, word: str) -> Mask:
        """See `Texts`."""
        word = word.lower()
        return self._spread(word in text.lower() for text in self.texts)

    def beginning(self, word: str) -> Mask:
        """Which rows' texts begin with this word."""
        return self._spread(text.startswith(word) for text in self.texts)

    def ranks(self) -> NDArray[np.int64]:
        """What to sort the rows by: the place of their text among all, whatever its case."""
        texts = [text.lower() for text in self.texts]
        place = {text: index for index, text in enumerate(sorted(set(texts)))}
        ranks: NDArray[np.int64] = np.fromiter((place[text] for text in texts), np.int64, len(texts))[
            self.codes
        ]
        return ranks

    def _spread(self, found: Iterable[bool]) -> Mask:
        mask: Mask = np.fromiter(found, np.bool_, len(self.texts))[self.codes]
        return mask


def one_each(texts: list[str]) -> Coded:
    """A text of its own for each row."""
    return Coded(np.arange(len(texts)), texts)


@dataclass(frozen=True, slots=True)
class Text:
    """A field of texts; a bare word is looked for in those that are `free`."""

    of: Callable[[Frame], Texts]
    free: bool = True


@dataclass(frozen=True, slots=True)
class Numbered(Text):
    """A field of texts whose things have numbers: one is meant by its number, with the letter before it."""

    _: KW_ONLY
    letter: str
    numbers: Callable[[Frame], NDArray[np.integer]]


@dataclass(frozen=True, slots=True)
class Choice:
    """A field of one of few texts, of which the filter's must begin one."""

    of: Callable[[Frame], Coded]
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Who:
    """A field that names somebody: by a number, with a letter before it or without, else by a text."""

    letter: str
    numbers: Callable[[Frame], NDArray[np.integer]]
    holding: Callable[[Frame, str], Mask]


@dataclass(frozen=True, slots=True)
class Number:
    """A field of numbers; with `time` they are nanoseconds, and the filter's number needs a unit."""

    of: Callable[[Frame], NDArray[np.int64]]
    time: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """A field that holds or not, asked for by its name alone."""

    of: Callable[[Frame], Mask]


Field: TypeAlias = Text | Choice | Who | Number | Flag
Fields: TypeAlias = Mapping[str, Field]

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
    by_number: bool = False
    """Whether it names somebody by a number."""

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
    matches = [match for match in _TERM.finditer(text) if match.group()]
    terms = [_term(match, fields) for match in matches]
    return Filter(text, tuple(terms), any(_names_by_number(match, fields) for match in matches))


def _names_by_number(match: re.Match[str], fields: Fields) -> bool:
    field = fields.get(match["field"] or "")
    return isinstance(field, Who | Numbered) and _number_in(field, _value(match)) is not None


def _value(match: re.Match[str]) -> str:
    value: str = match["bare"] if match["quoted"] is None else match["quoted"]
    return value


def _term(match: re.Match[str], fields: Fields) -> Term:
    name, compare, value = match["field"], match["compare"], _value(match)
    flag = fields.get(value) if not name and match["quoted"] is None else None
    if name:
        term = _field(name, compare, value, fields)
    elif isinstance(flag, Flag):
        term = flag.of
    elif flag is not None:
        raise FilterError(f'as in {_example(value, flag)}, or "{value}" for the word')
    elif value:
        free = [field.of for field in fields.values() if isinstance(field, Text) and field.free]
        term = _anywhere(free, value)
    else:
        raise FilterError("! inverts what follows it: !state:idle")
    return _inverted(term) if match["inverted"] else term


def _field(name: str, compare: str, value: str, fields: Fields) -> Term:
    field = fields.get(name)
    if field is None:
        raise FilterError(f'no field "{name}"; there are {" ".join(fields)}')
    if isinstance(field, Flag):
        raise FilterError(f"{name} stands alone: {name} or !{name}")
    if isinstance(field, Number):
        hold, limit = _COMPARE[compare], _amount(name, compare, value, field)
        return lambda frame: hold(field.of(frame), limit)
    if compare not in (":", "="):
        raise FilterError(f"{name} has no order: {_example(name, field)}")
    if isinstance(field, Who | Numbered):
        number = _number_in(field, value)
        if number is not None:
            return _equal(field.numbers, number)
    if isinstance(field, Who):
        holding = field.holding
        return lambda frame: holding(frame, value)
    return _anywhere([field.of], value) if isinstance(field, Text) else _choice(name, field, value.lower())


def _example(name: str, field: Field) -> str:
    match field:
        case Number():
            return f"{name}>{'10ms' if field.time else '100'}"
        case Choice():
            return f"{name}:{field.choices[0]}"
        case Who():
            return f"{name}:{field.letter}7 or {name}:word"
    return f"{name}:word"


def _choice(name: str, field: Choice, value: str) -> Term:
    if not any(choice.startswith(value) for choice in field.choices):
        raise FilterError(f'no {name} "{value}"; there are {" ".join(field.choices)}')
    return lambda frame: field.of(frame).beginning(value)


def _number_in(field: Who | Numbered, value: str) -> int | None:
    """The number by which one is meant, None for a word."""
    letter = f"(?:{field.letter})?" if isinstance(field, Who) else field.letter
    match = re.fullmatch(rf"{letter}([0-9]{{1,18}})", value, re.IGNORECASE)
    return None if match is None else int(match[1])


def _equal(numbers: Callable[[Frame], NDArray[np.integer]], number: int) -> Term:
    return lambda frame: numbers(frame) == number


def _anywhere(columns: list[Callable[[Frame], Texts]], value: str) -> Term:
    def found(frame: Frame) -> Mask:
        mask: Mask | None = None
        for column in columns:
            hits = column(frame).holding(value)
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


def language(fields: Fields) -> list[tuple[str, str]]:
    """How one filters by these fields: examples, and what they mean."""
    lines = [("fetch", "the word in any text of a row")]
    for names, example, meaning in (
        (_of(fields, Text), "{}:fetch", "the word in this text"),
        (_of(fields, Numbered), "{}:K7", "by its number, as its page has it"),
        (_of(fields, Choice), "{}:{}", "one of {}"),
        (_of(fields, Who), "{}:T7", "by its number, or by a word in its name"),
        (_of(fields, Number, time=True), "{}>10ms", "> >= < <= =, in ns us ms s m h"),
        (_of(fields, Number, time=False), "{}>=1k", "> >= < <= =, in k M G"),
        (_of(fields, Flag), "{}", "where there is one"),
    ):
        for name in names[:1]:
            choices = getattr(fields[name], "choices", ("",))
            also = f"; also {' '.join(names[1:])}" if names[1:] else ""
            lines.append((example.format(name, choices[0]), meaning.format(" ".join(choices)) + also))
    first = lines[1][0]
    return [
        *lines,
        (f"!{first}", "! inverts what follows it"),
        (f"fetch {first}", "both must hold"),
        (f'{first.partition(":")[0]}:"a b"', "quotes keep blanks in one"),
    ]


def _of(fields: Fields, type_: type[Field], **having: object) -> list[str]:
    return [
        name
        for name, field in fields.items()
        if isinstance(field, type_) and all(getattr(field, key) == value for key, value in having.items())
    ]
