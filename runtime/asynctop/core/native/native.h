/* The native core: what its rooms share.
 *
 * records.c     tasks: their records, and how the live ones are found
 * slabs.c       the memory of records
 * details.c     what few tasks have besides: histograms, and the history of one that is watched
 * kinds.c       kinds of tasks, and their sums
 * loops.c       event loops, and their long polls
 * trace.c       every poll of every task, while a console wants to know
 * clock.h       the time
 * texts.c       texts by number: function names, files, the names of callbacks, exceptions
 * recorder.c    the hot path: a wake, a poll, a spawn, an end
 * steps.c       the callables that are a task's steps, and the way into them
 * handles.c     what an asyncio loop runs: drop-in Handle and TimerHandle
 * turns.c       one turn of an asyncio loop
 * attributes.c  what a loop keeps in itself
 * wrappers.c    what a loop with handles of its own (uvloop) is given instead of a callback
 * schedulers.c  tasks of schedulers that are not asyncio's
 * slots.c       the two slots of asyncio.Task that are borrowed: eager starts, and tasks that die
 * frames.c      where a task was spawned, where it has yielded, and which frames belong to a poll
 * collector.c   from the records to frames of the wire: what changed since a console's cursor
 * pack.c        msgpack
 * sender.c      the thread that sends them, without the interpreter's lock
 * watch.c       when to look for stalls, likewise
 * module.c      what Python sees
 *
 * Two sides touch the statistics. The loops' side holds the interpreter's lock and runs in the program's own
 * threads: it updates numbers in place and must never wait. The consoles' side (collector.c, sender.c) holds
 * no interpreter's lock and touches no Python object. Numbers are read across with relaxed atomics; what is
 * handed over goes through a few small locks, each with its purpose beside it, and none held for long.
 */
#ifndef ASYNCTOP_NATIVE_H
#define ASYNCTOP_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

/* The numbers of the wire: see protocol/SPEC.md. */
enum { STATE_IDLE, STATE_SCHEDULED, STATE_POLLING, STATE_DONE };
enum { RETURNED = 1, RAISED, CANCELLED, DESTROYED, UNKNOWN };
enum { BY_UNKNOWN, BY_TASK, BY_TIMER, BY_IO, BY_CALLBACK, BY_THREAD, BY_SIGNAL };
enum { LOOP_IDLE, LOOP_RUNNING, LOOP_STALLED, LOOP_CLOSED };

#define BUCKETS 130          /* half-octave buckets, up to polls of 2**64 ns: no poll is without one */
#define MAX_KINDS 4096       /* kinds kept apart: a program that makes code objects as it runs is no reason to grow */
#define MAX_LONG_POLLS 1024  /* long polls kept until the stall watcher looks, which it does many times a second */
#define MAX_NAME 200         /* characters of a name or an exception's text that are kept: as much as a person reads */
#define MAX_TEXTS 50000      /* different texts */
#define CLOSED_LOOPS 8       /* closed loops that are still listed */
#define PAUSE_NS 1000000     /* between two handles: the loop has waited meanwhile */
#define LONG_TURN_NS 10000000 /* from here on it is worth knowing whose time a turn is */
#define TIMERS_PER_LOOK 32   /* who sets timers is looked at so rarely */
#define MOST_PINS 200        /* handles that point to one task; asyncio makes one at a time */
#define EARNED 16            /* polls after which a task has histograms: most tasks end before */
#define POLLS_KEPT 2048      /* polls of a watched task that are kept for the next batch: no message holds more */

/* Numbers that one side writes and the other one reads. */
#define LOAD(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)
#define STORE(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELAXED)
#define ADD(place, value) STORE(place, (place) + (value)) /* only its writer adds */

/* Sums over all tasks of one kind on one loop, written by that loop's thread; the first of each kind's parts,
 * the archive, has those of closed loops and of what happens on no loop's thread. The number of polls is the
 * sum of the histogram. */
typedef struct KindStats {
    struct Kind *kind;
    PyObject *code, *site; /* code objects, kept so that their addresses are not given to others */
    int lasti;
    int64_t spawned, returned, raised, cancelled, destroyed;
    int64_t busy_ns, scheduled_ns, max_poll_ns;
    int64_t histogram[BUCKETS];
    uint32_t turn; /* of its loop, the last long one; and its time in that */
    int64_t turn_ns;
    int64_t told_spawned;   /* the collector's */
    struct KindStats *next; /* the kind's parts on other loops */
} KindStats;

/* A coroutine function and the line that spawns it. Lives as long as the process is watched. */
typedef struct Kind {
    uint32_t name, defined_file, spawned_file; /* text numbers */
    int number, defined_line, spawned_line;
    uint32_t totals_version; /* the collector's: when its sums were last seen to change */
    KindStats archive;
} Kind;

/* What a loop's thread is in: a task's poll, a callback, or nothing. */
typedef struct {
    int64_t since_ns;
    int64_t waker; /* what the tasks are told that it wakes: a task's id, or a callback's negative number; 0: nothing */
    struct TaskRecord *task;
    PyObject *callback; /* borrowed from whoever calls it */
    void *bottom;       /* the interpreter's frame beneath it */
} Running;

/* A turn of a loop: what it ran without looking for timers and I/O in between. What is made ready in a turn is run
 * in a later one, by stock loops and by uvloop, and that is how the next one is told. */
typedef struct {
    int64_t began_ns;
    int64_t polls;      /* and callbacks */
    int64_t took_ns;    /* all of them together */
    int64_t longest_ns; /* one of them */
    int64_t most_ns;    /* those of one kind; all callbacks are kind 0 */
    int kind;           /* that one */
} Turn;

/* Who sets timers: the majority of what was looked at, if there is one. */
typedef struct {
    uint32_t file; /* a text number */
    int line, kind, votes;
} Setter;

/* A poll or callback past the threshold, until the stall watcher takes it. The loops' side only. */
typedef struct {
    int64_t task, started_ns, took_ns;
    int64_t poll; /* its number within the task's life, from 1; 0 for a callback */
    bool last;    /* the task ended in it */
    int kind;
    PyObject *name; /* owned once it is noted */
} LongPoll;

/* One event loop. */
typedef struct LoopStats {
    int number;
    int references;     /* records of its tasks, and the registry: whoever lets go last frees it */
    PyObject *loop;     /* borrowed; NULL once it is closed or collected */
    PyObject *weak;     /* the reference that notices its collection */
    const char *runtime;
    const void *runs; /* of a scheduler that is not asyncio's: the code that runs its steps, to compare with */
    unsigned parts_version; /* that of its class, for which the following holds */
    bool stock_debug, stock_time, stock_checks; /* get_debug(), time(), _check_closed() are BaseEventLoop's own */
    bool stock_events, our_inner; /* _process_events() is BaseSelectorEventLoop's own, _call_soon() is ours */
    unsigned long thread;         /* that of the last poll */
    long system_thread;           /* as the system numbers it */
    int64_t busy_at_look_ns;      /* its processor time at the watcher's last look; -1 where that is not known */
    PyThreadState *interpreter;   /* its state there, valid during a poll */
    uint64_t interpreter_id;      /* that state's: threads come and go at the same addresses */
    char *thread_name;            /* allocated; replaced under `names_lock` */
    Running now;
    int64_t waker_before; /* what led to the poll under way, where its task has woken itself again in it */
    int64_t polls, callbacks;
    int64_t busy_ns; /* in polls and callbacks, without those inside others */
    int64_t inside_since_ns, inside_ns; /* of the poll that began then: long polls of eager tasks inside it */
    int64_t lag_ns;      /* longest wait of a woken task or a due timer; the collector sets it back to 0 */
    int64_t lag_ever_ns; /* the collector's */
    uint32_t turns;      /* the present one's number: from 1 on */
    uint32_t long_turn;  /* the last one that LONG_TURN_NS or a record was looked at in */
    int64_t left_ns;     /* when the last handle of all ended */
    int64_t turn_mark_ns; /* a turn that takes longer is looked at */
    int64_t callbacks_turn_ns; /* what callbacks took of `long_turn` */
    Turn turn;
    Turn worst;            /* the collector sets its `took_ns` back to 0 */
    int64_t turn_ever_ns;  /* the collector's */
    int64_t timers, timers_fired;
    Setter setter;
    int64_t room;        /* how many more tasks that ended unseen are kept until the next drain */
    KindStats **kinds;          /* a hash table by (code, site, lasti) */
    size_t kinds_size, kinds_used;
    LongPoll *long_polls;
    int long_first, long_count;
    int64_t long_lost;
    struct LoopStats *next;
} LoopStats;

/* A line of code. */
typedef struct {
    uint32_t file; /* a text number; 0 where it is not known */
    int line;
} Place;

/* One poll of a watched task, with the wake that led to it. */
typedef struct {
    int64_t woken_ns, waker, started_ns, ended_ns;
} WatchedPoll;

#define RING (POLLS_KEPT + 1) /* one of them may be being written */

/* A ring of them, and of where each has yielded. Made by the collector's side; what nobody watches any more is freed with the interpreter's lock
 * held, when no loop's thread is about to write into it. */
typedef struct History {
    uint64_t count;  /* polls written; the last POLLS_KEPT of them are there */
    WatchedPoll now; /* the poll under way; `started_ns` is 0 where there is none */
    int watchers;    /* the collector's */
    struct History *next;
    WatchedPoll polls[RING];
    Place yields[RING];
} History;

enum { POLL_TIMES, WAIT_TIMES };
#define COUNTERS 37 /* different half octaves in both histograms: as many as fit */

/* What few tasks have besides: 120 bytes, 128 with malloc's own. */
typedef struct {
    char *exception;
    History *history; /* while it is watched */
    int64_t max_wait_ns;
    uint64_t present[2]; /* the buckets that have a counter */
    uint16_t moves;      /* odd while counters are moved */
    uint8_t last[2], place[2]; /* the buckets hit last, plus one, and where their counters are */
    uint16_t counts[COUNTERS];
} Details;

/* One task: 160 bytes, ended or alive. */
typedef struct TaskRecord {
    PyObject *task; /* borrowed: the key among the live ones; NULL once it has ended */
    LoopStats *stats;
    union {
        KindStats *part;               /* until it has ended */
        struct TaskRecord *retained; /* the collector's: the next one of the ended that are kept */
    };
    int64_t id;
    int64_t parent, waker; /* a task's id, or a callback's negative number, or 0; the parent is the first waker */
    int64_t created_ns;
    int64_t since_ns; /* when its state changed last: the wake, the end of the poll, the end of the task */
    int64_t polls, busy_ns, scheduled_ns, max_poll_ns, self_wakes;
    uintptr_t name;  /* 2 * N + 1 for "Task-N"; else an allocated text, or 0 where it is not known yet */
    uintptr_t details; /* its Details + 1; else "Type: text" of what it raised, allocated; else 0 */
    struct TaskRecord *previous, *next; /* among the unborn, later in the collector's order of versions */
    struct TaskRecord *changed;         /* the next one in the stack */
    uint32_t born, version; /* the collector's versions at which it was first told of, and changed last */
    uint16_t kind;
    uint8_t pins;  /* handles that point here */
    uint8_t dirty; /* the collector will find it: in `core.changed`, or among the unborn */
    uint8_t state; /* never STATE_POLLING: that is told by the loop's `now` */
    uint8_t outcome;
    uint8_t flags;
    uint8_t holds; /* batches under way that list it: the collector's */
} TaskRecord;

enum {
    UNBORN = 1,    /* in the list of those that no drain has seen; under `unborn_held` */
    RENAMED = 2,   /* since the last time the collector noted it */
    RESTLESS = 4,  /* the collector's: to be read again at the next drain */
    EVICTED = 8,   /* the collector's: freed when the last batch lets go of it */
    KEPT = 32,     /* the collector's: among the ended that are retained */
    NAME_IS_NEWS = 64, /* the collector's: renamed in its version */
    FORGOTTEN = 16 /* nobody wants it any more: freed when the last handle lets go of it */
};

/* Both sides have flags of their own, in one byte. */
#define HAS(record, flag) (LOAD((record)->flags) & (flag))
#define SET(record, flag) ((void)__atomic_fetch_or(&(record)->flags, (flag), __ATOMIC_RELAXED))
#define CLEAR(record, flag) ((void)__atomic_fetch_and(&(record)->flags, (uint8_t)~(flag), __ATOMIC_RELAXED))

/* The one core of the process. */
typedef struct {
    bool open; /* whether anything is recorded: handles that run after the hooks are gone leave no mark */
    int64_t threshold_ns;
    int64_t retained; /* ended tasks that are kept */
    PyObject *on_fault;
    PyObject *on_foreign_call; /* NULL where nobody wants to know */
    unsigned closures; /* loops closed, and hooks taken out: at each, what a loop has may be freed */
    int64_t last_id;
    LoopStats *loops;
    int loops_seen;
    TaskRecord *unborn_first, *unborn_last;
    TaskRecord *changed; /* a stack: pushed by the loops' side, taken whole by the collector */
} Core;

extern Core core;

/* An address as a number to look it up by: objects lie 16 bytes apart at least, and the multiplication spreads what
 * is left. */
static inline size_t spread(const void *address)
{
    return (size_t)(((uintptr_t)address >> 4) * 0x9E3779B97F4A7C15u >> 32);
}

/* The task factory that makes a task in this thread just now; NULL most of the time. */
extern _Thread_local PyObject *factory_now;

/* Guards the lists of loops and of a kind's parts. The loops' side takes it for a new loop, a new kind, a
 * closed loop; the collector while it adds up. */
extern pthread_mutex_t registry_lock;
/* Guards the list of the unborn, a few instructions at a time. The loops' side only ever tries. */
extern bool unborn_held;
static inline bool unborn_try(void)
{
    return !__atomic_exchange_n(&unborn_held, true, __ATOMIC_ACQUIRE);
}
static inline void unborn_release(void)
{
    __atomic_store_n(&unborn_held, false, __ATOMIC_RELEASE);
}
/* Guards names that are replaced while the collector reads them. */
extern pthread_mutex_t names_lock;

/* records.c */
TaskRecord *record_new(LoopStats *, KindStats *);
void record_free(TaskRecord *);
void record_drop(TaskRecord *);
TaskRecord *record_find(PyObject *task);
PyObject *record_task(const TaskRecord *); /* a new reference; NULL where it has ended, or dies */
int record_register(TaskRecord *, PyObject *task);
void record_unregister(TaskRecord *);
TaskRecord *record_next(size_t *position); /* over the live ones; NULL at the end */
void record_name(TaskRecord *, PyObject *name);
void record_changed(TaskRecord *);
static inline void record_unpin(TaskRecord *record)
{
    /* Without its last pin, one that is not forgotten is the collector's to free. */
    bool ours = HAS(record, FORGOTTEN);
    uint8_t left = record->pins - 1; /* only the loops' side pins */
    __atomic_store_n(&record->pins, left, __ATOMIC_RELEASE);
    if (left == 0 && ours) {
        record_drop(record);
    }
}
void records_unlist(void);

/* details.c */
static inline Details *details_of(const TaskRecord *record)
{
    uintptr_t details = __atomic_load_n(&record->details, __ATOMIC_ACQUIRE);
    return details & 1 ? (Details *)(details - 1) : NULL;
}
Details *details_make(TaskRecord *);
void details_exception(TaskRecord *, char *text);
const char *details_told(const TaskRecord *); /* what it raised; NULL for nothing */
void details_free(TaskRecord *);
void details_begin(Details *, const TaskRecord *, int64_t waited_ns, int64_t started_ns);
bool details_end(Details *, int bucket); /* whether `history_end` is to be told */
void history_end(Details *, int64_t ended_ns, Place yielded);
bool details_histogram(const Details *, int which, int64_t *histogram);
bool history_poll(const History *, uint64_t index, WatchedPoll *, Place *yielded);

/* Which half octave it belongs to, as in the wire's histograms. */
static inline int bucket_of(int64_t ns)
{
    unsigned __int128 square = (unsigned __int128)ns * (unsigned __int128)ns;
    uint64_t high = (uint64_t)(square >> 64), low = (uint64_t)square;
    return high != 0 ? 128 - __builtin_clzll(high) : low != 0 ? 64 - __builtin_clzll(low) : 0;
}

/* trace.c: the rest is in trace.h */
typedef struct Trace Trace;
extern Trace *trace_now; /* NULL while nobody wants it */

/* slabs.c */
TaskRecord *slab_take(void); /* NULL where there is no memory */
void slab_give(TaskRecord *);
bool slab_keep(TaskRecord *); /* the same on the loops' side, which may soon want it again */

/* kinds.c */
KindStats *kind_of(LoopStats *, PyObject *coroutine, bool spawned); /* NULL also where the loop was closed meanwhile */
Kind *kind_number(int number);
int kinds_count(void);
void sums_add(KindStats *to, const KindStats *from);
int kinds_init(void);
void kinds_forget(void);

/* loops.c */
extern LoopStats *loop_latest;          /* the loop that was asked for last */
LoopStats *loop_found(PyObject *loop);  /* another one that is known; NULL where there is none */
LoopStats *loop_begun(PyObject *loop);  /* one that is not known yet */
static inline LoopStats *loop_known(PyObject *loop) /* NULL where there is none */
{
    return loop_latest != NULL && loop_latest->loop == loop ? loop_latest : loop_found(loop);
}
static inline LoopStats *loop_stats(PyObject *loop) /* NULL, without an error set, where nothing is to be recorded */
{
    LoopStats *stats = loop_known(loop);
    return stats != NULL || !core.open ? stats : loop_begun(loop);
}
LoopStats *loop_parts_changed(LoopStats *, PyObject *loop);
/* With `stock_...` as its class is now, which may be patched at any time. NULL where it is known no longer. */
static inline LoopStats *loop_parts(LoopStats *stats, PyObject *loop)
{
    bool same = stats == NULL || (stats->parts_version != 0 && stats->parts_version == Py_TYPE(loop)->tp_version_tag);
    return same ? stats : loop_parts_changed(stats, loop);
}
LoopStats *loop_after(int number);     /* the next one in the list; NULL at its end */
bool loop_listed(const LoopStats *);   /* whether it is there still, of what was only pointed at */
void loop_hold(LoopStats *);           /* against being freed: for whoever runs Python code in between */
void loop_closed(LoopStats *);
void loop_release(LoopStats *);
static inline bool is_foreign(const LoopStats *stats) /* the thread that runs this, to a loop that has run */
{
    return stats != NULL && stats->thread != 0 && stats->thread != (unsigned long)pthread_self(); /* as Python has it */
}
void foreign_call(PyObject *loop, PyObject *callback);
void note_long_poll(LoopStats *, LongPoll);
void rename_long_poll(LoopStats *, int64_t id, PyObject *task);
bool long_poll_take(LoopStats *, LongPoll *);
int loops_init(PyObject *base_class, PyObject *selector_class);
void loops_forget(void);

/* texts.c */
uint32_t text_number(const char *utf8, size_t length);
uint32_t text_of(PyObject *text); /* that of a str, clipped; 0 for anything else */
uint32_t texts_count(void);
const char *text_at(uint32_t number, size_t *length);
char *text_clipped(PyObject *text); /* an allocated copy; NULL for anything but a str */
int64_t waker_of(int source, PyObject *callback);
int64_t waker_number(int source, uint32_t name);
int waker_source(int64_t waker);
uint32_t waker_name(int64_t waker);
PyObject *described(PyObject *callback); /* a callback's name for a person: a new reference */
typedef struct {
    PyObject **place;
    const char *text;
} Interned;
int intern(const Interned *, size_t count); /* the interpreter's own names; -1 with an error */
int texts_begin(PyObject *describe);
void texts_forget(void);

/* recorder.c */
TaskRecord *woken(PyObject *loop, PyObject *callback); /* pinned; NULL where nothing is to be recorded */
void poll_begin(TaskRecord *, Running *before);
void poll_end(TaskRecord *, PyObject *task, const Running *before);
PyObject *poll_over(TaskRecord *, PyObject *task, const Running *before, PyObject *result);
LoopStats *callback_begin(PyObject *loop, PyObject *callback, int source, uint32_t *turn, Running *before);
uint32_t timer_set(LoopStats *); /* a timer was made; which turn it is */
void callback_end(LoopStats *, PyObject *loop, PyObject *callback, const Running *before);
TaskRecord *eager_begin(PyObject *task, PyObject *loop, PyObject *coroutine, Running *before);
void eager_end(TaskRecord *, PyObject *task, const Running *before, bool made);
PyObject *make_task(PyObject *loop, PyObject *create, PyObject *coroutine, PyObject *kwargs);
void task_died(PyObject *task);
int adopt(PyObject *task, PyObject *loop);
void learn_name(TaskRecord *, PyObject *task); /* of a pinned one */
void name_now(TaskRecord *); /* learn its name, if it lives and has none yet */
void fault(void); /* takes the current exception: something of ours has failed */
PyObject *take_exception(void);
void raise_again(PyObject *error);
PyObject *task_name(PyObject *task); /* a new reference; NULL without an error where it has none */
PyCFunction own_method(PyTypeObject *, const char *name, int flags);
int recorder_init(void);
void recorder_learn(PyObject *task);
void recorder_begin(PyObject *exception_text, PyObject *thread_name);
void recorder_forget(void);
PyTypeObject *task_class(void);

/* steps.c */
bool is_step(PyObject *callback);
PyObject *step_task(PyObject *callback); /* borrowed; NULL, without an error, where it is no step */
bool step_is_seen(PyObject *callback);   /* whoever runs it */
PyObject *call_with(PyObject *callback, PyObject *args); /* callback(*args), `args` a tuple; unseen */
void steps_borrow(void);
void steps_return(void);
int steps_init(void);
void steps_learn(PyObject *task, PyObject *step, PyObject *py_task);

/* attributes.c */
typedef struct {
    PyObject *name;   /* interned */
    unsigned version; /* that of the class, for which the following holds */
    Py_ssize_t at;    /* among the values of its instances; -1 where it is not there */
} Attribute;
PyObject *attribute_get(PyObject *object, Attribute *);
int attribute_is_true(PyObject *object, Attribute *); /* -1 with an error */

/* handles.c */
int handles_init(void);
PyObject *derive_handles(PyObject *module, PyObject *args);
PyObject *run_stock(PyObject *module, PyObject *args);
extern PyObject *call_soon_inner_method; /* what call_soon_descriptors() has made of it */
PyObject *call_soon_descriptors(PyObject *loop_class);
int append_ready(PyObject *loop, PyObject *handle);
int handle_cancelled(PyObject *handle);
PyObject *run_handle(PyObject *handle);

/* turns.c */
int turns_init(void);
PyObject *run_once_descriptor(PyObject *loop_class);

/* wrappers.c */
int wrappers_init(void);
PyObject *wrap(PyObject *loop, PyObject *callback, int source);
PyObject *wrapping_method(PyObject *method, int position, int source);

/* schedulers.c */
int scheduler_opened(PyObject *loop, PyObject *runtime, PyObject *runs);
int task_scheduled(PyObject *loop, PyObject *task, int source);
void scheduled_poll_begins(PyObject *task);
void scheduled_poll_ends(PyObject *task);

/* slots.c */
void slots_borrow(void);
void slots_return(void);
void slots_begin(void);
void slots_forget(void);
int slots_init(void);

/* frames.c */
void *frame_now(PyThreadState *);
PyCodeObject *frame_code_now(void);
void *frame_running(const void *code); /* the innermost one; NULL where there is none */
int spawn_site(PyObject *coroutine_code, PyObject *factory, void *bottom, PyCodeObject **code, int *lasti);
int frames_above(PyThreadState *, void *bottom);
Place yielded_at(PyObject *coroutine); /* where it is suspended; may run Python code */
void frames_begin(PyObject *owner);
void frames_forget(void);
int frames_init(void);

/* collector.c, pack.c: see there */
#endif
