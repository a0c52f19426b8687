"""A database file that another connection has locked: a query blocks `BLOCKED_SECONDS`, on any machine."""

import sqlite3
import tempfile
from contextlib import suppress

BLOCKED_SECONDS = 0.12


class LockedDatabase:
    """Opened at once, then unlinked: whatever ends the server, no file stays behind."""

    def __init__(self) -> None:
        with tempfile.NamedTemporaryFile(suffix=".db") as file:
            self._holder = sqlite3.connect(file.name, isolation_level=None)
            self._holder.execute("CREATE TABLE item (name TEXT)")
            self._asker = sqlite3.connect(file.name, timeout=BLOCKED_SECONDS)
            self._asker.execute("SELECT count(*) FROM item").fetchone()
            self._holder.execute("BEGIN EXCLUSIVE")

    def query(self) -> str:
        """Ask, and wait in SQLite's own code for the lock, which never comes."""
        with suppress(sqlite3.OperationalError):
            self._asker.execute("SELECT count(*) FROM item").fetchone()
        return "locked"
