/* What Python sees: the functions of `asynctop.core.native._native`, which `core.py` beside it makes a Core of.
 * The interpreter's lock is given up where the collector works. */
#include "collector.h"
#include "sender.h"
#include "watch.h"

#include <stdlib.h>
#include <string.h>

/* -- beginning and end -- */

static PyObject *begin(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"threshold_ns", "retained", "on_fault", "owner", "describe", "exception_text",
                            "thread_name", NULL};
    long long threshold, retained;
    PyObject *on_fault, *owner, *describe, *exception_text, *thread_name;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$LLOOOOO:begin", names, &threshold, &retained, &on_fault, &owner,
                                     &describe, &exception_text, &thread_name)) {
        return NULL;
    }
    if (texts_begin(describe) < 0) {
        return NULL;
    }
    frames_begin(owner);
    recorder_begin(exception_text, thread_name);
    clock_begin();
    slots_begin();
    core.threshold_ns = threshold;
    core.retained = retained;
    Py_XSETREF(core.on_fault, Py_NewRef(on_fault));
    core.open = true;
    Py_RETURN_NONE;
}

static PyObject *forget(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    core.open = false;
    Py_CLEAR(core.on_foreign_call);
    recorder_forget();
    records_unlist();
    slots_forget();
    collector_forget();
    collector_tidy();
    loops_forget();
    kinds_forget();
    frames_forget();
    core.last_id = 0;
    texts_forget();
    Py_RETURN_NONE;
}

/* learn(task, step, py_task): what asyncio's own types are. */
static PyObject *learn(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *task, *step, *py_task;
    if (!PyArg_ParseTuple(args, "OOO:learn", &task, &step, &py_task)) {
        return NULL;
    }
    recorder_learn(task);
    steps_learn(task, step, py_task);
    Py_RETURN_NONE;
}

/* -- hooks -- */

static PyObject *call_soon_of(PyObject *Py_UNUSED(module), PyObject *loop_class)
{
    if (!PyType_Check(loop_class)) {
        PyErr_Format(PyExc_TypeError, "expected a class, found %R", loop_class);
        return NULL;
    }
    return call_soon_descriptors(loop_class);
}

static PyObject *run_once_of(PyObject *Py_UNUSED(module), PyObject *loop_class)
{
    if (!PyType_Check(loop_class)) {
        PyErr_Format(PyExc_TypeError, "expected a class, found %R", loop_class);
        return NULL;
    }
    return run_once_descriptor(loop_class);
}

static PyObject *wrap_callback(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *loop, *callback;
    int source;
    return PyArg_ParseTuple(args, "OOi:wrap", &loop, &callback, &source) ? wrap(loop, callback, source) : NULL;
}

static PyObject *wrapping(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *method;
    int position, source;
    return PyArg_ParseTuple(args, "Oii:wrapping", &method, &position, &source)
               ? wrapping_method(method, position, source)
               : NULL;
}

static PyObject *adopt_task(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *task, *loop;
    if (!PyArg_ParseTuple(args, "OO:adopt", &task, &loop) || adopt(task, loop) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *borrow_slots(PyObject *Py_UNUSED(module), PyObject *borrow)
{
    if (borrow == Py_True) {
        slots_borrow();
        steps_borrow();
    }
    else {
        slots_return();
        steps_return();
    }
    Py_RETURN_NONE;
}

static PyObject *create_task(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *loop, *create, *coroutine, *kwargs;
    if (!PyArg_ParseTuple(args, "OOOO!:create_task", &loop, &create, &coroutine, &PyDict_Type, &kwargs)) {
        return NULL;
    }
    return make_task(loop, create, coroutine, kwargs);
}

static PyObject *report_foreign_calls(PyObject *Py_UNUSED(module), PyObject *report)
{
    Py_XSETREF(core.on_foreign_call, report == Py_None ? NULL : Py_NewRef(report));
    Py_RETURN_NONE;
}

static PyObject *release(PyObject *Py_UNUSED(module), PyObject *loop)
{
    LoopStats *stats = loop_known(loop);
    if (stats != NULL) {
        loop_closed(stats);
    }
    Py_RETURN_NONE;
}

/* -- schedulers that are not asyncio's -- */

static PyObject *opened(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *loop, *runtime, *runs;
    if (!PyArg_ParseTuple(args, "OUO!:opened", &loop, &runtime, &PyCode_Type, &runs)
        || scheduler_opened(loop, runtime, runs) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *scheduled(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *loop, *task;
    int source;
    if (!PyArg_ParseTuple(args, "OOi:scheduled", &loop, &task, &source) || task_scheduled(loop, task, source) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *poll_begins(PyObject *Py_UNUSED(module), PyObject *task)
{
    scheduled_poll_begins(task);
    Py_RETURN_NONE;
}

static PyObject *poll_ends(PyObject *Py_UNUSED(module), PyObject *task)
{
    scheduled_poll_ends(task);
    Py_RETURN_NONE;
}

/* -- what runs -- */

/* Append, and give up the reference. */
static int append(PyObject *list, PyObject *item)
{
    int done = item != NULL ? PyList_Append(list, item) : -1;
    Py_XDECREF(item);
    return done;
}

/* The name of what a loop runs, and that the record knows it too. It may have ended when this returns. */
static PyObject *running_name(TaskRecord *record, PyObject *callback)
{
    PyObject *name = NULL;
    if (record == NULL) {
        Py_INCREF(callback);
        name = described(callback);
        Py_DECREF(callback);
        return name;
    }
    record->pins++;
    PyObject *task = record_task(record);
    if (task != NULL) {
        name_now(record);
        name = task_name(task);
        Py_DECREF(task);
    }
    record_unpin(record);
    return name != NULL ? name : PyUnicode_FromString("");
}

static PyObject *running(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    collector_name();
    PyObject *found = PyList_New(0);
    int number = 0;
    for (LoopStats *stats; found != NULL && (stats = loop_after(number)) != NULL;) {
        number = stats->number;
        TaskRecord *record = stats->now.task;
        if (record == NULL && stats->now.callback == NULL) {
            continue;
        }
        long long id = record != NULL ? record->id : 0, since = stats->now.since_ns;
        long long poll = record != NULL ? record->polls + 1 : 0;
        int kind = record != NULL ? record->kind : 0;
        unsigned long thread = stats->thread;
        PyObject *name = running_name(record, stats->now.callback);
        if (name == NULL || append(found, Py_BuildValue("(iLiNLkiL)", number, id, kind, name, since, thread, 0, poll)) < 0) {
            Py_CLEAR(found);
        }
    }
    return found;
}

static PyObject *long_polls(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    PyObject *found = PyList_New(0);
    int number = 0;
    for (LoopStats *stats; found != NULL && (stats = loop_after(number)) != NULL;) {
        number = stats->number;
        loop_hold(stats);
        for (LongPoll poll; found != NULL && long_poll_take(stats, &poll);) {
            if (append(found, Py_BuildValue("(iLiNLkLLN)", number, (long long)poll.task, poll.kind,
                                            poll.name != NULL ? poll.name : Py_NewRef(Py_None),
                                            (long long)poll.started_ns, stats->thread, (long long)poll.took_ns,
                                            (long long)poll.poll, PyBool_FromLong(poll.last))) < 0) {
                Py_CLEAR(found);
            }
        }
        loop_release(stats);
    }
    return found;
}

static PyObject *long_polls_wait(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    bool wait = false;
    for (LoopStats *stats = core.loops; stats != NULL; stats = stats->next) {
        wait |= stats->long_count > 0;
    }
    return PyBool_FromLong(wait);
}

/* poll_depth(loop): how many frames the poll or callback has that the loop is in; 0 where it is in none. */
static PyObject *poll_depth(PyObject *Py_UNUSED(module), PyObject *arg)
{
    int number = (int)PyLong_AsLong(arg);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
    const LoopStats *stats = loop_after(number - 1);
    bool runs = stats != NULL && stats->number == number && (stats->now.task != NULL || stats->now.callback != NULL);
    return PyLong_FromLong(runs ? frames_above(stats->interpreter, stats->now.bottom) : 0);
}

/* -- the stall watcher -- */

static PyObject *begin_watch(PyObject *Py_UNUSED(module), PyObject *period)
{
    long long ns = PyLong_AsLongLong(period);
    if (ns == -1 && PyErr_Occurred()) {
        return NULL;
    }
    watch_begin(ns);
    Py_RETURN_NONE;
}

static PyObject *end_watch(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    watch_end();
    Py_RETURN_NONE;
}

/* watch() -> (when this look was due, when the clocks were read last, {thread: ns that it was busy since}), or None
 * once the watch has ended. */
static PyObject *watch(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    Sight sight;
    bool seen;
    Py_BEGIN_ALLOW_THREADS
    seen = watch_wait(&sight);
    Py_END_ALLOW_THREADS
    if (!seen) {
        Py_RETURN_NONE;
    }
    watch_read(&sight);
    PyObject *busy = PyDict_New();
    for (int i = 0; busy != NULL && i < sight.count; i++) {
        PyObject *thread = PyLong_FromUnsignedLong(sight.threads[i]);
        PyObject *ns = sight.busy_ns[i] < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(sight.busy_ns[i]);
        if (thread == NULL || ns == NULL || PyDict_SetItem(busy, thread, ns) < 0) {
            Py_CLEAR(busy);
        }
        Py_XDECREF(thread);
        Py_XDECREF(ns);
    }
    return busy != NULL ? Py_BuildValue("(LLN)", (long long)sight.due_ns, (long long)sight.previous_ns, busy) : NULL;
}

/* -- loops and tasks -- */

/* The open loops: (number, loop). */
static PyObject *loops(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    PyObject *found = PyList_New(0);
    int number = 0;
    for (LoopStats *stats; found != NULL && (stats = loop_after(number)) != NULL;) {
        number = stats->number;
        /* One that is being freed must not come to life again. */
        if (stats->loop != NULL && Py_REFCNT(stats->loop) > 0
            && append(found, Py_BuildValue("(iO)", stats->number, stats->loop)) < 0) {
            Py_CLEAR(found);
        }
    }
    return found;
}

/* tasks_of(loop, wanted): ids and addresses of live tasks, in pairs of int64; of the wanted ones, where there are any:
 * ids in order, as int64. The lock of the interpreter is not kept meanwhile. */
static PyObject *tasks_of(PyObject *Py_UNUSED(module), PyObject *args)
{
    int loop;
    Py_buffer wanted;
    if (!PyArg_ParseTuple(args, "iy*:tasks_of", &loop, &wanted)) {
        return NULL;
    }
    Buffer out = {0};
    Py_BEGIN_ALLOW_THREADS
    collector_drain();
    collector_live(loop, wanted.len > 0 ? wanted.buf : NULL, (size_t)wanted.len / sizeof(int64_t), &out);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&wanted);
    PyObject *found = out.failed ? PyErr_NoMemory() : PyBytes_FromStringAndSize((char *)out.bytes, (Py_ssize_t)out.length);
    buffer_free(&out);
    return found;
}

/* find(id, address): the task where it lives, else None. */
static PyObject *find(PyObject *Py_UNUSED(module), PyObject *args)
{
    long long id;
    PyObject *address;
    if (!PyArg_ParseTuple(args, "LO:find", &id, &address)) {
        return NULL;
    }
    PyObject *task = PyLong_AsVoidPtr(address);
    if (task == NULL && PyErr_Occurred()) {
        return NULL;
    }
    TaskRecord *record = record_find(task);
    PyObject *found = record != NULL && record->id == id ? record_task(record) : NULL;
    return found != NULL ? found : Py_NewRef(Py_None);
}

static PyObject *identify(PyObject *Py_UNUSED(module), PyObject *task)
{
    TaskRecord *record = record_find(task);
    return PyLong_FromLongLong(record != NULL ? record->id : 0);
}

/* wake(loop): (task, id, woken_ns, source, waker's id, waker's name) of the poll that it is in, else None. */
static PyObject *wake(PyObject *Py_UNUSED(module), PyObject *loop)
{
    LoopStats *stats = loop_known(loop);
    TaskRecord *record = stats != NULL ? stats->now.task : NULL;
    PyObject *task = record != NULL ? record_task(record) : NULL;
    if (task == NULL) {
        Py_RETURN_NONE;
    }
    int64_t waker = LOAD(record->waker);
    uint32_t name = waker_name(waker);
    size_t length = 0;
    const char *text = name != 0 ? text_at(name, &length) : "";
    return Py_BuildValue("(NLLiLs#)", task, (long long)record->id, (long long)LOAD(record->since_ns),
                         waker_source(waker), (long long)(waker > 0 ? waker : 0), text, (Py_ssize_t)length);
}

/* task(id, most): the task where it lives and is among the first so many, else None. */
static PyObject *task_by_id(PyObject *Py_UNUSED(module), PyObject *args)
{
    long long id;
    int most;
    if (!PyArg_ParseTuple(args, "Li:task", &id, &most)) {
        return NULL;
    }
    size_t position = 0;
    TaskRecord *record;
    while (most-- > 0 && (record = record_next(&position)) != NULL) {
        if (record->id == id) {
            PyObject *task = record_task(record);
            return task != NULL ? task : Py_NewRef(Py_None);
        }
    }
    Py_RETURN_NONE;
}

/* -- consoles -- */

static PyObject *drain(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    Py_BEGIN_ALLOW_THREADS
    collector_drain();
    Py_END_ALLOW_THREADS
    if (collector_name()) {
        collector_drain();
    }
    Py_RETURN_NONE;
}

typedef struct {
    PyObject_HEAD
    Cursor cursor;
} PyCursor;

static PyObject *cursor_begin_batch(PyObject *self, PyObject *Py_UNUSED(none))
{
    Py_BEGIN_ALLOW_THREADS
    cursor_begin(&((PyCursor *)self)->cursor);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *cursor_next_frames(PyObject *self, PyObject *Py_UNUSED(none))
{
    Buffer out = {0};
    Py_BEGIN_ALLOW_THREADS
    cursor_next(&((PyCursor *)self)->cursor, &out);
    Py_END_ALLOW_THREADS
    PyObject *frames = out.failed ? PyErr_NoMemory() : PyBytes_FromStringAndSize((char *)out.bytes, (Py_ssize_t)out.length);
    buffer_free(&out);
    return frames;
}

/* The first MOST_WATCHED of some task ids. How many there are; -1 with an error. */
static int watched_ids(PyObject *tasks, int64_t *ids)
{
    PyObject *numbers = PySequence_Fast(tasks, "expected task ids");
    int count = 0;
    for (; numbers != NULL && count < PySequence_Fast_GET_SIZE(numbers) && count < MOST_WATCHED; count++) {
        ids[count] = PyLong_AsLongLong(PySequence_Fast_GET_ITEM(numbers, count));
    }
    Py_XDECREF(numbers);
    return PyErr_Occurred() ? -1 : count;
}

static PyObject *cursor_py_watch(PyObject *self, PyObject *tasks)
{
    int64_t ids[MOST_WATCHED];
    int count = watched_ids(tasks, ids);
    if (count < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    cursor_watch(&((PyCursor *)self)->cursor, ids, count);
    Py_END_ALLOW_THREADS
    collector_tidy();
    Py_RETURN_NONE;
}

static PyObject *cursor_py_trace(PyObject *self, PyObject *arg)
{
    long long after = PyLong_AsLongLong(arg);
    if (after == -1 && PyErr_Occurred()) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    cursor_trace(&((PyCursor *)self)->cursor, after);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *cursor_py_untrace(PyObject *self, PyObject *Py_UNUSED(none))
{
    Py_BEGIN_ALLOW_THREADS
    cursor_untrace(&((PyCursor *)self)->cursor);
    Py_END_ALLOW_THREADS
    collector_tidy();
    Py_RETURN_NONE;
}

static void cursor_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    cursor_free(&((PyCursor *)self)->cursor);
    collector_tidy();
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef cursor_methods[] = {
    {"begin", cursor_begin_batch, METH_NOARGS, PyDoc_STR("Begin a batch: everything that changed since the last one.")},
    {"next", cursor_next_frames, METH_NOARGS, PyDoc_STR("The next frames of the batch; none at its end.")},
    {"watch", cursor_py_watch, METH_O, PyDoc_STR("watch(tasks): tell of their polls, and of no other ones.")},
    {"trace", cursor_py_trace, METH_O, PyDoc_STR("trace(after): tell of all polls, after this number.")},
    {"untrace", cursor_py_untrace, METH_NOARGS, PyDoc_STR("No more.")},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot cursor_slots[] = {
    {Py_tp_dealloc, cursor_dealloc},
    {Py_tp_methods, cursor_methods},
    {Py_tp_doc, (void *)PyDoc_STR("How far one console has been told.")},
    {0, NULL},
};
static PyType_Spec cursor_spec = {
    .name = "asynctop.core.native._native.Cursor",
    .basicsize = sizeof(PyCursor),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = cursor_slots,
};

/* tell_faults(packed): msgpack of an array of texts, which each tick says. */
static PyObject *tell_faults(PyObject *Py_UNUSED(module), PyObject *packed)
{
    char *bytes;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(packed, &bytes, &length) < 0) {
        return NULL;
    }
    unsigned char *copy = malloc((size_t)length);
    if (copy == NULL) {
        return PyErr_NoMemory();
    }
    memcpy(copy, bytes, (size_t)length);
    Py_BEGIN_ALLOW_THREADS
    collector_faults(copy, (size_t)length);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *start_sender(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    int failed = sender_start();
    if (failed) {
        PyErr_Format(PyExc_RuntimeError, "can't start new thread: %s", strerror(failed));
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *stop_sender(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    Py_BEGIN_ALLOW_THREADS
    sender_stop();
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

typedef struct {
    PyObject_HEAD
    Outlet *outlet; /* NULL once it is closed */
} PyOutlet;

static PyObject *outlet_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"socket", "bell", NULL};
    int socket, bell;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ii:Outlet", names, &socket, &bell)) {
        return NULL;
    }
    PyOutlet *self = (PyOutlet *)type->tp_alloc(type, 0);
    if (self != NULL) {
        Py_BEGIN_ALLOW_THREADS
        self->outlet = outlet_open(socket, bell);
        Py_END_ALLOW_THREADS
        if (self->outlet == NULL) {
            Py_DECREF(self);
            return PyErr_NoMemory();
        }
    }
    return (PyObject *)self;
}

static PyObject *outlet_py_close(PyObject *self, PyObject *Py_UNUSED(none))
{
    Outlet *outlet = ((PyOutlet *)self)->outlet;
    ((PyOutlet *)self)->outlet = NULL;
    if (outlet != NULL) {
        Py_BEGIN_ALLOW_THREADS
        outlet_close(outlet);
        Py_END_ALLOW_THREADS
        collector_tidy();
    }
    Py_RETURN_NONE;
}

static Outlet *open_outlet(PyObject *self)
{
    Outlet *outlet = ((PyOutlet *)self)->outlet;
    if (outlet == NULL) {
        PyErr_SetString(PyExc_ValueError, "expected an open outlet, found a closed one");
    }
    return outlet;
}

static PyObject *outlet_py_put(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"frames", "last", NULL};
    Py_buffer frames;
    int last = 0;
    Outlet *outlet = open_outlet(self);
    if (outlet == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "y*|p:put", names, &frames, &last)) {
        return NULL;
    }
    bool put;
    Py_BEGIN_ALLOW_THREADS
    put = outlet_put(outlet, frames.buf, (size_t)frames.len, last);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&frames);
    return PyBool_FromLong(put);
}

static PyObject *outlet_py_subscribe(PyObject *self, PyObject *arg)
{
    long long interval = PyLong_AsLongLong(arg);
    Outlet *outlet = open_outlet(self);
    if (outlet == NULL || (interval == -1 && PyErr_Occurred())) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    outlet_subscribe(outlet, interval);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *outlet_py_watch(PyObject *self, PyObject *tasks)
{
    int64_t ids[MOST_WATCHED];
    Outlet *outlet = open_outlet(self);
    int count = outlet != NULL ? watched_ids(tasks, ids) : -1;
    if (count < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    outlet_watch(outlet, ids, count);
    Py_END_ALLOW_THREADS
    collector_tidy();
    Py_RETURN_NONE;
}

static PyObject *outlet_py_trace(PyObject *self, PyObject *arg)
{
    long long after = PyLong_AsLongLong(arg);
    Outlet *outlet = open_outlet(self);
    if (outlet == NULL || (after == -1 && PyErr_Occurred())) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    outlet_trace(outlet, after);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *outlet_py_finish(PyObject *self, PyObject *Py_UNUSED(none))
{
    Outlet *outlet = open_outlet(self);
    if (outlet == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    outlet_finish(outlet);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *outlet_py_finished(PyObject *self, PyObject *Py_UNUSED(none))
{
    Outlet *outlet = ((PyOutlet *)self)->outlet;
    bool finished = true;
    if (outlet != NULL) {
        Py_BEGIN_ALLOW_THREADS
        finished = outlet_finished(outlet);
        Py_END_ALLOW_THREADS
    }
    return PyBool_FromLong(finished);
}

static void outlet_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Outlet *outlet = ((PyOutlet *)self)->outlet;
    if (outlet != NULL) {
        outlet_close(outlet);
        collector_tidy();
    }
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef outlet_methods[] = {
    {"put", (PyCFunction)(void (*)(void))outlet_py_put, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("put(frames, last=False): send them in between. False where others are still under way.")},
    {"subscribe", outlet_py_subscribe, METH_O, PyDoc_STR("subscribe(interval_ns): a batch now, and then so often.")},
    {"watch", outlet_py_watch, METH_O, PyDoc_STR("watch(tasks): tell of their polls, and of no other ones.")},
    {"trace", outlet_py_trace, METH_O, PyDoc_STR("trace(after): tell of all polls, after this number.")},
    {"finish", outlet_py_finish, METH_NOARGS, PyDoc_STR("One batch more, and then nothing.")},
    {"finished", outlet_py_finished, METH_NOARGS, PyDoc_STR("Whether it sends no more.")},
    {"close", outlet_py_close, METH_NOARGS, PyDoc_STR("Let go of the socket.")},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot outlet_slots[] = {
    {Py_tp_new, outlet_new},
    {Py_tp_dealloc, outlet_dealloc},
    {Py_tp_methods, outlet_methods},
    {Py_tp_doc, (void *)PyDoc_STR("Outlet(socket, bell): a console's outgoing half, on descriptors of others.")},
    {0, NULL},
};
static PyType_Spec outlet_spec = {
    .name = "asynctop.core.native._native.Outlet",
    .basicsize = sizeof(PyOutlet),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = outlet_slots,
};

/* -- the module -- */

static PyMethodDef functions[] = {
    {"begin", (PyCFunction)(void (*)(void))begin, METH_VARARGS | METH_KEYWORDS, PyDoc_STR("Begin to record.")},
    {"forget", forget, METH_NOARGS, PyDoc_STR("Let go of everything.")},
    {"learn", learn, METH_VARARGS, PyDoc_STR("learn(task, step, py_task): what asyncio's own types are.")},
    {"derive_handles", derive_handles, METH_VARARGS,
     PyDoc_STR("derive_handles(Handle, TimerHandle, metaclass, report) -> our twins of the two classes.")},
    {"run_stock", run_stock, METH_VARARGS, PyDoc_STR("run_stock(handle, source): as handle._run(), recorded.")},
    {"run_once_of", run_once_of, METH_O, PyDoc_STR("What to put in place of a loop class's _run_once.")},
    {"call_soon_of", call_soon_of, METH_O, PyDoc_STR("What to put in place of a loop class's call_soon and _call_soon.")},
    {"wrap", wrap_callback, METH_VARARGS, PyDoc_STR("wrap(loop, callback, source): what to give to the loop.")},
    {"wrapping", wrapping, METH_VARARGS, PyDoc_STR("wrapping(method, position, source): what to put in place of the method.")},
    {"borrow_slots", borrow_slots, METH_O, PyDoc_STR("borrow_slots(whether): those of asyncio.Task.")},
    {"create_task", create_task, METH_VARARGS,
     PyDoc_STR("create_task(loop, create, coroutine, kwargs): on a loop with a task factory.")},
    {"adopt", adopt_task, METH_VARARGS, PyDoc_STR("adopt(task, loop)")},
    {"report_foreign_calls", report_foreign_calls, METH_O,
     PyDoc_STR("report_foreign_calls(report or None): report(loop, callback) from now on.")},
    {"release", release, METH_O, PyDoc_STR("The loop has been closed.")},
    {"opened", opened, METH_VARARGS, PyDoc_STR("opened(loop, runtime, runs): a scheduler that is not asyncio's begins.")},
    {"scheduled", scheduled, METH_VARARGS, PyDoc_STR("scheduled(loop, task, source): such a task was woken.")},
    {"poll_begins", poll_begins, METH_O, PyDoc_STR("The task's next step is about to run.")},
    {"poll_ends", poll_ends, METH_O, PyDoc_STR("It has run.")},
    {"begin_watch", begin_watch, METH_O, PyDoc_STR("begin_watch(period_ns): from now on `watch` waits.")},
    {"end_watch", end_watch, METH_NOARGS, PyDoc_STR("Let `watch` return.")},
    {"watch", watch, METH_NOARGS, PyDoc_STR("Wait until there is something to see.")},
    {"running", running, METH_NOARGS, PyDoc_STR("What each loop's thread is in, as fields of `Running`.")},
    {"long_polls", long_polls, METH_NOARGS, PyDoc_STR("Those that ended since the last call.")},
    {"long_polls_wait", long_polls_wait, METH_NOARGS, PyDoc_STR("Whether such have ended since.")},
    {"poll_depth", poll_depth, METH_O, PyDoc_STR("How many frames a loop's poll has; 0 where it is in none.")},
    {"loops", loops, METH_NOARGS, PyDoc_STR("The open loops: (number, loop).")},
    {"tasks_of", tasks_of, METH_VARARGS, PyDoc_STR("Ids and addresses of live tasks of a loop.")},
    {"find", find, METH_VARARGS, PyDoc_STR("find(id, address): the task where it lives, else None.")},
    {"identify", identify, METH_O, PyDoc_STR("The id of a live task; 0 where it is not known.")},
    {"wake", wake, METH_O, PyDoc_STR("What a loop is polling and who woke it, as fields of `Wake`.")},
    {"task", task_by_id, METH_VARARGS, PyDoc_STR("task(id, most): the task where it lives, else None.")},
    {"tell_faults", tell_faults, METH_O, PyDoc_STR("tell_faults(packed): what each tick says.")},
    {"start_sender", start_sender, METH_NOARGS, PyDoc_STR("Start the thread that serves the outlets.")},
    {"stop_sender", stop_sender, METH_NOARGS, PyDoc_STR("End it; outlets stay, and wait.")},
    {"drain", drain, METH_NOARGS, PyDoc_STR("Take note of what changed.")},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "asynctop.core.native._native",
    .m_doc = PyDoc_STR("The native recorder core."),
    .m_methods = functions,
};

static PyObject *loop_class(const char *module, const char *name)
{
    PyObject *found = PyImport_ImportModule(module);
    PyObject *class = found != NULL ? PyObject_GetAttrString(found, name) : NULL;
    Py_XDECREF(found);
    return class;
}

PyMODINIT_FUNC PyInit__native(void)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "expected the main interpreter, found a subinterpreter: there is one core per process");
        return NULL;
    }
    PyObject *base_loop = loop_class("asyncio.base_events", "BaseEventLoop");
    PyObject *selector_loop = base_loop != NULL ? loop_class("asyncio.selector_events", "BaseSelectorEventLoop") : NULL;
    if (selector_loop == NULL || kinds_init() < 0 || loops_init(base_loop, selector_loop) < 0 || recorder_init() < 0
        || steps_init() < 0 || handles_init() < 0 || turns_init() < 0 || wrappers_init() < 0 || slots_init() < 0
        || frames_init() < 0) {
        return NULL;
    }
    Py_DECREF(base_loop);
    Py_DECREF(selector_loop);
    PyObject *module = PyModule_Create(&definition);
    PyObject *cursor = PyType_FromSpec(&cursor_spec), *outlet = PyType_FromSpec(&outlet_spec);
    if (module == NULL || cursor == NULL || outlet == NULL || PyModule_AddObjectRef(module, "Cursor", cursor) < 0
        || PyModule_AddObjectRef(module, "Outlet", outlet) < 0) {
        Py_CLEAR(module);
    }
    Py_XDECREF(cursor);
    Py_XDECREF(outlet);
    return module;
}
