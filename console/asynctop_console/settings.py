"""What the user has set, in a TOML file:

[lints.lock-convoy]
least_waiters = 20                            # a threshold; `asynctop lints` lists them

[lints.task-leak-by-kind]
silence = ["Server.handle", "keepalive-*"]    # kinds and names it is not to speak of

[lints.self-wake-spin]
off = true

[keys]
follow = "F"                                  # what does it: README.md lists the names
filter = ["/", "ctrl+f"]
"""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple

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


class Settings(NamedTuple):
    """What the user has set; without a file, what we have."""

    rules: tuple[Rule, ...] = RULES
    keys: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """Textual's names of keys, by what they do (`views.keys.Key.id`)."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The user's settings; where there is no file, unless `$ASYNCTOP_CONFIG` names one, our own.

    Raises SettingsError for a file that cannot be read, and for whatever in it has no meaning.
    """
    path = settings_path(environ)
    try:
        with open(path, "rb") as file:
            return settings_from(tomllib.load(file))
    except FileNotFoundError as error:
        if not environ.get("ASYNCTOP_CONFIG"):
            return Settings()
        problem = f"expected a file, as ASYNCTOP_CONFIG names it: {error.strerror}"
    except OSError as error:
        problem = f"expected a file that can be read: {error.strerror}"
    except _BadValueError as error:
        problem = str(error)
    except (ValueError, RecursionError) as error:  # of tomllib: no TOML, no UTF-8, nested too deep
        problem = f"expected TOML: {error}"
    raise SettingsError(clean(f"{path}: {problem}", _LONGEST_LINE))


def settings_from(content: Mapping[str, object]) -> Settings:
    """The settings as the file's content has them."""
    for key in content:
        _expect_key("", key, ["lints", "keys"])
    chosen = _table("lints", content.get("lints", {}))
    for name in chosen:
        _expect_key("lints", name, [rule.lint.name for rule in RULES])
    rules = tuple(
        _rule(rule, _table(f"lints.{rule.lint.name}", chosen.get(rule.lint.name, {}))) for rule in RULES
    )
    return Settings(rules, _keys(_table("keys", content["keys"])) if "keys" in content else {})


def _keys(chosen: dict[str, object]) -> dict[str, tuple[str, ...]]:
    # Textual is not imported where no key is set: a script's snapshot should not wait for it.
    from asynctop_console.views.keymap import EXAMPLES, Keymap, key_name, written
    from asynctop_console.views.keys import KEYS

    keys: dict[str, tuple[str, ...]] = {}
    for id, value in chosen.items():
        _expect_key("keys", id, [key.id for key in KEYS])
        texts = value if isinstance(value, list) else [value]
        names = [key_name(text) if isinstance(text, str) else None for text in texts]
        _expect(f"keys.{id}", bool(names), "a key or a list of keys", value)
        for text, name in zip(texts, names, strict=True):
            _expect(f"keys.{id}", name is not None, f"a key, as {EXAMPLES}", text)
        keys[id] = tuple(name for name in names if name)
    clash = Keymap(keys).clash()
    if clash is not None:
        key, other, name = clash
        _expect(f"keys.{key.id}", False, f"a key of its own ({other.id} has this one)", written(name))
    return keys


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
