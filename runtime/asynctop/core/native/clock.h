/* The time, several times per poll: nanoseconds of CLOCK_MONOTONIC.
 *
 * Asking the system costs as much as the rest of what a poll costs us. Where Linux itself keeps time by the
 * processor's time stamp counter, which it does only where that runs evenly on all processors, the counter is
 * read instead, and tied to the system's clock again and again by `clock_tie`. What drifts in between is far less
 * than a microsecond; whoever subtracts two times must be ready for a little less than nothing. */
#ifndef ASYNCTOP_CLOCK_H
#define ASYNCTOP_CLOCK_H

#include <stdint.h>
#include <time.h>

/* An instant on both clocks, and from it on so many ns for 2**32 ticks; 0 where the counter is not to be used. */
typedef struct {
    int64_t ns;
    uint64_t ticks, rate;
} Anchor;

extern Anchor *clock_anchor;

static inline int64_t system_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

#if defined(__x86_64__) && defined(__linux__)
#define HAS_TICKS 1
static inline uint64_t ticks_now(void)
{
    return __builtin_ia32_rdtsc();
}
#else
#define HAS_TICKS 0
static inline uint64_t ticks_now(void)
{
    return 0;
}
#endif

static inline int64_t now_ns(void)
{
    const Anchor *anchor = __atomic_load_n(&clock_anchor, __ATOMIC_ACQUIRE);
    if (anchor->rate == 0) {
        return system_ns();
    }
    return anchor->ns + (int64_t)((unsigned __int128)(ticks_now() - anchor->ticks) * anchor->rate >> 32);
}

/* Tie the counter to the system's clock. To be called several times a second, by one thread at a time. */
void clock_tie(void);
/* Begin anew, by the system's clock. */
void clock_begin(void);

#endif
