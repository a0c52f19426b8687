#include "watch.h"

#include "waiting.h"

static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;
static Bell over_bell;
static bool over;
static int64_t period, last_look_ns;

/* Whether there is a poll that has been running for a period, or a long one that has ended. */
static bool something_to_see(int64_t now)
{
    bool found = false;
    pthread_mutex_lock(&registry_lock);
    for (LoopStats *stats = core.loops; stats != NULL; stats = stats->next) {
        int64_t waker = __atomic_load_n(&stats->now.waker, __ATOMIC_ACQUIRE);
        found |= LOAD(stats->long_count) > 0 || (waker != 0 && now - LOAD(stats->now.since_ns) >= period);
    }
    pthread_mutex_unlock(&registry_lock);
    return found;
}

void watch_read(Sight *sight)
{
    sight->previous_ns = last_look_ns;
    last_look_ns = now_ns();
    sight->count = 0;
    pthread_mutex_lock(&registry_lock);
    for (LoopStats *stats = core.loops; stats != NULL; stats = stats->next) {
        if (stats->loop == NULL || LOAD(stats->thread) == 0 || sight->count == MOST_THREADS) {
            continue;
        }
        int64_t busy = thread_busy_ns(LOAD(stats->system_thread)), before = stats->busy_at_look_ns;
        stats->busy_at_look_ns = busy;
        sight->threads[sight->count] = LOAD(stats->thread);
        sight->busy_ns[sight->count++] = busy < 0 ? -1 : before < 0 ? 0 : busy - before;
    }
    pthread_mutex_unlock(&registry_lock);
}

void watch_begin(int64_t period_ns)
{
    Sight unused;
    bell_make(&over_bell);
    over = false;
    period = period_ns;
    watch_read(&unused);
}

void watch_end(void)
{
    pthread_mutex_lock(&watch_lock);
    over = true;
    bell_ring(&over_bell);
    pthread_mutex_unlock(&watch_lock);
}

bool watch_wait(Sight *sight)
{
    bool found = false;
    pthread_mutex_lock(&watch_lock);
    while (!found && !over) {
        sight->due_ns = last_look_ns + period;
        while (!over && now_ns() < sight->due_ns) {
            bell_wait(&over_bell, &watch_lock, sight->due_ns);
        }
        found = !over && something_to_see(now_ns());
        if (!found) {
            watch_read(sight);
        }
    }
    pthread_mutex_unlock(&watch_lock);
    return found;
}
