/* When to look for stalls: without the interpreter's lock, so that loops are delayed only where there is something to
 * see. */
#ifndef ASYNCTOP_WATCH_H
#define ASYNCTOP_WATCH_H

#include "native.h"

#define MOST_THREADS 64 /* threads with loops whose clocks are told */

typedef struct {
    int64_t due_ns, previous_ns; /* this look, and when the clocks were read last */
    int count;
    unsigned long threads[MOST_THREADS];
    int64_t busy_ns[MOST_THREADS]; /* since then; -1 where it is not known */
} Sight;

void watch_begin(int64_t period_ns);
void watch_end(void);
/* Wait until there is something to see, with the interpreter's lock given up. False once the watch has ended. */
bool watch_wait(Sight *);
void watch_read(Sight *); /* the clocks, once the lock is there again: however long that took */

#endif
