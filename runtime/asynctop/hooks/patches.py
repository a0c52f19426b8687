"""Putting patches in place, and taking them out again without a trace."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from asynctop.core.contract import Patch

_ABSENT: Any = object()


class Patches:
    """Patches that are in place."""

    def __init__(self) -> None:
        self._undo: list[tuple[Patch, Any]] = []

    def apply(self, patches: Iterable[Patch]) -> None:
        """Put `patches` in place."""
        for patch in patches:
            # From the owner's own namespace: a class may inherit the attribute, and then it must inherit it
            # again.
            before = vars(patch.owner).get(patch.attribute, _ABSENT)
            self._undo.append((patch, before))
            setattr(patch.owner, patch.attribute, patch.replacement)

    def undo(self) -> None:
        """Restore the very objects that stood there. What somebody else has patched since is left alone."""
        while self._undo:
            patch, before = self._undo.pop()
            if vars(patch.owner).get(patch.attribute) is not patch.replacement:
                continue
            if before is _ABSENT:
                delattr(patch.owner, patch.attribute)
            else:
                setattr(patch.owner, patch.attribute, before)
