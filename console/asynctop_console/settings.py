"""What the user has set, in a TOML file:

[lints.lock-convoy]
least_waiters = 20                            # a threshold; `asynctop lints` lists them

[lints.task-leak-by-kind]
silence = ["Server.handle", "keepalive-*"]    # kinds and names it is not to speak of

[lints.self-wake-spin]
off = true
"""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from asynctop_console.clean import clean
from asynctop_console.lints import RULES
from asynctop_console.lints.rules import Rule, Threshold, thresholds

_LARGEST = 10**12
"""No count, share or rate comes near it, and as many milliseconds still fit into 64 bits as nanoseconds."""
_LONGEST_LINE = 2_000
"""Room for the names of all lints."""


class SettingsError(Exception):
    """The settings are not what they should be. Its text is one line that names the file and the key."""


class _BadValueError(Exception):
    """What a key should have been, in a few words."""


def settings_path(environ: Mapping[str, str]) -> str:
    """Where the settings are: `$ASYNCTOP_CONFIG`, else `asynctop/config.toml` in `$XDG_CONFIG_HOME`, which is
    ~/.config where that is unset, empty or relative."""
    if chosen := environ.get("ASYNCTOP_CONFIG"):
        return chosen
    home = environ.get("XDG_CONFIG_HOME", "")
    return os.path.join(
        home if os.path.isabs(home) else os.path.expanduser("~/.config"), "asynctop/config.toml"
    )


def read_rules(environ: Mapping[str, str]) -> tuple[Rule, ...]:
    """The lints as the user has set them; as they are where there is no file, unless `$ASYNCTOP_CONFIG` names
    one.

    Raises SettingsError for a file that cannot be read, and for whatever in it has no meaning.
    """
    path = settings_path(environ)
    try:
        with open(path, "rb") as file:
            return rules_from(tomllib.load(file))
    except FileNotFoundError as error:
        if not environ.get("ASYNCTOP_CONFIG"):
            return RULES
        problem = f"expected a file, as ASYNCTOP_CONFIG names it: {error.strerror}"
    except OSError as error:
        problem = f"expected a file that can be read: {error.strerror}"
    except _BadValueError as error:
        problem = str(error)
    except (ValueError, RecursionError) as error:  # of tomllib: no TOML, no UTF-8, nested too deep
        problem = f"expected TOML: {error}"
    raise SettingsError(clean(f"{path}: {problem}", _LONGEST_LINE))


def rules_from(settings: Mapping[str, object]) -> tuple[Rule, ...]:
    """The lints as the file's content has it."""
    for key in settings:
        _expect_key("", key, ["lints"])
    chosen = _table("lints", settings.get("lints", {}))
    for name in chosen:
        _expect_key("lints", name, [rule.lint.name for rule in RULES])
    return tuple(
        _rule(rule, _table(f"lints.{rule.lint.name}", chosen.get(rule.lint.name, {}))) for rule in RULES
    )


def _rule(rule: Rule, chosen: dict[str, object]) -> Rule:
    where = f"lints.{rule.lint.name}"
    known = {threshold.name: threshold for threshold in thresholds(rule.lint)}
    numbers: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for key, value in chosen.items():
        _expect_key(where, key, [*known, "off", "silence"])
        if key == "off":
            _expect(f"{where}.off", isinstance(value, bool), "true or false", value)
            others["off"] = value
        elif key == "silence":
            texts = value if isinstance(value, list) else [None]
            _expect(
                f"{where}.silence", all(isinstance(text, str) for text in texts), "a list of texts", value
            )
            others["silence"] = tuple(texts)
        else:
            _expect(f"{where}.{key}", *_fits(known[key], value), value)
            numbers[key] = known[key].type(value)
    return dataclasses.replace(rule, lint=dataclasses.replace(rule.lint, **numbers), **others)


def _fits(threshold: Threshold, value: object) -> tuple[bool, str]:
    """Whether it is a number such as the threshold's, and what that is."""
    whole = threshold.type is int
    number = value if isinstance(value, int if whole else int | float) and not isinstance(value, bool) else -1
    return 0 <= number <= _LARGEST, f"a {'whole ' if whole else ''}number, 0 to {_LARGEST:,}"


def _table(where: str, value: object) -> dict[str, object]:
    _expect(where, isinstance(value, dict), "a table", value)
    assert isinstance(value, dict)
    return value


def _expect_key(where: str, key: str, known: list[str]) -> None:
    likely = get_close_matches(key, known, 3) or known
    _expect(where, key in known, f"{'one of ' if likely[1:] else ''}{', '.join(likely)}", key)


def _expect(where: str, is_so: bool, expected: str, found: object) -> None:
    if not is_so:
        shown = json.dumps(found, default=str, ensure_ascii=False)
        raise _BadValueError(f"{where}: expected {expected}, found {shown}".removeprefix(": "))
