"""What becomes of each test, written down at once: the process may not live until the end."""

from __future__ import annotations

import json
from typing import TextIO


class Notes:
    """One JSON line per test in `file`: [id, outcome, traceback or reason]."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._failed: set[str] = set()
        """Tests that had a failing part: what is said of them later does not count."""

    def note(self, name: str, outcome: str, text: str = "") -> None:
        """Write a line."""
        if name not in self._failed:
            print(json.dumps([name, outcome, text]), file=self._file, flush=True)
        if outcome in ("failed", "error"):
            self._failed.add(name)
