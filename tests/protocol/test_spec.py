"""SPEC.md says what the code does: messages, fields, types, defaults, enums, limits, the example frame."""

from __future__ import annotations

import dataclasses
import enum
import re
from pathlib import Path
from typing import Any

import pytest

from asynctop_protocol import VERSION, Named, Problem, Role, limits, messages, paths
from asynctop_protocol.codec import ENUM_COLUMNS, TYPES, encode
from asynctop_protocol.connection import _may_send
from asynctop_protocol.framing import frame

from .protocol_samples import SAMPLES

pytestmark = pytest.mark.source_tree

_FILE = Path(__file__).parents[2] / "protocol/SPEC.md"
SPEC = _FILE.read_text("utf-8") if _FILE.exists() else ""
RECORDS = (
    messages.Stall,
    messages.Part,
    messages.Incident,
    messages.Cancellation,
    messages.Chain,
    messages.Waiting,
    messages.Holding,
)
ENUMS = (messages.State, messages.Outcome, messages.WakerSource, messages.LoopState, messages.Cause)
SPELLED = {
    "Column": "column",
    "list[Column]": "list of column",
    "list[str]": "list of str",
    "list[Stall]": "list of Stall",
    "list[Part]": "list of Part",
    "list[Incident]": "list of Incident",
    "list[Cancellation]": "list of Cancellation",
    "list[Chain]": "list of Chain",
    "list[Holding]": "list of Holding",
    "list[tuple[str, str, int]]": "frames",
    "dict[str, int]": "map of int",
    "tuple[int, int]": "version",
    "Waiting | None": "Waiting or nil",
}


def section(heading: str) -> str:
    """The text below the one heading that starts so."""
    found = re.findall(rf"^### {re.escape(heading)}.*\n((?:(?!##).*\n)*)", SPEC, re.MULTILINE)
    assert len(found) == 1, heading
    return str(found[0])


def rows(text: str) -> list[list[str]]:
    """The rows of a table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def default(field: dataclasses.Field[Any]) -> str:
    """A field's default as the page writes it, empty where there is none."""
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()}`"
    if field.default is dataclasses.MISSING:
        return ""
    if isinstance(field.default, tuple):
        return f"`{list(field.default)}`"
    return {"": '`""`', None: "`nil`"}.get(field.default, f"`{field.default}`")


def heading(kind: type[Any]) -> str:
    numbers = {kind: number for number, kind in TYPES.items()}
    return f"{numbers.get(kind, 'Record')} `{kind.__name__}`"


@pytest.mark.parametrize("kind", [*TYPES.values(), *RECORDS], ids=lambda kind: kind.__name__)
def test_fields_types_and_defaults(kind: type[Any]) -> None:
    said = [[name.strip("`"), type_, value] for name, type_, value, _ in rows(section(heading(kind)))]
    fields = dataclasses.fields(kind)
    assert said == [[f.name, SPELLED.get(str(f.type), f.type), default(f)] for f in fields]


def test_no_other_messages() -> None:
    assert len(re.findall(r"^### ", SPEC, re.MULTILINE)) == len(TYPES) + len(RECORDS)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_directions(sample: messages.Message) -> None:
    senders = [role for role in Role if _may_send(role, sample)]
    way = "both ways" if isinstance(sample, messages.Hello | Problem) else f"from the {senders[0]}"
    assert f"### {heading(type(sample))} ({way})\n" in SPEC
    assert (len(senders) == 2) == (way == "both ways")


def test_enum_columns_are_named() -> None:
    for (kind, name), enum_ in ENUM_COLUMNS.items():
        assert re.search(
            rf"^\| `{name}` \| column \|  \| `{enum_.__name__}`", section(heading(kind)), re.MULTILINE
        )


@pytest.mark.parametrize("enum_", ENUMS, ids=lambda enum_: enum_.__name__)
def test_enum_values(enum_: type[enum.IntEnum]) -> None:
    (line,) = re.findall(rf"^\| `{enum_.__name__}` \| (\d.*) \|$", SPEC, re.MULTILINE)
    assert re.findall(r"(\d+) `([A-Z]+)`", line) == [(str(int(value)), value.name) for value in enum_]


def test_limits() -> None:
    said = re.findall(r"^\| `(MAX_\w+)` \| (\d+) \| \S", SPEC, re.MULTILINE)
    assert said == [(name, str(value)) for name, value in vars(limits).items() if name.startswith("MAX_")]
    assert f"{paths.MAX_SOCKET_PATH_BYTES} bytes (`MAX_SOCKET_PATH_BYTES`)" in SPEC


def test_version_and_roles() -> None:
    assert SPEC.startswith(f"# The asynctop protocol, version {VERSION[0]}.{VERSION[1]}\n")
    assert all(f'`"{role}"`' in SPEC for role in Role)


def test_example_frame() -> None:
    (example,) = re.findall(r"^```\n(.*?)^```", SPEC, re.MULTILINE | re.DOTALL)
    shown = "".join(re.match(r"(?:[0-9a-f]{2} )+", line)[0] for line in example.splitlines())  # type: ignore[index]
    (payload,) = encode(Named([1, 300], ["main", "Task-2"]), limits.MAX_FRAME_BYTES)
    assert bytes.fromhex(shown) == frame(payload)
