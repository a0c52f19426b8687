/* The trace: every poll of every task, while a console wants to know. */
#ifndef ASYNCTOP_TRACE_H
#define ASYNCTOP_TRACE_H

#include "native.h"

/* Polls that are kept for the next batch, ten megabytes of them: more than a second of the fastest programs. A power
 * of two less one, to be found quickly. */
#define TRACED ((1 << 18) - 1)
#define TRACED_SAFELY (TRACED / 8 * 7) /* the oldest ones may be overwritten before they are read */

typedef struct {
    int64_t task;
    WatchedPoll poll;
} TracedPoll;

/* The loops' side: a poll of a record ends that was not settled yet. One that began before the trace is left out. */
void trace_poll(Trace *, const TaskRecord *, int64_t started_ns, int64_t ended_ns);

/* The collector's, under its lock. */
Trace *trace_join(void); /* NULL where there is no memory */
void trace_leave(Trace *);
void trace_drain(void);
uint64_t trace_count(const Trace *);   /* polls so far */
uint64_t trace_drained(const Trace *); /* and up to the last drain: their tasks are known */
bool trace_read(const Trace *, uint64_t index, TracedPoll *); /* false where it is there no more */

void trace_tidy(void); /* with the interpreter's lock: free what is traced into no more */

#endif
