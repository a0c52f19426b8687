"""The model: what is known about a monitored program, folded from its messages. No sockets, no screen."""

from asynctop_console.clean import clean
from asynctop_console.model.columns import Ints, Rows
from asynctop_console.model.kinds import KindTable, histogram_quantile_ns
from asynctop_console.model.loops import Loop, Meters, Sample
from asynctop_console.model.model import Model
from asynctop_console.model.places import Frame, short, users_frame
from asynctop_console.model.tasks import RECENT_COLUMNS, TaskTable
from asynctop_console.model.times import duration
from asynctop_console.model.waits import Resource, Waits
from asynctop_console.model.watched import Poll, Times, Waker, WatchedTask

__all__ = [
    "RECENT_COLUMNS",
    "Frame",
    "Ints",
    "KindTable",
    "Loop",
    "Meters",
    "Model",
    "Poll",
    "Resource",
    "Rows",
    "Sample",
    "TaskTable",
    "Times",
    "Waits",
    "Waker",
    "WatchedTask",
    "clean",
    "duration",
    "histogram_quantile_ns",
    "short",
    "users_frame",
]
