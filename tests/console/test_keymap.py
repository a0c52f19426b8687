"""Keys of the user's own: how they are written, how they are refused, and what the screens show of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asynctop_console.settings import SettingsError, read_settings
from asynctop_console.views.keymap import Keymap, key_name, written
from asynctop_console.views.keys import KEYS

from .screens import console, three


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        ("f", "f", "f"),
        ("F", "F", "F"),
        ("shift+f", "F", "F"),
        ("/", "slash", "/"),
        ("+", "plus", "+"),
        ("-", "minus", "-"),
        ("?", "question_mark", "?"),
        ("question_mark", "question_mark", "?"),
        ("é", "é", "é"),
        ("F5", "f5", "F5"),
        ("ctrl+f", "ctrl+f", "^F"),
        ("^F", "ctrl+f", "^F"),
        ("Ctrl+Shift+PgUp", "ctrl+shift+pageup", "Ctrl-Shift-PgUp"),
        ("alt++", "alt+plus", "Alt-+"),
        ("Space", "space", "space"),
        ("esc", "escape", "Esc"),
        ("^", "circumflex_accent", "^"),
        ("", None, ""),
        ("foo", None, ""),
        ("ctrl+", None, ""),
        ("super+x", None, ""),
        ("\n", None, ""),
    ],
)
def test_keys_are_written_as_people_write_them(text: str, name: str | None, shown: str) -> None:
    assert key_name(text) == name
    assert name is None or written(name) == shown


def test_every_key_of_the_table_can_be_written_in_the_settings() -> None:
    for key in KEYS:
        for name in key.keys.split(","):
            assert key_name(name) == name
            assert key_name(written(name)) == name


def test_the_tables_own_keys_do_not_clash() -> None:
    assert Keymap().clash() is None


def test_every_key_is_shown_once() -> None:
    keymap = Keymap()
    shown = [name for key in KEYS for name in keymap.shown(key).split()]
    assert sorted(shown) == sorted(written(name) for key in KEYS for name in key.keys.split(","))


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_settings({"ASYNCTOP_CONFIG": str(path)})
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("keys = 1", "keys: expected a table, found 1"),
        ("[keys]\nfolow = 'x'", 'keys: expected one of follow, fold, found "folow"'),
        ("[keys]\nfollow = 1", "keys.follow: expected a key, as"),
        ("[keys]\nfollow = []", "keys.follow: expected a key or a list of keys, found []"),
        ("[keys]\nfollow = 'foo'", 'or "space", found "foo"'),
        ("[keys]\nfollow = ['x', '']", 'or "space", found ""'),
        ("[keys]\nfollow = '1'", 'follow: expected a key of its own (screen-tasks has this one), found "1"'),
        ("[keys]\nquit = '/'", 'keys.quit: expected a key of its own (filter has this one), found "/"'),
        ("[keys]\nfollow = 'x'\nquit = 'x'", "keys.follow: expected a key of its own (quit has this one)"),
        ("[keys]\nback = '^C'", 'back: expected a key of its own (quit-anyway has this one), found "^C"'),
    ],
)
def test_keys_that_cannot_be_are_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path, text)


def chosen(tmp_path: Path, text: str) -> Keymap:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return Keymap(read_settings({"ASYNCTOP_CONFIG": str(path)}).keys)


def test_the_same_key_can_do_different_things_on_different_screens(tmp_path: Path) -> None:
    assert chosen(tmp_path, "[keys]\nincidents = 'd'").clash() is None


def test_keys_can_be_swapped_and_are_shown_where_ours_were(tmp_path: Path) -> None:
    keymap = chosen(tmp_path, "[keys]\nfollow = 'd'\nfinished = ['f', 'F5']\nfilter = 'ctrl+f'\nhelp = 'W'")

    async def run() -> None:
        async with console(*three(), size=(160, 40), keymap=keymap) as screen:
            await screen.press("j", "d")
            assert screen.table.follow
            await screen.press("f")
            assert "finished hidden" in screen.line("status")
            await screen.press("f5", "slash")
            assert "finished hidden" not in screen.line("status")
            assert not screen.app.screen.query("#hint"), "/ does nothing any more"
            await screen.press("ctrl+f", *"fet", "enter")
            assert screen.ids == [2]
            footer = screen.line("footer")
            assert "  W help" in footer
            assert "  ^F filter" in footer
            commands = {c.title: c.help for c in screen.app.get_system_commands(screen.app.screen)}
            assert commands["finished: hide finished tasks, or show them"] == "f F5"
            await screen.press("2", "ctrl+f", "x", "escape", "W")
            assert "^F             filter the rows" in screen.page
            await screen.press("W", "1", "W")
            assert "f F5           hide finished tasks" in screen.page

    asyncio.run(run())


@pytest.mark.source_tree
def test_the_page_of_all_keys_is_todays() -> None:
    from docs.keys import PAGE, page

    assert PAGE.read_text("utf-8") == page(), "`python -m docs.keys` makes it anew"
