"""What the console remembers from one time to the next. What its user has written down: `settings`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path


def memory_path(environ: Mapping[str, str]) -> Path:
    """Where it is kept: `asynctop/console.json` in `$XDG_STATE_HOME`, which is ~/.local/state where that is
    unset, empty or relative."""
    home = environ.get("XDG_STATE_HOME", "")
    folder = home if os.path.isabs(home) else os.path.expanduser("~/.local/state")
    return Path(folder, "asynctop/console.json")


class Memory:
    """The columns that were chosen, screen by screen."""

    def __init__(self, path: Path | None = None) -> None:
        """`path` is a file that need not exist; without one nothing outlives the console.

        What cannot be read or has no meaning is forgotten: it is no more than convenience.
        """
        self._path = path
        self.columns: dict[str, dict[str, bool]] = {}
        """By screen and column, whether it is shown; what is not in it is as we have it."""
        try:
            known = json.loads(path.read_text("utf-8")) if path else {}
            self.columns = {
                str(screen): {str(id): bool(shown) for id, shown in chosen.items()}
                for screen, chosen in known["columns"].items()
            }
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            pass

    def remember(self, screen: str, columns: Mapping[str, bool]) -> str:
        """Remember the columns of a screen; returns why that cannot be, "" where it can."""
        self.columns[screen] = dict(columns)
        if self._path is None:
            return ""
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.write_text(json.dumps({"columns": self.columns}), "utf-8")
            beside.replace(self._path)
        except OSError as error:
            return f"Cannot remember this in {self._path}: {error.strerror}"
        return ""
