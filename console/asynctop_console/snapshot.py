"""The model as one JSON object: what a screen shows, for scripts.

Its keys are a promise: never rename one, and all are always there. Times are nanoseconds; what is not known
is null.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from asynctop_console.lints import RULES, Finding, Rule, check_all, lints_by_task
from asynctop_console.model import Frame, Loop, Model, Resource, Waits, users_frame
from asynctop_console.model.stalls import lines
from asynctop_console.model.tasks import ALL, Selection
from asynctop_protocol.messages import Cancellation, Incident, Outcome, Stall, State, WakerSource

Json: TypeAlias = dict[str, Any]


def snapshot(model: Model, rules: tuple[Rule, ...] = RULES) -> Json:
    """Everything the model knows, as of its last tick. Await chains are there where they were asked for."""
    findings = check_all(model, rules)
    return {
        "target": _target(model),
        "observed": {"from": model.observed_from_ns, "until": model.now_ns},
        "loops": [loop_json(model, loop) for loop in model.loops],
        "tasks": tasks_json(model, findings),
        "kinds": kinds_json(model, [kind for kind in range(model.kinds.rows) if _is_used(model, kind)]),
        "stalls": [stall_json(model, stall) for stall in model.stalls],
        "incidents": [_incident(model, incident) for incident in model.incidents],
        "cancellations": [_cancellation(model, each) for each in model.landings.places],
        "resources": [resource_json(resource) for resource in model.waits.resources.values()],
        "lints": [lint_json(finding) for finding in findings],
        "dropped": model.dropped,
        "faults": model.faults,
    }


def _target(model: Model) -> Json:
    hello = model.hello
    return {
        "pid": hello.pid if hello else None,
        "argv": hello.argv if hello else [],
        "python": hello.python or None if hello else None,
        "runtime": hello.runtime or None if hello else None,
        "core": hello.core or None if hello else None,
        "protocol_version": ".".join(map(str, hello.protocol)) if hello else None,
        "started_at": hello.started_at_ns or None if hello else None,
    }


def loop_json(model: Model, loop: Loop) -> Json:
    """An event loop."""
    of_loop = model.tasks.loop == loop.id
    return {
        "id": loop.id,
        "thread": loop.thread,
        "runtime": loop.runtime,
        "tasks": int(np.count_nonzero(of_loop & ~model.tasks.in_state(State.DONE))),
        "busy_ns": loop.busy_at(model.now_ns),
        "polls": loop.polls,
        "callbacks": loop.callbacks,
        "max_lag_ns": loop.max_lag_ever_ns,
        "busy_ratio": model.meters.observed_busy_ratio(loop.id),
        "state": loop.state.name.lower(),
        "turns": loop.turns,
        "max_turn_ns": loop.max_turn_ever_ns,
        "timers": loop.timers,
        "timers_fired": loop.timers_fired,
    }


def tasks_json(model: Model, findings: list[Finding], rows: Selection = ALL) -> list[Json]:
    """Tasks, all or those in these rows of the table."""
    tasks, kinds, now, waits = model.tasks, model.kinds, model.now_ns, model.waits
    lints = lints_by_task(findings)
    columns = {name: tasks.store[name][: tasks.rows][rows].tolist() for name in tasks.columns}
    busy, scheduled, idle, current = (
        column.tolist()
        for column in (
            tasks.busy_at(now, rows),
            tasks.scheduled_at(now, rows),
            tasks.idle_ns(now, rows),
            tasks.current_poll_ns(now, rows),
        )
    )
    return [
        {
            "id": task_id,
            "name": columns["names"][row],
            "kind": kinds.label(columns["kind"][row]),
            "state": State(columns["state"][row]).name.lower(),
            "outcome": _outcome(columns["outcome"][row]),
            "exception": model.text(columns["exception"][row]) or None,
            "loop": columns["loop"][row] or None,
            "parent": columns["parent"][row] or None,
            "spawned_at": kinds.spawned_at(columns["kind"][row]),
            "created_ns": columns["created_ns"][row],
            "ended_ns": columns["ended_ns"][row] or None,
            "polls": columns["polls"][row],
            "busy_ns": busy[row],
            "scheduled_ns": scheduled[row],
            "idle_ns": idle[row],
            "max_poll_ns": max(columns["max_poll_ns"][row], current[row]),
            "current_poll_ns": current[row] if columns["state"][row] == State.POLLING else None,
            **_quantiles(model, task_id),
            "wakes": columns["wakes"][row],
            "self_wakes": columns["self_wakes"][row],
            "last_waker": _waker(
                model, *(columns[f"waker_{part}"][row] for part in ("source", "task", "name"))
            ),
            **_waiting(waits, task_id),
            "cancelled": _cancelled(model, task_id),
            "lints": lints.get(task_id, []),
        }
        for row, task_id in enumerate(columns["id"])
    ]


def _quantiles(model: Model, task: int) -> Json:
    watched = model.watched.get(task)
    times = {"poll": watched.ran, "scheduled": watched.waited} if watched else {}
    return {
        f"{name}_p{q}_ns": times[name].quantile_ns(q / 100) if name in times else None
        for name in ("poll", "scheduled")
        for q in (50, 99)
    }


def _outcome(outcome: int) -> str | None:
    return Outcome(outcome).name.lower() if outcome not in (0, Outcome.UNKNOWN) else None


def _waker(model: Model, source: int, task: int, text: int) -> Json:
    name = model.text(text) or None
    row = model.tasks.row(task) if task and name is None else None
    if row is not None:
        name = model.tasks.name(row)
    return {"source": WakerSource(source).name.lower(), "task": task or None, "name": name}


def _waiting(waits: Waits, task: int) -> Json:
    chain = waits.chain(task)
    waiting = chain.waiting_on if chain else None
    return {
        "await_chain": _frames(chain.frames) if chain else [],
        "waiting_on": {
            "type": waiting.type,
            "id": waiting.id,
            "description": waiting.description,
            "holder": waits.holder(task) or None,
        }
        if waiting
        else None,
        "awaits": list(chain.awaits) if chain else [],
        "holds": [{"type": held.type, "id": held.id, "description": held.description} for held in chain.holds]
        if chain
        else [],
        "cancelling": chain.cancelling if chain else None,
    }


def kinds_json(model: Model, numbers: Iterable[int]) -> list[Json]:
    """The kinds with these numbers."""
    kinds, now = model.kinds, model.now_ns
    live, busy = kinds.live, kinds.busy_at(now, model.tasks)
    longest = kinds.max_poll_at(now, model.tasks)
    counts = ("spawned", "returned", "raised", "cancelled", "destroyed", "polls")
    return [
        {
            "kind": kinds.label(kind),
            "defined_at": kinds.defined_at(kind),
            "spawned_at": kinds.spawned_at(kind),
            "live": int(live[kind]),
            **{name: int(kinds.store[name][kind]) for name in counts},
            "busy_ns": int(busy[kind]),
            "scheduled_ns": int(kinds.scheduled_ns[kind]),
            "max_poll_ns": int(longest[kind]),
            "poll_p50_ns": kinds.quantile_ns(kind, 0.50),
            "poll_p99_ns": kinds.quantile_ns(kind, 0.99),
        }
        for kind in numbers
    ]


def _is_used(model: Model, kind: int) -> bool:
    """Row 0 stands for kinds not known, and mostly for nothing."""
    return kind > 0 or bool(model.kinds.spawned[0])


def stall_json(model: Model, stall: Stall) -> Json:
    """A stall."""
    return {
        "task": stall.task or None,
        "name": stall.name,
        "kind": model.kinds.label(stall.kind) if stall.kind else None,
        "loop": stall.loop,
        "started_ns": stall.started_ns,
        "duration_ns": stall.duration_ns,
        "ongoing": stall.ongoing,
        "cause": stall.cause.name.lower(),
        "samples": stall.samples,
        "stack": _frames(stall.stack),
        "callee": stall.callee or None,
        "coroutine": stall.coroutine or None,
        "poll": stall.poll or None,
        "last": stall.last,
        "samples_by_line": [
            {**_frames([frame])[0], "callee": callee or None, "samples": samples}
            for (frame, callee), samples in lines([stall]).most_common()
        ],
    }


def resource_json(resource: Resource) -> Json:
    """A resource."""
    return {
        "id": resource.id,
        "type": resource.type,
        "description": resource.description,
        "created_at": None,
        "holder": resource.holders[0] if resource.holders else None,
        "holders": resource.holders,
        "waiters": resource.waiters,
        "attributes": resource.attributes,
    }


def _incident(model: Model, incident: Incident) -> Json:
    return {
        "type": incident.type,
        "task": incident.task or None,
        "name": incident.name,
        "kind": model.kinds.label(incident.kind) if incident.kind else None,
        "loop": incident.loop or None,
        "at_ns": incident.at_ns,
        "count": incident.count,
        "text": incident.text,
        "stack": _frames(incident.stack),
    }


def _cancellation(model: Model, landing: Cancellation) -> Json:
    return {
        "count": landing.count,
        "tasks": list(landing.tasks),
        "requested_ns": landing.requested_ns or None,
        "landed_ns": landing.landed_ns or None,
        "by": _requested_by(model, landing),
        "stack": _frames(landing.stack),
        "timeout": _frames(landing.timeout),
    }


def _cancelled(model: Model, task: int) -> Json | None:
    landing = model.landings.of(task)
    if landing is None:
        return None
    place, timeout = users_frame(landing.stack), users_frame(landing.timeout)
    return {
        "requested_ns": landing.requested_ns or None,
        "landed_ns": landing.landed_ns or None,
        "by": _requested_by(model, landing),
        "landed_at": f"{place[1]}:{place[2]}" if place else None,
        "timeout_set_at": f"{timeout[1]}:{timeout[2]}" if timeout else None,
    }


def _requested_by(model: Model, landing: Cancellation) -> Json:
    row = model.tasks.row(landing.by)
    name = landing.name or (model.tasks.name(row) if row is not None else None)
    place = users_frame(landing.by_stack)
    return {
        "source": WakerSource(landing.source).name.lower(),
        "task": landing.by or None,
        "name": name,
        "then_at": f"{place[1]}:{place[2]}" if place else None,
    }


def _frames(frames: list[Frame]) -> list[Json]:
    return [{"function": function, "file": file, "line": line} for function, file, line in frames]


def lint_json(finding: Finding) -> Json:
    """A finding."""
    return {
        "lint": finding.lint,
        "severity": str(finding.severity),
        "subject": {
            "type": finding.subject_type,
            "id": finding.subject_id,
            "name": finding.subject_name,
        },
        "message": finding.message,
        "place": _frames([finding.place])[0] if finding.place else None,
    }
