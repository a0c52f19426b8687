"""A shop's web server in the middle of its work, as messages: what all screens have something to show of."""

from __future__ import annotations

from dataclasses import replace

from asynctop_protocol.messages import (
    Cause,
    Chain,
    Hello,
    Histograms,
    Holding,
    Incident,
    Incidents,
    Kinds,
    Loops,
    LoopState,
    Message,
    Outcome,
    Part,
    Stall,
    Stalls,
    State,
    Texts,
    Tick,
    Totals,
    Waiting,
    WakerSource,
)

from .program import MS, SECOND, ended, hello, history, named, polled, spawned

NOW = 1_000 * SECOND
"""Of the program's own clock."""
SECONDS = 40
"""So many seconds before that are known of."""

SHOP, STOCK, MAIL = "/srv/shop/web.py", "/srv/shop/stock.py", "/srv/shop/mail/outgoing.py"
ASYNCIO = "/usr/lib/python3.13/asyncio"

_TEXTS = [
    "main", "Server.handle", "refresh_stock", "Mailer.deliver", "render_invoice", "poll_warehouse",
    "/srv/shop/__main__.py", SHOP, STOCK, MAIL,
    "ConnectionResetError: [Errno 104] Connection reset by peer", "on_timer",
]  # fmt: skip
MAIN, HANDLE, REFRESH, DELIVER, INVOICE, POLL = range(1, 7)
"""Kinds, and the texts that they are called by."""
_FILE = {MAIN: 7, HANDLE: 8, REFRESH: 9, DELIVER: 10, INVOICE: 8, POLL: 9}

HANDLERS = range(10, 34)
MAILERS = range(40, 44)
BLOCKER, SPINNER, REFRESHER = 8, 3, 2
_NAMES = {
    1: "main", 2: "refresh-stock", 3: "warehouse-poll", 4: "stock-watch",
    5: "deliver old newsletters to all the customers of the year", 8: "GET /invoice/2026-11",
    **{id: f"GET /item/{7 * id}" for id in HANDLERS}, **{id: f"mailer-{id - 39}" for id in MAILERS},
}  # fmt: skip
_KINDS = {1: MAIN, 2: REFRESH, 3: POLL, 4: REFRESH, 5: DELIVER, 8: INVOICE}
_KINDS |= dict.fromkeys(HANDLERS, HANDLE) | dict.fromkeys(MAILERS, DELIVER)
IDS = sorted(_NAMES)
_ENDED = {30: Outcome.RETURNED, 31: Outcome.CANCELLED, 32: Outcome.RAISED, 33: Outcome.DESTROYED}
_STATES = {SPINNER: State.SCHEDULED, 11: State.SCHEDULED, **dict.fromkeys(_ENDED, State.DONE)}


def greeting() -> Hello:
    return replace(hello(), argv=["python", "-m", "shop", "--port", "8080", "--workers", "1"], pid=48213)


def _polled() -> Message:
    def each(of: dict[int, int], usual: int = 0) -> list[int]:
        return [of.get(id, usual * (id % 7 + 1)) for id in IDS]

    wakers = dict.fromkeys(HANDLERS, WakerSource.IO) | {3: WakerSource.TASK, 4: WakerSource.TIMER}
    wakers |= {2: WakerSource.THREAD, 12: WakerSource.TASK, 13: WakerSource.TASK}
    return polled(
        IDS,
        state=[_STATES.get(id, State.IDLE) for id in IDS],
        since=[NOW - id * 370 * MS for id in IDS],
        polls=each({1: 12, 3: 1_840_000, 5: 512, BLOCKER: 4}, 31),
        busy=each({1: 9 * MS, 3: 12 * SECOND + 345 * MS, 5: 97 * MS, BLOCKER: 3 * MS}, 410_000),
        scheduled=each({1: MS, 3: 4 * SECOND}, 77_000),
        max_poll=each({3: 31 * MS, 5: 4 * MS, BLOCKER: 2 * MS}, 190_000),
        wakes=each({1: 12, 3: 1_840_000, 5: 512, BLOCKER: 4}, 31),
        self_wakes=each({3: 1_839_000}),
        waker_source=each({id: int(source) for id, source in wakers.items()}),
        waker_task=each({3: 3, 12: REFRESHER, 13: REFRESHER}),
        waker_name=[12 if wakers.get(id) == WakerSource.TIMER else 0 for id in IDS],
    )  # fmt: skip


def _totals(second: int) -> Totals:
    kinds = [MAIN, HANDLE, REFRESH, DELIVER, INVOICE, POLL]
    lived = [1, 24 + 9 * second, 2, 5 + second // 20, 1 + second // 10, 1]
    live = [1, 20, 2, 5, 1, 1]
    polls = [12, 744 + 280 * second, 90, 640, 4 + second, 20_000 * second]
    longest = [40, 42, 37, 39, 50, 44]
    return Totals(
        kind=kinds,
        spawned=lived,
        returned=[max(all_ - left - 3, 0) for all_, left in zip(lived, live, strict=True)],
        raised=[0, 1, 0, 0, 0, 0],
        cancelled=[0, 1, 0, 0, 0, 0],
        destroyed=[0, 1, 0, 0, 0, 0],
        unknown=[0] * 6,
        polls=polls,
        busy_ns=[9 * MS, 61 * MS + second * MS, 4 * MS, 103 * MS, second * 20 * MS, second * 135 * MS],
        scheduled_ns=[MS, 12 * MS + second * 2 * MS, 5 * MS, 8 * MS, second * MS, second * 44 * MS],
        max_poll_ns=[4 * MS, 8 * MS, MS, 4 * MS, 800 * MS, 31 * MS],
        histograms=[
            [0] * (top - 5) + [polls // 2, polls // 3, polls // 9, polls // 40, polls // 300 + 1]
            for top, polls in zip(longest, polls, strict=True)
        ],
    )


def _loops(second: int, state: LoopState = LoopState.IDLE) -> Loops:
    wave = second * 20_281 + (second % 13) * (second % 7) * 300
    stalled = state == LoopState.STALLED
    return Loops(
        id=[1, 2],
        thread=["MainThread", "mail-loop"],
        runtime=["asyncio", "uvloop"],
        state=[state, LoopState.IDLE],
        polls=[wave, 14 * second],
        callbacks=[3 * second, second],
        busy_ns=[second * 156 * MS + (second % 11) ** 3 * 700_000, second * 2 * MS],
        max_lag_ns=[(1 + second % 9) * (300 * MS if second % 30 == 29 else MS), 90_000],
        max_lag_ever_ns=[900 * MS, 2 * MS],
        current_task=[BLOCKER if stalled else 0, 0],
        current=[_NAMES[BLOCKER] if stalled else "", ""],
        current_since_ns=[NOW - 640 * MS if stalled else 0, 0],
        turns=[20_000 * second, 14 * second],
        max_turn_ns=[40 * MS, MS],
        max_turn_ever_ns=[912 * MS, 4 * MS],
    )  # fmt: skip


_RUN = ("run", f"{ASYNCIO}/runners.py", 118)
_INVOICE = [_RUN, ("render_invoice", SHOP, 141), ("load_fonts", "/srv/shop/pdf/fonts.py", 57)]
_CPU = [_RUN, ("poll_warehouse", STOCK, 88), ("parse", STOCK, 203)]
_GIL = [_RUN, ("deliver", MAIL, 64), ("match", "/usr/lib/python3.13/re/__init__.py", 167)]


Stack = list[tuple[str, str, int]]


def _stall(number: int, task: int, ago: int, lasted: int, cause: Cause, stack: Stack) -> Stall:
    who = task, _KINDS[task], _NAMES[task]
    return Stall(number, *who, 1, NOW - ago, lasted, False, cause, 9, stack)


def _stalls() -> Stalls:
    in_places = _stall(7, SPINNER, 44 * SECOND, 310 * MS, Cause.CPU, _CPU)
    in_places = replace(
        in_places,
        parts=[Part(6, "", 2, [("parse", STOCK, 203)]), Part(3, "loads", 2, [("decode", STOCK, 210)])],
    )
    return Stalls(
        [
            _stall(4, BLOCKER, 85 * SECOND, 912 * MS, Cause.BLOCKING, _INVOICE),
            _stall(5, BLOCKER, 71 * SECOND, 608 * MS, Cause.BLOCKING, _INVOICE),
            _stall(6, 5, 60 * SECOND, 240 * MS, Cause.GIL, _GIL),
            in_places,
            _stall(8, 14, 20 * SECOND, 120 * MS, Cause.GC, [_RUN, ("handle", SHOP, 33)]),
        ]
    )


def blocking() -> list[Message]:
    """The invoice blocks the loop, and has for 640 ms."""
    goes_on = replace(_stall(9, BLOCKER, 640 * MS, 640 * MS, Cause.BLOCKING, _INVOICE), ongoing=True)
    return [
        polled(
            [BLOCKER], State.POLLING, since=NOW - 640 * MS, polls=4, busy=3 * MS, max_poll=2 * MS, wakes=4
        ),
        Stalls([replace(goes_on, callee="time.sleep")]),
        _loops(SECONDS, LoopState.STALLED),
    ]


def incidents() -> Incidents:
    never = Incident(
        1, "coroutine-never-awaited", 12, HANDLE, 1, "save_visit", NOW - 30 * SECOND, 3,
        "", [_RUN, ("handle", SHOP, 48)],
    )  # fmt: skip
    return Incidents([never])


def chains() -> list[Chain]:
    """Who waits for what: nine handlers and a mailer for the lock that refresh-stock holds."""
    lock = Waiting("lock", 900, "asyncio.Lock, in acquire()", 0, {"locked": 1, "waiters": 9})
    queue = Waiting("queue", 901, "asyncio.Queue, in get()", 0, {"size": 0, "maxsize": 100, "getters": 3})
    stream = Waiting("stream", 902, "StreamReader, in readline()")
    handle = [("handle", SHOP, 31), ("reserve", STOCK, 52), ("acquire", f"{ASYNCIO}/locks.py", 114)]
    four = Waiting("gather", 903, "gather() of 4")
    watch = [("refresh_stock", STOCK, 77), ("sleep", f"{ASYNCIO}/tasks.py", 718)]
    answers = [
        Chain(1, [("main", "/srv/shop/__main__.py", 19)], four, 1, [2, 3, 4, 5]),
        Chain(
            REFRESHER,
            [("refresh_stock", STOCK, 71), ("fetch", STOCK, 118), ("read", f"{ASYNCIO}/streams.py", 540)],
            stream,
            3,
            holds=[Holding("lock", 900, "asyncio.Lock", 0)],
        ),
        Chain(4, watch, Waiting("timer", 904, "sleep(30)"), 2),
        Chain(5, [("deliver", MAIL, 60)], Waiting("executor", 905, "executor mail of 2 threads"), 1),
    ]  # fmt: skip
    answers += [Chain(id, handle, lock, 3) for id in HANDLERS[1:10]]
    answers += [Chain(id, [("handle", SHOP, 29)], replace(stream, id=1000 + id), 1) for id in HANDLERS[10:20]]
    answers += [Chain(id, [("deliver", MAIL, 41)], queue, 2) for id in MAILERS]
    return answers


def polls_of(task: int) -> list[Message]:
    """What is told of a task that is watched."""
    polls = [
        (at, at + (number % 5) * 40_000, at + (number % 5) * 40_000 + (number % 9 + 1) ** 4 * 2_000)
        for number, at in enumerate(range(NOW - 9 * SECOND, NOW - SECOND // 2, SECOND // 4))
    ]
    times = Histograms([task], [4 * MS], [[0] * 30 + [40, 90, 30, 8, 2, 1]], [[0] * 26 + [90, 60, 20, 1]])
    return [history(task, polls, source=WakerSource.IO, name=0), times]


def shop() -> list[Message]:
    """Ninety seconds of the shop, up to now; the loop is not blocked yet."""
    created = [NOW - 900 * SECOND if id < 6 else NOW - id * 400 * MS for id in IDS]
    messages: list[Message] = [
        greeting(),
        Texts(1, _TEXTS),
        Kinds(
            1,
            list(range(1, 7)),
            [_FILE[kind] for kind in range(1, 7)],
            [12, 26, 66, 55, 138, 80],
            [7, 8, 7, 10, 8, 7],
            [30, 20, 15, 33, 24, 16],
        ),
        spawned(IDS, [_KINDS[id] for id in IDS], 1, [0 if id == 1 else 1 for id in IDS], created),
        named(IDS, [_NAMES[id] for id in IDS]),
        _polled(),
        ended(list(_ENDED), list(map(int, _ENDED.values())), NOW - 2 * SECOND, [0, 0, 11, 0]),
    ]
    for second in range(SECONDS + 1):
        now = NOW - (SECONDS - second) * SECOND
        messages += [_totals(second), _loops(second), Tick(now)]
    return [*messages[:-1], _stalls(), incidents(), Tick(NOW)]
