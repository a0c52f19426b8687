/* What few tasks have beyond their sums: histograms of one that is polled often, and the history of one that is
 * watched.
 *
 * Both are in the record's `details`, which are there once a task has earned them or somebody watches it. The
 * loops' side writes, and never waits; the collector's side reads, and looks afterwards whether what it has read
 * was changed meanwhile. */
#include "native.h"

#include <stdlib.h>

/* A record's details are set once: to an exception's text or to a Details, whichever comes first. */
static bool set_details(TaskRecord *record, uintptr_t details)
{
    uintptr_t none = 0;
    return __atomic_compare_exchange_n(&record->details, &none, details, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* On either side. NULL where there is no memory, or the task has ended without any. */
Details *details_make(TaskRecord *record)
{
    Details *made = details_of(record) == NULL ? calloc(1, sizeof(Details)) : NULL;
    if (made != NULL && !set_details(record, (uintptr_t)made | 1)) {
        free(made); /* the other side was faster */
    }
    return details_of(record);
}

/* An allocated text, which is the record's from now on. */
void details_exception(TaskRecord *record, char *text)
{
    if (!set_details(record, (uintptr_t)text)) {
        Details *details = details_of(record);
        if (details != NULL && details->exception == NULL) {
            __atomic_store_n(&details->exception, text, __ATOMIC_RELEASE);
        }
        else {
            free(text);
        }
    }
}

const char *details_told(const TaskRecord *record)
{
    const Details *details = details_of(record);
    return details != NULL ? LOAD(details->exception) : (const char *)LOAD(record->details);
}

void details_free(TaskRecord *record)
{
    Details *details = details_of(record);
    if (details == NULL) {
        free((void *)record->details);
        return;
    }
    free(details->exception);
    free(details);
}

/* -- histograms --
 *
 * Only buckets that were hit have a counter: those of the polls from the front, those of the waits from the back,
 * each in the order of the buckets. Where there are more than counters, the lower half of an octave gives what it
 * counted to the upper one, where that is the least; only where no octave has both, to any higher bucket. So the
 * buckets that make up the quantiles stay what they are, and rare ones are an octave wide. */

#define LOWEST 11    /* the first bucket, the lower half of an octave: nobody can measure what is below 45 ns */
#define EXACT 0x8000 /* a counter counts one by one up to here; from here on it is a floating-point number */

static inline uint16_t *counter(Details *details, int which, int rank)
{
    return &details->counts[which == POLL_TIMES ? rank : COUNTERS - 1 - rank];
}

/* Below EXACT a counter is its value; above it has an exponent of five bits and a fraction of ten: the value stands
 * for 32 times two to the exponent as many each, so it is off by about 2 %. */
static uint64_t counted(uint16_t count)
{
    return count < EXACT ? count : (uint64_t)(1024 + (count & 1023)) << (5 + (count >> 10 & 31));
}

static uint64_t next_random(void)
{
    static uint64_t random = 0x9E3779B97F4A7C15u;
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return random;
}

/* Rounded up as often as makes it right on average: what comes a little at a time to a large counter is not lost. */
static uint16_t as_count(uint64_t value)
{
    if (value < EXACT) {
        return (uint16_t)value;
    }
    int shift = 53 - __builtin_clzll(value);
    uint64_t rounded = (value + (next_random() & ((1ull << shift) - 1))) >> shift;
    return shift > 35 ? UINT16_MAX : (uint16_t)(EXACT + ((shift - 5) << 10) + (int)(rounded - 1024));
}

/* One more, on average: a step up of a large counter stands for many, so it is taken as seldom. */
__attribute__((noinline)) static bool step_up(uint16_t count)
{
    return next_random() >> (59 - (count >> 10 & 31)) == 0 && count < UINT16_MAX;
}

static void begin_move(Details *details)
{
    details->last[POLL_TIMES] = details->last[WAIT_TIMES] = 0;
    STORE(details->moves, (uint16_t)(details->moves + 1));
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void end_move(Details *details)
{
    __atomic_store_n(&details->moves, (uint16_t)(details->moves + 1), __ATOMIC_RELEASE);
}

/* The rank of the counter that was hit least, of those that can give to a higher one: in their octave, or any. -1 for
 * none. */
static int least_hit(Details *details, int which, bool in_octave)
{
    int least = -1, rank = 0;
    for (uint64_t above = details->present[which]; (above & (above - 1)) != 0; above &= above - 1, rank++) {
        int bit = __builtin_ctzll(above);
        bool gives = !in_octave || ((bit & 1) == 0 && (above >> (bit + 1) & 1) != 0);
        if (gives && (least < 0 || *counter(details, which, rank) < *counter(details, which, least))) {
            least = rank;
        }
    }
    return least;
}

/* The counter gives what it counted to the next higher one, and is gone. */
static void give_up(Details *details, int which, int rank)
{
    uint64_t above = details->present[which];
    int used = __builtin_popcountll(above);
    for (int below = 0; below < rank; below++) {
        above &= above - 1;
    }
    uint64_t both = counted(*counter(details, which, rank)) + counted(*counter(details, which, rank + 1));
    begin_move(details);
    STORE(*counter(details, which, rank), as_count(both));
    for (int after = rank + 1; after < used - 1; after++) {
        STORE(*counter(details, which, after), *counter(details, which, after + 1));
    }
    STORE(details->present[which], details->present[which] & ~(above & -above));
    end_move(details);
}

static void make_room(Details *details)
{
    for (int in_octave = 1; in_octave >= 0; in_octave--) {
        int poll = least_hit(details, POLL_TIMES, in_octave), wait = least_hit(details, WAIT_TIMES, in_octave);
        if (poll >= 0 && (wait < 0 || *counter(details, POLL_TIMES, poll) <= *counter(details, WAIT_TIMES, wait))) {
            give_up(details, POLL_TIMES, poll);
            return;
        }
        if (wait >= 0) {
            give_up(details, WAIT_TIMES, wait);
            return;
        }
    }
}

static int rank_of(const Details *details, int which, uint64_t bit)
{
    return __builtin_popcountll(details->present[which] & (bit - 1));
}

/* A counter for a bucket that has none. */
static void new_counter(Details *details, int which, uint64_t bit)
{
    if (__builtin_popcountll(details->present[0]) + __builtin_popcountll(details->present[1]) == COUNTERS) {
        make_room(details);
    }
    uint64_t present = details->present[which];
    begin_move(details);
    int first = rank_of(details, which, bit);
    for (int rank = __builtin_popcountll(present); rank > first; rank--) {
        STORE(*counter(details, which, rank), *counter(details, which, rank - 1));
    }
    STORE(*counter(details, which, first), 0);
    STORE(details->present[which], present | bit);
    end_move(details);
}

/* The counter of a bucket, which is the one hit last from now on. */
__attribute__((noinline)) static uint16_t *find_counter(Details *details, int which, int bucket)
{
    int above = bucket - LOWEST;
    uint64_t bit = 1ull << (above < 0 ? 0 : above > 63 ? 63 : above);
    if ((details->present[which] & bit) == 0) {
        new_counter(details, which, bit);
    }
    uint16_t *found = counter(details, which, rank_of(details, which, bit));
    details->last[which] = (uint8_t)(bucket + 1);
    details->place[which] = (uint8_t)(found - details->counts);
    return found;
}

static inline void count(Details *details, int which, int bucket)
{
    uint16_t *found = details->last[which] == bucket + 1 ? &details->counts[details->place[which]]
                                                         : find_counter(details, which, bucket);
    if (*found < EXACT || step_up(*found)) {
        STORE(*found, (uint16_t)(*found + 1));
    }
}

#define PATIENCE 1000 /* tries to read what is being moved, which takes nanoseconds unless its thread had to pause */

/* All of BUCKETS. False where they could not be read now. */
bool details_histogram(const Details *details, int which, int64_t *histogram)
{
    for (int tries = 0; tries < PATIENCE; tries++) {
        uint16_t moves = __atomic_load_n(&details->moves, __ATOMIC_ACQUIRE);
        uint64_t present = LOAD(details->present[which]);
        int rank = 0;
        for (int bucket = 0; bucket < BUCKETS; bucket++) {
            int above = bucket - LOWEST;
            histogram[bucket] = 0;
            if (above >= 0 && above < 64 && (present >> above & 1) && rank < COUNTERS) {
                histogram[bucket] = (int64_t)counted(LOAD(*counter((Details *)details, which, rank++)));
            }
        }
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if ((moves & 1) == 0 && moves == LOAD(details->moves)) {
            return true;
        }
    }
    return false;
}

/* -- history -- */

/* A poll begins that waited so long. */
void details_begin(Details *details, const TaskRecord *record, int64_t waited_ns, int64_t started_ns)
{
    count(details, WAIT_TIMES, bucket_of(waited_ns));
    if (waited_ns > details->max_wait_ns) {
        STORE(details->max_wait_ns, waited_ns);
    }
    History *history = __atomic_load_n(&details->history, __ATOMIC_ACQUIRE);
    if (history != NULL) {
        history->now = (WatchedPoll){started_ns - waited_ns, record->waker, started_ns, 0};
    }
}

/* The history to write a poll into that ends; NULL where there is none, or the poll began before it. */
static inline History *history_of_end(Details *details)
{
    History *history = __atomic_load_n(&details->history, __ATOMIC_ACQUIRE);
    return history != NULL && history->now.started_ns != 0 ? history : NULL;
}

/* It ends; its time belongs in this bucket. Whether a history wants to know more. */
bool details_end(Details *details, int bucket)
{
    count(details, POLL_TIMES, bucket);
    return history_of_end(details) != NULL;
}

void history_end(Details *details, int64_t ended_ns, Place yielded)
{
    History *history = history_of_end(details);
    if (history == NULL) {
        return; /* unwatched meanwhile */
    }
    __atomic_thread_fence(__ATOMIC_RELEASE); /* `count` was told before what stands there is overwritten */
    WatchedPoll *poll = &history->polls[history->count % RING];
    STORE(poll->woken_ns, history->now.woken_ns);
    STORE(poll->waker, history->now.waker);
    STORE(poll->started_ns, history->now.started_ns);
    STORE(poll->ended_ns, ended_ns);
    Place *place = &history->yields[history->count % RING];
    STORE(place->file, yielded.file);
    STORE(place->line, yielded.line);
    history->now.started_ns = 0;
    __atomic_store_n(&history->count, history->count + 1, __ATOMIC_RELEASE);
}

/* Poll number `index` of those written. False where it is there no more. */
bool history_poll(const History *history, uint64_t index, WatchedPoll *poll, Place *yielded)
{
    const WatchedPoll *at = &history->polls[index % RING];
    const Place *place = &history->yields[index % RING];
    *poll = (WatchedPoll){LOAD(at->woken_ns), LOAD(at->waker), LOAD(at->started_ns), LOAD(at->ended_ns)};
    *yielded = (Place){LOAD(place->file), LOAD(place->line)};
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return index + RING > LOAD(history->count);
}
