/* The hot path: what happens to a task, accounted for as it happens.
 *
 * A wake makes the record scheduled; the handle that the loop is given holds it by a pin until it has run. A
 * poll begins and ends around the task's step; a task that is done after it has ended. Nothing here allocates,
 * except at a spawn and for a text. What fails here is told to `fault`, and the program goes on. */
#include "native.h"
#include "trace.h"
#include "waiting.h"

#include <stdlib.h>
#include <string.h>

static PyObject *s_done, *s_cancelled, *s_exception, *s_get_name, *s_get_coro, *s_get_task_factory;
static PyObject *s_add_done_callback, *s_remove_done_callback;
static PyObject *exception_text, *thread_name, *adopted_ended;

/* -- the program's tasks, as asyncio has them -- */

static PyTypeObject *task_type; /* the C Task's */
static PyCFunction task_done, task_cancelled, task_get_name, task_get_coro;
static PyGetSetDef *task_exception;

/* A method of a task without arguments: by way of the C Task's own function where it is one. */
static PyObject *ask(PyObject *task, PyCFunction own, PyObject *name)
{
    return own != NULL && Py_TYPE(task) == task_type ? own(task, NULL) : PyObject_CallMethodNoArgs(task, name);
}

/* 1, 0, or -1 with an error. */
static int asks(PyObject *task, PyCFunction own, PyObject *name)
{
    PyObject *answer = ask(task, own, name);
    if (answer == NULL) {
        return -1;
    }
    int truth = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return truth;
}

PyObject *task_name(PyObject *task)
{
    PyObject *name = ask(task, task_get_name, s_get_name);
    if (name == NULL) {
        PyErr_Clear();
    }
    return name;
}

void learn_name(TaskRecord *record, PyObject *task)
{
    PyObject *name = task_name(task);
    if (name != NULL) {
        record_name(record, name);
        Py_DECREF(name);
    }
}

/* Its method may be the program's own, which runs whatever it likes. */
void name_now(TaskRecord *record)
{
    PyObject *task = record->name == 0 ? record_task(record) : NULL;
    if (task != NULL) {
        record->pins++;
        learn_name(record, task);
        record_changed(record);
        record_unpin(record);
        Py_DECREF(task);
    }
}

/* -- faults -- */

PyObject *take_exception(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

/* Takes the reference; NULL is no exception. */
void raise_again(PyObject *error)
{
    if (error == NULL) {
        return;
    }
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(error);
#else
    PyErr_Restore(Py_NewRef(Py_TYPE(error)), error, PyException_GetTraceback(error));
#endif
}

void fault(void)
{
    PyObject *error = take_exception();
    if (error != NULL && core.on_fault != NULL) {
        PyObject *on_fault = Py_NewRef(core.on_fault);
        Py_XDECREF(PyObject_CallOneArg(on_fault, error));
        Py_DECREF(on_fault);
        PyErr_Clear(); /* there is nobody left to tell */
    }
    Py_XDECREF(error);
}

/* -- tasks of foreign types, whose death no slot tells -- */

static PyObject *foreign; /* by the address of a weak reference: the reference, and the address of the task */

static PyObject *foreign_died(PyObject *Py_UNUSED(self), PyObject *weak)
{
    PyObject *key = PyLong_FromVoidPtr(weak);
    PyObject *entry = key != NULL ? PyDict_GetItemWithError(foreign, key) : NULL;
    if (entry != NULL) {
        task_died(PyLong_AsVoidPtr(PyTuple_GET_ITEM(entry, 1)));
        PyDict_DelItem(foreign, key);
    }
    Py_XDECREF(key);
    PyErr_Clear();
    Py_RETURN_NONE;
}

static PyMethodDef foreign_died_def = {"asynctop_foreign_died", foreign_died, METH_O, NULL};
static PyObject *foreign_gone;

/* -1 where its death could not be noticed. */
static int watch_foreign(PyObject *task)
{
    PyObject *weak = PyWeakref_NewRef(task, foreign_gone);
    PyObject *key = weak != NULL ? PyLong_FromVoidPtr(weak) : NULL;
    PyObject *entry = key != NULL ? Py_BuildValue("(ON)", weak, PyLong_FromVoidPtr(task)) : NULL;
    int done = entry != NULL ? PyDict_SetItem(foreign, key, entry) : -1;
    Py_XDECREF(weak);
    Py_XDECREF(key);
    Py_XDECREF(entry);
    PyErr_Clear();
    return done;
}

/* -- spawns and wakes -- */

static TaskRecord *begin_record(PyObject *task, PyObject *loop, PyObject *coroutine, bool spawned)
{
    if (!PyObject_TypeCheck(task, task_type) && watch_foreign(task) < 0) {
        return NULL;
    }
    LoopStats *stats = core.open ? loop_stats(loop) : NULL;
    KindStats *part = stats != NULL ? kind_of(stats, coroutine, spawned) : NULL;
    TaskRecord *record = part != NULL ? record_new(stats, part) : NULL;
    if (record != NULL && record_register(record, task) < 0) {
        record_drop(record);
        return NULL;
    }
    return record;
}

/* Pinned. */
static TaskRecord *spawn(PyObject *task, PyObject *loop)
{
    if (loop_stats(loop) == NULL) {
        return NULL;
    }
    PyObject *coroutine = ask(task, task_get_coro, s_get_coro);
    if (coroutine == NULL) {
        fault();
        return NULL;
    }
    TaskRecord *record = begin_record(task, loop, coroutine, true);
    if (record != NULL) {
        record->parent = record->waker = record->stats->now.waker;
        record->pins++;
        STORE(record->state, STATE_SCHEDULED);
    }
    Py_DECREF(coroutine);
    return record;
}

/* The record of the task whose step is `callback`, now scheduled, and pinned. NULL where nothing is to be
 * recorded. */
TaskRecord *woken(PyObject *loop, PyObject *callback)
{
    PyObject *task = step_task(callback);
    if (task == NULL) {
        return NULL;
    }
    TaskRecord *record = record_find(task);
    if (record == NULL) {
        record = spawn(task, loop);
        if (record == NULL) {
            return NULL;
        }
        if (PyCFunction_CheckExact(callback) && record->task != NULL) {
            record->polls = 1; /* started eagerly by its maker: its first poll is over, and nobody saw it */
            ADD(record->part->histogram[0], 1);
            ADD(record->stats->polls, 1);
        }
    }
    else if (record->pins >= MOST_PINS) {
        return NULL;
    }
    else {
        record->pins++;
        const Running *now = &record->stats->now;
        if (now->task == record) {
            record->stats->waker_before = record->waker;
            ADD(record->self_wakes, 1); /* it waits from the end of its poll on: see `settle` */
        }
        else {
            STORE(record->since_ns, now_ns());
        }
        STORE(record->waker, now->waker);
        STORE(record->state, STATE_SCHEDULED);
        if (!LOAD(record->dirty)) {
            learn_name(record, task);
            record_changed(record);
        }
    }
    return record;
}

/* -- polls -- */

static void note_thread(LoopStats *stats, PyThreadState *state)
{
    unsigned long thread = PyThread_get_thread_ident();
    STORE(stats->busy_at_look_ns, thread_busy_ns(system_thread()));
    STORE(stats->system_thread, system_thread());
    STORE(stats->thread, thread);
    stats->interpreter = state;
    stats->interpreter_id = state->id;
    loop_hold(stats);
    PyObject *name = PyObject_CallFunction(thread_name, "k", thread);
    char *before = stats->thread_name, *text = name != NULL ? text_clipped(name) : NULL;
    pthread_mutex_lock(&names_lock);
    stats->thread_name = text;
    pthread_mutex_unlock(&names_lock);
    free(before);
    Py_XDECREF(name);
    PyErr_Clear();
    loop_release(stats);
}

/* Whether Python code was run: then only what is held is there still. */
static inline bool in_thread(LoopStats *stats, PyThreadState *state)
{
    if (state->id == stats->interpreter_id) {
        return false;
    }
    note_thread(stats, state);
    return true;
}

/* See clock.h. */
static inline int64_t not_negative(int64_t ns)
{
    return ns > 0 ? ns : 0;
}

/* A turn takes long, or longer than the others: whose time is it? `part` is NULL for a callback. */
static __attribute__((noinline)) void long_turn(LoopStats *stats, KindStats *part, int64_t took)
{
    Turn *turn = &stats->turn;
    if (stats->long_turn != stats->turns) {
        stats->long_turn = stats->turns;
        stats->callbacks_turn_ns = turn->longest_ns = turn->most_ns = 0;
    }
    if (part != NULL && part->turn != stats->turns) {
        part->turn = stats->turns;
        part->turn_ns = 0;
    }
    int64_t *its = part != NULL ? &part->turn_ns : &stats->callbacks_turn_ns;
    *its += took;
    if (*its > turn->most_ns) {
        turn->most_ns = *its;
        turn->kind = part != NULL ? part->kind->number : 0;
    }
    if (took > turn->longest_ns) {
        turn->longest_ns = took;
    }
    if (turn->took_ns > LOAD(stats->worst.took_ns)) {
        STORE(stats->worst.began_ns, turn->began_ns);
        STORE(stats->worst.polls, turn->polls);
        STORE(stats->worst.longest_ns, turn->longest_ns);
        STORE(stats->worst.kind, turn->kind);
        STORE(stats->worst.took_ns, turn->took_ns);
        STORE(stats->turn_mark_ns, turn->took_ns < LONG_TURN_NS ? turn->took_ns : LONG_TURN_NS);
    }
}

/* The handle that is about to run is a turn's first one. */
static inline void turn_begins(LoopStats *stats)
{
    STORE(stats->turns, stats->turns + 1);
    stats->turn.began_ns = stats->now.since_ns;
    stats->turn.polls = stats->turn.took_ns = 0;
}

static inline void enter(LoopStats *stats, PyThreadState *state, TaskRecord *record, PyObject *callback, int64_t waker,
                         Running *before)
{
    *before = stats->now;
    stats->now.bottom = frame_now(state);
    stats->now.callback = callback;
    STORE(stats->now.since_ns, now_ns()); /* before the rest: who reads both must not see an old one */
    __atomic_store_n(&stats->now.waker, waker, __ATOMIC_RELEASE);
    __atomic_store_n(&stats->now.task, record, __ATOMIC_RELEASE);
}

/* `part` is NULL for a callback. */
static inline void leave(LoopStats *stats, const Running *before, KindStats *part, int64_t ended, int64_t took)
{
    if (before->waker == 0) {
        ADD(stats->busy_ns, took);
        stats->left_ns = ended;
        stats->turn.polls++;
        stats->turn.took_ns += took;
        if (stats->turn.took_ns > LOAD(stats->turn_mark_ns)) {
            long_turn(stats, part, took);
        }
    }
    __atomic_store_n(&stats->now.task, before->task, __ATOMIC_RELEASE);
    __atomic_store_n(&stats->now.waker, before->waker, __ATOMIC_RELEASE);
    STORE(stats->now.since_ns, before->since_ns);
    stats->now.callback = before->callback;
    stats->now.bottom = before->bottom;
}

/* Of the time that a poll or callback took, what was not spent in long polls of eager tasks inside it: those are
 * to blame for themselves. And where it is inside another one itself, and long, that one shall know. */
static int64_t own_time(LoopStats *stats, int64_t started, int64_t took, const Running *before)
{
    if (took <= core.threshold_ns) {
        return took;
    }
    int64_t inside = stats->inside_since_ns == started ? stats->inside_ns : 0;
    if (before->waker != 0) {
        if (stats->inside_since_ns != before->since_ns) {
            stats->inside_since_ns = before->since_ns;
            stats->inside_ns = 0;
        }
        stats->inside_ns += took;
    }
    return took - inside;
}

/* The step of a scheduled task is about to run. */
void poll_begin(TaskRecord *record, Running *before)
{
    LoopStats *stats = record->stats;
    PyThreadState *state = PyThreadState_Get();
    if (in_thread(stats, state) && record->task == NULL) {
        *before = stats->now;
        return; /* forgotten meanwhile */
    }
    enter(stats, state, record, NULL, record->id, before);
    if (before->waker == 0 && record->since_ns >= stats->turn.began_ns) {
        turn_begins(stats); /* it was woken in the one before */
    }
    int64_t waited = not_negative(stats->now.since_ns - record->since_ns);
    ADD(record->scheduled_ns, waited);
    ADD(record->part->scheduled_ns, waited);
    if (waited > LOAD(stats->lag_ns)) {
        STORE(stats->lag_ns, waited);
    }
    Details *details = details_of(record);
    if (details != NULL) {
        details_begin(details, record, waited, stats->now.since_ns);
    }
    STORE(record->state, STATE_IDLE); /* if it is woken before the end of this poll, that will show */
}

/* What an ended task raised, as a text. */
static void learn_exception(TaskRecord *record, PyObject *exception)
{
    PyObject *text = PyObject_CallOneArg(exception_text, exception);
    if (text == NULL) {
        PyErr_Clear();
        return;
    }
    details_exception(record, text_clipped(text));
    Py_DECREF(text);
}

/* Drop a record that no console can know of. False where one may, or will: the collector has its list. */
static bool dropped(TaskRecord *record)
{
    if (!HAS(record, UNBORN) || !unborn_try()) {
        return false;
    }
    bool still = HAS(record, UNBORN);
    if (still) {
        *(record->previous != NULL ? &record->previous->next : &core.unborn_first) = record->next;
        *(record->next != NULL ? &record->next->previous : &core.unborn_last) = record->previous;
        STORE(record->flags, FORGOTTEN); /* the collector has never seen it, and will not */
    }
    unborn_release();
    if (still && record->pins == 0) {
        record_drop(record);
    }
    return still;
}

/* The record has ended. */
static void end(TaskRecord *record, int64_t ended)
{
    record_unregister(record);
    if (HAS(record, UNBORN)) {
        /* One of very many that nobody saw alive: its kind's sums have it, and that is enough. */
        if (LOAD(record->stats->room) <= 0 && dropped(record)) {
            return;
        }
        STORE(record->stats->room, LOAD(record->stats->room) - 1);
    }
    STORE(record->since_ns, ended);
    __atomic_store_n(&record->state, STATE_DONE, __ATOMIC_RELEASE);
    record_changed(record);
}

/* `task` has ended. The record is pinned. */
static void finish(TaskRecord *record, PyObject *task, int64_t ended)
{
    PyObject *exception = task_exception != NULL && Py_TYPE(task) == task_type
                              ? task_exception->get(task, task_exception->closure)
                              : PyObject_GetAttr(task, s_exception);
    int cancelled = exception == Py_None ? asks(task, task_cancelled, s_cancelled) : 0;
    if (exception == NULL || cancelled < 0) {
        fault();
    }
    KindStats *part = record->part;
    if (record->task == NULL) {
        Py_XDECREF(exception);
        return; /* it was forgotten meanwhile, or somebody else was faster */
    }
    if (exception != NULL && exception != Py_None) {
        ADD(part->raised, 1);
        record->outcome = RAISED;
    }
    else if (cancelled > 0) {
        ADD(part->cancelled, 1);
        record->outcome = CANCELLED;
    }
    else if (exception != NULL) {
        ADD(part->returned, 1);
        record->outcome = RETURNED;
    }
    if (!HAS(record, UNBORN) || LOAD(record->stats->room) > 0) {
        learn_name(record, task);
        if (record->outcome == RAISED) {
            learn_exception(record, exception);
        }
    }
    if (record->task != NULL) {
        end(record, ended);
    }
    Py_XDECREF(exception);
}

/* A watched task's poll has ended. */
static __attribute__((noinline)) void tell_history(Details *details, PyObject *task, int64_t ended)
{
    PyObject *coroutine = ask(task, task_get_coro, s_get_coro);
    if (coroutine == NULL) {
        fault();
    }
    history_end(details, ended, coroutine != NULL ? yielded_at(coroutine) : (Place){0});
    Py_XDECREF(coroutine);
}

/* Account for a poll that ends now. Whether the task goes on. */
static bool settle(TaskRecord *record, PyObject *task, const Running *before)
{
    LoopStats *stats = record->stats;
    int64_t started = stats->now.since_ns, ended = now_ns(), took = not_negative(ended - started);
    KindStats *part = record->task != NULL ? record->part : NULL;
    leave(stats, before, part, ended, took);
    if (part == NULL) {
        return false; /* forgotten */
    }
    Trace *trace = __atomic_load_n(&trace_now, __ATOMIC_ACQUIRE);
    if (trace != NULL) {
        trace_poll(trace, record, started, ended);
    }
    Details *details = details_of(record);
    int bucket = bucket_of(took);
    if (details == NULL) {
        if (record->polls + 1 == EARNED) {
            details_make(record);
        }
    }
    else if (details_end(details, bucket)) {
        tell_history(details, task, ended);
        if (record->task == NULL) {
            return false; /* Python code may have run: forgotten meanwhile */
        }
        part = record->part;
    }
    ADD(record->polls, 1);
    ADD(record->busy_ns, took);
    ADD(part->busy_ns, took);
    ADD(part->histogram[bucket], 1);
    ADD(stats->polls, 1);
    if (took > record->max_poll_ns) {
        STORE(record->max_poll_ns, took);
        if (took > part->max_poll_ns) {
            STORE(part->max_poll_ns, took);
        }
    }
    if (own_time(stats, started, took, before) > core.threshold_ns) {
        PyObject *name = task_name(task);
        int done = record->state == STATE_SCHEDULED ? 0 : asks(task, task_done, s_done);
        if (done < 0) {
            fault();
        }
        note_long_poll(stats, (LongPoll){.task = record->id, .kind = record->kind, .name = name, .poll = record->polls,
                                         .last = done > 0, .started_ns = started, .took_ns = took});
        Py_XDECREF(name);
    }
    if (record->state == STATE_SCHEDULED) {
        if (record->waker == record->id) {
            STORE(record->since_ns, ended);
        }
    }
    else {
        int done = asks(task, task_done, s_done);
        if (done != 0) {
            done > 0 ? finish(record, task, ended) : fault();
            return false;
        }
        STORE(record->since_ns, ended);
    }
    return true;
}

/* The step of a task has run. `record` is pinned. */
void poll_end(TaskRecord *record, PyObject *task, const Running *before)
{
    if (settle(record, task, before) && record->name == 0) { /* not earlier: most tasks end in their first poll, and nobody asks for their names */
        learn_name(record, task);
    }
}

/* The same, whatever its result: which is returned. With the pin and the reference to the task. */
PyObject *poll_over(TaskRecord *record, PyObject *task, const Running *before, PyObject *result)
{
    PyObject *error = result == NULL ? take_exception() : NULL;
    poll_end(record, task, before);
    record_unpin(record);
    Py_DECREF(task);
    raise_again(error);
    return result;
}

/* -- callbacks -- */

/* A callback that is no task's step is about to run. NULL where nothing is to be recorded. `turn`: that in which
 * its handle was made or run last, replaced by this one. */
LoopStats *callback_begin(PyObject *loop, PyObject *callback, int source, uint32_t *turn, Running *before)
{
    if (!core.open) {
        return NULL;
    }
    int64_t waker = waker_of(source, callback);
    LoopStats *stats = loop_stats(loop);
    PyThreadState *state = PyThreadState_Get();
    if (stats != NULL && in_thread(stats, state)) {
        stats = loop_known(loop);
    }
    if (stats != NULL) {
        enter(stats, state, NULL, callback, waker, before);
        if (before->waker == 0) {
            if (*turn == stats->turns || stats->now.since_ns - stats->left_ns > PAUSE_NS) {
                turn_begins(stats);
            }
            if (source == BY_IO || source == BY_SIGNAL) {
                *turn = stats->turns; /* others are given anew each time */
            }
        }
        if (source == BY_TIMER) {
            ADD(stats->timers_fired, 1);
        }
    }
    return stats;
}

/* It has run. */
void callback_end(LoopStats *stats, PyObject *loop, PyObject *callback, const Running *before)
{
    if ((loop_known(loop) != stats && !loop_listed(stats)) || stats->now.callback != callback) {
        return; /* the hooks went while it ran */
    }
    int64_t started = stats->now.since_ns, ended = now_ns(), took = not_negative(ended - started);
    leave(stats, before, NULL, ended, took);
    ADD(stats->callbacks, 1);
    if (own_time(stats, started, took, before) > core.threshold_ns) {
        loop_hold(stats);
        PyObject *name = described(callback);
        if (name == NULL) {
            fault();
        }
        note_long_poll(stats, (LongPoll){.name = name, .started_ns = started, .took_ns = took});
        loop_release(stats);
        Py_XDECREF(name);
    }
}

/* Who sets timers, now and then. */
static __attribute__((noinline)) void look_who_sets(LoopStats *stats)
{
    Setter found = {.kind = stats->now.task != NULL ? stats->now.task->kind : 0, .votes = 1};
    PyCodeObject *site;
    int lasti;
    if (spawn_site(NULL, NULL, stats->now.bottom, &site, &lasti)) {
        found.file = text_of(site->co_filename);
        found.line = PyCode_Addr2Line(site, lasti * 2);
    }
    Setter *setter = &stats->setter;
    if (setter->file == found.file && setter->line == found.line && setter->kind == found.kind) {
        setter->votes++;
    }
    else if (setter->votes > 0) {
        setter->votes--;
    }
    else {
        STORE(setter->line, found.line);
        STORE(setter->kind, found.kind);
        STORE(setter->file, found.file);
        setter->votes = 1;
    }
}

uint32_t timer_set(LoopStats *stats)
{
    uint32_t turn = stats->turns;
    ADD(stats->timers, 1);
    if (stats->timers % TIMERS_PER_LOOK == 0) {
        loop_hold(stats); /* whose code it is, Python is asked */
        look_who_sets(stats);
        loop_release(stats);
    }
    return turn;
}

/* -- eager tasks, adopted tasks, tasks that die -- */

static struct {
    PyObject *task; /* an address, to compare with */
    TaskRecord *record;
} latest_eager;

/* A task's first poll is about to run while the task is being made. NULL where nothing is to be recorded. */
TaskRecord *eager_begin(PyObject *task, PyObject *loop, PyObject *coroutine, Running *before)
{
    TaskRecord *record = begin_record(task, loop, coroutine, true);
    if (record != NULL) {
        LoopStats *stats = record->stats;
        record->parent = record->waker = stats->now.waker;
        record->pins++;
        PyThreadState *state = PyThreadState_Get();
        in_thread(stats, state);
        enter(stats, state, record, NULL, record->id, before);
        record->since_ns = stats->now.since_ns; /* it has not waited */
    }
    return record;
}

/* The task was made, or could not be. */
void eager_end(TaskRecord *record, PyObject *task, const Running *before, bool made)
{
    if (made) {
        settle(record, task, before); /* its maker may name it yet */
    }
    else if (leave(record->stats, before, record->part, now_ns(), 0), record->task != NULL) {
        ADD(record->part->spawned, -1);
        record_unregister(record);
        if (!dropped(record)) {
            end(record, now_ns());
        }
    }
    if (latest_eager.record != NULL) {
        record_unpin(latest_eager.record);
    }
    latest_eager.task = task;
    latest_eager.record = record; /* and its pin */
}

/* `create(coroutine, **kwargs)` on a loop with a task factory, which may be eager. */
PyObject *make_task(PyObject *loop, PyObject *create, PyObject *coroutine, PyObject *kwargs)
{
    PyObject *factory = PyObject_CallMethodNoArgs(loop, s_get_task_factory), *before = factory_now;
    bool foreign = is_foreign(loop_known(loop));
    if (factory == NULL) {
        PyErr_Clear();
    }
    PyObject *args = PyTuple_Pack(1, coroutine);
    factory_now = factory == Py_None ? NULL : Py_XNewRef(factory);
    latest_eager.task = NULL; /* the one made now may stand where it stood */
    PyObject *task = args != NULL ? PyObject_Call(create, args, kwargs) : NULL;
    Py_XSETREF(factory_now, before);
    Py_XDECREF(args);
    Py_XDECREF(factory);
    TaskRecord *record = latest_eager.record;
    if (task != NULL && record != NULL && latest_eager.task == task && !HAS(record, FORGOTTEN)) {
        latest_eager.task = NULL; /* another one may come to be at its address */
        record->pins++;
        rename_long_poll(record->stats, record->id, task); /* its maker has named it since */
        if (record->task == NULL) {
            learn_name(record, task);
            record_changed(record);
        }
        record_unpin(record);
    }
    if (foreign && task != NULL && !is_foreign(loop_known(loop))) {
        foreign_call(loop, task); /* its first poll has run in this thread, as if that were the loop's */
    }
    return task;
}

/* Begin the record of a task that was there before the hooks. -1 with an error. */
int adopt(PyObject *task, PyObject *loop)
{
    int done = asks(task, task_done, s_done);
    if (done != 0 || record_find(task) != NULL) {
        return done < 0 ? -1 : 0;
    }
    PyObject *coroutine = ask(task, task_get_coro, s_get_coro);
    if (coroutine == NULL) {
        return -1;
    }
    TaskRecord *record = begin_record(task, loop, coroutine, false);
    if (record != NULL) {
        name_now(record);
    }
    Py_DECREF(coroutine);
    if (record == NULL) {
        return 0;
    }
    /* A step that was scheduled before the hooks runs unseen, and the task may end in it. */
    PyObject *added = PyObject_CallMethodOneArg(task, s_add_done_callback, adopted_ended);
    Py_XDECREF(added);
    return added == NULL ? -1 : 0;
}

static PyObject *ended_unseen(PyObject *Py_UNUSED(self), PyObject *task)
{
    TaskRecord *record = record_find(task);
    if (record != NULL) {
        record->pins++;
        finish(record, task, now_ns()); /* where its last poll was seen, it is not found any more */
        record_unpin(record);
    }
    Py_RETURN_NONE;
}

static PyMethodDef ended_unseen_def = {"asynctop_adopted_ended", ended_unseen, METH_O, NULL};

/* A task object is about to be freed. If it was still alive to us, it was pending. */
void task_died(PyObject *task)
{
    TaskRecord *record = record_find(task);
    if (record != NULL) {
        ADD(kind_number(record->kind)->archive.destroyed, 1);
        record->outcome = DESTROYED;
        record->pins++;
        end(record, now_ns());
        record_unpin(record);
    }
}

/* The hooks are gone: forget the records, and leave nothing in the tasks. */
void recorder_forget(void)
{
    size_t position = 0;
    PyObject *adopted = PyList_New(0);
    for (TaskRecord *record; adopted != NULL && (record = record_next(&position)) != NULL;) {
        PyObject *task = record->part->site == NULL ? record_task(record) : NULL;
        if (task != NULL) {
            PyList_Append(adopted, task);
            Py_DECREF(task);
        }
    }
    for (Py_ssize_t i = 0; adopted != NULL && i < PyList_GET_SIZE(adopted); i++) {
        Py_XDECREF(PyObject_CallMethodOneArg(PyList_GET_ITEM(adopted, i), s_remove_done_callback, adopted_ended));
        PyErr_Clear();
    }
    Py_XDECREF(adopted);
    PyErr_Clear();
    PyDict_Clear(foreign);
    if (latest_eager.record != NULL) {
        record_unpin(latest_eager.record);
        latest_eager.record = NULL;
        latest_eager.task = NULL;
    }
}

/* -- what asyncio's own names for these things are -- */

/* A type's method as a function of C; NULL where it is none of this sort. */
PyCFunction own_method(PyTypeObject *type, const char *name, int flags)
{
    PyObject *descriptor = PyObject_GetAttrString((PyObject *)type, name);
    PyCFunction found = NULL;
    if (descriptor != NULL && Py_IS_TYPE(descriptor, &PyMethodDescr_Type)) {
        PyMethodDef *method = ((PyMethodDescrObject *)descriptor)->d_method;
        found = method->ml_flags == flags ? method->ml_meth : NULL;
    }
    Py_XDECREF(descriptor);
    PyErr_Clear();
    return found;
}

static PyGetSetDef *own_attribute(const char *name)
{
    PyObject *descriptor = PyObject_GetAttrString((PyObject *)task_type, name);
    PyGetSetDef *found = NULL;
    if (descriptor != NULL && Py_IS_TYPE(descriptor, &PyGetSetDescr_Type)) {
        found = ((PyGetSetDescrObject *)descriptor)->d_getset;
    }
    Py_XDECREF(descriptor);
    PyErr_Clear();
    return found;
}

PyTypeObject *task_class(void)
{
    return task_type;
}

/* `task` is a C Task. */
void recorder_learn(PyObject *task)
{
    task_type = (PyTypeObject *)Py_NewRef(Py_TYPE(task));
    task_done = own_method(task_type, "done", METH_NOARGS);
    task_cancelled = own_method(task_type, "cancelled", METH_NOARGS);
    task_get_name = own_method(task_type, "get_name", METH_NOARGS);
    task_get_coro = own_method(task_type, "get_coro", METH_NOARGS);
    task_exception = own_attribute("_exception");
}

/* Python's help with texts: exception_text(exception) and thread_name(identifier), both str. */
void recorder_begin(PyObject *texts_of_exceptions, PyObject *names_of_threads)
{
    Py_XSETREF(exception_text, Py_NewRef(texts_of_exceptions));
    Py_XSETREF(thread_name, Py_NewRef(names_of_threads));
}

int recorder_init(void)
{
    const Interned names[] = {
        {&s_done, "done"},         {&s_cancelled, "cancelled"},
        {&s_exception, "_exception"}, {&s_get_name, "get_name"}, {&s_get_coro, "get_coro"},
        {&s_get_task_factory, "get_task_factory"},
        {&s_add_done_callback, "add_done_callback"}, {&s_remove_done_callback, "remove_done_callback"},
    };
    adopted_ended = PyCFunction_New(&ended_unseen_def, NULL);
    foreign_gone = PyCFunction_New(&foreign_died_def, NULL);
    foreign = PyDict_New();
    return intern(names, sizeof(names) / sizeof(names[0]));
}
