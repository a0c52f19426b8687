#include "clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LONG_ENOUGH_NS 20000000 /* between two instants that a rate is made from: 1 in a million, then */
#define ASTRAY_NS 1000000       /* the counter and the clock may not differ by so much: the machine was asleep, or moved */

#define ANCHORS 64
/* A reader may still be at an earlier one, and may have lost the processor there. */
static Anchor anchors[ANCHORS];
static unsigned latest;
Anchor *clock_anchor = &anchors[0];

static bool trusted; /* Linux keeps time by the counter */
static Anchor first; /* the instant from which on the rate is measured */

static bool kept_by_counter(void)
{
    char name[16] = "";
    FILE *file = HAS_TICKS ? fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re") : NULL;
    if (file != NULL) {
        if (fgets(name, sizeof(name), file) == NULL) {
            name[0] = 0;
        }
        fclose(file);
    }
    return strcmp(name, "tsc\n") == 0;
}

/* The same instant on both: of a few tries, the one in which least came between. */
static Anchor both(void)
{
    Anchor best = {0};
    uint64_t closest = UINT64_MAX;
    for (int i = 0; i < 3; i++) {
        uint64_t before = ticks_now();
        int64_t ns = system_ns();
        uint64_t after = ticks_now();
        if (after - before < closest) {
            closest = after - before;
            best = (Anchor){.ns = ns, .ticks = before + (after - before) / 2};
        }
    }
    return best;
}

static void set(Anchor anchor)
{
    latest = (latest + 1) % ANCHORS;
    anchors[latest] = anchor;
    __atomic_store_n(&clock_anchor, &anchors[latest], __ATOMIC_RELEASE);
}

void clock_begin(void)
{
    trusted = kept_by_counter();
    first = both();
    set((Anchor){0});
}

void clock_tie(void)
{
    if (!trusted) {
        return;
    }
    Anchor now = both();
    if (now.ns - first.ns < LONG_ENOUGH_NS) {
        return;
    }
    if (clock_anchor->rate != 0) {
        int64_t astray = now_ns() - system_ns();
        if (astray > ASTRAY_NS || astray < -ASTRAY_NS) {
            trusted = false;
            set((Anchor){0});
            return;
        }
    }
    now.rate = (uint64_t)(((unsigned __int128)(now.ns - first.ns) << 32) / (now.ticks - first.ticks));
    set(now);
}
