/* Waiting for a time or for somebody, and the processor time of threads: where systems differ. */
#ifndef ASYNCTOP_WAITING_H
#define ASYNCTOP_WAITING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "clock.h"

typedef struct {
    pthread_cond_t condition;
    bool made;
} Bell;

static inline void bell_make(Bell *bell)
{
    if (bell->made) {
        return;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
#ifndef __APPLE__
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(&bell->condition, &attributes);
    pthread_condattr_destroy(&attributes);
    bell->made = true;
}

static inline void bell_ring(Bell *bell)
{
    pthread_cond_signal(&bell->condition);
}

/* Wait, with the lock given up meanwhile, until it rings, or until `due_ns`; it may return early. */
static inline void bell_wait(Bell *bell, pthread_mutex_t *lock, int64_t due_ns)
{
    int64_t left = due_ns - now_ns();
    if (left <= 0) {
        return;
    }
    struct timespec at;
#ifdef __APPLE__
    clock_gettime(CLOCK_REALTIME, &at);
#else
    clock_gettime(CLOCK_MONOTONIC, &at);
#endif
    int64_t ns = at.tv_nsec + left % 1000000000;
    at.tv_sec += left / 1000000000 + ns / 1000000000;
    at.tv_nsec = ns % 1000000000;
    pthread_cond_timedwait(&bell->condition, lock, &at);
}

#ifdef __linux__
#include <sys/syscall.h>

static inline long system_thread(void)
{
    return syscall(SYS_gettid);
}

/* For how long a thread was on a processor; -1 where it has ended. Linux numbers the clocks of threads by their ids,
 * and answers with an error for one that has ended. */
static inline int64_t thread_busy_ns(long thread)
{
    struct timespec spent;
    clockid_t clock = (clockid_t)((~(unsigned)thread << 3) | 6);
    return thread > 0 && clock_gettime(clock, &spent) == 0 ? (int64_t)spent.tv_sec * 1000000000 + spent.tv_nsec : -1;
}
#else
static inline long system_thread(void)
{
    return 0;
}

static inline int64_t thread_busy_ns(long thread)
{
    (void)thread;
    return -1;
}
#endif

#endif
