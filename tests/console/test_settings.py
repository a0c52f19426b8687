"""The settings file: what it may say about lints, and how it is refused."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from asynctop_console.lints import LINTS, RULES, Finding, check_all
from asynctop_console.lints.rules import thresholds
from asynctop_console.model import Model
from asynctop_console.report import report
from asynctop_console.settings import SettingsError, read_settings, settings_path
from asynctop_console.snapshot import snapshot
from asynctop_protocol.messages import Message, Stalls, Tick

from .program import MS, SECOND, kinds, named, spawned, stall, texts
from .screens import console

STALLED: tuple[Message, ...] = (
    texts(),
    kinds(),
    spawned([1, 2]),
    named([1, 2], ["worker", "keepalive-2"]),
    Stalls([stall(1, task=1), stall(2, task=2, line=70, duration=90 * MS)]),
    Tick(SECOND),
)
"""Tasks 1 and 2, both of kind app.handler, have blocked the loop."""


def stalled() -> Model:
    model = Model()
    for message in STALLED:
        model.fold(message)
    return model


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def found(settings: Path, text: str) -> list[Finding]:
    settings.write_text(text)
    return check_all(stalled(), read_settings({"ASYNCTOP_CONFIG": str(settings)}).rules)


def subjects(settings: Path, silence: str) -> set[int]:
    return {finding.subject_id for finding in found(settings, f"[lints.long-poll-blocking-call]\n{silence}")}


def test_a_lint_can_be_switched_off(settings: Path) -> None:
    assert subjects(settings, "off = false") == {1, 2}
    assert subjects(settings, "off = true") == set()


@pytest.mark.parametrize(
    ("silence", "left"),
    [
        ("[]", {1, 2}),
        ("['keepalive-*']", {1}),
        ("['keepalive']", {1, 2}),
        ("['Keepalive-*']", {1, 2}),
        ("['keepalive-?', 'nobody']", {1}),
        ("['app.handler']", set()),
        ("['app.*']", set()),
    ],
)
def test_a_lint_can_be_silenced_for_tasks_and_kinds(settings: Path, silence: str, left: set[int]) -> None:
    assert subjects(settings, f"silence = {silence}") == left


def test_thresholds_can_be_set(settings: Path) -> None:
    settings.write_text("[lints.self-wake-spin]\nleast_wakes = 5\nleast_per_second = 7")
    rules = read_settings({"ASYNCTOP_CONFIG": str(settings)}).rules
    (changed,) = set(rules) - set(RULES)
    assert changed.lint.name == "self-wake-spin"
    set_to = [(known.name, known.value) for known in thresholds(changed.lint) if known.value != known.default]
    assert set_to == [("least_wakes", 5), ("least_per_second", 7.0)]
    assert isinstance(set_to[1][1], float)


def test_every_view_obeys(settings: Path) -> None:
    settings.write_text("[lints.long-poll-blocking-call]\nsilence = ['keepalive-*']")
    rules = read_settings({"ASYNCTOP_CONFIG": str(settings)}).rules

    async def shown() -> list[Finding]:
        async with console(*STALLED, rules=rules) as screen:
            return screen.app.frame().findings

    assert {finding.subject_id for finding in asyncio.run(shown())} == {1}
    assert {finding["subject"]["id"] for finding in snapshot(stalled(), rules)["lints"]} == {1}
    assert "FINDINGS (1)" in report(stalled(), rules)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"ASYNCTOP_CONFIG": "mine.toml", "XDG_CONFIG_HOME": "/etc/xdg"}, "mine.toml"),
        ({"ASYNCTOP_CONFIG": "", "XDG_CONFIG_HOME": "/etc/xdg"}, "/etc/xdg/asynctop/config.toml"),
        ({"XDG_CONFIG_HOME": "relative"}, os.path.expanduser("~/.config/asynctop/config.toml")),
        ({}, os.path.expanduser("~/.config/asynctop/config.toml")),
    ],
)
def test_where_the_settings_are(environ: dict[str, str], path: str) -> None:
    assert settings_path(environ) == path


def test_without_a_file_nothing_is_changed(tmp_path: Path) -> None:
    assert read_settings({"XDG_CONFIG_HOME": str(tmp_path)}) == (RULES, {})
    (tmp_path / "asynctop").mkdir()
    (tmp_path / "asynctop/config.toml").write_text("[lints.lock-convoy]\noff = true")
    assert read_settings({"XDG_CONFIG_HOME": str(tmp_path)}).rules != RULES


def refused(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings({"ASYNCTOP_CONFIG": str(path)})
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"lintz = 1", 'expected lints, found "lintz"'),
        (b"lints = 1", "lints: expected a table, found 1"),
        (b"[lints.lock-convoi]", 'lints: expected lock-convoy, found "lock-convoi"'),
        (b"[lints]\nlock-convoy = [1]", "lints.lock-convoy: expected a table, found [1]"),
        (b"[lints.lock-convoy]\nleast_waters = 1", 'expected one of least_waiters, least_ms, found "least_w'),
        (
            b"[lints.lock-convoy]\nzzz = 1",
            "expected one of least_waiters, least_ms, most_held_ms, off, silence",
        ),
        (b"[lints.lock-convoy]\noff = 0", "lints.lock-convoy.off: expected true or false, found 0"),
        (b"[lints.lock-convoy]\nsilence = 'a'", 'silence: expected a list of texts, found "a"'),
        (b"[lints.lock-convoy]\nsilence = ['a', 1]", 'silence: expected a list of texts, found ["a", 1]'),
        (
            b"[lints.lock-convoy]\nleast_waiters = 1.5",
            "least_waiters: expected a whole number, 0 to 1,000,000,000,000",
        ),
        (b"[lints.lock-convoy]\nleast_ms = true", "found true"),
        (b"[lints.lock-convoy]\nleast_ms = 2000-01-01", 'found "2000-01-01"'),
        (b"[lints.lock-convoy]\nleast_ms = -1", "found -1"),
        (b"[lints.lock-convoy]\nleast_ms = 9999999999999999999999", "found 9999999999999999999999"),
        (b"[lints.self-wake-spin]\nleast_share = nan", "least_share: expected a number, 0 to"),
        (b"[lints.self-wake-spin]\nleast_share = inf", "least_share: expected a number, 0 to"),
        (b"[lints.self-wake-spin]\nleast_share = false", "least_share: expected a number, 0 to"),
        (b'["\\u001b[31m\\n"]', "expected one of lints, keys, found "),
        (b"[lints", "expected TOML: "),
        (b"[lints]\n[lints]", "expected TOML: "),
        (b"\xff", "expected TOML: "),
        (b"a = " + b"[" * 100_000, "expected TOML: "),
    ],
)
def test_what_has_no_meaning_is_refused_in_one_line(settings: Path, text: bytes, says: str) -> None:
    settings.write_bytes(text)
    assert says in refused(settings)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert refused(tmp_path) == "expected a file that can be read: Is a directory"
    missing = "expected a file, as ASYNCTOP_CONFIG names it: No such file or directory"
    assert refused(tmp_path / "missing.toml") == missing


def test_every_threshold_can_be_set_to_anything_allowed(settings: Path) -> None:
    for value in ("0", "1_000_000_000_000"):
        tables = [
            "\n".join([f"[lints.{lint.name}]", *(f"{known.name} = {value}" for known in thresholds(lint))])
            for lint in LINTS
        ]
        assert {finding.subject_id for finding in found(settings, "\n".join(tables))} >= {1, 2}


def test_every_threshold_says_what_it_means() -> None:
    for lint in LINTS:
        for known in thresholds(lint):
            assert known.type in (int, float), (lint.name, known.name)
            assert known.meaning, (lint.name, known.name)
            assert known.value == known.default
