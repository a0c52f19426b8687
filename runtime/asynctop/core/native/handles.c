/* What an asyncio loop runs: drop-in Handle and TimerHandle, and the loop's `_call_soon`.
 *
 * They derive from asyncio's own classes and keep everything in those classes' slots, so that attributes,
 * methods, repr and isinstance are the stock ones. Made and run in C, they cost less than the stock ones,
 * which pays for the statistics. */
#include "native.h"

#include <stddef.h>
#include <string.h>
#include <structmember.h>

/* Where asyncio's own classes keep their slots. */
static Py_ssize_t at_callback, at_args, at_cancelled, at_loop, at_traceback, at_repr, at_context;
static Py_ssize_t at_scheduled, at_when;
static PyTypeObject *stock_handle, *stock_timer, *handle_type, *timer_type;
static PyObject *stock_handle_init, *report, *handle_method, *timer_method;
static PyObject *s_get_debug, *s_time, *s_append, *s_run, *s_handle_run, *s_cancelled;
static PyObject *s_context, *s_call_soon_inner;
static Attribute debug, ready_ones; /* of a loop */

#define FIELD(handle, offset) (*(PyObject **)((char *)(handle) + (offset)))

/* What is added to a stock handle, behind it. */
typedef struct {
    TaskRecord *record; /* pinned, until the handle has run; NULL for a callback that is no task's step */
    int source;
    uint32_t turn; /* of the loop, in which a callback's handle was made, or run last */
} Extra;

static Py_ssize_t handle_extra, timer_extra;

static bool is_timer(PyObject *handle)
{
    return Py_TYPE(handle) != handle_type && PyType_IsSubtype(Py_TYPE(handle), timer_type);
}

static Extra *extra_of(PyObject *handle)
{
    return (Extra *)((char *)handle + (is_timer(handle) ? timer_extra : handle_extra));
}

/* -- memory -- */

static void unpin(Extra *extra)
{
    if (extra->record != NULL) {
        TaskRecord *record = extra->record;
        extra->record = NULL;
        record_unpin(record);
    }
}

static int handle_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(FIELD(self, at_callback));
    Py_VISIT(FIELD(self, at_args));
    Py_VISIT(FIELD(self, at_cancelled));
    Py_VISIT(FIELD(self, at_loop));
    Py_VISIT(FIELD(self, at_traceback));
    Py_VISIT(FIELD(self, at_repr));
    Py_VISIT(FIELD(self, at_context));
    return 0;
}

static int timer_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(FIELD(self, at_scheduled));
    Py_VISIT(FIELD(self, at_when));
    return handle_traverse(self, visit, arg);
}

static int handle_clear(PyObject *self)
{
    Py_CLEAR(FIELD(self, at_callback));
    Py_CLEAR(FIELD(self, at_args));
    Py_CLEAR(FIELD(self, at_cancelled));
    Py_CLEAR(FIELD(self, at_loop));
    Py_CLEAR(FIELD(self, at_traceback));
    Py_CLEAR(FIELD(self, at_repr));
    Py_CLEAR(FIELD(self, at_context));
    return 0;
}

static int timer_clear(PyObject *self)
{
    Py_CLEAR(FIELD(self, at_scheduled));
    Py_CLEAR(FIELD(self, at_when));
    return handle_clear(self);
}

/* A few that are kept for the next steps and callbacks: the garbage collector does not count those. */
#define SPARE_HANDLES 256
static PyObject *spare[SPARE_HANDLES];
static int spares;

static PyObject *handle_new(void)
{
    if (spares == 0) {
        return handle_type->tp_alloc(handle_type, 0);
    }
    PyObject *handle = PyObject_Init(spare[--spares], handle_type);
    PyObject_GC_Track(handle);
    return handle;
}

static void handle_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, handle_dealloc)
    if (FIELD(self, type->tp_weaklistoffset) != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    unpin(extra_of(self));
    is_timer(self) ? timer_clear(self) : handle_clear(self);
    if (type == handle_type && spares < SPARE_HANDLES) {
        spare[spares++] = self;
    }
    else {
        type->tp_free(self);
    }
    Py_DECREF(type);
    Py_TRASHCAN_END
}

/* -- making one -- */

static bool in_debug_mode(PyObject *loop)
{
    LoopStats *stats = loop_parts(loop_stats(loop), loop);
    PyObject *value = stats != NULL && stats->stock_debug ? attribute_get(loop, &debug)
                                                          : PyObject_CallMethodNoArgs(loop, s_get_debug);
    int answer = value != NULL ? PyObject_IsTrue(value) : -1;
    Py_XDECREF(value);
    if (answer < 0) {
        PyErr_Clear(); /* the stock handle's own code shall meet it */
    }
    return answer != 0;
}

/* What the stock __init__ does where the loop is not in debug mode. -1 with an error. */
static int fill(PyObject *self, PyObject *callback, PyObject *args, PyObject *loop, PyObject *context)
{
    context = context == NULL || context == Py_None ? PyContext_CopyCurrent() : Py_NewRef(context);
    if (context == NULL) {
        return -1;
    }
    Py_XSETREF(FIELD(self, at_context), context);
    Py_XSETREF(FIELD(self, at_loop), Py_NewRef(loop));
    Py_XSETREF(FIELD(self, at_callback), Py_NewRef(callback));
    Py_XSETREF(FIELD(self, at_args), Py_NewRef(args));
    Py_XSETREF(FIELD(self, at_cancelled), Py_NewRef(Py_False));
    Py_XSETREF(FIELD(self, at_repr), Py_NewRef(Py_None));
    Py_XSETREF(FIELD(self, at_traceback), Py_NewRef(Py_None));
    return 0;
}

/* By the stock __init__. The traceback of debug mode is that of the code that called us, as there. */
static int fill_as_stock(PyObject *self, PyObject *callback, PyObject *args, PyObject *loop, PyObject *context)
{
    PyObject *done = PyObject_CallFunctionObjArgs(stock_handle_init, self, callback, args, loop,
                                                  context != NULL ? context : Py_None, NULL);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int fill_any(PyObject *self, PyObject *callback, PyObject *args, PyObject *loop, PyObject *context)
{
    return in_debug_mode(loop) ? fill_as_stock(self, callback, args, loop, context)
                               : fill(self, callback, args, loop, context);
}

/* A loop makes some handles itself, rather than through `call_soon`: which of its methods does tells what the
 * handle is for. */
static int source_by_maker(void)
{
    PyCodeObject *maker = frame_code_now();
    if (maker == NULL) {
        return BY_CALLBACK;
    }
    const char *name = PyUnicode_AsUTF8(maker->co_name);
    if (name == NULL) {
        PyErr_Clear();
        return BY_CALLBACK;
    }
    return strcmp(name, "_add_reader") == 0 || strcmp(name, "_add_writer") == 0 ? BY_IO
           : strcmp(name, "add_signal_handler") == 0                            ? BY_SIGNAL
                                                                                : BY_CALLBACK;
}

static int handle_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"callback", "args", "loop", "context", NULL};
    PyObject *callback, *arguments, *loop, *context = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|O:Handle", names, &callback, &arguments, &loop, &context)
        || fill_any(self, callback, arguments, loop, context) < 0) {
        return -1;
    }
    Extra *extra = extra_of(self);
    unpin(extra);
    extra->source = source_by_maker();
    if (is_step(callback)) {
        extra->record = woken(loop, callback);
    }
    return 0;
}

static int timer_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"when", "callback", "args", "loop", "context", NULL};
    PyObject *when, *callback, *arguments, *loop, *context = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|O:TimerHandle", names, &when, &callback, &arguments, &loop,
                                     &context)
        || fill_any(self, callback, arguments, loop, context) < 0) {
        return -1;
    }
    Py_XSETREF(FIELD(self, at_when), Py_NewRef(when));
    Py_XSETREF(FIELD(self, at_scheduled), Py_NewRef(Py_False));
    Extra *extra = extra_of(self);
    extra->source = BY_TIMER;
    LoopStats *stats = loop_stats(loop);
    if (stats != NULL) {
        extra->turn = timer_set(stats);
    }
    if (is_foreign(loop_known(loop))) {
        foreign_call(loop, callback);
    }
    return 0;
}

static PyTypeObject *deque_type;
static PyCFunction deque_append; /* deque's own */

/* -1 with an error. */
int append_ready(PyObject *loop, PyObject *handle)
{
    PyObject *ready = attribute_get(loop, &ready_ones);
    if (ready == NULL) {
        return -1;
    }
    PyObject *added = Py_TYPE(ready) == deque_type && deque_append != NULL ? deque_append(ready, handle)
                                                                          : PyObject_CallMethodOneArg(ready, s_append, handle);
    Py_DECREF(ready);
    Py_XDECREF(added);
    return added == NULL ? -1 : 0;
}

/* The callback is what `loop` shall run next: its handle. */
static PyObject *schedule(PyObject *loop, PyObject *callback, PyObject *args, PyObject *context, bool debug)
{
    PyObject *handle = handle_new();
    if (handle == NULL) {
        return NULL;
    }
    if ((debug ? fill_as_stock(handle, callback, args, loop, context) : fill(handle, callback, args, loop, context)) < 0) {
        Py_DECREF(handle);
        return NULL;
    }
    Extra *extra = (Extra *)((char *)handle + handle_extra);
    *extra = (Extra){.source = BY_CALLBACK};
    if (is_step(callback)) {
        extra->record = woken(loop, callback);
    }
    else {
        LoopStats *stats = loop_stats(loop);
        if (stats != NULL) {
            extra->turn = stats->turns;
        }
        if (is_foreign(stats)) {
            extra->source = BY_THREAD;
        }
    }
    if (append_ready(loop, handle) < 0) {
        Py_CLEAR(handle);
    }
    return handle;
}

/* In place of `BaseEventLoop._call_soon(callback, args, context)`: through here goes every wake, every spawn
 * and every plain callback. */
static PyObject *call_soon_inner(PyObject *loop, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3) {
        PyErr_Format(PyExc_TypeError, "_call_soon() takes exactly 3 arguments (%zd given)", count);
        return NULL;
    }
    return schedule(loop, args[0], args[1], args[2], in_debug_mode(loop));
}

static PyObject *stock_call_soon; /* BaseEventLoop's own */
PyObject *call_soon_inner_method;

static bool not_in_debug_mode(PyObject *loop)
{
    PyObject *value = attribute_get(loop, &debug);
    if (value == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(value);
    return value == Py_False;
}

static PyObject *call_stock(PyObject *loop, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    size_t all = (size_t)(count + (keywords != NULL ? PyTuple_GET_SIZE(keywords) : 0));
    PyObject **given = PyMem_New(PyObject *, all + 1);
    if (given == NULL) {
        return PyErr_NoMemory();
    }
    given[0] = loop;
    memcpy(given + 1, args, all * sizeof(PyObject *));
    PyObject *result = PyObject_Vectorcall(stock_call_soon, given, (size_t)count + 1, keywords);
    PyMem_Free(given);
    return result;
}

/* In place of `BaseEventLoop.call_soon(callback, *args, context=None)`: the same without a frame of Python. In debug
 * mode and on a closed loop, the stock method has its own words. */
static PyObject *call_soon(PyObject *loop, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    PyObject *context = Py_None;
    Py_ssize_t named = keywords != NULL ? PyTuple_GET_SIZE(keywords) : 0;
    PyObject *name = named == 1 ? PyTuple_GET_ITEM(keywords, 0) : NULL;
    if (name != NULL && (name == s_context || PyUnicode_Compare(name, s_context) == 0)) {
        Py_SETREF(s_context, Py_NewRef(name)); /* the C Task's string may be another one */
        context = args[count];
        named = 0;
    }
    LoopStats *stats = loop_parts(loop_known(loop), loop); /* a closed loop is not known */
    bool foreign = is_foreign(stats), direct = stats != NULL && stats->our_inner && stats->stock_debug;
    if (count == 0 || named > 0 || stats == NULL || !stats->stock_checks || !not_in_debug_mode(loop)) {
        return call_stock(loop, args, count, keywords);
    }
    PyObject *rest = PyTuple_New(count - 1);
    if (rest == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 1; i < count; i++) {
        PyTuple_SET_ITEM(rest, i - 1, Py_NewRef(args[i]));
    }
    PyObject *given[] = {loop, args[0], rest, context};
    PyObject *handle = direct ? schedule(loop, args[0], rest, context, false)
                              : PyObject_VectorcallMethod(s_call_soon_inner, given, 4, NULL);
    Py_DECREF(rest);
    if (foreign && handle != NULL) {
        foreign_call(loop, args[0]);
    }
    return handle;
}

static PyMethodDef inner_def = {"_call_soon", (PyCFunction)(void (*)(void))call_soon_inner, METH_FASTCALL, NULL};
/* With a signature, as the stock method has one. */
static PyMethodDef call_soon_def = {"call_soon", (PyCFunction)(void (*)(void))call_soon, METH_FASTCALL | METH_KEYWORDS,
                                    "call_soon($self, callback, *args, context=None)\n--\n\n"
                                    "Have `callback(*args)` called in the loop's next turn."};

/* (call_soon, _call_soon) for a class of loops whose own ones they stand in for. */
PyObject *call_soon_descriptors(PyObject *loop_class)
{
    PyObject *stock = PyObject_GetAttrString(loop_class, "call_soon");
    if (stock == NULL) {
        return NULL;
    }
    Py_XSETREF(stock_call_soon, stock);
    Py_XSETREF(call_soon_inner_method, PyDescr_NewMethod((PyTypeObject *)loop_class, &inner_def));
    if (call_soon_inner_method == NULL) {
        return NULL;
    }
    return Py_BuildValue("(NO)", PyDescr_NewMethod((PyTypeObject *)loop_class, &call_soon_def), call_soon_inner_method);
}

/* -- running one -- */

/* `context.run(callback, *args)`. */
static PyObject *run_in_context(PyObject *context, PyObject *callback, PyObject *args)
{
    if (!PyContext_CheckExact(context) || !PyTuple_CheckExact(args)) {
        PyObject *run = PyObject_GetAttr(context, s_run), *result = NULL;
        PyObject *list = run != NULL ? PySequence_List(args) : NULL;
        PyObject *all = list != NULL && PyList_Insert(list, 0, callback) == 0 ? PyList_AsTuple(list) : NULL;
        if (all != NULL) {
            result = PyObject_Call(run, all, NULL);
        }
        Py_XDECREF(run);
        Py_XDECREF(list);
        Py_XDECREF(all);
        return result;
    }
    if (PyContext_Enter(context) < 0) {
        return NULL;
    }
    PyObject *result = call_with(callback, args);
    if (result == NULL) {
        PyObject *error = take_exception();
        if (PyContext_Exit(context) < 0) {
            PyErr_Clear();
        }
        raise_again(error);
        return NULL;
    }
    if (PyContext_Exit(context) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

/* The callback raised: what the stock `_run` does about it. */
static PyObject *raised(PyObject *self)
{
    if (PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        return NULL;
    }
    /* For the program's exception handler it is the one being handled: sys.exc_info(), logging.exception(). */
    PyObject *error = take_exception(), *before = PyErr_GetHandledException();
    PyErr_SetHandledException(error);
    PyObject *reported = PyObject_CallFunctionObjArgs(report, self, error, NULL);
    PyErr_SetHandledException(before);
    Py_XDECREF(before);
    Py_DECREF(error);
    return reported;
}

#define LATEST_NS 1e15 /* eleven days: a timer later than that was meant for no time at all, as minus infinity */

/* A timer that fires late is what a blocked loop looks like to everybody who sleeps. */
static void timer_fires(PyObject *self, PyObject *loop)
{
    LoopStats *stats = loop_parts(loop_stats(loop), loop);
    PyObject *when = FIELD(self, at_when);
    if (stats == NULL || when == NULL || !PyFloat_Check(when)) {
        return;
    }
    double late;
    if (stats->stock_time) {
        late = (double)now_ns() - PyFloat_AS_DOUBLE(when) * 1e9;
    }
    else {
        PyObject *time = PyObject_CallMethodNoArgs(loop, s_time);
        late = time != NULL ? (PyFloat_AsDouble(time) - PyFloat_AS_DOUBLE(when)) * 1e9 : 0;
        Py_XDECREF(time);
        PyErr_Clear();
        stats = loop_known(loop);
    }
    if (stats != NULL && late > (double)stats->lag_ns && late < LATEST_NS) {
        STORE(stats->lag_ns, (int64_t)late);
    }
}

/* The step of a task. The record's pin is taken over. */
static PyObject *run_step(TaskRecord *record, PyObject *task, PyObject *context, PyObject *callback, PyObject *args)
{
    Py_INCREF(task);
    Running before;
    poll_begin(record, &before);
    return poll_over(record, task, &before, run_in_context(context, callback, args));
}

static PyObject *run_callback(Extra *extra, PyObject *loop, PyObject *context, PyObject *callback, PyObject *args)
{
    Running before;
    LoopStats *stats = callback_begin(loop, callback, extra->source, &extra->turn, &before);
    PyObject *result = run_in_context(context, callback, args);
    if (stats != NULL) {
        PyObject *error = result == NULL ? take_exception() : NULL;
        callback_end(stats, loop, callback, &before);
        raise_again(error);
    }
    return result;
}

/* A handle of our own, or a stock one that `extra` is made up for. */
static PyObject *run(PyObject *self, Extra *extra)
{
    PyObject *callback = FIELD(self, at_callback), *args = FIELD(self, at_args), *loop = FIELD(self, at_loop);
    PyObject *context = FIELD(self, at_context);
    if (callback == NULL || args == NULL || loop == NULL || context == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_callback");
        return NULL;
    }
    /* The callback may cancel its own handle. */
    Py_INCREF(callback);
    Py_INCREF(args);
    Py_INCREF(loop);
    Py_INCREF(context);
    /* A record that has ended, or is forgotten, has no task. */
    TaskRecord *record = extra->record;
    PyObject *task = record != NULL && record->task != NULL ? step_task(callback) : NULL;
    PyObject *result;
    if (task != NULL && task == record->task) {
        extra->record = NULL;
        result = run_step(record, task, context, callback, args);
    }
    else {
        result = run_callback(extra, loop, context, callback, args);
    }
    if (result == NULL) {
        result = raised(self);
    }
    Py_XDECREF(result);
    Py_DECREF(callback);
    Py_DECREF(args);
    Py_DECREF(loop);
    Py_DECREF(context);
    return result != NULL ? Py_NewRef(Py_None) : NULL;
}

static PyObject *handle_run(PyObject *self, PyObject *Py_UNUSED(none))
{
    return run(self, extra_of(self));
}

static PyObject *timer_run(PyObject *self, PyObject *Py_UNUSED(none))
{
    PyObject *loop = FIELD(self, at_loop);
    if (loop != NULL) {
        timer_fires(self, loop);
    }
    return run(self, extra_of(self));
}

/* `bool(handle._cancelled)`; -1 with an error. */
int handle_cancelled(PyObject *handle)
{
    bool ours = Py_TYPE(handle) == handle_type || PyObject_TypeCheck(handle, stock_handle);
    PyObject *cancelled = ours ? FIELD(handle, at_cancelled) : NULL;
    if (cancelled == Py_False) {
        return 0;
    }
    cancelled = PyObject_GetAttr(handle, s_cancelled);
    int truth = cancelled != NULL ? PyObject_IsTrue(cancelled) : -1;
    Py_XDECREF(cancelled);
    return truth;
}

/* Whether the `_run` of our own classes is ours still: a program may patch them. */
static bool runs_as_made(void)
{
    static unsigned handle_version, timer_version;
    if (handle_version != handle_type->tp_version_tag || timer_version != timer_type->tp_version_tag || handle_version == 0
        || timer_version == 0) {
        PyObject *handles = PyObject_GetAttr((PyObject *)handle_type, s_handle_run);
        PyObject *timers = PyObject_GetAttr((PyObject *)timer_type, s_handle_run);
        bool as_made = handles == handle_method && timers == timer_method;
        Py_XDECREF(handles);
        Py_XDECREF(timers);
        PyErr_Clear();
        if (!as_made) {
            return false;
        }
        handle_version = handle_type->tp_version_tag;
        timer_version = timer_type->tp_version_tag;
    }
    return true;
}

/* `handle._run()` */
PyObject *run_handle(PyObject *handle)
{
    if (runs_as_made()) {
        if (Py_TYPE(handle) == handle_type) {
            return run(handle, (Extra *)((char *)handle + handle_extra));
        }
        if (Py_TYPE(handle) == timer_type) {
            return timer_run(handle, NULL);
        }
    }
    return PyObject_CallMethodNoArgs(handle, s_handle_run);
}

/* run_stock(handle, source): as `handle._run()`, for a handle that is not ours. */
PyObject *run_stock(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *handle;
    Extra extra = {.record = NULL};
    if (!PyArg_ParseTuple(args, "Oi:run_stock", &handle, &extra.source)) {
        return NULL;
    }
    if (!PyObject_TypeCheck(handle, stock_handle)) {
        PyErr_Format(PyExc_TypeError, "expected a Handle, found %R", handle);
        return NULL;
    }
    return run(handle, &extra);
}

/* -- the order of timers -- */

static PyObject *same(PyObject *one, PyObject *other)
{
    const Py_ssize_t *compared[] = {&at_when, &at_callback, &at_args, &at_cancelled};
    for (int i = 0; i < 4; i++) {
        PyObject *mine = FIELD(one, *compared[i]), *its = FIELD(other, *compared[i]);
        int equal = mine != NULL && its != NULL ? PyObject_RichCompareBool(mine, its, Py_EQ) : mine == its;
        if (equal <= 0) {
            return equal < 0 ? NULL : Py_NewRef(Py_False);
        }
    }
    return Py_NewRef(Py_True);
}

static PyObject *timer_compare(PyObject *self, PyObject *other, int how)
{
    if (!PyObject_TypeCheck(other, stock_timer)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    if (how == Py_EQ) {
        return same(self, other);
    }
    if (how == Py_NE) {
        PyObject *equal = same(self, other);
        if (equal == NULL) {
            return NULL;
        }
        Py_DECREF(equal);
        return PyBool_FromLong(equal == Py_False);
    }
    PyObject *mine = FIELD(self, at_when), *its = FIELD(other, at_when);
    if (mine == NULL || its == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_when");
        return NULL;
    }
    int strict = how == Py_LT || how == Py_LE ? Py_LT : Py_GT, found;
    if (PyFloat_CheckExact(mine) && PyFloat_CheckExact(its)) {
        double first = PyFloat_AS_DOUBLE(mine), second = PyFloat_AS_DOUBLE(its);
        found = strict == Py_LT ? first < second : first > second;
    }
    else {
        found = PyObject_RichCompareBool(mine, its, strict);
    }
    if (found < 0) {
        return NULL;
    }
    if (found || how == strict) {
        return PyBool_FromLong(found);
    }
    return same(self, other);
}

static Py_hash_t timer_hash(PyObject *self)
{
    PyObject *when = FIELD(self, at_when);
    if (when == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_when");
        return -1;
    }
    return PyObject_Hash(when);
}

/* -- the types -- */

static PyMethodDef handle_methods[] = {{"_run", handle_run, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyType_Slot handle_slots[] = {
    {Py_tp_init, handle_init},         {Py_tp_dealloc, handle_dealloc}, {Py_tp_traverse, handle_traverse},
    {Py_tp_clear, handle_clear},       {Py_tp_methods, handle_methods}, {0, NULL},
};
static PyMethodDef timer_methods[] = {{"_run", timer_run, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyType_Slot timer_slots[] = {
    {Py_tp_init, timer_init},          {Py_tp_dealloc, handle_dealloc},    {Py_tp_traverse, timer_traverse},
    {Py_tp_clear, timer_clear},        {Py_tp_methods, timer_methods},     {Py_tp_richcompare, timer_compare},
    {Py_tp_hash, timer_hash},          {0, NULL},
};

/* A subclass of a stock class, with `Extra` behind it. */
static PyTypeObject *derive(PyTypeObject *stock, const char *name, PyType_Slot *slots, Py_ssize_t *extra)
{
    *extra = (stock->tp_basicsize + (Py_ssize_t)sizeof(void *) - 1) & -(Py_ssize_t)sizeof(void *);
    PyType_Spec spec = {
        .name = name,
        .basicsize = (int)(*extra + (Py_ssize_t)sizeof(Extra)),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    return (PyTypeObject *)PyType_FromSpecWithBases(&spec, (PyObject *)stock);
}

static int find_slot(PyTypeObject *type, const char *name, Py_ssize_t *offset)
{
    PyObject *member = PyObject_GetAttrString((PyObject *)type, name);
    if (member == NULL) {
        return -1;
    }
    if (!Py_IS_TYPE(member, &PyMemberDescr_Type)) {
        PyErr_Format(PyExc_TypeError, "expected %s.%s to be a slot, found %R", type->tp_name, name, member);
        Py_DECREF(member);
        return -1;
    }
    *offset = ((PyMemberDescrObject *)member)->d_member->offset;
    Py_DECREF(member);
    return 0;
}

/* derive_handles(Handle, TimerHandle, metaclass, report) -> (Handle, TimerHandle): our twins of the stock
 * classes. */
PyObject *derive_handles(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *handle, *timer, *metaclass, *reporter;
    if (!PyArg_ParseTuple(args, "O!O!O!O:derive_handles", &PyType_Type, &handle, &PyType_Type, &timer, &PyType_Type,
                          &metaclass, &reporter)) {
        return NULL;
    }
    stock_handle = (PyTypeObject *)Py_NewRef(handle);
    stock_timer = (PyTypeObject *)Py_NewRef(timer);
    report = Py_NewRef(reporter);
    stock_handle_init = PyObject_GetAttrString(handle, "__init__");
    if (stock_handle_init == NULL || find_slot(stock_handle, "_callback", &at_callback) < 0
        || find_slot(stock_handle, "_args", &at_args) < 0 || find_slot(stock_handle, "_cancelled", &at_cancelled) < 0
        || find_slot(stock_handle, "_loop", &at_loop) < 0
        || find_slot(stock_handle, "_source_traceback", &at_traceback) < 0
        || find_slot(stock_handle, "_repr", &at_repr) < 0 || find_slot(stock_handle, "_context", &at_context) < 0
        || find_slot(stock_timer, "_scheduled", &at_scheduled) < 0 || find_slot(stock_timer, "_when", &at_when) < 0) {
        return NULL;
    }
    handle_type = derive(stock_handle, "asyncio.events.Handle", handle_slots, &handle_extra);
    timer_type = derive(stock_timer, "asyncio.events.TimerHandle", timer_slots, &timer_extra);
    if (handle_type == NULL || timer_type == NULL) {
        return NULL;
    }
    handle_method = PyObject_GetAttr((PyObject *)handle_type, s_handle_run);
    timer_method = PyObject_GetAttr((PyObject *)timer_type, s_handle_run);
    if (handle_method == NULL || timer_method == NULL) {
        return NULL;
    }
    Py_SET_TYPE(handle_type, (PyTypeObject *)Py_NewRef(metaclass));
    Py_SET_TYPE(timer_type, (PyTypeObject *)Py_NewRef(metaclass));
    return Py_BuildValue("(OO)", handle_type, timer_type);
}

int handles_init(void)
{
    const Interned names[] = {
        {&debug.name, "_debug"}, {&ready_ones.name, "_ready"}, {&s_get_debug, "get_debug"}, {&s_time, "time"},
        {&s_append, "append"}, {&s_run, "run"},
        {&s_handle_run, "_run"}, {&s_cancelled, "_cancelled"},
        {&s_context, "context"}, {&s_call_soon_inner, "_call_soon"},
    };
    PyObject *collections = PyImport_ImportModule("collections");
    deque_type = collections != NULL ? (PyTypeObject *)PyObject_GetAttrString(collections, "deque") : NULL;
    Py_XDECREF(collections);
    if (deque_type == NULL) {
        return -1;
    }
    deque_append = own_method(deque_type, "append", METH_O);
    return intern(names, sizeof(names) / sizeof(names[0]));
}
