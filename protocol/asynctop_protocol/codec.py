"""A message and its payload: `[number of the message's type, {field: value}]` in msgpack.

The fields come from the dataclasses in `messages`; one table says how each type that occurs there travels.
Whatever `decode` returns is a valid message: types, ranges, enum values, and equal numbers of rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import msgpack  # type: ignore[import-untyped]

from . import messages as m
from .columns import column
from .errors import ProtocolError
from .limits import MAX_BUCKETS, MAX_COUNTERS, MAX_FIELDS, MAX_ROWS, MAX_STACK, MAX_TEXT_BYTES, MAX_WATCHED
from .reading import Reader

TYPES: Mapping[int, type[m.Message]] = {
    1: m.Hello,
    2: m.Problem,
    3: m.Subscribe,
    4: m.Inspect,
    5: m.Reset,
    6: m.Texts,
    7: m.Kinds,
    8: m.Spawned,
    9: m.Named,
    10: m.Polled,
    11: m.Ended,
    12: m.Totals,
    13: m.Loops,
    14: m.Stalls,
    15: m.Chains,
    16: m.Tick,
    17: m.Incidents,
    18: m.Watch,
    19: m.History,
    20: m.Histograms,
    21: m.Cancellations,
    22: m.Trace,
}
"""Which message a number announces. A number is never given to another message."""

ENUM_COLUMNS: Mapping[
    tuple[type[m.Message], str], type[m.State | m.Outcome | m.WakerSource | m.LoopState]
] = {
    (m.Polled, "state"): m.State,
    (m.Polled, "waker_source"): m.WakerSource,
    (m.Ended, "outcome"): m.Outcome,
    (m.History, "waker_source"): m.WakerSource,
    (m.Loops, "state"): m.LoopState,
}
"""Columns whose integers are values of an enum."""

_SPLIT = (
    m.Texts,
    m.Kinds,
    m.Spawned,
    m.Named,
    m.Polled,
    m.Ended,
    m.History,
    m.Histograms,
    m.Totals,
    m.Stalls,
    m.Incidents,
    m.Cancellations,
    m.Chains,
)
"""Messages whose rows mean the same in one message as in several."""
_WHOLE: Mapping[type[m.Message], int] = {m.Inspect: MAX_ROWS, m.Watch: MAX_WATCHED, m.Loops: MAX_ROWS}
"""Messages whose rows belong together, and how many they may be."""


def encode(message: m.Message, limit: int) -> Iterator[bytes]:
    """The payloads that carry a message: one, or several with some of the rows each where one would exceed
    the limits.

    Never fails on a text: lone surrogates travel as backslash escapes, what is too long is cut, of a long
    stack the innermost frames travel. Raises ValueError where a message contradicts itself or cannot be made
    to fit, OverflowError for an integer outside int64, TypeError for a value of a wrong type.
    """
    kind = type(message)
    rows = _count_rows(message)
    if rows > MAX_ROWS and kind in _SPLIT:
        for piece in _pieces(message, rows, MAX_ROWS):
            yield from encode(piece, limit)
        return
    payload: bytes = msgpack.packb([_NUMBERS[kind], _pack_record(message)], unicode_errors="backslashreplace")
    if len(payload) <= limit:
        yield payload
    elif rows > 1 and kind in _SPLIT:
        for piece in _pieces(message, rows, (rows + 1) // 2):
            yield from encode(piece, limit)
    else:
        raise ValueError(f"{kind.__name__} holds at most {limit} bytes, found {len(payload)}")


def decode(payload: bytes) -> m.Message | None:
    """The message in a payload; None where its type is unknown. Raises ProtocolError, whatever the payload
    holds."""
    reader = Reader(payload)
    if (length := reader.array(2)) != 2:
        raise ProtocolError(f"expected [type, fields], found an array of {length} items")
    kind = TYPES.get(reader.scalar(int))
    if kind is None:
        reader.skip()
        reader.end()
        return None
    message: m.Message = _read_record(reader, kind)
    reader.end()
    try:
        _count_rows(message)
    except ValueError as error:
        raise ProtocolError(str(error)) from None
    for (owner, name), enum in ENUM_COLUMNS.items():
        if owner is kind and (unknown := _others(getattr(message, name), enum)):
            raise ProtocolError(f"{kind.__name__}.{name}: expected a {enum.__name__}, found {min(unknown)}")
    return message


def _others(numbers: memoryview[int], enum: type[IntEnum]) -> set[int]:
    """Those that are no value of the enum."""
    if numbers.itemsize > 1:
        return set(numbers) - set(enum)
    # As bytes, which are told apart thirty times as fast.
    others = bytes(numbers).translate(None, bytes(enum))
    return {other - 256 if other > 127 else other for other in others}


def _count_rows(message: m.Message) -> int:
    """How many rows a message has, 0 where it has no such thing. Raises ValueError where its fields
    disagree, or they are more than belong together."""
    lengths = {name: len(getattr(message, name)) for name in _ROW_FIELDS[type(message)]}
    for name in lengths.keys() - _REQUIRED[type(message)]:
        if not lengths[name]:
            del lengths[name]  # an older peer does not know it
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{type(message).__name__}: expected equal numbers of rows, found {lengths}")
    rows = next(iter(lengths.values()), 0)
    if rows > (most := _WHOLE.get(type(message), rows)):
        raise ValueError(f"{type(message).__name__} holds at most {most} rows, found {rows}")
    return rows


def _pieces(message: m.Message, rows: int, size: int) -> Iterator[m.Message]:
    for start in range(0, rows, size):
        piece: dict[str, Any] = {
            name: getattr(message, name)[start : start + size] for name in _ROW_FIELDS[type(message)]
        }
        if isinstance(message, m.Texts | m.Kinds) or (isinstance(message, m.History) and message.first):
            piece["first"] = message.first + start
        if isinstance(message, m.Chains):
            piece["done"] = message.done and start + size >= rows
        yield dataclasses.replace(message, **piece)


def _pack_record(record: object) -> dict[str, object]:
    return {name: type_.pack(getattr(record, name)) for name, type_ in _FIELDS[type(record)].items()}


def _read_record(reader: Reader, kind: type[Any]) -> Any:
    types = _FIELDS[kind]
    values: dict[str, object] = {}
    for _ in range(reader.map(MAX_FIELDS)):
        name = reader.scalar(str)
        if name not in types:
            reader.skip()
            continue
        if name in values:
            raise ProtocolError(f"{kind.__name__}.{name}: expected it once, found it again")
        try:
            values[name] = types[name].read(reader)
        except ProtocolError as error:
            raise ProtocolError(f"{kind.__name__}.{name}: {error}") from None
    if missing := _REQUIRED[kind] - values.keys():
        raise ProtocolError(f"{kind.__name__}: expected the fields {', '.join(sorted(missing))}, found none")
    return kind(**values)


def _pack_int(number: int) -> int:
    if not -(1 << 63) <= number < 1 << 63:
        raise OverflowError(f"expected an integer within int64, found {number}")
    return number


def _pack_text(text: str) -> str:
    # No character takes more bytes than an escaped surrogate, which takes six.
    return text if len(text) * 6 <= MAX_TEXT_BYTES else _cut(text)


def _cut(text: str) -> str:
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) <= MAX_TEXT_BYTES:
        return text
    return encoded[: MAX_TEXT_BYTES - len("…".encode())].decode("utf-8", "ignore") + "…"


def _pack_texts(texts: list[str]) -> list[str]:
    if max(map(len, texts), default=0) * 6 > MAX_TEXT_BYTES:
        texts = [_cut(text) for text in texts]
    return texts[:MAX_ROWS]


def _pack_column(integers: Sequence[int]) -> msgpack.ExtType:
    data = column(integers)
    return msgpack.ExtType(len(data) // len(integers) if data else 1, data)


def _pack_histograms(histograms: list[Sequence[int]]) -> list[msgpack.ExtType]:
    if (longest := max(map(len, histograms), default=0)) > MAX_BUCKETS:
        raise ValueError(f"a histogram holds at most {MAX_BUCKETS} buckets, found {longest}")
    return [_pack_column(histogram) for histogram in histograms]


def _read_histogram(reader: Reader) -> memoryview[int]:
    histogram = reader.scalar(memoryview)
    if len(histogram) > MAX_BUCKETS:
        raise ProtocolError(f"expected at most {MAX_BUCKETS} buckets, found {len(histogram)}")
    return histogram


def _pack_stack(frames: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    # Outermost first, so the frames nearest to what happens are the last ones.
    return [(_pack_text(name), _pack_text(file), _pack_int(line)) for name, file, line in frames[-MAX_STACK:]]


def _read_frame(reader: Reader) -> tuple[str, str, int]:
    if (length := reader.array(3)) != 3:
        raise ProtocolError(f"expected [function, file, line], found an array of {length} items")
    return reader.scalar(str), reader.scalar(str), reader.scalar(int)


def _read_version(reader: Reader) -> tuple[int, int]:
    if (length := reader.array(2)) != 2:
        raise ProtocolError(f"expected [major, minor], found an array of {length} items")
    return reader.scalar(int), reader.scalar(int)


def _pack_counters(counters: dict[str, int]) -> dict[str, int]:
    if len(counters) > MAX_COUNTERS:
        raise ValueError(f"a map of counters holds at most {MAX_COUNTERS}, found {len(counters)}")
    return {_pack_text(name): _pack_int(count) for name, count in counters.items()}


def _read_counters(reader: Reader) -> dict[str, int]:
    return {reader.scalar(str): reader.scalar(int) for _ in range(reader.map(MAX_COUNTERS))}


def _read_list(read: Callable[[Reader], Any], limit: int = MAX_ROWS) -> Callable[[Reader], list[Any]]:
    return lambda reader: [read(reader) for _ in range(reader.array(limit))]


def _read_role(reader: Reader) -> m.Role:
    value = reader.scalar(str)
    try:
        return m.Role(value)
    except ValueError:
        raise ProtocolError(f"expected a Role, found {value!r:.60}") from None


def _read_cause(reader: Reader) -> m.Cause:
    value = reader.scalar(int)
    try:
        return m.Cause(value)
    except ValueError:
        raise ProtocolError(f"expected a Cause, found {value}") from None


class _Type(NamedTuple):
    """How the values of one Python type travel."""

    pack: Callable[[Any], object]
    read: Callable[[Reader], object]


def _records(kind: type[Any]) -> _Type:
    return _Type(
        lambda records: [_pack_record(record) for record in records],
        _read_list(lambda reader: _read_record(reader, kind)),
    )


_WIRE: Mapping[str, _Type] = {
    "bool": _Type(bool, lambda reader: reader.scalar(bool)),
    "int": _Type(_pack_int, lambda reader: reader.scalar(int)),
    "str": _Type(_pack_text, lambda reader: reader.scalar(str)),
    "Role": _Type(str, _read_role),
    "Cause": _Type(int, _read_cause),
    "tuple[int, int]": _Type(list, _read_version),
    "Column": _Type(_pack_column, lambda reader: reader.scalar(memoryview)),
    "list[Column]": _Type(_pack_histograms, _read_list(_read_histogram)),
    "list[str]": _Type(_pack_texts, _read_list(lambda reader: reader.scalar(str))),
    "list[tuple[str, str, int]]": _Type(_pack_stack, _read_list(_read_frame, MAX_STACK)),
    "dict[str, int]": _Type(_pack_counters, _read_counters),
    "list[Stall]": _records(m.Stall),
    "list[Part]": _records(m.Part),
    "list[Incident]": _records(m.Incident),
    "list[Cancellation]": _records(m.Cancellation),
    "list[Chain]": _records(m.Chain),
    "list[Holding]": _records(m.Holding),
    "Waiting | None": _Type(
        lambda waiting: waiting and _pack_record(waiting),
        lambda reader: None if reader.nil() else _read_record(reader, m.Waiting),
    ),
}
"""Every type that a field of a message can have, as it is written there."""

_ROW_TYPES = (
    "Column",
    "list[Column]",
    "list[str]",
    "list[Stall]",
    "list[Incident]",
    "list[Cancellation]",
    "list[Chain]",
)

_NUMBERS = {kind: number for number, kind in TYPES.items()}
_FIELDS: dict[type[Any], dict[str, _Type]] = {}
_REQUIRED: dict[type[Any], frozenset[str]] = {}
_ROW_FIELDS: dict[type[Any], tuple[str, ...]] = {}
for _kind in (*_NUMBERS, m.Stall, m.Part, m.Incident, m.Cancellation, m.Chain, m.Waiting, m.Holding):
    _fields = dataclasses.fields(_kind)
    _FIELDS[_kind] = {field.name: _WIRE[str(field.type)] for field in _fields}
    _REQUIRED[_kind] = frozenset(
        field.name
        for field in _fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )
    _ROW_FIELDS[_kind] = (
        tuple(field.name for field in _fields if field.type in _ROW_TYPES)
        if _kind in (*_SPLIT, *_WHOLE)
        else ()
    )
