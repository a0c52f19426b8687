/* The trace: every poll of every task, while a console wants to know.
 *
 * There is one ring for all. The loops' side writes, with the interpreter's lock held, so one thread at a time; the
 * collector's side makes it, reads, and looks afterwards whether what it has read was overwritten meanwhile. What
 * nobody traces into any more is freed with the interpreter's lock held, when no loop's thread is about to write. */
#include "trace.h"

#include <stdlib.h>

#define PLACES (TRACED + 1) /* one of them may be being written */

struct Trace {
    int64_t began_ns;
    uint64_t count;   /* polls written; the last TRACED of them are there */
    uint64_t drained; /* the collector's: of them, those that the last drain knew of */
    int tracers;      /* the collector's */
    Trace *next;
    TracedPoll polls[PLACES];
};

Trace *trace_now;
static Trace *untraced; /* to be freed: a stack, taken whole by `trace_tidy` */

void trace_poll(Trace *trace, const TaskRecord *record, int64_t started_ns, int64_t ended_ns)
{
    if (started_ns < trace->began_ns) {
        return;
    }
    bool again = record->state == STATE_SCHEDULED && record->waker == record->id; /* it has woken itself in it */
    int64_t waker = again ? record->stats->waker_before : record->waker;
    int64_t woken_ns = record->since_ns < started_ns ? record->since_ns : started_ns;
    __atomic_thread_fence(__ATOMIC_RELEASE); /* `count` was told before what stands there is overwritten */
    TracedPoll *at = &trace->polls[trace->count % PLACES];
    STORE(at->task, record->id);
    STORE(at->poll.woken_ns, woken_ns);
    STORE(at->poll.waker, waker);
    STORE(at->poll.started_ns, started_ns);
    STORE(at->poll.ended_ns, ended_ns);
    __atomic_store_n(&trace->count, trace->count + 1, __ATOMIC_RELEASE);
}

/* -- the collector's -- */

Trace *trace_join(void)
{
    Trace *trace = trace_now;
    if (trace == NULL) {
        trace = calloc(1, sizeof(Trace));
        if (trace == NULL) {
            return NULL;
        }
        trace->began_ns = now_ns();
        __atomic_store_n(&trace_now, trace, __ATOMIC_RELEASE);
    }
    trace->tracers++;
    return trace;
}

void trace_leave(Trace *trace)
{
    if (--trace->tracers > 0) {
        return;
    }
    __atomic_store_n(&trace_now, NULL, __ATOMIC_RELEASE);
    trace->next = LOAD(untraced);
    while (!__atomic_compare_exchange_n(&untraced, &trace->next, trace, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
}

void trace_tidy(void)
{
    Trace *first = __atomic_exchange_n(&untraced, NULL, __ATOMIC_ACQUIRE);
    while (first != NULL) {
        Trace *next = first->next;
        free(first);
        first = next;
    }
}

void trace_drain(void)
{
    if (trace_now != NULL) {
        trace_now->drained = __atomic_load_n(&trace_now->count, __ATOMIC_ACQUIRE);
    }
}

uint64_t trace_count(const Trace *trace)
{
    return __atomic_load_n(&trace->count, __ATOMIC_ACQUIRE);
}

uint64_t trace_drained(const Trace *trace)
{
    return trace->drained;
}

bool trace_read(const Trace *trace, uint64_t index, TracedPoll *into)
{
    const TracedPoll *at = &trace->polls[index % PLACES];
    into->task = LOAD(at->task);
    into->poll = (WatchedPoll){LOAD(at->poll.woken_ns), LOAD(at->poll.waker), LOAD(at->poll.started_ns),
                               LOAD(at->poll.ended_ns)};
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return index + PLACES > LOAD(trace->count);
}
