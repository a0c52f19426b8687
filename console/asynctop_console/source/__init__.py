"""Sources: where messages come from. They know sockets and retries, and nothing of what the messages mean."""

from asynctop_console.source.discover import Program, Successor, programs
from asynctop_console.source.live import Phase, SocketSource, Source, SourceState
from asynctop_console.source.target import Target, TargetError, resolve

__all__ = [
    "Phase",
    "Program",
    "SocketSource",
    "Source",
    "SourceState",
    "Successor",
    "Target",
    "TargetError",
    "programs",
    "resolve",
]
