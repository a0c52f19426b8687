"""What consoles are told besides their batches, as the publisher sees it."""

from __future__ import annotations

from typing import Protocol


class News(Protocol):
    """Where something becomes known now and then: stalls, incidents. It rings the publisher's bell then."""

    def since(self, version: int) -> tuple[int, bytes]:
        """The version now, and what became known after `version`, as frames. On the publisher's thread."""

    def due_ns(self) -> int | None:
        """When there will be more to tell, without another ring of the bell; None where nothing waits."""
