"""A source without a program: as many tasks as wanted, a share of which changes with each tick.

python benchmarks/synthetic.py [TASKS]     open the console on it
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from time import monotonic_ns, time_ns

import numpy as np
from numpy.typing import NDArray

from asynctop_console.source.live import Phase, SourceState
from asynctop_console.views.app import ConsoleApp
from asynctop_protocol.messages import (
    Cause,
    Chain,
    Chains,
    Ended,
    Hello,
    Inspect,
    Kinds,
    Loops,
    LoopState,
    Message,
    Named,
    Polled,
    Role,
    Spawned,
    Stall,
    Stalls,
    Subscribe,
    Texts,
    Tick,
    Totals,
    Waiting,
)

_KINDS = (
    ("main", 4, "/srv/shop/app.py", 9, "", 0),
    ("Server.handle", 41, "/srv/shop/server.py", 88, "/srv/shop/server.py", 63),
    ("fetch_price", 12, "/srv/shop/prices.py", 30, "/srv/shop/server.py", 97),
    ("Consumer.run", 18, "/srv/shop/queue/consumer.py", 22, "/srv/shop/app.py", 31),
    ("heartbeat", 5, "/srv/shop/app.py", 40, "/srv/shop/app.py", 33),
    ("resize_image", 7, "/srv/shop/images.py", 15, "/srv/shop/server.py", 120),
)
_SECOND = 10**9
_WAKERS = ("select", "sleep", "BaseSelectorEventLoop._read_ready")


def _longs(values: object) -> memoryview:
    return np.ascontiguousarray(values, np.int64).data.cast("B").cast("q")


class Synthetic:
    """`tasks` of them; each tick, `interval_s` apart, changes `share` of them. Task 7 blocks for 2 of
    every 8 seconds."""

    payload = b""

    def __init__(self, tasks: int, share: float = 0.05, seed: int = 7) -> None:
        self._count = tasks
        self._share = share
        self._random = np.random.default_rng(seed)
        self._interval_s = 0.25
        self._state = SourceState(Phase.CONNECTING)
        self._asked: list[Inspect] = []
        self._stalls = 0
        self._ticks = 0
        rng = self._random
        self._kind = np.where(rng.random(tasks) < 0.6, 2, rng.integers(3, 7, tasks))
        self._kind[0] = 1
        self._busy = (rng.pareto(1.1, tasks) * 3e5).astype(np.int64)
        self._polls = rng.integers(1, 4000, tasks)
        self._state_of = rng.choice([0, 0, 0, 0, 0, 0, 0, 0, 1, 0], tasks)
        self._max = np.minimum(self._busy, (rng.pareto(1.5, tasks) * 2e5).astype(np.int64))

    @property
    def state(self) -> SourceState:
        """Live from the first message on."""
        return self._state

    def send(self, message: Message) -> None:
        """Answers `Inspect` and follows `Subscribe`."""
        if isinstance(message, Subscribe):
            self._interval_s = message.interval_ns / 1e9
        elif isinstance(message, Inspect):
            self._asked.append(message)

    async def messages(self) -> AsyncGenerator[Message, None]:
        """A hello, all tasks, and then ticks for ever."""
        began = self._began = monotonic_ns()
        self._state = SourceState(Phase.LIVE)
        for message in self.opening(began):
            yield message
        while True:
            await asyncio.sleep(self._interval_s)
            for message in self.tick(monotonic_ns()):
                yield message

    def opening(self, now: int) -> list[Message]:
        """The first batch, up to its tick."""
        self._began = now
        ids = np.arange(1, self._count + 1)
        created = now - self._random.integers(_SECOND, 900 * _SECOND, self._count)
        texts = [name for name, *_ in _KINDS]
        files = sorted({file for _, _, d, _, s, _ in _KINDS for file in (d, s) if file})
        texts += [*files, *_WAKERS, "ConnectionResetError: peer went away"]
        number = {text: index + 1 for index, text in enumerate(texts)} | {"": 0}
        self._number = number
        self._created = created
        names = [f"Task-{id}" if self._kind[id - 1] != 3 else f"consumer-{id}" for id in ids.tolist()]
        for id, name in (
            (1, "main"),
            (5, "読み取り-worker"),
            (9, "job [/x] \x1b[31m‮evil"),
            (13, "emoji 🦄🦄 task"),
        ):
            if id <= self._count:
                names[id - 1] = name
        done = ids[self._random.random(self._count) < 0.1]
        done = done[done > 16]
        return [
            Hello(
                Role.RUNTIME,
                pid=4242,
                argv=["app.py", "--port", "8080"],
                python="3.13.0",
                runtime="asyncio",
                core="c",
                started_at_ns=time_ns(),
                monotonic_ns=now,
                wall_ns=time_ns(),
                stall_threshold_ns=_SECOND // 10,
            ),
            Texts(1, texts),
            Kinds(
                1,
                [number[k[0]] for k in _KINDS],
                [number[k[2]] for k in _KINDS],
                [k[3] for k in _KINDS],
                [number[k[4]] for k in _KINDS],
                [k[5] for k in _KINDS],
            ),
            Spawned(
                _longs(ids),
                _longs(self._kind),
                _longs(np.ones(self._count)),
                _longs(np.minimum(ids - 1, 1)),
                _longs(created),
            ),
            Named(_longs(ids), names),
            self._polled(ids - 1, now),
            Ended(
                _longs(done),
                _longs(self._random.choice([1, 1, 1, 2, 3], len(done))),
                _longs(np.full(len(done), now - _SECOND)),
                _longs(np.where(self._random.random(len(done)) < 2, 0, 0)),
            ),
            *self._rest(now),
        ]

    def tick(self, now: int) -> list[Message]:
        """A batch in which a share of the tasks changed."""
        self._ticks += 1
        changed = np.flatnonzero(self._random.random(self._count) < self._share)
        spent = (self._random.pareto(2.0, len(changed)) * 2e5).astype(np.int64)
        self._busy[changed] += spent
        self._max[changed] = np.maximum(self._max[changed], spent)
        self._polls[changed] += self._random.integers(1, 20, len(changed))
        self._state_of[changed] = self._random.choice([0, 0, 0, 0, 1], len(changed))
        return [self._polled(changed, now), *self._rest(now)]

    def _polled(self, rows: NDArray[np.int64], now: int) -> Polled:
        states = self._state_of[rows].copy()
        since = np.full(len(rows), now - 50_000_000)
        zero = np.zeros(len(rows), np.int64)
        sources = self._random.choice([1, 2, 3, 4], len(rows))
        return Polled(
            _longs(rows + 1),
            _longs(states),
            _longs(since),
            _longs(self._polls[rows]),
            _longs(self._busy[rows]),
            _longs(self._busy[rows] // 3),
            _longs(self._max[rows]),
            _longs(self._polls[rows]),
            _longs(zero),
            _longs(sources),
            _longs(np.where(sources == 1, 1, 0)),
            _longs(np.where(sources == 3, self._number[_WAKERS[0]], 0)),
        )

    def _rest(self, now: int) -> list[Message]:
        kinds = range(1, len(_KINDS) + 1)
        sums = [self._busy[self._kind == k].sum() for k in kinds]
        polls = [int(self._polls[self._kind == k].sum()) for k in kinds]
        spawned = np.array([np.count_nonzero(self._kind == k) for k in kinds])
        curve: list[Sequence[int]] = [
            [int(p * 0.3 * 2 ** -(abs(b - 30 - 2 * k) / 2)) for b in range(56)]
            for k, p in zip(kinds, polls, strict=True)
        ]
        zero = [0] * len(_KINDS)
        ended = [100] * len(_KINDS)
        messages: list[Message] = [
            Totals(
                list(kinds),
                (spawned + 100).tolist(),
                ended,
                zero,
                zero,
                zero,
                zero,
                polls,
                sums,
                [s // 3 for s in sums],
                [int(self._max[self._kind == k].max(initial=0)) for k in kinds],
                curve,
            ),
        ]
        elapsed = now - self._began
        lag = int(self._random.pareto(2.0) * 1e6)
        phase = elapsed % (8 * _SECOND)
        blocking = self._count >= 7 and phase > 5 * _SECOND
        if blocking:
            messages += self._blocked(now, phase - 5 * _SECOND)
        elif self._stalls and self._state_of[6] == 2:
            self._state_of[6] = 0
            messages += [self._stall(now, 3 * _SECOND, False), self._polled(np.array([6]), now)]
        messages.append(
            Loops(
                [1],
                ["MainThread"],
                ["asyncio"],
                [LoopState.STALLED if blocking else LoopState.IDLE],
                [int(sum(polls))],
                [0],
                [int(elapsed * 0.4)],
                [lag],
                [lag],
                [7 if blocking else 0],
                ["Task-7" if blocking else ""],
                [now - (phase - 5 * _SECOND) if blocking else 0],
            )
        )
        for asked in self._asked:
            messages.append(Chains(asked.request, [self._chain(int(task)) for task in asked.tasks], True))
        self._asked.clear()
        return [*messages, Tick(now)]

    def _blocked(self, now: int, lasted: int) -> list[Message]:
        if self._state_of[6] != 2:
            self._stalls += 1
            self._state_of[6] = 2
        polled = self._polled(np.array([6]), now + 50_000_000 - lasted)
        return [polled, self._stall(now, lasted, True)]

    def _stall(self, now: int, lasted: int, ongoing: bool) -> Stalls:
        stack = [
            ("main", "/srv/shop/app.py", 61),
            ("run", "/usr/lib/python3.13/asyncio/runners.py", 118),
            ("Server.handle", "/srv/shop/server.py", 97),
            ("fetch_price", "/srv/shop/prices.py", 34),
            ("get", "/usr/lib/python3.13/site-packages/requests/api.py", 73),
            ("recv", "/usr/lib/python3.13/ssl.py", 1104),
        ]
        return Stalls(
            [
                Stall(
                    self._stalls,
                    7,
                    int(self._kind[6]),
                    "Task-7",
                    1,
                    now - lasted,
                    lasted,
                    ongoing,
                    Cause.BLOCKING,
                    lasted // 10**8,
                    stack,
                )
            ]
        )

    def _chain(self, task: int) -> Chain:
        frames = [
            ("Server.handle", "/srv/shop/server.py", 97),
            ("fetch_price", "/srv/shop/prices.py", 34),
            ("Lock.acquire", "/usr/lib/python3.13/asyncio/locks.py", 113),
        ]
        return Chain(task, frames, Waiting("lock", 3, "<asyncio.Lock [locked, waiters:12]>", 1))


if __name__ == "__main__":
    ConsoleApp(Synthetic(int(sys.argv[1]) if sys.argv[1:] else 100_000)).run()
