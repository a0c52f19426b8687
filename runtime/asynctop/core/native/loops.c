/* Event loops, from the first thing that they do until they are closed or collected, and their long polls. The loops'
 * side, except the last release. */
#include "native.h"

#include <stdlib.h>

static PyObject *s_module, *s_uvloop, *s_get_debug, *s_time, *s_check_closed, *s_call_soon_inner;
static PyObject *s_process_events;
LoopStats *loop_latest;
static PyObject *stock_get_debug, *stock_time, *stock_check_closed, *stock_process_events; /* asyncio's own */

LoopStats *loop_found(PyObject *loop)
{
    for (LoopStats *stats = core.loops; stats != NULL; stats = stats->next) {
        if (stats->loop == loop) {
            return loop_latest = stats;
        }
    }
    return NULL;
}

LoopStats *loop_after(int number)
{
    LoopStats *stats = core.loops;
    while (stats != NULL && stats->number <= number) {
        stats = stats->next;
    }
    return stats;
}

bool loop_listed(const LoopStats *wanted)
{
    const LoopStats *stats = core.loops;
    while (stats != NULL && stats != wanted) {
        stats = stats->next;
    }
    return stats != NULL;
}

static PyObject *loop_collected(PyObject *Py_UNUSED(self), PyObject *weak)
{
    for (LoopStats *stats = core.loops; stats != NULL; stats = stats->next) {
        if (stats->weak == weak) {
            loop_closed(stats);
            break;
        }
    }
    Py_RETURN_NONE;
}

static PyMethodDef collected_def = {"loop_collected", loop_collected, METH_O, NULL};
static PyObject *collected;

/* Whether its class has this one and no other. */
static bool has(PyObject *loop, PyObject *name, PyObject *method)
{
    PyObject *its = PyObject_GetAttr((PyObject *)Py_TYPE(loop), name);
    bool same = its != NULL && its == method;
    Py_XDECREF(its);
    PyErr_Clear();
    return same;
}

/* Its class is not as it was. Asking it may run Python code. */
LoopStats *loop_parts_changed(LoopStats *stats, PyObject *loop)
{
    loop_hold(stats);
    stats->stock_debug = has(loop, s_get_debug, stock_get_debug);
    stats->stock_time = has(loop, s_time, stock_time);
    stats->stock_checks = has(loop, s_check_closed, stock_check_closed);
    stats->stock_events = has(loop, s_process_events, stock_process_events);
    stats->our_inner = has(loop, s_call_soon_inner, call_soon_inner_method);
    stats->parts_version = Py_TYPE(loop)->tp_version_tag;
    loop_release(stats);
    return loop_known(loop);
}

static bool is_uvloop(PyObject *loop)
{
    PyObject *module = PyObject_GetAttr((PyObject *)Py_TYPE(loop), s_module);
    bool found = module != NULL && PyUnicode_Check(module)
                 && PyUnicode_Tailmatch(module, s_uvloop, 0, PyUnicode_GET_LENGTH(module), -1) > 0;
    Py_XDECREF(module);
    PyErr_Clear();
    return found;
}

static void drop_long_polls(LoopStats *stats)
{
    for (LongPoll poll; long_poll_take(stats, &poll);) {
        Py_XDECREF(poll.name);
    }
}

/* Closed loops beyond the newest few are no longer listed. */
static void forget_oldest(void)
{
    int closed = 0;
    for (LoopStats *stats = core.loops; stats != NULL; stats = stats->next) {
        closed += stats->loop == NULL;
    }
    LoopStats *gone = NULL;
    pthread_mutex_lock(&registry_lock);
    for (LoopStats **link = &core.loops; *link != NULL && closed > CLOSED_LOOPS;) {
        LoopStats *stats = *link;
        if (stats->loop != NULL) {
            link = &stats->next;
            continue;
        }
        *link = stats->next;
        stats->next = gone;
        gone = stats;
        closed--;
    }
    pthread_mutex_unlock(&registry_lock);
    while (gone != NULL) {
        LoopStats *stats = gone;
        gone = stats->next;
        drop_long_polls(stats);
        loop_release(stats);
    }
}

LoopStats *loop_begun(PyObject *loop)
{
    LoopStats *stats = calloc(1, sizeof(LoopStats));
    PyObject *weak = stats != NULL ? PyWeakref_NewRef(loop, collected) : NULL;
    if (weak == NULL) {
        PyErr_Clear();
        free(stats);
        return NULL;
    }
    stats->weak = weak;
    stats->loop = loop;
    stats->references = 1;
    stats->room = core.retained;
    stats->runtime = is_uvloop(loop) ? "uvloop" : "asyncio";
    forget_oldest();
    pthread_mutex_lock(&registry_lock);
    stats->number = ++core.loops_seen;
    LoopStats **last = &core.loops;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = stats;
    pthread_mutex_unlock(&registry_lock);
    return loop_latest = stats;
}

void loop_hold(LoopStats *stats)
{
    __atomic_add_fetch(&stats->references, 1, __ATOMIC_RELAXED);
}

/* On either side. */
void loop_release(LoopStats *stats)
{
    if (__atomic_sub_fetch(&stats->references, 1, __ATOMIC_ACQ_REL) == 0) {
        free(stats->thread_name);
        free(stats);
    }
}

/* A loop's sums live on in the archives. */
static void retire(LoopStats *stats)
{
    core.closures++;
    loop_latest = NULL;
    KindStats **parts = stats->kinds;
    size_t size = stats->kinds_size, position = 0;
    for (TaskRecord *record; (record = record_next(&position)) != NULL;) {
        if (record->stats == stats) {
            record->part = &record->part->kind->archive;
            STORE(record->state, STATE_IDLE);
            record_changed(record);
        }
    }
    pthread_mutex_lock(&registry_lock);
    STORE(stats->loop, NULL);
    stats->kinds = NULL;
    stats->kinds_size = stats->kinds_used = 0;
    for (size_t i = 0; i < size; i++) {
        KindStats *part = parts[i];
        if (part != NULL) {
            KindStats **link = &part->kind->archive.next;
            while (*link != part) {
                link = &(*link)->next;
            }
            *link = part->next;
            sums_add(&part->kind->archive, part);
            /* What it has spawned since the collector looked is news still. */
            part->kind->archive.told_spawned += part->told_spawned;
        }
    }
    pthread_mutex_unlock(&registry_lock);
    PyObject *weak = stats->weak;
    stats->weak = NULL;
    /* From here on anything may happen: objects are let go of. */
    for (size_t i = 0; i < size; i++) {
        if (parts[i] != NULL) {
            Py_XDECREF(parts[i]->code);
            Py_XDECREF(parts[i]->site);
            free(parts[i]);
        }
    }
    free(parts);
    Py_XDECREF(weak);
}

/* A loop was closed or collected. */
void loop_closed(LoopStats *stats)
{
    if (stats->loop == NULL) {
        return;
    }
    loop_hold(stats);
    size_t at = 0;
    for (TaskRecord *record; (record = record_next(&at)) != NULL;) {
        if (record->stats == stats) {
            name_now(record);
        }
    }
    if (stats->loop != NULL) {
        retire(stats);
    }
    loop_release(stats);
}

/* The loop was given a callback by a thread that is not its own. */
void foreign_call(PyObject *loop, PyObject *callback)
{
    if (core.on_foreign_call == NULL) {
        return;
    }
    PyObject *report = Py_NewRef(core.on_foreign_call);
    PyObject *done = PyObject_CallFunctionObjArgs(report, loop, callback, NULL);
    if (done == NULL) {
        fault();
    }
    Py_XDECREF(done);
    Py_DECREF(report);
}

/* A poll or callback was past the threshold. */
void note_long_poll(LoopStats *stats, LongPoll poll)
{
    if (!loop_listed(stats)) {
        return; /* nobody would take it */
    }
    if (stats->long_polls == NULL) {
        stats->long_polls = calloc(MAX_LONG_POLLS, sizeof(LongPoll));
        if (stats->long_polls == NULL) {
            STORE(stats->long_lost, stats->long_lost + 1);
            return;
        }
    }
    LongPoll *at = &stats->long_polls[(stats->long_first + stats->long_count) % MAX_LONG_POLLS];
    if (stats->long_count == MAX_LONG_POLLS) {
        stats->long_first = (stats->long_first + 1) % MAX_LONG_POLLS;
        STORE(stats->long_lost, stats->long_lost + 1);
        Py_XDECREF(at->name);
    }
    else {
        stats->long_count++;
    }
    *at = poll;
    Py_XINCREF(at->name);
}

/* `task` has been given a name since its poll, which may have been the latest long one. */
void rename_long_poll(LoopStats *stats, int64_t id, PyObject *task)
{
    if (stats->long_count == 0) {
        return;
    }
    LongPoll *latest = &stats->long_polls[(stats->long_first + stats->long_count - 1) % MAX_LONG_POLLS];
    if (latest->task == id) {
        Py_XSETREF(latest->name, task_name(task));
    }
}

/* Take the oldest one, and its reference to the name. False where there are no more: a closed loop needs their
 * place no longer then. */
bool long_poll_take(LoopStats *stats, LongPoll *taken)
{
    if (stats->long_count > 0) {
        *taken = stats->long_polls[stats->long_first];
        stats->long_first = (stats->long_first + 1) % MAX_LONG_POLLS;
        stats->long_count--;
        return true;
    }
    if (stats->loop == NULL) {
        free(stats->long_polls);
        stats->long_polls = NULL;
    }
    return false;
}

/* No record is left but those that handles hold: let go of all loops. */
void loops_forget(void)
{
    while (core.loops != NULL) {
        LoopStats *stats = core.loops;
        pthread_mutex_lock(&registry_lock);
        core.loops = stats->next;
        pthread_mutex_unlock(&registry_lock);
        loop_closed(stats);
        drop_long_polls(stats);
        loop_release(stats);
    }
    core.loops_seen = 0;
}

int loops_init(PyObject *base, PyObject *selector)
{
    const Interned names[] = {
        {&s_module, "__module__"}, {&s_uvloop, "uvloop"}, {&s_get_debug, "get_debug"}, {&s_time, "time"},
        {&s_check_closed, "_check_closed"}, {&s_call_soon_inner, "_call_soon"}, {&s_process_events, "_process_events"},
    };
    collected = PyCFunction_New(&collected_def, NULL);
    if (intern(names, sizeof(names) / sizeof(names[0])) < 0) {
        return -1;
    }
    stock_get_debug = PyObject_GetAttr(base, s_get_debug);
    stock_time = PyObject_GetAttr(base, s_time);
    stock_check_closed = PyObject_GetAttr(base, s_check_closed);
    stock_process_events = PyObject_GetAttr(selector, s_process_events);
    return stock_get_debug && stock_time && stock_check_closed && stock_process_events ? 0 : -1;
}
