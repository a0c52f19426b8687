/* What changed since a console's cursor, as frames of the wire. */
#ifndef ASYNCTOP_COLLECTOR_H
#define ASYNCTOP_COLLECTOR_H

#include "native.h"
#include "pack.h"
#include "trace.h"

#define MOST_WATCHED 16 /* tasks that one console watches at a time; see the protocol's limits */

/* A task that a console watches. */
typedef struct {
    TaskRecord *record;
    History *history;
    uint64_t at, until; /* the next poll to tell it of, and where the batch ends */
    int64_t told_polls; /* how many the task had when its histograms were told */
    int64_t lost;       /* polls overwritten before a batch had told of them */
} Watched;

/* How far one console has been told. All zero at the beginning. */
typedef struct Cursor {
    uint32_t version, texts, kinds; /* what it knows */
    uint32_t after;                 /* in the batch under way: changes since this version */
    int phase;
    TaskRecord **records; /* what the batch lists, held */
    size_t count, at;
    int kind; /* the next one whose sums are to be told */
    Watched watched[MOST_WATCHED];
    int watching, told; /* how many it watches; of how many the batch has told all */
    Trace *trace;                         /* NULL unless it wants one */
    uint64_t trace_at, trace_until;       /* the next poll to tell it of, and where the batch ends */
    int64_t trace_lost;                   /* polls overwritten before a batch had told of them */
    struct Cursor *previous, *next; /* of those that know something */
} Cursor;

void collector_drain(void);
void cursor_begin(Cursor *);            /* a batch: everything that changed since the last one */
bool cursor_next(Cursor *, Buffer *);   /* append a message of it, a tick at last; false where there are no more */
void cursor_watch(Cursor *, const int64_t *tasks, int count); /* tell it of their polls, and of no other ones */
void cursor_trace(Cursor *, int64_t after); /* tell it of all polls: of those to come, where `after` is 0; of those
                                             * after this number; of all that are kept, where it is below 0 */
void cursor_untrace(Cursor *);              /* no more */
void cursor_free(Cursor *);
void collector_tidy(void); /* with the interpreter's lock: free what is watched or traced no more */
bool collector_name(void);
void collector_live(int loop, const int64_t *wanted, size_t count, Buffer *); /* ids and addresses of live tasks */
void collector_faults(unsigned char *packed, size_t length); /* what each tick says: an array of texts; taken over */
void collector_forget(void);

#endif
