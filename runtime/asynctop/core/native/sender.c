#include "sender.h"

#include "collector.h" /* Python.h comes before the system's headers */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "waiting.h"

#define UNWATCHED_NS 250000000 /* how often changes are taken note of while no console is connected */
#define FIRST_NS 25000000      /* the first time: then the clock can be tied */
#define PATIENCE_MS 20         /* with a slow console: how long until the others are looked at again */
#define MANY_BYTES (256 * 1024) /* put in between, and not sent yet: somebody does not read */
#define MOST_OUTLETS 64

#ifdef MSG_NOSIGNAL
#define QUIETLY (MSG_NOSIGNAL | MSG_DONTWAIT)
#else
#define QUIETLY MSG_DONTWAIT
#endif

/* A descriptor, and what it stood for when it was ours. A program that becomes a daemon closes every descriptor
 * it has, and what it opens next gets their numbers. */
typedef struct {
    int number;
    dev_t device;
    ino_t inode;
} Descriptor;

struct Outlet {
    Descriptor socket, bell;
    int64_t interval_ns, due_ns; /* the interval is 0 until it subscribes */
    Cursor cursor;
    bool in_batch, dead, finishing, wanted;
    bool last;      /* what is under way is the last of it */
    Buffer between; /* what was put */
    Buffer out;     /* what leaves now, from `left` on */
    size_t left;
    Outlet *next;
};

static pthread_mutex_t outlets_lock = PTHREAD_MUTEX_INITIALIZER;
static Bell news;
static Outlet *outlets;
static bool running, stopping;
static pthread_t thread;

static Descriptor descriptor(int number)
{
    struct stat status;
    Descriptor found = {.number = -1};
    if (fstat(number, &status) == 0) {
        found = (Descriptor){.number = number, .device = status.st_dev, .inode = status.st_ino};
    }
    return found;
}

static bool still_ours(const Descriptor *was)
{
    Descriptor now = descriptor(was->number);
    return now.number >= 0 && now.device == was->device && now.inode == was->inode;
}

/* -- one outlet -- */

/* Make the next frames, if there are any. */
static void fill_out(Outlet *outlet)
{
    outlet->left = outlet->out.length = 0;
    if (outlet->between.length > 0) {
        Buffer swap = outlet->out;
        outlet->out = outlet->between;
        outlet->between = swap;
    }
    else if (outlet->in_batch && !cursor_next(&outlet->cursor, &outlet->out)) {
        outlet->in_batch = false;
    }
    outlet->dead |= outlet->out.failed;
}

static void ring(Outlet *outlet)
{
    outlet->wanted = false;
    if (still_ours(&outlet->bell)) {
        (void)!send(outlet->bell.number, "", 1, QUIETLY); /* full: it is about to be heard anyway */
    }
}

static bool idle(const Outlet *outlet)
{
    return !outlet->in_batch && outlet->left == outlet->out.length && outlet->between.length == 0;
}

static void end_if_last(Outlet *outlet)
{
    if (outlet->last && !outlet->dead && idle(outlet)) {
        outlet->dead = true;
        ring(outlet);
    }
}

/* Send some. Whether there is more to do at once. */
static bool pump(Outlet *outlet)
{
    if (outlet->left == outlet->out.length) {
        fill_out(outlet);
    }
    if (outlet->dead || outlet->out.length == 0) {
        buffer_free(&outlet->out);
        outlet->left = 0;
        end_if_last(outlet);
        return false;
    }
    if (!still_ours(&outlet->socket)) {
        outlet->dead = true;
        return false;
    }
    ssize_t sent = send(outlet->socket.number, outlet->out.bytes + outlet->left, outlet->out.length - outlet->left, QUIETLY);
    if (sent < 0) {
        outlet->dead = errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
        return false;
    }
    outlet->left += (size_t)sent;
    if (outlet->left == outlet->out.length && outlet->wanted && outlet->between.length == 0) {
        ring(outlet);
    }
    end_if_last(outlet);
    return !outlet->dead && outlet->left == outlet->out.length;
}

/* -- the thread -- */

/* Wait until a slow console takes more, without keeping others from their outlets. */
static void wait_for_slow(void)
{
    struct pollfd slow[MOST_OUTLETS];
    nfds_t count = 0;
    for (Outlet *outlet = outlets; outlet != NULL && count < MOST_OUTLETS; outlet = outlet->next) {
        if (!outlet->dead && outlet->left < outlet->out.length) {
            slow[count++] = (struct pollfd){.fd = outlet->socket.number, .events = POLLOUT};
        }
    }
    pthread_mutex_unlock(&outlets_lock);
    poll(slow, count, PATIENCE_MS);
    pthread_mutex_lock(&outlets_lock);
}

static void *run(void *unused)
{
    (void)unused;
    int64_t drain_due = now_ns() + FIRST_NS;
    pthread_mutex_lock(&outlets_lock);
    while (!stopping) {
        int64_t now = now_ns(), due = drain_due;
        bool ready = now >= drain_due;
        for (Outlet *outlet = outlets; outlet != NULL; outlet = outlet->next) {
            ready |= outlet->interval_ns > 0 && !outlet->dead && idle(outlet) && outlet->due_ns <= now;
        }
        if (ready) {
            collector_drain();
            due = drain_due = now + UNWATCHED_NS;
        }
        bool more = false, slow = false;
        for (Outlet *outlet = outlets; outlet != NULL; outlet = outlet->next) {
            if (outlet->interval_ns > 0 && !outlet->dead && idle(outlet)) {
                if (outlet->due_ns <= now) {
                    cursor_begin(&outlet->cursor);
                    outlet->in_batch = true;
                    outlet->last = outlet->finishing;
                    int64_t next = outlet->due_ns + outlet->interval_ns; /* in step, unless it has fallen behind */
                    outlet->due_ns = next > now ? next : now + outlet->interval_ns;
                }
                due = outlet->due_ns < due ? outlet->due_ns : due;
            }
            if (!outlet->dead) {
                more |= pump(outlet);
                slow |= !outlet->dead && outlet->left < outlet->out.length;
            }
        }
        if (more) {
            continue;
        }
        slow ? wait_for_slow() : bell_wait(&news, &outlets_lock, due);
    }
    pthread_mutex_unlock(&outlets_lock);
    return NULL;
}

int sender_start(void)
{
    bell_make(&news);
    stopping = false;
    sigset_t all, before; /* the program's signals are not for us */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    running = failed == 0;
#ifdef __linux__
    if (running) {
        pthread_setname_np(thread, "asynctop-sender");
    }
#endif
    return failed;
}

void sender_stop(void)
{
    if (!running) {
        return;
    }
    pthread_mutex_lock(&outlets_lock);
    stopping = true;
    bell_ring(&news);
    pthread_mutex_unlock(&outlets_lock);
    pthread_join(thread, NULL);
    running = false;
}

/* -- from outside -- */

Outlet *outlet_open(int socket, int bell)
{
    Outlet *outlet = calloc(1, sizeof(Outlet));
    if (outlet != NULL) {
        outlet->socket = descriptor(socket);
        outlet->bell = descriptor(bell);
        pthread_mutex_lock(&outlets_lock);
        outlet->next = outlets;
        outlets = outlet;
        pthread_mutex_unlock(&outlets_lock);
    }
    return outlet;
}

void outlet_close(Outlet *outlet)
{
    pthread_mutex_lock(&outlets_lock);
    Outlet **link = &outlets;
    while (*link != outlet) {
        link = &(*link)->next;
    }
    *link = outlet->next;
    pthread_mutex_unlock(&outlets_lock);
    cursor_free(&outlet->cursor);
    buffer_free(&outlet->between);
    buffer_free(&outlet->out);
    free(outlet);
}

void outlet_subscribe(Outlet *outlet, int64_t interval_ns)
{
    pthread_mutex_lock(&outlets_lock);
    outlet->interval_ns = interval_ns;
    outlet->due_ns = 0;
    bell_ring(&news);
    pthread_mutex_unlock(&outlets_lock);
}

void outlet_watch(Outlet *outlet, const int64_t *tasks, int count)
{
    cursor_watch(&outlet->cursor, tasks, count);
}

void outlet_trace(Outlet *outlet, int64_t after)
{
    cursor_trace(&outlet->cursor, after);
}

bool outlet_put(Outlet *outlet, const void *bytes, size_t length, bool last)
{
    pthread_mutex_lock(&outlets_lock);
    bool room = outlet->between.length < MANY_BYTES;
    if (room || last) {
        pack_raw(&outlet->between, bytes, length);
        outlet->last |= last;
        outlet->interval_ns = last ? 0 : outlet->interval_ns;
        outlet->in_batch &= !last;
        bell_ring(&news);
    }
    outlet->wanted = !room;
    pthread_mutex_unlock(&outlets_lock);
    return room || last;
}

void outlet_finish(Outlet *outlet)
{
    pthread_mutex_lock(&outlets_lock);
    outlet->finishing = true;
    outlet->due_ns = 0;
    bell_ring(&news);
    pthread_mutex_unlock(&outlets_lock);
}

bool outlet_finished(Outlet *outlet)
{
    pthread_mutex_lock(&outlets_lock);
    bool finished = outlet->dead;
    pthread_mutex_unlock(&outlets_lock);
    return finished;
}
