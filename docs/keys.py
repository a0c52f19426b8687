"""Make docs/keys.md, the page of all keys and their names in the settings.

    python -m docs.keys

Run it at the top of the checkout.
"""

from __future__ import annotations

from pathlib import Path

from asynctop_console.views.keymap import EXAMPLES, written
from asynctop_console.views.keys import APP, EVERYWHERE, KEYS, Key

PAGE = Path(__file__).parent / "keys.md"

_PAGE = """\
# Keys

In the console `?` shows the keys of the screen one is on. Each can be changed in `asynctop/config.toml` in
`$XDG_CONFIG_HOME` (`~/.config`), or in the file that `ASYNCTOP_CONFIG` names, by the name of what it does:

```toml
[keys]
follow = "F"
filter = ["/", "ctrl+f"]
```

A key is written as {examples}. What is not named there keeps its keys; two things cannot
have the same key on one screen. The footer, the help and the palette show the keys as they are set.

| name | keys | what it does | where |
| --- | --- | --- | --- |
{table}
"""


def page() -> str:
    """The page's text."""
    return _PAGE.format(examples=EXAMPLES, table="\n".join(map(_row, KEYS)))


def _row(key: Key) -> str:
    keys = " ".join(f"`{written(name)}`" for name in key.keys.split(","))
    where = "everywhere" if key.screens in (EVERYWHERE, (APP,)) else ", ".join(key.screens)
    return f"| {key.id} | {keys} | {key.help} | {where} |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
